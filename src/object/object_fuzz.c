/* SPDX-License-Identifier: Apache-2.0 */
/* An object decodes to what encodes to the same bytes; two halves of the input obey the merge laws.
 * The first byte says where the halves part; behind it the first one begins. */
#include <stdlib.h>

#include "object/object.h"

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool encodes_to(const struct object *object, struct bytes bytes)
{
    struct buffer buffer;
    buffer_init(&buffer, (size_t)1 << 30);
    object_encode(object, &buffer);
    REQUIRE(!buffer.failed && buffer.size == object_encoded_size(object));
    bool same = bytes_equal(buffer_bytes(&buffer), bytes);
    buffer_done(&buffer);
    return same;
}

static bool same(const struct object *a, const struct object *b)
{
    struct buffer buffer;
    buffer_init(&buffer, (size_t)1 << 30);
    object_encode(a, &buffer);
    REQUIRE(!buffer.failed);
    bool result = encodes_to(b, buffer_bytes(&buffer));
    buffer_done(&buffer);
    return result;
}

static void check_merge(const struct object *a, const struct object *b, struct arena *arena)
{
    struct object ab, ba, again;
    kvorum_status status = object_merge(a, b, arena, &ab);
    REQUIRE(object_merge(b, a, arena, &ba) == status);
    if (status != KVORUM_OK)
        return;
    REQUIRE(same(&ab, &ba));
    REQUIRE(object_contains(&ab, a) && object_contains(&ab, b));
    REQUIRE(object_contains(a, b) == same(&ab, a));
    REQUIRE(object_merge(&ab, b, arena, &again) == KVORUM_OK && same(&again, &ab));
}

static void check_put(const struct object *local, const struct object *read,
                      struct object_mode mode, struct arena *arena)
{
    struct object_context context = object_context_of(read);
    struct sibling fresh = { .stamp = 1, .value = BYTES_LITERAL("new") };
    struct object result, shown;
    if (object_put(local, &context, &fresh, 5, mode, arena, &result) != KVORUM_OK)
        return;
    REQUIRE(object_contains(&result, local));
    REQUIRE(bytes_equal(object_winner(&result)->value, fresh.value));
    REQUIRE(object_show(&result, mode, arena, &shown) == KVORUM_OK);
    REQUIRE(bytes_equal(object_winner(&shown)->value, fresh.value));
}

static bool decode(struct bytes bytes, struct arena *arena, struct object *ret)
{
    if (object_decode(bytes, arena, ret) != KVORUM_OK)
        return false;
    REQUIRE(encodes_to(ret, bytes));
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, (size_t)1 << 28);
    struct object a, b;
    (void)decode(bytes_make(data, size), &arena, &a);
    if (size > 0 && data[0] < size) {
        struct bytes rest = bytes_make(data + 1, size - 1);
        bool both = decode(bytes_make(rest.data, data[0]), &arena, &a) &&
                    decode(bytes_from(rest, data[0]), &arena, &b);
        if (both) {
            check_merge(&a, &b, &arena);
            check_put(&a, &b, (struct object_mode){ .siblings = true }, &arena);
            check_put(&a, &b, (struct object_mode){ .since = object_max_stamp(&b) }, &arena);
        }
    }
    arena_done(&arena);
    return 0;
}
