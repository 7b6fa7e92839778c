/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a manifest.  Bytes that begin with 'R' are repaired first (magic, version, size and
 * checksum made to fit), so that what lies behind the checksum is reached.  What is accepted is
 * written back as the same bytes. */
#include "engine/lsm/levels/manifest.h"

#include "base/hash.h"
#include "engine/lsm/log/little.h"

#include <assert.h>
#include <stdlib.h>

enum { SIZE_MIN = 80, LIMIT = 1 << 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repair(uint8_t *data, size_t size)
{
    static const uint8_t magic[] = { 'K', 'V', 'l', 's', 'm', 'M', 'A', 'N' };
    memcpy(data, magic, sizeof(magic));
    little_put32(data + 8, LSM_MANIFEST_VERSION);
    little_put64(data + 16, size);
    little_put64(data + size - 8, hash64(bytes_make(data + 8, size - 16), 0));
}

static void check_round_trip(const struct lsm_manifest *manifest, struct bytes bytes)
{
    struct buffer again;
    buffer_init(&again, LIMIT);
    lsm_manifest_encode(manifest, &again);
    assert(!again.failed && bytes_equal(buffer_bytes(&again), bytes));
    buffer_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lsm_manifest manifest;
    struct arena arena;
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    if (size >= SIZE_MIN && data[0] == 'R')
        repair(copy, size);
    arena_init(&arena, LIMIT);
    if (lsm_manifest_decode(bytes_make(copy, size), &arena, &manifest) == KVORUM_OK)
        check_round_trip(&manifest, bytes_make(copy, size));
    arena_done(&arena);
    free(copy);
    return 0;
}
