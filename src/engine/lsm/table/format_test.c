/* SPDX-License-Identifier: Apache-2.0 */
/* The table's bytes against golden files, good and bad.  KVORUM_GOLDEN=write makes the files anew.
 *
 * What lz4 and zstd make of a block may change with their versions, so of those files only the
 * reading is held. */
#include "engine/lsm/table/format.h"

#include "base/hash.h"
#include "engine/lsm/log/little.h"
#include "tests/support/rows.h"
#include "tests/support/table_model.h"

#define TEXT(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
#define REPEATED "once and again and again and again and again and again and again and again"

static struct lsm_entry golden_entries[] = {
    { TEXT("apple"), TEXT("red"), 12, LSM_PUT },    { TEXT("apple"), TEXT(""), 9, LSM_DELETE },
    { TEXT("apricot"), TEXT("pale"), 10, LSM_PUT }, { TEXT("banana"), TEXT("+1"), 11, LSM_MERGE },
    { TEXT("cherry"), TEXT("7@19"), 13, LSM_BLOB },
};
static struct lsm_entry repeated_entries[] = {
    { TEXT("apple"), TEXT(REPEATED), 12, LSM_PUT },
    { TEXT("banana"), TEXT(REPEATED), 11, LSM_PUT },
};
static const struct lsm_range golden_range = { TEXT("b"), TEXT("bz"), 8 };

enum { IMAGE_SIZE = 1024, ENTRIES = 5 };

struct image {
    uint8_t bytes[IMAGE_SIZE];
    uint64_t size;
};

struct row {
    const char *name, *file;
    enum lsm_compression compression;
    void (*damage)(struct image *image);
    kvorum_status opened; /* by a scan, or where it stops */
    unsigned entries;     /* that it gives before */
    kvorum_status verified;
    kvorum_status salvaged;
    unsigned intact; /* entries that a salvage gives */
};

/* --- damages ------------------------------------------------------------------------------- */

static void leave(struct image *image)
{
    (void)image;
}

static void cut(struct image *image)
{
    image->size -= 200;
}

static void cut_head(struct image *image)
{
    image->size = 40;
}

static void flip_entry(struct image *image)
{
    image->bytes[TABLE_HEAD_SIZE + TABLE_FRAME_SIZE + 30] ^= 4;
}

static void flip_size(struct image *image)
{
    image->bytes[TABLE_HEAD_SIZE + 15] ^= 0x40;
}

static void flip_head(struct image *image)
{
    image->bytes[50] ^= 1;
}

static void flip_foot(struct image *image)
{
    image->bytes[image->size - 90] ^= 1;
}

static void flip_magic(struct image *image)
{
    image->bytes[image->size - 1] ^= 1;
}

static void move(struct image *image)
{
    uint32_t stored = little_get32(image->bytes + TABLE_HEAD_SIZE + 12);
    uint64_t second = TABLE_HEAD_SIZE + table_framed_size(stored);
    memmove(image->bytes + TABLE_HEAD_SIZE, image->bytes + second, 64);
}

static void make_newer(struct image *image)
{
    uint8_t *foot = image->bytes + image->size - TABLE_FOOT_SIZE;
    little_put32(foot + 80, TABLE_VERSION + 1);
    const struct bytes parts[] = { bytes_make(foot, 72), bytes_make(foot + 80, 8) };
    little_put64(foot + 72, hash64_parts(parts, 2, 0));
    little_put32(image->bytes + 8, TABLE_VERSION + 1);
    little_put64(image->bytes + 56, hash64(bytes_make(image->bytes + 8, 48), 0));
}

static void make_foreign(struct image *image)
{
    static const char line[] = "2026-11-21 07:00:00 GET /index.html";
    memset(image->bytes, ' ', image->size);
    memcpy(image->bytes, line, sizeof(line) - 1);
}

static const struct row rows[] = {
    { "a good table", "good.table", LSM_STORED, leave, KVORUM_OK, 5, KVORUM_OK, KVORUM_OK, 5 },
    { "one with lz4", "lz4.table", LSM_LZ4, leave, KVORUM_OK, 2, KVORUM_OK, KVORUM_OK, 2 },
    { "one with zstd", "zstd.table", LSM_ZSTD, leave, KVORUM_OK, 2, KVORUM_OK, KVORUM_OK, 2 },
    { "a cut table is corrupt, and its blocks can be saved", "cut.table", LSM_STORED, cut,
      KVORUM_CORRUPT, 0, KVORUM_CORRUPT, KVORUM_OK, 5 },
    { "a cut head is corrupt", "head_cut.table", LSM_STORED, cut_head, KVORUM_CORRUPT, 0,
      KVORUM_CORRUPT, KVORUM_CORRUPT, 0 },
    { "a flipped bit in a block costs this block", "flipped.table", LSM_STORED, flip_entry,
      KVORUM_CORRUPT, 0, KVORUM_CORRUPT, KVORUM_OK, 2 },
    { "a damaged size is not believed", "long_size.table", LSM_STORED, flip_size, KVORUM_CORRUPT, 0,
      KVORUM_CORRUPT, KVORUM_OK, 2 },
    { "a block in another place is no block", "moved.table", LSM_STORED, move, KVORUM_CORRUPT, 0,
      KVORUM_CORRUPT, KVORUM_OK, 2 },
    { "a damaged head is seen, and hinders nothing", "head_flipped.table", LSM_STORED, flip_head,
      KVORUM_OK, 5, KVORUM_CORRUPT, KVORUM_OK, 5 },
    { "a damaged foot is corrupt", "foot_flipped.table", LSM_STORED, flip_foot, KVORUM_CORRUPT, 0,
      KVORUM_CORRUPT, KVORUM_OK, 5 },
    { "a damaged magic is corrupt, not foreign", "magic_flipped.table", LSM_STORED, flip_magic,
      KVORUM_CORRUPT, 0, KVORUM_CORRUPT, KVORUM_OK, 5 },
    { "a newer version is refused by name", "newer.table", LSM_STORED, make_newer,
      KVORUM_NEWER_FORMAT, 0, KVORUM_NEWER_FORMAT, KVORUM_NEWER_FORMAT, 0 },
    { "another program's file is foreign", "foreign.table", LSM_STORED, make_foreign,
      KVORUM_FOREIGN, 0, KVORUM_FOREIGN, KVORUM_FOREIGN, 0 },
};

/* --- making and reading ---------------------------------------------------------------------- */

struct fixture {
    const struct row *row;
    struct fault_disk disk;
    struct model model;
    struct lsm_table_meta meta;
    unsigned entries, ranges, damages;
};

static void make(struct fixture *f, struct image *image)
{
    const struct lsm_table_options options = { 144, 2, 10, f->row->compression };
    bool stored = f->row->compression == LSM_STORED;
    fault_disk_init(&f->disk);
    f->model.entries = stored ? golden_entries : repeated_entries;
    f->model.count = stored ? ENTRIES : 2;
    assert_int_equal(
        model_write(&f->model, &f->disk.base, "db/t", &options, &golden_range, 1, &f->meta),
        KVORUM_OK);
    assert_true(f->disk.now.inodes[0]->size <= IMAGE_SIZE);
    image->size = f->disk.now.inodes[0]->size;
    memcpy(image->bytes, f->disk.now.inodes[0]->data, image->size);
    f->row->damage(image);
}

static void golden_read(const char *path, struct image *image)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    image->size = fread(image->bytes, 1, IMAGE_SIZE, file);
    fclose(file);
}

static void golden_write(const char *path, const struct image *image)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(image->bytes, 1, image->size, file), image->size);
    fclose(file);
}

static void check_entry(const struct lsm_entry *entry, const struct lsm_entry *wanted)
{
    assert_true(bytes_equal(entry->key, wanted->key));
    assert_true(bytes_equal(entry->value, wanted->value));
    assert_int_equal(entry->sequence, wanted->sequence);
    assert_int_equal(entry->kind, wanted->kind);
}

static void check_scan(struct fixture *f, struct lsm_table *table)
{
    const struct lsm_table_scan scan = { 0 };
    struct lsm_source *source;
    unsigned count = 0;
    kvorum_status status = lsm_table_source(table, &scan, &source);
    if (status == KVORUM_OK) {
        for (source->ops->first(source); source->valid; source->ops->next(source))
            check_entry(&source->entry, &f->model.entries[count++]);
        status = source->status;
        source->ops->close(source);
    }
    assert_int_equal(status, f->row->opened);
    assert_int_equal(count, f->row->entries);
}

static void see_damage(void *context, const struct engine_damage *damage)
{
    struct fixture *f = context;
    assert_string_equal(damage->file, "t");
    f->damages++;
}

static void check_table(struct fixture *f)
{
    struct epoch epoch;
    struct lsm_cache *cache;
    struct lsm_table *table;
    epoch_init(&epoch);
    assert_int_equal(lsm_cache_create(&epoch, 1 << 20, 0, 0, &cache), KVORUM_OK);
    assert_int_equal(lsm_table_create(&f->disk.base, "db/t", &model_store, &f->meta, cache, &table),
                     KVORUM_OK);
    check_scan(f, table);
    assert_int_equal(lsm_table_verify(table, see_damage, f), f->row->verified);
    assert_int_equal(f->damages > 0, f->row->verified != KVORUM_OK);
    lsm_table_release(table);
    lsm_cache_destroy(cache);
    epoch_done(&epoch);
}

static kvorum_status save_entry(void *context, const struct lsm_entry *entry)
{
    struct fixture *f = context;
    unsigned skipped = (unsigned)f->model.count - f->row->intact;
    check_entry(entry, &f->model.entries[skipped + f->entries++]);
    return KVORUM_OK;
}

static kvorum_status save_range(void *context, const struct lsm_range *range)
{
    struct fixture *f = context;
    assert_true(bytes_equal(range->lower, golden_range.lower));
    assert_true(bytes_equal(range->upper, golden_range.upper));
    assert_int_equal(range->sequence, golden_range.sequence);
    f->ranges++;
    return KVORUM_OK;
}

static void check_salvage(struct fixture *f)
{
    uint64_t lost = 0;
    assert_int_equal(lsm_table_salvage(&f->disk.base, "db/t", save_entry, save_range, f, &lost),
                     f->row->salvaged);
    assert_int_equal(f->entries, f->row->intact);
    assert_int_equal(f->ranges, f->row->salvaged == KVORUM_OK);
    assert_int_equal(lost > 0, f->row->salvaged == KVORUM_OK && f->row->verified != KVORUM_OK);
}

static void check(const void *context)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct image made, golden;
    const char *wish = getenv("KVORUM_GOLDEN");
    char path[256];
    f->row = context;
    make(f, &made);
    snprintf(path, sizeof(path), "tests/golden/table/%s", f->row->file);
    if (wish != NULL && strcmp(wish, "write") == 0)
        golden_write(path, &made);
    golden_read(path, &golden);
    if (f->row->compression == LSM_STORED) {
        assert_int_equal(golden.size, made.size);
        assert_memory_equal(golden.bytes, made.bytes, made.size);
    }
    f->meta.size = f->row->compression == LSM_STORED ? f->meta.size : golden.size;
    fault_resize(fault_disk_bytes(&f->disk, 0), golden.size);
    memcpy(f->disk.now.inodes[0]->data, golden.bytes, golden.size);
    check_salvage(f);
    check_table(f);
    fault_disk_done(&f->disk);
    free(f);
}

int main(void)
{
    return RUN_ROWS("table format", rows, check);
}
