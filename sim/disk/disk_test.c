/* SPDX-License-Identifier: Apache-2.0 */
/** What a crash may do to a simulated disk, and what it may not, over many seeds. */
#include "sim/disk/disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

enum { SEEDS = 400 };

struct fixture {
    struct world world;
    struct sim_disk disk;
};

static void begin(struct fixture *f, uint64_t seed)
{
    world_init(&f->world, seed);
    sim_disk_init(&f->disk, &f->world);
}

static void end(struct fixture *f)
{
    sim_disk_done(&f->disk);
    world_done(&f->world);
}

static void crash(struct fixture *f)
{
    sim_disk_crash(&f->disk);
    sim_disk_restart(&f->disk);
}

static struct disk_file *open_file(struct fixture *f, const char *path)
{
    struct disk_file *file = NULL;
    assert_int_equal(KVORUM_OK,
                     f->disk.base.ops->open(&f->disk.base, path, DISK_WRITE | DISK_CREATE, &file));
    return file;
}

static void write_text(struct disk_file *file, const char *text, uint64_t offset)
{
    assert_int_equal(KVORUM_OK, file->ops->pwrite(file, text, strlen(text), offset));
}

/* The file's bytes as text, "-" when there is no such file. */
static const char *text_of(struct fixture *f, const char *path)
{
    static char text[4096];
    struct disk_file *file;
    size_t size;
    if (f->disk.base.ops->open(&f->disk.base, path, DISK_READ, &file) != KVORUM_OK)
        return "-";
    assert_int_equal(KVORUM_OK, file->ops->pread(file, text, sizeof(text) - 1, 0, &size));
    file->ops->close(file);
    text[size] = '\0';
    return text;
}

static void sync_both(struct fixture *f, struct disk_file *file)
{
    assert_int_equal(KVORUM_OK, file->ops->sync(file));
    assert_int_equal(KVORUM_OK, f->disk.base.ops->sync_dir(&f->disk.base, ""));
}

static void synced_bytes_survive(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed);
        struct disk_file *file = open_file(&f, "a");
        write_text(file, "kept", 0);
        sync_both(&f, file);
        file->ops->close(file);
        crash(&f);
        assert_string_equal("kept", text_of(&f, "a"));
        end(&f);
    }
}

static void unsynced_writes_live_or_die_alone(void **state)
{
    (void)state;
    bool seen[4] = { false };
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed);
        struct disk_file *file = open_file(&f, "a");
        write_text(file, "ab", 0);
        sync_both(&f, file);
        write_text(file, "X", 0);
        write_text(file, "Y", 1);
        file->ops->close(file);
        crash(&f);
        const char *text = text_of(&f, "a");
        seen[(text[0] == 'X') + 2 * (text[1] == 'Y')] = true;
        assert_int_equal(2, strlen(text));
        end(&f);
    }
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
}

static void a_write_tears_at_sectors_only(void **state)
{
    (void)state;
    unsigned torn = 0;
    char data[4 * SIM_SECTOR_SIZE];
    memset(data, 'n', sizeof(data));
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed);
        struct disk_file *file = open_file(&f, "a");
        assert_int_equal(KVORUM_OK, file->ops->allocate(file, sizeof(data)));
        sync_both(&f, file);
        assert_int_equal(KVORUM_OK, file->ops->pwrite(file, data, sizeof(data), 0));
        file->ops->close(file);
        crash(&f);
        const struct content *content = &f.disk.current.list[0].inode->current;
        unsigned sectors = 0;
        for (size_t i = 0; i < 4; i++) {
            uint8_t first = content->data[i * SIM_SECTOR_SIZE];
            assert_true(first == 'n' || first == 0);
            for (size_t j = 0; j < SIM_SECTOR_SIZE; j++)
                assert_int_equal(first, content->data[i * SIM_SECTOR_SIZE + j]);
            sectors += first == 'n';
        }
        torn += sectors > 0 && sectors < 4;
        end(&f);
    }
    assert_true(torn > SEEDS / 10);
}

static void an_unsynced_name_may_vanish_although_its_bytes_are_synced(void **state)
{
    (void)state;
    unsigned vanished = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed);
        struct disk_file *file = open_file(&f, "a");
        write_text(file, "x", 0);
        assert_int_equal(KVORUM_OK, file->ops->sync(file));
        file->ops->close(file);
        crash(&f);
        vanished += strcmp(text_of(&f, "a"), "-") == 0;
        end(&f);
    }
    assert_in_range(vanished, SEEDS / 10, SEEDS - SEEDS / 10);
}

static void a_rename_is_whole_or_not_at_all(void **state)
{
    (void)state;
    unsigned after = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed);
        struct disk_file *file = open_file(&f, "old");
        write_text(file, "old", 0);
        sync_both(&f, file);
        file->ops->close(file);
        file = open_file(&f, "new");
        write_text(file, "new", 0);
        sync_both(&f, file);
        file->ops->close(file);
        assert_int_equal(KVORUM_OK, f.disk.base.ops->rename(&f.disk.base, "new", "old"));
        crash(&f);
        bool renamed = strcmp(text_of(&f, "old"), "new") == 0;
        assert_string_equal(renamed ? "new" : "old", text_of(&f, "old"));
        assert_string_equal(renamed ? "-" : "new", text_of(&f, "new"));
        after += renamed;
        end(&f);
    }
    assert_in_range(after, SEEDS / 10, SEEDS - SEEDS / 10);
}

static void names_below_a_lost_folder_are_lost(void **state)
{
    (void)state;
    unsigned lost = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed);
        struct disk *disk = &f.disk.base;
        assert_int_equal(KVORUM_OK, disk->ops->make_dir(disk, "d"));
        struct disk_file *file = open_file(&f, "d/a");
        write_text(file, "x", 0);
        assert_int_equal(KVORUM_OK, file->ops->sync(file));
        assert_int_equal(KVORUM_OK, disk->ops->sync_dir(disk, "d"));
        file->ops->close(file);
        crash(&f);
        lost += strcmp(text_of(&f, "d/a"), "-") == 0;
        end(&f);
    }
    assert_in_range(lost, SEEDS / 10, SEEDS - SEEDS / 10);
}

static void a_failed_sync_is_not_made_good_by_a_later_one(void **state)
{
    (void)state;
    unsigned lost = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed);
        struct disk_file *file = open_file(&f, "a");
        sync_both(&f, file);
        write_text(file, "x", 0);
        f.disk.error_per_million = 1000000;
        assert_int_equal(KVORUM_IO, file->ops->sync(file));
        f.disk.error_per_million = 0;
        assert_int_equal(KVORUM_OK, file->ops->sync(file));
        file->ops->close(file);
        crash(&f);
        lost += strcmp(text_of(&f, "a"), "") == 0;
        end(&f);
    }
    assert_true(lost > SEEDS / 10);
}

static void the_fuse_stops_the_disk_in_the_middle(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 7);
    struct disk_file *file = open_file(&f, "a");
    f.disk.fuse = 2;
    write_text(file, "x", 0);
    assert_int_equal(KVORUM_IO, file->ops->pwrite(file, "yz", 2, 1));
    assert_true(f.disk.dead);
    assert_int_equal(KVORUM_IO, file->ops->sync(file));
    file->ops->close(file);
    crash(&f);
    assert_false(f.disk.dead);
    end(&f);
}

static void a_full_disk_refuses_growth_only(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 7);
    f.disk.space_limit = 4;
    struct disk_file *file = open_file(&f, "a");
    assert_int_equal(KVORUM_OK, file->ops->allocate(file, 4));
    assert_int_equal(KVORUM_OK, file->ops->pwrite(file, "wxyz", 4, 0));
    assert_int_equal(KVORUM_NO_SPACE, file->ops->allocate(file, 5));
    assert_int_equal(KVORUM_NO_SPACE, file->ops->pwrite(file, "abc", 3, 4));
    file->ops->close(file);
    end(&f);
}

static void a_lock_is_exclusive_until_close_or_crash(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_file *lock, *second;
    begin(&f, 7);
    struct disk *disk = &f.disk.base;
    assert_int_equal(KVORUM_OK, disk->ops->lock(disk, "LOCK", &lock));
    assert_int_equal(KVORUM_LOCKED, disk->ops->lock(disk, "LOCK", &second));
    lock->ops->close(lock);
    assert_int_equal(KVORUM_OK, disk->ops->lock(disk, "LOCK", &lock));
    sim_disk_crash(&f.disk);
    lock->ops->close(lock);
    sim_disk_restart(&f.disk);
    assert_int_equal(KVORUM_OK, disk->ops->lock(disk, "LOCK", &lock));
    lock->ops->close(lock);
    end(&f);
}

static void the_synced_copy_holds_nothing_else(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 7);
    struct disk_file *file = open_file(&f, "a");
    write_text(file, "ab", 0);
    sync_both(&f, file);
    write_text(file, "X", 0);
    file->ops->close(file);
    file = open_file(&f, "b");
    file->ops->close(file);
    struct fixture copy = { .world = f.world };
    sim_disk_copy_synced(&f.disk, &copy.disk);
    assert_string_equal("ab", text_of(&copy, "a"));
    assert_string_equal("-", text_of(&copy, "b"));
    sim_disk_done(&copy.disk);
    end(&f);
}

/* --- mappings -------------------------------------------------------------------------------- */

enum { MAPPED_SIZE = 2 * SIM_PAGE_SIZE };

struct mapping {
    struct disk_file *file;
    uint8_t *memory;
};

static struct mapping map_file(struct fixture *f, const char *path)
{
    struct mapping mapping = { .file = open_file(f, path) };
    f->disk.maps = true;
    assert_int_equal(KVORUM_OK, mapping.file->ops->allocate(mapping.file, MAPPED_SIZE));
    sync_both(f, mapping.file);
    assert_int_equal(KVORUM_OK, mapping.file->ops->map(mapping.file, MAPPED_SIZE, &mapping.memory));
    return mapping;
}

static void unmap_file(struct mapping *mapping)
{
    mapping->file->ops->unmap(mapping->file, mapping->memory, MAPPED_SIZE);
    mapping->file->ops->close(mapping->file);
}

static void a_disk_that_does_not_map_says_so(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t *memory = NULL;
    begin(&f, 1);
    struct disk_file *file = open_file(&f, "a");
    assert_int_equal(KVORUM_OK, file->ops->allocate(file, MAPPED_SIZE));
    assert_int_equal(KVORUM_UNSUPPORTED, file->ops->map(file, MAPPED_SIZE, &memory));
    assert_null(memory);
    file->ops->close(file);
    end(&f);
}

static void calls_and_stores_see_each_other(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t byte = 0;
    size_t size = 0;
    begin(&f, 1);
    struct mapping mapping = map_file(&f, "a");
    write_text(mapping.file, "written", 0);
    assert_memory_equal("written", mapping.memory, 7);
    mapping.memory[5000] = 's';
    assert_int_equal(KVORUM_OK, mapping.file->ops->pread(mapping.file, &byte, 1, 5000, &size));
    assert_int_equal('s', byte);
    assert_int_equal(KVORUM_OK, mapping.file->ops->truncate(mapping.file, 3));
    assert_int_equal(0, mapping.memory[5000]);
    assert_int_equal(KVORUM_OK, mapping.file->ops->allocate(mapping.file, MAPPED_SIZE));
    unmap_file(&mapping);
    assert_string_equal("wri", text_of(&f, "a"));
    end(&f);
}

static void what_was_stored_survives_the_process(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    struct mapping mapping = map_file(&f, "a");
    memcpy(mapping.memory, "stored", 6);
    sim_disk_stop(&f.disk); /* killed */
    memcpy(mapping.memory, "undead", 6);
    unmap_file(&mapping);
    sim_disk_restart(&f.disk);
    assert_string_equal("stored", text_of(&f, "a"));
    end(&f);
}

static void a_sync_keeps_what_was_stored_before_it(void **state)
{
    (void)state;
    unsigned later = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed);
        struct mapping mapping = map_file(&f, "a");
        memcpy(mapping.memory, "stored", 6);
        assert_int_equal(KVORUM_OK, mapping.file->ops->sync(mapping.file));
        memcpy(mapping.memory + 6, "later", 5);
        unmap_file(&mapping);
        crash(&f);
        const char *text = text_of(&f, "a");
        assert_memory_equal("stored", text, 6);
        later += strcmp(text, "storedlater") == 0;
        end(&f);
    }
    assert_in_range(later, SEEDS / 10, SEEDS - SEEDS / 10);
}

/* The kernel writes a page when it likes: in any order, and in the middle of a store. */
static void unsynced_pages_live_or_die_alone(void **state)
{
    (void)state;
    bool seen[4] = { false };
    unsigned torn = 0, halved = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct fixture f;
        begin(&f, seed);
        struct mapping mapping = map_file(&f, "a");
        memset(mapping.memory, 'n', MAPPED_SIZE);
        unmap_file(&mapping);
        crash(&f);
        const struct content *content = &f.disk.current.list[0].inode->current;
        assert_int_equal(MAPPED_SIZE, content->size);
        size_t kept[2] = { 0 }, sectors = 0;
        for (size_t i = 0; i < MAPPED_SIZE; i++)
            kept[i / SIM_PAGE_SIZE] += content->data[i] == 'n';
        for (size_t i = 0; i < MAPPED_SIZE; i += SIM_SECTOR_SIZE)
            sectors += memcmp(content->data + i, content->data + i + 1, SIM_SECTOR_SIZE - 1) != 0;
        seen[(kept[0] == SIM_PAGE_SIZE) + 2 * (kept[1] == SIM_PAGE_SIZE)] = true;
        torn += kept[0] > 0 && kept[0] < SIM_PAGE_SIZE;
        halved += sectors > 0;
        end(&f);
    }
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
    assert_true(torn > SEEDS / 10 && halved > SEEDS / 10);
}

static void the_fuse_catches_what_was_stored_before_it(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 7);
    struct mapping mapping = map_file(&f, "a");
    memcpy(mapping.memory, "stored", 6);
    f.disk.fuse = 1;
    assert_int_equal(KVORUM_IO, mapping.file->ops->sync(mapping.file));
    memcpy(mapping.memory + 6, "late", 4);
    unmap_file(&mapping);
    f.disk.dead = false;
    assert_string_equal("stored", text_of(&f, "a"));
    crash(&f);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_bytes_survive),
        cmocka_unit_test(unsynced_writes_live_or_die_alone),
        cmocka_unit_test(a_write_tears_at_sectors_only),
        cmocka_unit_test(an_unsynced_name_may_vanish_although_its_bytes_are_synced),
        cmocka_unit_test(a_rename_is_whole_or_not_at_all),
        cmocka_unit_test(names_below_a_lost_folder_are_lost),
        cmocka_unit_test(a_failed_sync_is_not_made_good_by_a_later_one),
        cmocka_unit_test(the_fuse_stops_the_disk_in_the_middle),
        cmocka_unit_test(a_disk_that_does_not_map_says_so),
        cmocka_unit_test(calls_and_stores_see_each_other),
        cmocka_unit_test(what_was_stored_survives_the_process),
        cmocka_unit_test(a_sync_keeps_what_was_stored_before_it),
        cmocka_unit_test(unsynced_pages_live_or_die_alone),
        cmocka_unit_test(the_fuse_catches_what_was_stored_before_it),
        cmocka_unit_test(a_full_disk_refuses_growth_only),
        cmocka_unit_test(a_lock_is_exclusive_until_close_or_crash),
        cmocka_unit_test(the_synced_copy_holds_nothing_else),
    };
    return cmocka_run_group_tests_name("sim disk", tests, NULL, NULL);
}
