/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/plan/sizes.h"

static bool one_in(struct world *world, uint64_t n)
{
    return choose_one_in(world, n);
}

/* `least` times a power of two, up to 2 to the `most`. */
static uint64_t scale(struct world *world, uint64_t least, uint64_t most)
{
    return least << choose(world, most + 1);
}

static void draw_levels(struct world *world, struct lsm_options *options)
{
    options->level0_trigger = (uint32_t)choose_between(world, 1, 4);
    options->level0_slowdown = options->level0_trigger + (uint32_t)choose(world, 4);
    options->level0_stop = options->level0_slowdown + 1 + (uint32_t)choose(world, 6);
    options->level1_size = scale(world, 2048, 5);
    options->level_multiplier = (uint32_t)choose_between(world, 2, 10);
    options->table_size = scale(world, 512, 6);
    options->compactions = (uint32_t)choose_between(world, 1, 3);
}

static void draw_tables(struct world *world, struct lsm_options *options)
{
    options->block_size = (uint32_t)scale(world, 64, 6);
    options->cache_size = one_in(world, 3) ? 1 : scale(world, 1024, 8);
    options->table_memory_size = one_in(world, 3) ? scale(world, 256, 5) : 0;
    options->open_files = one_in(world, 3) ? (uint32_t)choose_between(world, 1, 4) : 0;
    if (one_in(world, 4))
        options->filter_bits = LSM_FILTER_BITS_NONE;
    for (int i = 0; i < ENGINE_LEVELS; i++)
        options->packing[i] = (enum lsm_packing)choose(world, LSM_PACK_ZSTD + 1);
    options->blob_size = one_in(world, 2) ? scale(world, 64, 5) : UINT64_MAX;
}

void sizes_draw(struct world *world, struct lsm_options *options)
{
    options->segment_size = scale(world, 4096, 4);
    options->write_back_size = one_in(world, 2) ? options->segment_size / 4 : UINT64_MAX;
    if (one_in(world, 5))
        return; /* as large as they are in life: the log alone */
    options->memtable_size = scale(world, 4096, 4);
    draw_levels(world, options);
    draw_tables(world, options);
}

void sizes_describe(const struct lsm_options *options, struct buffer *buffer)
{
    buffer_printf(buffer, "segments %llu", (unsigned long long)options->segment_size);
    if (options->memtable_size == 0)
        return;
    buffer_printf(buffer, ", memtables %llu, level 0 %u/%u/%u, level 1 %llu, tables %llu",
                  (unsigned long long)options->memtable_size, options->level0_trigger,
                  options->level0_slowdown, options->level0_stop,
                  (unsigned long long)options->level1_size,
                  (unsigned long long)options->table_size);
    buffer_printf(buffer, ", blocks %u, cache %llu, open files %u", options->block_size,
                  (unsigned long long)options->cache_size, options->open_files);
    if (options->blob_size != UINT64_MAX)
        buffer_printf(buffer, ", blobs from %llu", (unsigned long long)options->blob_size);
}
