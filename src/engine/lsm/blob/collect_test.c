/* SPDX-License-Identifier: Apache-2.0 */
/* Which tables are rewritten for the sake of blob files, out of which files their values move, and
 * the whole of it in a store. */
#include "engine/lsm/internal.h"

#include "tests/support/rows.h"
#include <stdio.h>

/* --- choosing ------------------------------------------------------------------------------ */

enum { FILES_MAX = 8, TABLES_MAX = 8 };

/* Files "2:1000 3:500" are numbers and sizes behind the header; tables "1a:100 2=300 3=80" are
 * level and name, own size, shares.  Busy ones end in "!", damaged files too. */
struct row {
    const char *name;
    const char *files, *tables;
    uint64_t limit; /* of what is moved */
    bool urgent;
    const char *picked;  /* the table's name, or nothing */
    const char *victims; /* of that table, or of all */
};

static const struct row rows[] = {
    { "without blob files nothing is due", "", "1a:100", 1000, false, "", "" },
    { "files in use are left alone", "2:1000", "1a:100 2=600", 1000, false, "", "" },
    { "half is not worn", "2:1000", "1a:100 2=500", 1000, false, "", "" },
    { "more than half is garbage, and a table is rewritten", "2:1000", "1a:100 2=496", 1000, false,
      "a", "2" },
    { "in level 0 tables are left alone", "2:1000", "0a:100 2=496", 1000, false, "", "2" },
    { "a busy table is left alone", "2:1000", "1a!100 2=496", 1000, false, "", "2" },
    { "a damaged file is left alone", "2!1000", "1a:100 2=496", 1000, false, "", "" },
    { "a third of all is too little", "2:1000 3:1712", "1a:100 2=96 3=1712", 1000, false, "", "2" },
    { "more than a third is worth it", "2:1000 3:1704", "1a:100 2=96 3=1704", 1000, false, "a",
      "2" },
    { "but not when the table is larger", "2:1000 3:1704", "1a:1000 2=96 3=1704", 1000, false, "",
      "2" },
    { "when all of it is too much, it is", "2:1000 3:600", "1a:1000 2=100 3=304", 1000, false, "a",
      "2" },
    { "of two tables the one that keeps more for its size", "2:1000",
      "1a:100 2=160 1b:50 2=160 2c:100 2=160", 1000, false, "b", "2" },
    { "what one keeps goes by its share", "2:1000 3:1200", "1a:100 2=16 3=600 1b:100 2=96 3=600",
      1000, false, "b", "2" },
    { "the emptiest files come first, up to the limit", "2:1000 3:1000 4:1000 5:1000",
      "1a:100 2=304 3=104 4=208 5=800", 320, false, "a", "3 4" },
    { "one in any case", "2:1000 3:1000", "1a:100 2=304 3=400", 16, false, "a", "2" },
    { "a file that is none of the table's does not count", "2:1000 3:1000 4:1000",
      "1a:100 2=304 1b:1000 3=104 4=104", 310, true, "a", "2" },
    { "three quarters of all are not urgent", "2:1200", "1a:100 2=304", 1000, false, "a", "2" },
    { "more than that is", "2:1200", "1a:100 2=288", 1000, true, "a", "2" },
};

struct scene {
    struct lsm lsm; /* so much of it as files need */
    struct lsm_blob_file *files[FILES_MAX];
    size_t file_count;
    struct lsm_table tables[TABLES_MAX];
    uint8_t bounds[TABLES_MAX][2];
    struct lsm_blob_tally tallies[TABLES_MAX];
    struct lsm_edit_add added[TABLES_MAX];
    size_t table_count;
    struct lsm_levels *levels;
    struct lsm_blobs *blobs;
};

static void parse_files(struct scene *s, const char *text)
{
    while (*text != 0) {
        char *end;
        uint64_t number = strtoull(text, &end, 10);
        bool damaged = *end == '!';
        uint64_t size = strtoull(end + 1, &end, 10);
        s->files[s->file_count] =
            lsm_blob_file_create(&s->lsm, number, LSM_BLOB_HEADER_SIZE + size);
        assert_non_null(s->files[s->file_count]);
        atomic_store(&s->files[s->file_count++]->damaged, damaged);
        text = end + strspn(end, " ");
    }
}

static const char *parse_table(struct scene *s, const char *text)
{
    size_t index = s->table_count++;
    struct lsm_table *table = &s->tables[index];
    char *end;
    s->bounds[index][0] = (uint8_t)text[1];
    s->bounds[index][1] = (uint8_t)(text[1] + 1);
    s->added[index] = (struct lsm_edit_add){ text[0] - '0', table };
    table->busy = text[2] == '!';
    table->meta = (struct lsm_table_meta){ .number = 100 + index,
                                           .size = strtoull(text + 3, &end, 10),
                                           .lower = bytes_make(s->bounds[index], 1),
                                           .upper = bytes_make(s->bounds[index] + 1, 1) };
    table->references = 1000; /* never let go */
    return end + strspn(end, " ");
}

static void parse_tables(struct scene *s, const char *text)
{
    while (*text != 0) {
        char *end;
        if (text[1] != '=') {
            text = parse_table(s, text);
            continue;
        }
        uint64_t number = strtoull(text, &end, 10);
        assert_true(lsm_blob_tally_add(&s->tallies[s->table_count - 1], number,
                                       strtoull(end + 1, &end, 10)));
        text = end + strspn(end, " ");
    }
}

static void scene_init(struct scene *s, const struct row *row)
{
    struct lsm_levels *empty;
    epoch_init(&s->lsm.epoch);
    snprintf(s->lsm.path, sizeof(s->lsm.path), "s");
    parse_files(s, row->files);
    parse_tables(s, row->tables);
    for (size_t i = 0; i < s->table_count; i++)
        assert_true(lsm_blob_tally_take(&s->tallies[i], &s->tables[i].shares));
    struct lsm_edit edit = { .added = s->added, .added_count = s->table_count };
    assert_int_equal(lsm_levels_create(&empty), KVORUM_OK);
    assert_int_equal(lsm_levels_edit(empty, &edit, &s->levels), KVORUM_OK);
    lsm_levels_release(empty);
    assert_int_equal(lsm_blobs_edit(NULL, &edit, s->files, s->file_count, &s->blobs), KVORUM_OK);
}

static void scene_done(struct scene *s)
{
    for (size_t i = 0; i < s->table_count; i++) {
        lsm_blob_tally_done(&s->tallies[i]);
        free(s->tables[i].shares);
    }
    lsm_blobs_release(s->blobs);
    lsm_levels_release(s->levels);
    epoch_drain(&s->lsm.epoch);
    epoch_done(&s->lsm.epoch);
    free(s);
}

static void check_victims(const struct scene *s, const struct row *row,
                          struct lsm_table *const *tables, size_t count)
{
    struct lsm_victims victims;
    char text[64] = "";
    assert_true(lsm_victims_choose(s->blobs, tables, count, row->limit, &victims));
    for (size_t i = 0; i < victims.count; i++) {
        size_t size = strlen(text);
        snprintf(text + size, sizeof(text) - size, "%s%llu", i > 0 ? " " : "",
                 (unsigned long long)victims.numbers[i]);
        assert_true(lsm_victims_have(&victims, victims.numbers[i]));
        assert_false(lsm_victims_have(&victims, victims.numbers[i] + 10));
    }
    assert_string_equal(text, row->victims);
    lsm_victims_done(&victims);
}

static void check(const void *context)
{
    const struct row *row = context;
    struct scene *s = calloc(1, sizeof(*s));
    struct lsm_table *all[TABLES_MAX];
    struct lsm_pick pick;
    scene_init(s, row);
    for (size_t i = 0; i < s->table_count; i++)
        all[i] = &s->tables[i];
    assert_int_equal(lsm_collect_due(s->levels, s->blobs), row->picked[0] != 0);
    assert_int_equal(lsm_collect_urgent(s->blobs), row->urgent);
    bool picked = lsm_collect_pick(s->levels, s->blobs, &pick);
    assert_int_equal(picked, row->picked[0] != 0);
    if (picked) {
        assert_int_equal(pick.input_count, 1);
        assert_int_equal(pick.target, pick.level);
        assert_false(pick.move);
        assert_int_equal(pick.lower.data[0], row->picked[0]);
        check_victims(s, row, pick.inputs, pick.input_count);
        lsm_pick_done(&pick);
    } else {
        check_victims(s, row, all, s->table_count);
    }
    scene_done(s);
}

/* --- files of a state ---------------------------------------------------------------------- */

static struct lsm_edit edit_of(struct scene *s, struct lsm_table **removed, size_t count)
{
    for (size_t i = 0; i < count; i++)
        removed[i] = &s->tables[i];
    return (struct lsm_edit){ .removed = removed, .removed_count = count };
}

static void test_edits(void)
{
    static const struct row row = { "", "2:1000 3:1000", "1a:9 2=600 3=16 1b:9 2=400", 0, false, "",
                                    "" };
    struct scene *s = calloc(1, sizeof(*s));
    struct lsm_table *removed[1];
    struct lsm_blobs *next, *none;
    scene_init(s, &row);
    struct lsm_edit edit = edit_of(s, removed, 1);
    assert_int_equal(lsm_blobs_edit(s->blobs, &edit, NULL, 0, &next), KVORUM_OK);
    assert_int_equal(next->count, 1); /* of 3 nothing is left */
    assert_int_equal(lsm_blobs_find(next, 2)->live, 400);
    assert_int_equal(lsm_blob_garbage(lsm_blobs_find(next, 2)), 600);
    assert_int_equal(lsm_blobs_find(s->blobs, 2)->live, 1000);
    /* what was removed is not there again, and cannot be removed again */
    assert_int_equal(lsm_blobs_edit(next, &edit, NULL, 0, &none), KVORUM_CORRUPT);
    edit = (struct lsm_edit){ .added = s->added, .added_count = 2 };
    assert_int_equal(lsm_blobs_edit(s->blobs, &edit, NULL, 0, &none), KVORUM_CORRUPT);
    lsm_blobs_retire(s->blobs, next);
    assert_true(atomic_load(&s->files[1]->obsolete));
    assert_false(atomic_load(&s->files[0]->obsolete));
    atomic_store(&s->files[1]->obsolete, false); /* there is no disk to remove it from */
    lsm_blobs_release(next);
    scene_done(s);
}

static const struct named_test tests[] = {
    { "live bytes are the sum of shares, never more than there is", test_edits },
};

int main(void)
{
    int failed = RUN_ROWS("lsm collect", rows, check);
    return RUN_TESTS("lsm blob files", tests) + failed;
}
