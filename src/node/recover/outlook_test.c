/* SPDX-License-Identifier: Apache-2.0 */
/* What will not work after a recovery.  Clusters of up to six members, a to f: `states` as in
 * plan_recovery_test.c, A is active, J joining, - gone; `zones` has a letter for each.  `rows` are
 * the owners of the partitions, of three columns; `levels` a bucket's.  `kinds` is what is told, in
 * order; `says` stands in it. */
#include "node/recover/outlook.h"

#include <stdio.h>
#include <string.h>

#include "cluster/epoch/change.h"
#include "tests/support/rows.h"

enum { MEMBERS = 6, PARTITIONS = 4, COLUMNS = 3 };

struct row {
    const char *name, *states, *zones, *rows, *lost, *levels, *kinds, *says;
};

static const struct row rows[] = {
    { "nobody is lost", "AAAAAA", "zzzzzz", "abc bcd cde def", "", "n=3 w=3 strict", "", "" },
    { "copies enough are left everywhere", "AAAAAA", "zzzzzz", "abc bcd cde def", "a", "n=3", "",
      "" },
    { "of one partition nothing is left", "AAAAAA", "zzzzzz", "abc bcd cde def", "abc", "n=3",
      "lost doubtful", "no copy is left (n=3) of 1 of 4 partitions" },
    { "a minority is left", "AAAAAA", "zzzzzz", "abc abd cde def", "ab", "n=3", "doubtful",
      "(n=3) of 2 of 4 partitions: a write that was acknowledged may" },
    { "with one copy each what is lost is lost", "AAAAAA", "zzzzzz", "abc bcd cde def", "a", "n=1",
      "lost", "no copy is left (n=1) of 1 of 4" },
    { "fewer members stay than copies are kept", "AAAAAA", "zzzzzz", "abc bcd cde def", "abcd",
      "n=3", "lost doubtful copies", "n=3, and 2 nodes are left to own anything: each key has 2" },
    { "one member stays", "AAA---", "zzzzzz", "abc abc abc abc", "ab", "n=3", "doubtful copies",
      "1 node is left to own anything: each key has 1 copy until" },
    { "who joins owns nothing yet", "AAAJ--", "zzzzzz", "abc abc abc abc", "a", "n=3", "copies",
      "2 nodes are left" },
    { "n was above the members before too", "AAA---", "zzzzzz", "abc abc abc abc", "", "n=5", "",
      "" },
    { "n is above the columns", "AAAAAA", "zzzzzz", "abc bcd cde def", "a", "n=4", "columns",
      "n=4 is above the 3 columns of the table" },
    { "n is above the members, and they above the columns", "AAAAAA", "zzzzzz", "abc bcd cde def",
      "a", "n=6", "copies columns", "n=6, and 5 nodes are left" },
    { "a strict level is above the members", "AAA---", "zzzzzz", "abc abc abc abc", "a",
      "n=3 w=3 strict", "copies level",
      "w=3 needs 3 owners, and 4 of 4 partitions have fewer: such writes are refused" },
    { "of reads too", "AAA---", "zzzzzz", "abc abc abc abc", "a", "n=3 r=3 strict", "copies level",
      "r=3 needs 3 owners, and 4 of 4 partitions have fewer: such reads" },
    { "of primary reads", "AAA---", "zzzzzz", "abc abc abc abc", "a", "n=3 pr=3 strict",
      "copies level", "pr=3 needs 3 owners" },
    { "of primary writes", "AAA---", "zzzzzz", "abc abc abc abc", "a", "n=3 pw=3 strict",
      "copies level", "pw=3 needs 3 owners" },
    { "of durable writes", "AAA---", "zzzzzz", "abc abc abc abc", "a", "n=3 dw=3 strict",
      "copies level", "dw=3 needs 3 owners" },
    { "a sloppy one is lowered", "AAA---", "zzzzzz", "abc abc abc abc", "a", "n=3 w=3", "copies",
      "lowered to that where the bucket is sloppy" },
    { "but not what counts machines", "AAA---", "zzzzzz", "abc abc abc abc", "a",
      "n=3 node_confirms=3", "copies level", "node_confirms=3 needs 3 owners" },
    { "words are words about those who are left", "AAA---", "zzzzzz", "abc abc abc abc", "a",
      "n=3 w=all r=quorum strict", "copies", "" },
    { "it could not be met before either", "AAA---", "zzzzzz", "abc abc abc abc", "a",
      "n=4 w=4 strict", "copies", "" },
    { "a level cannot be met until partitions have moved", "AAAAAA", "zzzzzz", "abc bcd cde def",
      "a", "n=3 w=3 strict", "moving",
      "w=3 needs 3 owners, and 1 of 4 partitions have fewer until they have moved: such writes" },
    { "each_quorum goes without a zone that is lost", "AAAAAA", "xxyyzz", "ace bdf ade bcf", "ef",
      "n=3 w=each_quorum", "zone", "w=each_quorum goes without zone z, of which no node is left" },
    { "each_quorum asks a zone as long as a node is there", "AAAAAA", "xxyyzz", "ace bdf ade bcf",
      "e", "n=3 w=each_quorum", "", "" },
    { "local_quorum cannot be met in a zone until partitions have moved", "AAAAAA", "xxyyzz",
      "ace bdf ade bcf", "a", "n=3 r=local_quorum w=local_quorum", "moving",
      "r, w=local_quorum cannot be met in zone x for 2 of 4 partitions until they have moved" },
    { "nor afterwards, where the zone is too small for its share", "AAAAAA", "xxyyyy",
      "abc abd abe abf", "a", "n=2 r=local_quorum", "doubtful level",
      "r=local_quorum cannot be met in zone x for" },
    { "nobody is asked in a zone that is lost", "AAAAAA", "xxyyzz", "ace bdf ade bcf", "ef",
      "n=3 r=local_quorum", "", "" },
};

/* --- clusters ------------------------------------------------------------------------------- */

static void make_epoch(const struct row *row, struct member *members, uint16_t *table,
                       struct epoch *ret)
{
    static const char letters[] = "AJL-";
    *ret = (struct epoch){ .number = 12,
                           .partition_count = PARTITIONS,
                           .replica_count = COLUMNS,
                           .replicas_wanted = COLUMNS,
                           .member_count = MEMBERS,
                           .members = members,
                           .table = table };
    memset(members, 0, MEMBERS * sizeof(*members));
    for (uint16_t i = 0; i < MEMBERS; i++) {
        struct member *member = &members[i];
        member->id.bytes[0] = (uint8_t)(i + 1);
        member->state = (enum member_state)(strchr(letters, row->states[i]) - letters);
        member->weight = RING_WEIGHT_DEFAULT;
        snprintf(member->name, sizeof(member->name), "%c", 'a' + i);
        snprintf(member->zone, sizeof(member->zone), "%c", row->zones[i]);
        snprintf(member->address, sizeof(member->address), "%c:1", 'a' + i);
    }
    for (int p = 0; p < PARTITIONS; p++)
        for (int c = 0; c < COLUMNS; c++)
            table[p * COLUMNS + c] = (uint16_t)(row->rows[p * (COLUMNS + 1) + c] - 'a');
    ret->voter_count = ring_choose_voters(members, MEMBERS, NULL, 0, ret->voters);
}

/* "n=3 w=each_quorum strict" */
static struct quorum_levels read_levels(const char *words)
{
    struct quorum_levels levels;
    const struct {
        const char *name;
        uint32_t *level;
    } names[] = { { "n", &levels.n },
                  { "r", &levels.r },
                  { "w", &levels.w },
                  { "dw", &levels.dw },
                  { "pr", &levels.pr },
                  { "pw", &levels.pw },
                  { "node_confirms", &levels.node_confirms } };
    char text[128], *rest = text, *word;
    quorum_levels_init(&levels);
    snprintf(text, sizeof(text), "%s", words);
    while ((word = strtok_r(rest, " ", &rest)) != NULL) {
        char *value = strchr(word, '=');
        if (value == NULL) {
            assert_string_equal(word, "strict");
            levels.sloppy = 0;
            continue;
        }
        *value++ = '\0';
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
            if (strcmp(names[i].name, word) == 0)
                assert_true(quorum_level_parse(bytes_of_string(value), names[i].level));
    }
    return levels;
}

/* --- what is told --------------------------------------------------------------------------- */

struct told {
    char kinds[256], texts[4096];
};

static void find(void *context, enum outlook_kind kind, const char *text)
{
    struct told *told = context;
    size_t kinds = strlen(told->kinds), texts = strlen(told->texts);
    assert_non_null(text);
    snprintf(told->kinds + kinds, sizeof(told->kinds) - kinds, "%s%s", kinds == 0 ? "" : " ",
             outlook_kind_name(kind));
    snprintf(told->texts + texts, sizeof(told->texts) - texts, "%s\n", text);
}

static void check_row(const void *data)
{
    const struct row *row = data;
    struct quorum_levels levels = read_levels(row->levels);
    struct change_options options = { .n = 3, .largest_n = 3, .can_move = true };
    struct told told = { { 0 }, { 0 } };
    struct member members[MEMBERS];
    uint16_t table[PARTITIONS * COLUMNS];
    bool lost[RING_MEMBERS_MAX] = { false };
    struct change_plan plan;
    struct outlook outlook;
    struct arena arena;
    struct epoch base;
    const char *why;
    arena_init(&arena, 1 << 24);
    make_epoch(row, members, table, &base);
    for (const char *letter = row->lost; *letter != '\0'; letter++)
        lost[*letter - 'a'] = true;
    assert_int_equal(change_recover(&base, lost, &options, &arena, &plan, &why), KVORUM_OK);
    outlook_init(&outlook, &base, &plan.next, plan.table, lost, &arena);
    outlook_judge(&outlook, &levels, find, &told);
    assert_string_equal(told.kinds, row->kinds);
    if (strstr(told.texts, row->says) == NULL)
        fail_msg("%s", told.texts);
    arena_done(&arena);
}

int main(void)
{
    return RUN_ROWS("what will not work after a recovery", rows, check_row);
}
