/* SPDX-License-Identifier: Apache-2.0 */
/* Every single bit of a store that was closed is flipped once: what is then read is right, or an
 * error that has a name.  With KVORUM_PROOF=1 all of them, else a sample. */
#include "tests/support/lsm_script.h"

enum { SCALE = 32, BATCHES = 230, STORE_SIZE_MIN = 256 * 1024, SAMPLE_STRIDE = 797 };

static struct lsm_options options_of(struct fault_disk *disk, uint64_t seed)
{
    struct lsm_options options = script_options(disk, "s", seed);
    options.memtable_size *= SCALE;
    options.segment_size *= SCALE;
    options.table_size *= SCALE;
    options.level1_size *= SCALE;
    options.blob_size *= SCALE;
    options.block_size *= 4;
    return options;
}

struct image {
    struct fault_disk disk;
    struct history history;
    uint64_t flips, refused, damaged; /* at open; in reads */
};

static void make_image(struct image *image)
{
    struct engine *engine;
    struct engine_batch *batch = engine_batch_create();
    fault_disk_init(&image->disk);
    history_init(&image->history, 4711);
    image->history.scale = SCALE;
    struct lsm_options options = options_of(&image->disk, 1);
    assert_int_equal(lsm_open(&options, &engine), KVORUM_OK);
    for (uint32_t i = 1; i <= BATCHES; i++) {
        assert_int_equal(history_make(&image->history, i, batch), KVORUM_OK);
        assert_int_equal(engine_write(engine, batch, ENGINE_LOG), KVORUM_OK);
    }
    engine_close(engine);
    engine_batch_destroy(batch);
    fault_disk_begin(&image->disk);
    assert_true(fault_disk_size(&image->disk) >= STORE_SIZE_MIN);
}

static void check_flip(struct image *image, const struct fault_name *name, uint64_t bit)
{
    struct fault_disk damaged;
    struct engine *engine;
    struct history_check check = { .tolerated = history_damage };
    fault_disk_crash(&image->disk, 0, FAULT_KEEP, 1, &damaged);
    fault_disk_bytes(&damaged, name->inode)->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    struct lsm_options options = options_of(&damaged, 77);
    kvorum_status status = lsm_open(&options, &engine);
    image->flips++;
    if (status == KVORUM_OK) {
        if (!history_verify(&check, &image->history, engine, image->history.count)) {
            print_message("# %s bit %llu: %s\n", name->path, (unsigned long long)bit, check.wrong);
            fail();
        }
        image->damaged += check.errors > 0;
        engine_close(engine);
    } else if (status == KVORUM_CORRUPT || status == KVORUM_FOREIGN) {
        image->refused++;
    } else {
        print_message("# %s bit %llu: %s\n", name->path, (unsigned long long)bit,
                      kvorum_status_name(status));
        fail();
    }
    fault_disk_done(&damaged);
}

static void every_bit(void)
{
    static struct image image;
    uint64_t stride = getenv("KVORUM_PROOF") != NULL ? 1 : SAMPLE_STRIDE, bit = 0;
    make_image(&image);
    for (int i = 0; i < image.disk.now.names.count; i++) {
        const struct fault_name *name = &image.disk.now.names.list[i];
        uint64_t end = name->inode == FAULT_FOLDER ? 0 : image.disk.now.inodes[name->inode]->size;
        for (; bit < end * 8; bit += stride)
            check_flip(&image, name, bit);
        bit -= end * 8; /* the stride goes on in the next file */
    }
    print_message("# %llu flips in %llu bytes: %llu refused at open, %llu found by reads\n",
                  (unsigned long long)image.flips, (unsigned long long)fault_disk_size(&image.disk),
                  (unsigned long long)image.refused, (unsigned long long)image.damaged);
    history_done(&image.history);
    fault_disk_done(&image.disk);
}

static const struct named_test tests[] = {
    { "whichever bit of a closed store is flipped, no answer is wrong", every_bit },
};

int main(void)
{
    return RUN_TESTS("lsm flips", tests);
}
