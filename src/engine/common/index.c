/* SPDX-License-Identifier: Apache-2.0 */
/* The index described in index.h.  A hash is used in three places: its top bits choose the segment,
 * the lowest 16 the first slot to look at, the 16 above those are the tag. */
#include "engine/common/index.h"

#include "base/hash.h"
#include <assert.h>

enum {
    SLOTS = 511, /* with its header a segment is 4 KiB */
    SLOTS_USED_MAX = SLOTS * 3 / 4,
    DEPTH_MAX = 24,
    SKEW_MAX = 8, /* pointers a segment; even hashes need two or three */
    PREFETCH_AHEAD = 8,
    GUESSES = 8,
};

struct index_segment {
    uint32_t depth; /* top bits that all its hashes share */
    uint32_t used;
    _Atomic uint64_t slots[SLOTS];
};

struct index_directory {
    uint32_t depth;
    _Atomic(struct index_segment *) segments[];
};

static_assert(sizeof(struct index_segment) == 4096, "a size class of the pool");

static uint64_t slot_make(const struct entry *entry, uint64_t hash)
{
    uint64_t address = (uint64_t)(uintptr_t)entry;
    assert(address >> 48 == 0);
    return (hash >> 16 & 0xffff) << 48 | address;
}

static bool slot_matches(uint64_t slot, uint64_t hash)
{
    return slot >> 48 == (hash >> 16 & 0xffff);
}

static struct entry *slot_entry(uint64_t slot)
{
    return (struct entry *)(uintptr_t)(slot & 0xffffffffffff);
}

static size_t first_place(uint64_t hash)
{
    return (hash & 0xffff) * SLOTS >> 16;
}

static size_t next_place(size_t place)
{
    return place + 1 == SLOTS ? 0 : place + 1;
}

static size_t directory_place(const struct index_directory *directory, uint64_t hash)
{
    return hash >> 32 >> (32 - directory->depth);
}

uint64_t index_hash(struct bytes key)
{
    return hash64(key, 0);
}

/* --- searching ----------------------------------------------------------------------------- */

static struct index_segment *segment_for(const struct index *index, uint64_t hash)
{
    const struct index_directory *directory =
        atomic_load_explicit(&index->directory, memory_order_acquire);
    return atomic_load_explicit(&directory->segments[directory_place(directory, hash)],
                                memory_order_acquire);
}

struct entry *index_find(const struct index *index, struct bytes key, uint64_t hash, bool *ret_sure)
{
    uint64_t splits = atomic_load_explicit(&index->splits, memory_order_acquire);
    const struct index_segment *segment = segment_for(index, hash);
    size_t place = first_place(hash);
    for (int i = 0; i < SLOTS; i++) { /* bounded: the segment may be refilled under our eyes */
        uint64_t slot = atomic_load_explicit(&segment->slots[place], memory_order_acquire);
        if (slot == 0)
            break;
        if (slot_matches(slot, hash) && bytes_equal(entry_key(slot_entry(slot)), key))
            return slot_entry(slot);
        place = next_place(place);
    }
    /* The loads above were acquires, so this one is not done before them. */
    *ret_sure = splits % 2 == 0 &&
                atomic_load_explicit(&index->splits, memory_order_relaxed) == splits &&
                !atomic_load_explicit(&index->incomplete, memory_order_relaxed);
    return NULL;
}

void index_prefetch(const struct index *index, uint64_t hash)
{
    __builtin_prefetch(&segment_for(index, hash)->slots[first_place(hash)]);
}

struct entry *index_guess(const struct index *index, uint64_t hash)
{
    const struct index_segment *segment = segment_for(index, hash);
    size_t place = first_place(hash);
    for (int i = 0; i < GUESSES; i++) {
        uint64_t slot = atomic_load_explicit(&segment->slots[place], memory_order_acquire);
        if (slot != 0 && slot_matches(slot, hash))
            return slot_entry(slot);
        place = next_place(place);
    }
    return NULL;
}

/* --- growing ------------------------------------------------------------------------------- */

static void put(struct index_segment *segment, uint64_t slot, uint64_t hash)
{
    size_t place = first_place(hash);
    while (atomic_load_explicit(&segment->slots[place], memory_order_relaxed) != 0)
        place = next_place(place);
    atomic_store_explicit(&segment->slots[place], slot, memory_order_release);
    segment->used++;
}

static void segment_reset(struct index_segment *segment, uint32_t depth)
{
    segment->depth = depth;
    segment->used = 0;
    for (int i = 0; i < SLOTS; i++)
        atomic_store_explicit(&segment->slots[i], 0, memory_order_relaxed);
}

static void prefetch_entry(const struct index_segment *segment, int place)
{
    if (place < SLOTS)
        __builtin_prefetch(
            slot_entry(atomic_load_explicit(&segment->slots[place], memory_order_relaxed)));
}

static void distribute(const struct index_segment *from, struct index_segment *halves[2])
{
    for (int i = 0; i < SLOTS; i++) {
        uint64_t slot = atomic_load_explicit(&from->slots[i], memory_order_relaxed);
        prefetch_entry(from, i + PREFETCH_AHEAD);
        if (slot == 0)
            continue;
        uint64_t hash = index_hash(entry_key(slot_entry(slot)));
        put(halves[hash >> (63 - from->depth) & 1], slot, hash);
    }
}

/* Twice the directory, every segment in it twice.  The old one stays: readers may be in it. */
static bool double_directory(struct index *index)
{
    const struct index_directory *old = index->directory;
    size_t count = (size_t)2 << old->depth;
    if (old->depth == DEPTH_MAX || count > index->segment_count * SKEW_MAX)
        return false;
    struct index_directory *directory =
        pool_allocate(&index->pool, sizeof(*directory) + count * sizeof(directory->segments[0]));
    if (directory == NULL)
        return false;
    directory->depth = old->depth + 1;
    for (size_t i = 0; i < count; i++)
        atomic_init(&directory->segments[i], old->segments[i / 2]);
    atomic_store_explicit(&index->directory, directory, memory_order_release);
    return true;
}

static bool have_halves(struct index *index, struct index_segment *halves[2])
{
    halves[0] = index->spare;
    if (halves[0] == NULL)
        halves[0] = pool_allocate(&index->pool, sizeof(*halves[0]));
    index->spare = halves[0];
    halves[1] = pool_allocate(&index->pool, sizeof(*halves[1]));
    return halves[0] != NULL && halves[1] != NULL;
}

static void publish(struct index *index, const struct index_segment *old,
                    struct index_segment *halves[2], uint64_t hash)
{
    struct index_directory *directory = index->directory;
    size_t count = (size_t)1 << (directory->depth - old->depth);
    size_t first = directory_place(directory, hash) / count * count;
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&directory->segments[first + i], halves[i >= count / 2],
                              memory_order_release);
}

/* Split the segment for `hash`. The spare may still be looked through by readers that took it for
 * what it was: `splits` tells them that what they did not find may be elsewhere. */
static bool split(struct index *index, uint64_t hash)
{
    struct index_segment *old = segment_for(index, hash), *halves[2];
    if ((old->depth == index->directory->depth && !double_directory(index)) ||
        !have_halves(index, halves))
        return false;
    uint64_t splits = atomic_load_explicit(&index->splits, memory_order_relaxed);
    atomic_store_explicit(&index->splits, splits + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    segment_reset(halves[0], old->depth + 1);
    segment_reset(halves[1], old->depth + 1);
    distribute(old, halves);
    publish(index, old, halves, hash);
    atomic_store_explicit(&index->splits, splits + 2, memory_order_release);
    index->spare = old;
    index->segment_count++;
    return true;
}

void index_insert(struct index *index, struct entry *entry, uint64_t hash)
{
    struct index_segment *segment;
    while ((segment = segment_for(index, hash))->used >= SLOTS_USED_MAX) {
        if (!split(index, hash)) {
            atomic_store_explicit(&index->incomplete, true, memory_order_release);
            return;
        }
    }
    put(segment, slot_make(entry, hash), hash);
}

/* --- life ---------------------------------------------------------------------------------- */

bool index_init(struct index *index)
{
    *index = (struct index){ .segment_count = 1 };
    pool_init(&index->pool);
    struct index_directory *directory =
        pool_allocate(&index->pool, sizeof(*directory) + sizeof(directory->segments[0]));
    struct index_segment *segment = pool_allocate(&index->pool, sizeof(*segment));
    if (directory == NULL || segment == NULL)
        return false;
    segment_reset(segment, 0);
    directory->depth = 0;
    atomic_init(&directory->segments[0], segment);
    atomic_store_explicit(&index->directory, directory, memory_order_release);
    return true;
}

void index_done(struct index *index)
{
    pool_done(&index->pool);
}
