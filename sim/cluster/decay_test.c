/* SPDX-License-Identifier: Apache-2.0 */
/** Disks that decay: what is done to files can be taken back, and clusters survive it. */
#include "sim/disk/disk_decay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

#include "sim/run/run.h"

enum { SEEDS = 200, RUNS = 400, FILE_SIZE = 1500 };

struct fixture {
    struct world world;
    struct sim_disk disk;
};

static void put_file(struct fixture *f, const char *path, char fill)
{
    struct disk_file *file;
    uint8_t bytes[FILE_SIZE];
    for (size_t i = 0; i < FILE_SIZE; i++)
        bytes[i] = (uint8_t)(fill + (char)(i / SIM_SECTOR_SIZE));
    assert_int_equal(KVORUM_OK,
                     f->disk.base.ops->open(&f->disk.base, path, DISK_WRITE | DISK_CREATE, &file));
    assert_int_equal(KVORUM_OK, file->ops->pwrite(file, bytes, FILE_SIZE, 0));
    assert_int_equal(KVORUM_OK, file->ops->sync(file));
    file->ops->close(file);
    assert_int_equal(KVORUM_OK, f->disk.base.ops->sync_dir(&f->disk.base, ""));
}

/* Bytes that are not as they were put; -1: it cannot be read. */
static int differing(struct fixture *f, const char *path, char fill)
{
    struct disk_file *file;
    uint8_t bytes[FILE_SIZE];
    size_t size = 0;
    int count = 0;
    assert_int_equal(KVORUM_OK, f->disk.base.ops->open(&f->disk.base, path, DISK_READ, &file));
    kvorum_status status = file->ops->pread(file, bytes, FILE_SIZE, 0, &size);
    file->ops->close(file);
    for (size_t i = 0; i < size; i++)
        count += bytes[i] != (uint8_t)(fill + (char)(i / SIM_SECTOR_SIZE));
    return status == KVORUM_OK ? count : -1;
}

static void begin(struct fixture *f, uint64_t seed)
{
    world_init(&f->world, seed);
    sim_disk_init(&f->disk, &f->world);
    put_file(f, "log-1.log", 'a');
    put_file(f, "log-2.log", 'k');
}

static void end(struct fixture *f)
{
    sim_disk_done(&f->disk);
    world_done(&f->world);
}

static void a_flip_is_one_byte_and_can_be_taken_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed);
        assert_string_equal("log-1.log", sim_disk_decay(&f.disk, DECAY_FLIP, "log-"));
        assert_int_equal(1, differing(&f, "log-1.log", 'a'));
        sim_disk_crash(&f.disk);
        sim_disk_restart(&f.disk);
        assert_int_equal(1, differing(&f, "log-1.log", 'a')); /* it is on the disk */
        assert_true(sim_disk_undo_decay(&f.disk));
        assert_int_equal(0, differing(&f, "log-1.log", 'a'));
        assert_false(sim_disk_undo_decay(&f.disk));
        end(&f);
    }
}

static void a_sector_is_lost_or_another_s_and_can_be_taken_back(void **state)
{
    (void)state;
    int differed = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed);
        sim_disk_decay(&f.disk, seed % 2 == 0 ? DECAY_LOST_WRITE : DECAY_MISDIRECTED, "log-1");
        int count = differing(&f, "log-1.log", 'a');
        assert_true(count >= 0 && count <= SIM_SECTOR_SIZE);
        assert_true(seed % 2 == 1 || count > 0);
        differed += count > 0;
        assert_true(sim_disk_undo_decay(&f.disk));
        assert_int_equal(0, differing(&f, "log-1.log", 'a'));
        end(&f);
    }
    assert_true(differed > SEEDS / 2);
}

static void what_cannot_be_read_can_be_read_again(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 3);
    sim_disk_decay(&f.disk, DECAY_UNREADABLE, "log-");
    assert_int_equal(-1, differing(&f, "log-1.log", 'a'));
    assert_int_equal(0, differing(&f, "log-2.log", 'k'));
    sim_disk_read_again(&f.disk);
    assert_int_equal(0, differing(&f, "log-1.log", 'a'));
    end(&f);
}

static void the_segment_that_is_written_to_is_spared(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed);
        sim_disk_decay(&f.disk, (enum disk_decay)(seed % DECAYS), "log-");
        assert_int_equal(0, differing(&f, "log-2.log", 'k'));
        end(&f);
    }
}

static void a_copy_holds_what_stood_there_before(void **state)
{
    (void)state;
    struct fixture f, copy;
    begin(&f, 5);
    sim_disk_decay(&f.disk, DECAY_LOST_WRITE, "log-");
    sim_disk_copy_synced(&f.disk, &copy.disk);
    assert_int_equal(0, differing(&copy, "log-1.log", 'a'));
    assert_true(differing(&f, "log-1.log", 'a') > 0);
    sim_disk_done(&copy.disk);
    end(&f);
}

static void nothing_is_wrong_while_disks_decay(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct run_options options = { .seed = seed, .kind = KIND_DECAY };
        struct run_result result;
        run(&options, &result);
        if (result.violation.checker != NULL)
            fail_msg("%s: %s\n%s\nreplay: kvorum-sim --seed %llu --runs 1 --trace --decay",
                     result.violation.checker, result.violation.text, result.plan,
                     (unsigned long long)seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flip_is_one_byte_and_can_be_taken_back),
        cmocka_unit_test(a_sector_is_lost_or_another_s_and_can_be_taken_back),
        cmocka_unit_test(what_cannot_be_read_can_be_read_again),
        cmocka_unit_test(the_segment_that_is_written_to_is_spared),
        cmocka_unit_test(a_copy_holds_what_stood_there_before),
        cmocka_unit_test(nothing_is_wrong_while_disks_decay),
    };
    return cmocka_run_group_tests_name("decay", tests, NULL, NULL);
}
