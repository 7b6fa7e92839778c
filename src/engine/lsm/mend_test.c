/* SPDX-License-Identifier: Apache-2.0 */
/* Scrubbing and mending: what rots in a file of tables or values is found in small steps, said to
 * be lost no wider than needed, and gone when the table was mended; all else is as it was.
 *
 *      keys k000 to k299, each written once: most in one table of level 1, some in level 0
 *      every third value is out of line */
#include "engine/lsm/background/background.h"
#include "engine/lsm/internal.h"
#include "tests/support/fault_disk.h"
#include "tests/support/rows.h"
#include <stdio.h>

enum { KEYS = 300, SMALL = 40, LARGE = 300, LOSSES_MAX = 64, KEY_MAX = 32 };

struct lost {
    char lower[KEY_MAX], upper[KEY_MAX];
    size_t lower_size, upper_size;
    bool lost, other, mended;
};

static struct fault_disk disk;
static struct engine *engine;
static struct lost losses[LOSSES_MAX];
static size_t loss_count;
static uint64_t scrubbed_size;

/* --- the store ------------------------------------------------------------------------------- */

static void open_store(void)
{
    static uint64_t seed;
    struct lsm_options options = { .disk = &disk.base,
                                   .path = "s",
                                   .identity_seed = ++seed,
                                   .create = true,
                                   .segment_size = 4096,
                                   .memtable_size = 1 << 20,
                                   .block_size = 512,
                                   .level0_trigger = 4,
                                   .blob_size = 100 };
    assert_int_equal(lsm_open(&options, &engine), KVORUM_OK);
}

static struct bytes key_of(unsigned i, char *storage)
{
    return bytes_make(storage, (size_t)snprintf(storage, 8, "k%03u", i));
}

static struct bytes value_of(unsigned i, uint8_t *storage)
{
    size_t size = i % 3 == 0 ? LARGE : SMALL;
    memset(storage, (int)(i % 251) + 1, size);
    return bytes_make(storage, size);
}

static void write_keys(unsigned from, unsigned to)
{
    struct engine_batch *batch = engine_batch_create();
    uint8_t value[LARGE];
    char key[8];
    for (unsigned i = from; i < to; i++)
        assert_int_equal(engine_batch_put(batch, key_of(i, key), value_of(i, value)), KVORUM_OK);
    assert_int_equal(engine_write(engine, batch, ENGINE_SYNC), KVORUM_OK);
    engine_batch_destroy(batch);
    assert_int_equal(engine_flush(engine), KVORUM_OK);
}

static void begin(void)
{
    const struct engine_range all = { 0 };
    fault_disk_init(&disk);
    loss_count = 0;
    open_store();
    write_keys(0, KEYS - 20);
    assert_int_equal(engine_compact(engine, &all), KVORUM_OK);
    write_keys(KEYS - 20, KEYS);
}

static void end(void)
{
    engine = engine_close(engine);
    fault_disk_done(&disk);
}

/* Nothing that was read before is remembered. */
static void reopen(void)
{
    engine = engine_close(engine);
    open_store();
}

/* The `index`-th file whose name has `part` in it; -1: there is none. */
static int inode_of(const char *part, int index)
{
    for (int i = 0; i < disk.now.names.count; i++)
        if (strstr(disk.now.names.list[i].path, part) != NULL && index-- == 0)
            return disk.now.names.list[i].inode;
    return -1;
}

static void flip(int inode, uint64_t offset)
{
    struct fault_bytes *bytes = fault_disk_bytes(&disk, inode);
    uint8_t byte;
    memcpy(&byte, bytes->data + offset, 1);
    byte ^= 1;
    fault_write(bytes, offset, &byte, 1);
}

/* --- looking --------------------------------------------------------------------------------- */

static void note_loss(void *context, const struct engine_loss *loss)
{
    (void)context;
    assert_true(loss_count < LOSSES_MAX);
    struct lost *lost = &losses[loss_count++];
    assert_true(loss->lower.size <= KEY_MAX && loss->upper.size <= KEY_MAX);
    lost->lost = loss->lost;
    lost->other = loss->other;
    lost->mended = loss->mended;
    lost->lower_size = loss->lower.size;
    lost->upper_size = loss->upper.size;
    if (loss->lower.size > 0)
        memcpy(lost->lower, loss->lower.data, loss->lower.size);
    if (loss->upper.size > 0)
        memcpy(lost->upper, loss->upper.data, loss->upper.size);
}

static void ignore_loss(void *context, const struct engine_loss *loss)
{
    (void)loss;
    ++*(unsigned *)context;
}

static void note_damage(void *context, const struct engine_damage *damage)
{
    (void)damage;
    ++*(unsigned *)context;
}

/* Steps of 2 KB over everything. */
static unsigned scrub(void)
{
    struct engine_scrub scrub = { .budget = 2048 };
    unsigned steps = 0;
    loss_count = 0;
    scrubbed_size = 0;
    while (!scrub.finished) {
        assert_int_equal(engine_scrub(engine, &scrub, note_loss, NULL), KVORUM_OK);
        scrubbed_size += scrub.size;
        assert_true(++steps < 1000);
    }
    return steps;
}

static size_t ranges(struct engine_range *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < loss_count; i++)
        ret[count++] =
            (struct engine_range){ .lower = bytes_make(losses[i].lower, losses[i].lower_size),
                                   .upper = bytes_make(losses[i].upper, losses[i].upper_size) };
    return count;
}

static bool is_lost(struct bytes key)
{
    for (size_t i = 0; i < loss_count; i++) {
        struct bytes lower = bytes_make(losses[i].lower, losses[i].lower_size);
        struct bytes upper = bytes_make(losses[i].upper, losses[i].upper_size);
        if (losses[i].lost && bytes_compare(lower, key) <= 0 &&
            (upper.size == 0 || bytes_compare(key, upper) < 0))
            return true;
    }
    return false;
}

/* Keys outside what is lost are there; returns how many of those inside are not. */
static unsigned check_keys(void)
{
    uint8_t value[LARGE];
    char storage[8];
    unsigned missing = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        struct engine_view view;
        struct bytes key = key_of(i, storage);
        kvorum_status status = engine_view(engine, key, &view);
        assert_true(status == KVORUM_OK || (status == KVORUM_NOT_FOUND && is_lost(key)));
        missing += status != KVORUM_OK;
        if (status != KVORUM_OK)
            continue;
        assert_true(bytes_equal(view.value, value_of(i, value)));
        engine_release(&view);
    }
    return missing;
}

/* Returns how many keys are gone. */
static unsigned mend(void)
{
    struct engine_range lost[LOSSES_MAX];
    uint64_t mended;
    unsigned reports = 0, damages = 0;
    size_t count = ranges(lost);
    assert_int_equal(engine_mend(engine, lost, count, ignore_loss, &reports, &mended), KVORUM_OK);
    assert_true(mended > 0);
    assert_int_equal(reports, 0);
    assert_int_equal(engine_verify(engine, note_damage, &damages), KVORUM_OK);
    return check_keys();
}

/* --- stories --------------------------------------------------------------------------------- */

static void test_intact(void)
{
    uint64_t mended;
    unsigned reports = 0;
    const struct engine_range all = { 0 };
    begin();
    assert_true(scrub() > 3);
    assert_int_equal(loss_count, 0);
    assert_true(scrubbed_size > (uint64_t)KEYS * SMALL + KEYS / 3 * LARGE);
    assert_int_equal(engine_mend(engine, &all, 1, ignore_loss, &reports, &mended), KVORUM_OK);
    assert_int_equal(mended, 0);
    assert_int_equal(check_keys(), 0);
    end();
}

static void test_block(void)
{
    begin();
    flip(inode_of("table-", 0), 3000);
    reopen();
    scrub();
    assert_int_equal(loss_count, 1);
    assert_true(losses[0].lost);
    unsigned missing = mend();
    assert_true(missing > 0 && missing < KEYS / 10);
    scrub();
    assert_int_equal(loss_count, 0);
    reopen();
    end();
}

/* What is not shown yet when a scrub begins comes later, and only then the scrub is over. */
static void test_waits(void)
{
    struct engine_scrub scrub = { .budget = UINT64_MAX };
    struct lsm *lsm;
    struct lsm_maker maker, later;
    begin();
    lsm = (struct lsm *)engine;
    loss_count = 0;
    lsm_maker_begin(lsm, &maker);
    lsm->next_file++; /* it takes a number */
    assert_int_equal(engine_scrub(engine, &scrub, note_loss, NULL), KVORUM_OK);
    assert_true(scrub.waits && !scrub.finished && scrub.size > 0);
    assert_int_equal(engine_scrub(engine, &scrub, note_loss, NULL), KVORUM_OK);
    assert_true(scrub.waits && !scrub.finished && scrub.size == 0);
    lsm_maker_begin(lsm, &later);
    lsm_maker_end(&maker);
    assert_int_equal(engine_scrub(engine, &scrub, note_loss, NULL), KVORUM_OK);
    assert_true(!scrub.waits && scrub.finished);
    lsm_maker_end(&later);
    end();
}

/* Compactions stand still on the damaged table, and all writes are refused for it. */
static void test_urgent(void)
{
    struct engine_batch *batch = engine_batch_create();
    kvorum_status status = KVORUM_OK;
    uint8_t value[LARGE] = { 7 };
    char key[16];
    unsigned written = 0;
    begin();
    flip(inode_of("table-", 0), 3000);
    reopen();
    for (unsigned table = 0; table < 40; table++) { /* more than level 0 may hold */
        engine_batch_reset(batch);
        assert_int_equal(engine_batch_put(batch, BYTES_LITERAL("k150"), key_of(table, key)),
                         KVORUM_OK);
        assert_int_equal(engine_write(engine, batch, ENGINE_LOG), KVORUM_OK);
        assert_int_equal(engine_flush(engine), KVORUM_OK);
    }
    while (status == KVORUM_OK && written++ < 20000) {
        engine_batch_reset(batch);
        size_t size = (size_t)snprintf(key, sizeof(key), "x%06u", written);
        assert_int_equal(engine_batch_put(batch, bytes_make(key, size), bytes_make(value, LARGE)),
                         KVORUM_OK);
        status = engine_write(engine, batch, ENGINE_LOG);
    }
    assert_int_not_equal(status, KVORUM_OK);
    assert_false(engine_batch_urgent(batch));
    engine_batch_set_urgent(batch);
    assert_int_equal(engine_write(engine, batch, ENGINE_SYNC), KVORUM_OK);
    engine_batch_reset(batch);
    assert_false(engine_batch_urgent(batch));
    scrub();
    assert_true(loss_count > 0);
    struct engine_range lost[LOSSES_MAX];
    unsigned reports = 0;
    uint64_t mended;
    assert_int_equal(engine_mend(engine, lost, ranges(lost), ignore_loss, &reports, &mended),
                     KVORUM_OK);
    assert_int_equal(mended, 1);
    assert_int_equal(engine_batch_put(batch, key_of(0, key), bytes_make(value, LARGE)), KVORUM_OK);
    assert_int_equal(engine_write(engine, batch, ENGINE_SYNC), KVORUM_OK);
    engine_batch_destroy(batch);
    end();
}

/* --- beside the tables ----------------------------------------------------------------------- */

/* Sealed segments, a manifest, a header of values: damage there costs nothing, now or later. */
static void check_mended(const char *part, uint64_t offset)
{
    begin();
    struct engine_batch *batch = engine_batch_create();
    uint8_t value[LARGE];
    char key[8];
    for (unsigned i = 0; i < 60; i++) { /* of the log only, and more than a segment of it */
        engine_batch_reset(batch);
        assert_int_equal(engine_batch_put(batch, key_of(i, key), value_of(i, value)), KVORUM_OK);
        assert_int_equal(engine_write(engine, batch, ENGINE_SYNC), KVORUM_OK);
    }
    engine_batch_destroy(batch);
    flip(inode_of(part, 0), offset);
    scrub();
    assert_int_equal(loss_count, 1);
    assert_true(losses[0].other && losses[0].mended && !losses[0].lost);
    scrub();
    assert_int_equal(loss_count, 0);
    reopen();
    assert_int_equal(check_keys(), 0);
    end();
}

static void test_log_record(void)
{
    check_mended("log-", 1000);
}

static void test_log_header(void)
{
    check_mended("log-", 20);
}

static void test_manifest(void)
{
    check_mended("MANIFEST", 100);
}

static void test_format(void)
{
    check_mended("FORMAT", 20);
}

static void test_blob_header(void)
{
    check_mended("blob-", 20);
}

/* The disk forgot the last renaming, and the manifest before is back. */
static void test_old_manifest(void)
{
    struct fault_bytes *now;
    begin();
    int inode = inode_of("MANIFEST", 0);
    uint64_t size = fault_disk_bytes(&disk, inode)->size;
    uint8_t *before = malloc(size);
    assert_non_null(before);
    memcpy(before, fault_disk_bytes(&disk, inode)->data, size);
    write_keys(0, 10);
    now = fault_disk_bytes(&disk, inode_of("MANIFEST", 0));
    assert_true(now->size >= size);
    fault_write(now, 0, before, size);
    now->size = size;
    free(before);
    scrub();
    assert_int_equal(loss_count, 1);
    assert_true(losses[0].other && losses[0].mended);
    scrub();
    assert_int_equal(loss_count, 0);
    reopen();
    assert_int_equal(check_keys(), 0);
    end();
}

static void test_value(void)
{
    begin();
    flip(inode_of("blob-", 0), LSM_BLOB_HEADER_SIZE + 60);
    scrub();
    assert_int_equal(loss_count, 1);
    assert_int_equal(mend(), 1);
    end();
}

static void test_uncovered(void)
{
    struct engine_view view;
    struct engine_range little = { .lower = BYTES_LITERAL("k"), .upper = BYTES_LITERAL("k0000") };
    uint64_t mended;
    unsigned reports = 0, corrupt = 0;
    char storage[8];
    begin();
    flip(inode_of("table-", 0), 3000);
    reopen();
    assert_int_equal(engine_mend(engine, &little, 1, ignore_loss, &reports, &mended),
                     KVORUM_CORRUPT);
    assert_int_equal(mended, 0);
    assert_int_equal(reports, 1);
    for (unsigned i = 0; i < KEYS; i++) {
        kvorum_status status = engine_view(engine, key_of(i, storage), &view);
        assert_true(status == KVORUM_OK || status == KVORUM_CORRUPT);
        corrupt += status == KVORUM_CORRUPT;
        if (status == KVORUM_OK)
            engine_release(&view);
    }
    assert_true(corrupt > 0);
    end();
}

/* Wherever it is: nothing is lost beyond what was said. */
static void test_every_place(const char *part, int index)
{
    begin();
    uint64_t size = fault_disk_bytes(&disk, inode_of(part, index))->size;
    end();
    for (uint64_t offset = 0; offset < size; offset += 61) {
        begin();
        flip(inode_of(part, index), offset);
        reopen();
        scrub();
        if (loss_count > 0 && !losses[0].other)
            mend();
        else /* nothing checks what no value needs */
            assert_int_equal(check_keys(), 0);
        end();
    }
}

/* No byte of a file can change unseen.  All of them are needed: there is no garbage. */
static void check_every_byte(const char *part, int index)
{
    begin();
    uint64_t size = fault_disk_bytes(&disk, inode_of(part, index))->size;
    assert_true(size > 0);
    for (uint64_t offset = 0; offset < size; offset++) {
        uint8_t before;
        int inode = inode_of(part, index); /* what is written anew is another file */
        memcpy(&before, fault_disk_bytes(&disk, inode)->data + offset, 1);
        flip(inode, offset);
        scrub();
        assert_true(loss_count > 0);
        if (!losses[0].other)
            fault_write(fault_disk_bytes(&disk, inode), offset, &before, 1);
    }
    end();
}

static void test_every_table_byte(void)
{
    check_every_byte("table-", 0);
}

static void test_every_blob_byte(void)
{
    check_every_byte("blob-", 0);
}

static void test_every_format_byte(void)
{
    check_every_byte("FORMAT", 0);
}

static void test_every_manifest_byte(void)
{
    check_every_byte("MANIFEST", 0);
}

static void test_every_table_place(void)
{
    test_every_place("table-", 0);
    test_every_place("table-", 1);
}

static void test_every_blob_place(void)
{
    test_every_place("blob-", 0);
}

static const struct named_test tests[] = {
    { "an intact store is scrubbed in steps, and mending changes nothing", test_intact },
    { "a damaged block is found, and costs its keys", test_block },
    { "a scrub waits for tables that were being written when it began", test_waits },
    { "a store that refuses writes for a damaged table takes an urgent one, and is mended",
      test_urgent },
    { "a damaged record of a sealed log segment costs nothing", test_log_record },
    { "a damaged header of a sealed log segment costs nothing", test_log_header },
    { "a damaged manifest is written anew", test_manifest },
    { "a damaged FORMAT file is written anew", test_format },
    { "a damaged header of a file of values is written anew", test_blob_header },
    { "a manifest of before, intact, is found and replaced", test_old_manifest },
    { "a damaged value out of line is found, and costs its key", test_value },
    { "a table that would lose more than was said stays as it is", test_uncovered },
    { "no byte of a table changes unseen", test_every_table_byte },
    { "no byte of a file of values changes unseen", test_every_blob_byte },
    { "no byte of FORMAT changes unseen", test_every_format_byte },
    { "no byte of MANIFEST changes unseen", test_every_manifest_byte },
    { "wherever a table rots, no key is lost that was not said to be", test_every_table_place },
    { "wherever values rot, no key is lost that was not said to be", test_every_blob_place },
};

int main(void)
{
    return RUN_TESTS("lsm mend", tests);
}
