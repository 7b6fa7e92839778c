/* SPDX-License-Identifier: Apache-2.0 */
/* What the path of each GET and SET pays here: one actor, one sibling, a value of 100 bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "object/object.h"

enum { ROUNDS = 5000000 };

static const struct object_mode siblings = { .siblings = true };

struct bench {
    struct arena kept, scratch;
    struct buffer buffer;
    struct bytes encoding;
    struct object object, left, right; /* left and right each replaced object, apart */
    struct object_context context;
    struct sibling fresh;
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void put(struct bench *bench, const struct object *local, uint64_t actor,
                struct arena *arena, struct object *ret)
{
    must(object_put(local, &bench->context, &bench->fresh, actor, siblings, arena, ret) ==
         KVORUM_OK);
}

static uint64_t bench_decode(struct bench *bench)
{
    struct object object;
    must(object_decode(bench->encoding, &bench->scratch, &object) == KVORUM_OK);
    return object.siblings[0].stamp;
}

static uint64_t bench_encode(struct bench *bench)
{
    buffer_reset(&bench->buffer);
    object_encode(&bench->object, &bench->buffer);
    return bench->buffer.size;
}

static uint64_t bench_digest(struct bench *bench)
{
    return object_digest(bench->encoding);
}

static uint64_t bench_put(struct bench *bench)
{
    struct object object;
    put(bench, &bench->object, 7, &bench->scratch, &object);
    return object.siblings[0].stamp;
}

static uint64_t bench_contains(struct bench *bench)
{
    return object_contains(&bench->left, &bench->object);
}

static uint64_t bench_merge(struct bench *bench)
{
    struct object object;
    must(object_merge(&bench->left, &bench->right, &bench->scratch, &object) == KVORUM_OK);
    return object.siblings[0].stamp;
}

static const struct {
    const char *name;
    uint64_t (*run)(struct bench *bench);
} benches[] = {
    { "decode", bench_decode },     { "encode", bench_encode },
    { "digest", bench_digest },     { "put", bench_put },
    { "contains", bench_contains }, { "merge of two siblings", bench_merge },
};

static void prepare(struct bench *bench)
{
    static const uint8_t value[100] = { 0 };
    arena_init(&bench->kept, 1 << 20);
    arena_init(&bench->scratch, 1 << 20);
    buffer_init(&bench->buffer, 1 << 20);
    bench->fresh.stamp = (uint64_t)1700000000000 << 16;
    bench->fresh.value = bytes_make(value, sizeof(value));
    put(bench, NULL, 7, &bench->kept, &bench->object);
    bench->context = object_context_of(&bench->object);
    put(bench, &bench->object, 7, &bench->kept, &bench->left);
    put(bench, &bench->object, 9, &bench->kept, &bench->right);
    object_encode(&bench->object, &bench->buffer);
    must(arena_copy(&bench->kept, buffer_bytes(&bench->buffer), &bench->encoding));
}

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(void)
{
    struct bench bench = { 0 };
    prepare(&bench);
    volatile uint64_t sink = 0;
    for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
        double start = now_ns();
        for (int round = 0; round < ROUNDS; round++) {
            arena_reset(&bench.scratch);
            sink += benches[i].run(&bench);
        }
        printf("%-22s %6.1f ns\n", benches[i].name, (now_ns() - start) / ROUNDS);
    }
    buffer_done(&bench.buffer);
    arena_done(&bench.scratch);
    arena_done(&bench.kept);
    return 0;
}
