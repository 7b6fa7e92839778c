/* SPDX-License-Identifier: Apache-2.0 */
#include "os/disk.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/rows.h"

/* A disk in a new folder below /tmp, emptied by close_disk. */
static struct disk *open_disk(char path[static 64])
{
    snprintf(path, 64, "/tmp/kvorum-disk-XXXXXX");
    assert_non_null(mkdtemp(path));
    struct disk *disk;
    assert_int_equal(os_disk_open(path, false, &disk), KVORUM_OK);
    return disk;
}

struct names {
    char joined[200];
};

static bool join_name(void *context, const char *name)
{
    struct names *names = context;
    size_t used = strlen(names->joined);
    snprintf(names->joined + used, sizeof(names->joined) - used, "%s ", name);
    return strcmp(name, "stop") != 0;
}

static bool remove_name(void *context, const char *name)
{
    struct disk *disk = context;
    assert_int_equal(disk->ops->remove(disk, name), KVORUM_OK);
    return true;
}

static void close_disk(struct disk *disk, const char *path)
{
    assert_int_equal(disk->ops->list(disk, "", remove_name, disk), KVORUM_OK);
    os_disk_close(disk);
    assert_int_equal(rmdir(path), 0);
}

static struct disk_file *make_file(struct disk *disk, const char *path)
{
    struct disk_file *file;
    unsigned flags = DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE;
    assert_int_equal(disk->ops->open(disk, path, flags, &file), KVORUM_OK);
    return file;
}

static void touch(struct disk *disk, const char *path)
{
    struct disk_file *file = make_file(disk, path);
    file->ops->close(file);
}

/* --- opening: one row, one path ------------------------------------------------------------ */

struct row {
    const char *name, *path;
    unsigned flags;
    kvorum_status status;
};

enum { MAKE = DISK_WRITE | DISK_CREATE, MAKE_NEW = MAKE | DISK_EXCLUSIVE };

static const struct row rows[] = {
    { "a file that is there can be read", "there", DISK_READ, KVORUM_OK },
    { "a file that is there can be written", "there", DISK_WRITE, KVORUM_OK },
    { "a missing file is not made by reading", "missing", DISK_READ, KVORUM_NOT_FOUND },
    { "a missing file is not made by writing", "missing", DISK_WRITE, KVORUM_NOT_FOUND },
    { "create makes a missing file", "new", MAKE, KVORUM_OK },
    { "create opens a file that is there", "there", MAKE, KVORUM_OK },
    { "exclusive makes a missing file", "new", MAKE_NEW, KVORUM_OK },
    { "exclusive refuses a file that is there", "there", MAKE_NEW, KVORUM_EXISTS },
    { "a missing folder", "no/file", MAKE, KVORUM_NOT_FOUND },
    { "a file is no folder", "there/file", MAKE, KVORUM_INVALID },
    { "an empty path", "", MAKE, KVORUM_INVALID },
    { "an absolute path", "/tmp/kvorum-never", MAKE, KVORUM_INVALID },
    { "the parent", "..", DISK_READ, KVORUM_INVALID },
    { "a path that climbs", "a/../../b", MAKE, KVORUM_INVALID },
    { "a path that ends in the parent", "a/..", DISK_READ, KVORUM_INVALID },
    { "dots in a name are fine", "..a..", MAKE, KVORUM_OK },
    { "a folder cannot be written", "folder", DISK_WRITE, KVORUM_INVALID },
};

static void check_open(const void *context)
{
    const struct row *row = context;
    char path[64];
    struct disk *disk = open_disk(path);
    touch(disk, "there");
    assert_int_equal(disk->ops->make_dir(disk, "folder"), KVORUM_OK);
    struct disk_file *untouched = (struct disk_file *)path, *file = untouched;
    assert_int_equal(disk->ops->open(disk, row->path, row->flags, &file), row->status);
    if (row->status == KVORUM_OK)
        file->ops->close(file);
    else
        assert_ptr_equal(file, untouched);
    close_disk(disk, path);
}

/* --- the rest ------------------------------------------------------------------------------ */

static void test_read_and_write(void)
{
    char path[64], data[10];
    size_t got;
    uint64_t size;
    struct disk *disk = open_disk(path);
    struct disk_file *file = make_file(disk, "file");
    assert_int_equal(file->ops->pwrite(file, "world", 5, 5), KVORUM_OK);
    assert_int_equal(file->ops->pwrite(file, "hello", 5, 0), KVORUM_OK);
    assert_int_equal(file->ops->pwrite(file, NULL, 0, 100), KVORUM_OK);
    assert_int_equal(file->ops->sync(file), KVORUM_OK);
    assert_int_equal(file->ops->size(file, &size), KVORUM_OK);
    assert_int_equal(size, 10);
    assert_int_equal(file->ops->pread(file, data, 4, 3, &got), KVORUM_OK);
    assert_true(got == 4 && memcmp(data, "lowo", 4) == 0);
    assert_int_equal(file->ops->pread(file, data, 10, 8, &got), KVORUM_OK);
    assert_int_equal(got, 2);
    file->ops->will_read(file, 3, 1000); /* past the end too */
    assert_int_equal(file->ops->pread(file, data, 10, 1000, &got), KVORUM_OK);
    assert_int_equal(got, 0);
    file->ops->close(file);
    close_disk(disk, path);
}

static void test_truncate_and_allocate(void)
{
    char path[64], data[4];
    size_t got;
    uint64_t size;
    struct disk *disk = open_disk(path);
    struct disk_file *file = make_file(disk, "file");
    assert_int_equal(file->ops->pwrite(file, "abcdef", 6, 0), KVORUM_OK);
    assert_int_equal(file->ops->truncate(file, 2), KVORUM_OK);
    assert_int_equal(file->ops->allocate(file, 0), KVORUM_OK);
    assert_int_equal(file->ops->allocate(file, 1), KVORUM_OK);
    assert_int_equal(file->ops->size(file, &size), KVORUM_OK);
    assert_int_equal(size, 2);
    assert_int_equal(file->ops->allocate(file, 200000), KVORUM_OK);
    assert_int_equal(file->ops->size(file, &size), KVORUM_OK);
    assert_int_equal(size, 200000);
    assert_int_equal(file->ops->pread(file, data, 4, 0, &got), KVORUM_OK);
    assert_memory_equal(data, "ab\0\0", 4);
    struct stat stat;
    char full[80];
    snprintf(full, sizeof(full), "%s/file", path);
    assert_int_equal(lstat(full, &stat), 0);
    assert_int_equal(stat.st_mode & 0777, 0600);
    file->ops->close(file);
    close_disk(disk, path);
}

static void test_rename_and_remove(void)
{
    char path[64];
    struct disk *disk = open_disk(path);
    struct disk_file *file;
    touch(disk, "a");
    touch(disk, "b");
    assert_int_equal(disk->ops->rename(disk, "a", "b"), KVORUM_OK);
    assert_int_equal(disk->ops->rename(disk, "a", "b"), KVORUM_NOT_FOUND);
    assert_int_equal(disk->ops->rename(disk, "b", "../b"), KVORUM_INVALID);
    assert_int_equal(disk->ops->open(disk, "a", DISK_READ, &file), KVORUM_NOT_FOUND);
    assert_int_equal(disk->ops->remove(disk, "b"), KVORUM_OK);
    assert_int_equal(disk->ops->remove(disk, "b"), KVORUM_NOT_FOUND);
    close_disk(disk, path);
}

static void test_folders(void)
{
    char path[64];
    struct disk *disk = open_disk(path);
    assert_int_equal(disk->ops->make_dir(disk, "d"), KVORUM_OK);
    assert_int_equal(disk->ops->make_dir(disk, "d"), KVORUM_OK);
    touch(disk, "d/file");
    assert_int_equal(disk->ops->make_dir(disk, "d/file"), KVORUM_EXISTS);
    assert_int_equal(disk->ops->make_dir(disk, "no/d"), KVORUM_NOT_FOUND);
    assert_int_equal(disk->ops->sync_dir(disk, "d"), KVORUM_OK);
    assert_int_equal(disk->ops->sync_dir(disk, ""), KVORUM_OK);
    assert_int_equal(disk->ops->sync_dir(disk, "no"), KVORUM_NOT_FOUND);
    assert_int_equal(disk->ops->sync_dir(disk, ".."), KVORUM_INVALID);
    assert_int_equal(disk->ops->remove(disk, "d"), KVORUM_EXISTS);
    assert_int_equal(disk->ops->remove(disk, "d/file"), KVORUM_OK);
    assert_int_equal(disk->ops->remove(disk, "d"), KVORUM_OK);
    close_disk(disk, path);
}

static void test_list(void)
{
    char path[64];
    struct disk *disk = open_disk(path);
    struct names names = { "" };
    assert_int_equal(disk->ops->list(disk, "", join_name, &names), KVORUM_OK);
    assert_string_equal(names.joined, "");
    touch(disk, "b");
    touch(disk, "A");
    touch(disk, "a10");
    touch(disk, ".c");
    assert_int_equal(disk->ops->list(disk, "", join_name, &names), KVORUM_OK);
    assert_string_equal(names.joined, ".c A a10 b ");
    touch(disk, "a2");
    touch(disk, "stop");
    names.joined[0] = '\0';
    touch(disk, "z");
    assert_int_equal(disk->ops->list(disk, "", join_name, &names), KVORUM_OK);
    assert_string_equal(names.joined, ".c A a10 a2 b stop ");
    assert_int_equal(disk->ops->list(disk, "no", join_name, &names), KVORUM_NOT_FOUND);
    assert_int_equal(disk->ops->list(disk, "..", join_name, &names), KVORUM_INVALID);
    close_disk(disk, path);
}

static void test_lock(void)
{
    char path[64];
    struct disk *disk = open_disk(path), *other;
    assert_int_equal(os_disk_open(path, true, &other), KVORUM_OK);
    struct disk_file *held, *second;
    assert_int_equal(disk->ops->lock(disk, "LOCK", &held), KVORUM_OK);
    assert_int_equal(disk->ops->lock(disk, "LOCK", &second), KVORUM_LOCKED);
    assert_int_equal(other->ops->lock(other, "LOCK", &second), KVORUM_LOCKED);
    held->ops->close(held);
    assert_int_equal(other->ops->lock(other, "LOCK", &second), KVORUM_OK);
    second->ops->close(second);
    os_disk_close(other);
    close_disk(disk, path);
}

static void test_root(void)
{
    char path[64], below[80];
    struct disk *disk = open_disk(path), *other;
    snprintf(below, sizeof(below), "%s/root", path);
    assert_int_equal(os_disk_open(below, false, &other), KVORUM_NOT_FOUND);
    assert_int_equal(os_disk_open(below, true, &other), KVORUM_OK);
    touch(other, "file");
    close_disk(other, below);
    touch(disk, "root");
    assert_int_equal(os_disk_open(below, true, &other), KVORUM_INVALID);
    close_disk(disk, path);
    assert_int_equal(os_disk_open(below, true, &other), KVORUM_NOT_FOUND);
    assert_null(os_disk_close(NULL));
}

static void test_size_limit(void)
{
    char path[64];
    struct disk *disk = open_disk(path);
    struct disk_file *file = make_file(disk, "file");
    assert_int_equal(file->ops->truncate(file, UINT64_MAX), KVORUM_INVALID);
    assert_int_equal(file->ops->pwrite(file, "x", 1, UINT64_MAX), KVORUM_INVALID);
    assert_int_equal(file->ops->allocate(file, INT64_MAX), KVORUM_TOO_LARGE);
    file->ops->close(file);
    close_disk(disk, path);
}

static void test_no_descriptors(void)
{
    char path[64];
    struct disk *disk = open_disk(path);
    struct disk_file *file;
    struct rlimit before, none = { 0 };
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    kvorum_status status = disk->ops->open(disk, "file", MAKE, &file);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, KVORUM_NO_MEMORY);
    close_disk(disk, path);
}

static void test_full(void)
{
    char path[64];
    struct disk *disk = open_disk(path);
    char full[80];
    snprintf(full, sizeof(full), "%s/full", path);
    assert_int_equal(symlink("/dev/full", full), 0);
    struct disk_file *file;
    assert_int_equal(disk->ops->open(disk, "full", DISK_WRITE, &file), KVORUM_OK);
    assert_int_equal(file->ops->pwrite(file, "x", 1, 0), KVORUM_NO_SPACE);
    file->ops->close(file);
    close_disk(disk, path);
}

/* What is copied there is in the file, also for who reads it otherwise. */
static void test_map(void)
{
    char path[64], text[8] = "";
    size_t size;
    uint8_t *memory;
    struct disk *disk = open_disk(path);
    struct disk_file *file = make_file(disk, "mapped");
    assert_int_equal(file->ops->allocate(file, 10000), KVORUM_OK);
    kvorum_status status = file->ops->map(file, 10000, &memory);
    if (status == KVORUM_OK) {
        memcpy(memory + 9000, "written", sizeof("written"));
        assert_int_equal(file->ops->sync(file), KVORUM_OK);
        assert_int_equal(file->ops->pread(file, text, sizeof(text), 9000, &size), KVORUM_OK);
        assert_string_equal(text, "written");
        file->ops->unmap(file, memory, 10000);
    } else {
        assert_int_equal(status, KVORUM_UNSUPPORTED); /* by the file system of the tests */
    }
    file->ops->close(file);
    close_disk(disk, path);
}

static const struct named_test tests[] = {
    { "bytes are read where they were written, short only at the end", test_read_and_write },
    { "a mapped file is written by copying", test_map },
    { "truncate cuts, allocate grows with zeros and never cuts", test_truncate_and_allocate },
    { "rename replaces, remove removes", test_rename_and_remove },
    { "folders are made, synced, and removed when empty", test_folders },
    { "names come sorted by their bytes until the visitor has enough", test_list },
    { "a lock keeps out everybody until it is closed", test_lock },
    { "a root is made only when asked, and is a folder", test_root },
    { "sizes no file can have are refused", test_size_limit },
    { "no file descriptor left is a limit, not a failure", test_no_descriptors },
    { "a full disk has its own status", test_full },
};

int main(void)
{
    int failed = RUN_ROWS("disk paths", rows, check_open);
    return failed + RUN_TESTS("disk", tests);
}
