/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked for, one after the other, of a cluster of n1 to n4 in two zones; and what comes of
 * it: the last status, and the members as letters (A active, J joining, L leaving, - gone). */
#include "cluster/epoch/change.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/rows.h"

enum { MEMBERS = 4, PARTITIONS = 64, STEPS_MAX = 6 };

struct row {
    const char *name;
    const char *asked; /* words: join=n5 leave=n1 remove=n1 replace=n1/n5 weight=n1/200 zone=n1/z9
                          address=n1/x clear commit accept (the loss of zones) dead=n1 */
    kvorum_status status;
    const char *members;
    uint16_t staged;
};

static const struct row rows[] = {
    { "a newcomer is listed, and its join staged", "join=n5", KVORUM_OK, "AAAAJ", 1 },
    { "asking again changes nothing", "join=n5 join=n5", KVORUM_EXISTS, "AAAAJ", 1 },
    { "a name is taken", "join=n2", KVORUM_NOT_ALLOWED, "AAAA", 0 },
    { "a newcomer gets its share", "join=n5 commit", KVORUM_OK, "AAAAA", 0 },
    { "one whose join was cleared stays listed", "join=n5 clear", KVORUM_OK, "AAAAJ", 0 },
    { "it can be staged again", "join=n5 clear stage=n5", KVORUM_OK, "AAAAJ", 1 },
    { "a member that owns something leaves slowly", "leave=n1 commit", KVORUM_OK, "LAAA", 0 },
    { "a member has one fate", "leave=n1 remove=n1", KVORUM_OK, "AAAA", 1 },
    { "and a weight and a zone beside it", "leave=n1 weight=n1/7 zone=n1/z9", KVORUM_OK, "AAAA",
      3 },
    { "the same again is nothing new", "leave=n1 leave=n1", KVORUM_EXISTS, "AAAA", 1 },
    { "nobody of that name", "leave=n9", KVORUM_NOT_FOUND, "AAAA", 0 },
    { "who leaves cannot be told to", "leave=n1 commit leave=n1", KVORUM_INVALID, "LAAA", 0 },
    { "a newcomer cannot leave", "join=n5 leave=n5", KVORUM_INVALID, "AAAAJ", 1 },
    { "but be removed", "join=n5 remove=n5 commit", KVORUM_OK, "AAAA-", 0 },
    { "an id is used once", "join=n5 remove=n5 commit join=n5", KVORUM_NOT_ALLOWED, "AAAA-", 0 },
    { "a lost member is replaced", "join=n5 replace=n1/n5 commit", KVORUM_OK, "-AAAA", 0 },
    { "a member of old cannot replace", "replace=n1/n2", KVORUM_INVALID, "AAAA", 0 },
    { "nothing to commit", "commit", KVORUM_INVALID, "AAAA", 0 },
    { "nothing to clear", "clear", KVORUM_EXISTS, "AAAA", 0 },
    { "no weight", "weight=n1/0", KVORUM_INVALID, "AAAA", 0 },
    { "a zone with a slash", "zone=n1/a/b", KVORUM_INVALID, "AAAA", 0 },
    { "too few copies would be left", "leave=n1 leave=n2 commit", KVORUM_NOT_ALLOWED, "AAAA", 2 },
    { "copies would be lost", "join=n5 join=n6 remove=n1 remove=n2 commit", KVORUM_NOT_ALLOWED,
      "AAAAJJ", 4 },
    { "while partitions move nothing else can be committed", "leave=n1 commit weight=n2/200 commit",
      KVORUM_NOT_ALLOWED, "LAAA", 1 },
    { "but who is lost can be removed", "leave=n1 commit remove=n2 commit", KVORUM_NOT_ALLOWED,
      "LAAA", 1 },
    { "one that died while others took its share", "join=n5 commit remove=n1 commit", KVORUM_OK,
      "-AAAA", 0 },
    { "or that was leaving", "join=n5 leave=n1 commit remove=n1 commit", KVORUM_OK, "-AAAA", 0 },
    { "or be replaced", "join=n5 commit join=n6 replace=n1/n6 commit", KVORUM_OK, "-AAAAA", 0 },
    { "who is removed is not called back", "join=n5 remove=n5 replace=n1/n5 commit", KVORUM_OK,
      "-AAA-", 0 },
    { "copies would be in one zone instead of two", "zone=n1/z0 zone=n3/z0 commit",
      KVORUM_NOT_ALLOWED, "AAAA", 2 },
    { "where that is accepted they are", "zone=n1/z0 zone=n3/z0 accept", KVORUM_OK, "AAAA", 0 },
    { "acceptance allows nothing else", "leave=n1 leave=n2 accept", KVORUM_NOT_ALLOWED, "AAAA", 2 },
    { "a zone of one node cannot have a copy of everything", "zone=n1/z0 commit",
      KVORUM_NOT_ALLOWED, "AAAA", 1 },
    { "a third zone is welcome", "zone=n1/z9 commit", KVORUM_OK, "AAAA", 0 },
    { "who does not answer cannot leave", "dead=n1 leave=n1 commit", KVORUM_NOT_ALLOWED, "AAAA",
      1 },
    { "it can be removed", "dead=n1 remove=n1 commit", KVORUM_OK, "-AAA", 0 },
    { "a majority of those who vote next must answer", "dead=n2 dead=n3 weight=n1/101 commit",
      KVORUM_NOT_ALLOWED, "AAAA", 1 },
    { "a majority is enough", "dead=n2 weight=n1/101 commit", KVORUM_OK, "AAAA", 0 },
    { "a member moves to another address", "address=n1/10.0.0.9:1", KVORUM_OK, "AAAA", 0 },
    { "an address is taken", "address=n1/n2:1", KVORUM_NOT_ALLOWED, "AAAA", 0 },
    { "an address with a blank", "address=n1/a_b", KVORUM_INVALID, "AAAA", 0 },
};

static void fill_member(struct member *member, unsigned number)
{
    memset(member, 0, sizeof(*member));
    member->id.bytes[0] = (uint8_t)number;
    snprintf(member->name, sizeof(member->name), "n%u", number);
    snprintf(member->zone, sizeof(member->zone), "z%u", number % 2);
    snprintf(member->address, sizeof(member->address), "n%u:1", number);
    member->weight = RING_WEIGHT_DEFAULT;
}

static void found(struct epoch *epoch, struct arena *arena)
{
    const char *why;
    *epoch = (struct epoch){ .number = 5,
                             .partition_count = PARTITIONS,
                             .replica_count = 3,
                             .replicas_wanted = 3,
                             .member_count = MEMBERS };
    epoch->members = arena_allocate(arena, MEMBERS * sizeof(*epoch->members));
    epoch->table = arena_allocate(arena, PARTITIONS * 3 * sizeof(*epoch->table));
    for (unsigned i = 0; i < MEMBERS; i++)
        fill_member(&epoch->members[i], i + 1);
    struct ring_plan_input input = { epoch->members, MEMBERS, PARTITIONS, 3, NULL };
    assert_int_equal(ring_plan(&input, arena, epoch->table, &why), KVORUM_OK);
    epoch->voter_count = ring_choose_voters(epoch->members, MEMBERS, NULL, 0, epoch->voters);
}

static unsigned number_of(const char *name)
{
    return (unsigned)strtoul(name + 1, NULL, 10);
}

/* "leave=n1/x": verb, name, rest. */
static void read_word(const char *word, struct change_request *ret)
{
    static const struct {
        const char *verb;
        enum change_ask ask;
        enum change_kind kind;
    } verbs[] = { { "join", ASK_JOIN, 0 },
                  { "stage", ASK_STAGE, CHANGE_JOIN },
                  { "leave", ASK_STAGE, CHANGE_LEAVE },
                  { "remove", ASK_STAGE, CHANGE_REMOVE },
                  { "replace", ASK_STAGE, CHANGE_REPLACE },
                  { "weight", ASK_STAGE, CHANGE_WEIGHT },
                  { "zone", ASK_STAGE, CHANGE_ZONE },
                  { "address", ASK_ADDRESS, 0 },
                  { "clear", ASK_CLEAR, 0 },
                  { "commit", ASK_COMMIT, 0 },
                  { "accept", ASK_COMMIT, 0 } };
    char verb[16] = "", name[16] = "", rest[64] = "";
    memset(ret, 0, sizeof(*ret));
    sscanf(word, "%15[a-z]=%15[^/]/%63s", verb, name, rest);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].verb, verb) != 0)
            continue;
        ret->kind = verbs[i].ask;
        ret->change.kind = verbs[i].kind;
    }
    ret->allow_zone_loss = strcmp(verb, "accept") == 0;
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    snprintf(ret->with, sizeof(ret->with), "%s", rest);
    snprintf(ret->change.zone, sizeof(ret->change.zone), "%s", rest);
    ret->change.weight = (uint32_t)strtoul(rest, NULL, 10);
    if (ret->kind == ASK_JOIN)
        fill_member(&ret->newcomer, number_of(name));
    if (ret->kind == ASK_JOIN && number_of(name) <= MEMBERS)
        ret->newcomer.id.bytes[1] = 1; /* somebody else of that name */
    if (ret->kind == ASK_ADDRESS)
        ret->newcomer.id.bytes[0] = (uint8_t)number_of(name);
    snprintf(ret->newcomer.address + (ret->kind == ASK_ADDRESS ? 0 : 200), 55, "%s", rest);
    for (char *c = ret->newcomer.address; *c != 0; c++)
        *c = *c == '_' ? ' ' : *c;
}

/* What is accepted can be written and read, and comes one after what it was made from. */
static void check_epoch(const struct epoch *from, const struct epoch *next, struct arena *arena)
{
    struct buffer record;
    struct epoch again;
    buffer_init(&record, 1 << 20);
    epoch_encode(next, &record);
    assert_int_equal(epoch_decode(buffer_bytes(&record), arena, &again), KVORUM_OK);
    assert_int_equal(next->number, from->number + 1);
    buffer_done(&record);
}

static kvorum_status play(const char *asked, const struct change_options *options,
                          struct arena *arena, struct epoch *epoch)
{
    char words[256], *rest = words;
    struct change_options now = *options;
    kvorum_status status = KVORUM_OK;
    snprintf(words, sizeof(words), "%s", asked);
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        struct change_request request;
        struct epoch next;
        const char *why = NULL;
        if (strncmp(word, "dead=", 5) == 0) {
            unsigned slot = number_of(word + 5) - 1;
            now.dead[slot / 8] |= (uint8_t)(1 << slot % 8);
            continue;
        }
        read_word(word, &request);
        status = change_apply(epoch, &request, &now, arena, &next, &why);
        assert_non_null(why);
        if (status != KVORUM_OK)
            continue;
        check_epoch(epoch, &next, arena);
        *epoch = next;
    }
    return status;
}

static const struct change_options moving = { .n = 3, .can_move = true };

static void check(const void *data)
{
    const struct row *row = data;
    struct arena arena;
    struct epoch epoch;
    arena_init(&arena, 1 << 26);
    found(&epoch, &arena);
    assert_int_equal(play(row->asked, &moving, &arena, &epoch), row->status);
    char members[16] = "";
    for (uint16_t i = 0; i < epoch.member_count; i++)
        members[i] = "AJL-"[epoch.members[i].state];
    assert_string_equal(members, row->members);
    assert_int_equal(epoch.change_count, row->staged);
    arena_done(&arena);
}

/* --- plans ---------------------------------------------------------------------------------- */

static void moves_lead_to_the_table_that_was_planned(void **state)
{
    (void)state;
    struct arena arena;
    struct epoch epoch;
    struct change_plan plan;
    bool filled;
    const char *why;
    arena_init(&arena, 1 << 26);
    found(&epoch, &arena);
    assert_int_equal(play("join=n5", &moving, &arena, &epoch), KVORUM_OK);
    assert_int_equal(change_plan(&epoch, &moving, &arena, &plan, &filled, &why), KVORUM_OK);
    assert_true(filled && plan.next.move_count > 0);
    for (uint32_t i = 0, p = 0; p < PARTITIONS; p++) {
        const uint16_t *row = plan.table + p * 3, *old = epoch.table + p * 3;
        bool moves = i < plan.next.move_count && plan.next.moves[i].partition == p;
        assert_int_equal(moves, memcmp(row, old, 3 * sizeof(*row)) != 0);
        if (!moves)
            continue;
        assert_memory_equal(plan.next.moves[i].to, row, 3 * sizeof(*row));
        assert_int_equal(plan.next.moves[i].session, 7);
        i++;
    }
    assert_int_equal(plan.gains[4], plan.gain_count); /* only the newcomer takes anything */
    assert_in_range(plan.gain_count, PARTITIONS * 3 / 5, PARTITIONS * 3 / 5 + 1);
    assert_memory_equal(plan.next.table, epoch.table, PARTITIONS * 3 * sizeof(*epoch.table));
    assert_int_equal(plan.before.nodes, 1);
    assert_int_equal(plan.during.nodes, 1);
    assert_int_equal(plan.after.nodes, 1);
    arena_done(&arena);
}

/* All moves of this phase take a step. */
static void take(struct epoch *epoch, enum move_phase phase, enum handoff_step_kind kind,
                 uint32_t one_in, struct arena *arena)
{
    struct handoff_step steps[PARTITIONS];
    struct change_request request = { .kind = ASK_MOVES, .expected = epoch->number };
    struct epoch next;
    const char *why;
    request.steps = steps;
    for (uint32_t i = 0; i < epoch->move_count; i += one_in)
        if (epoch->moves[i].phase == phase)
            steps[request.step_count++] = (struct handoff_step){ kind, epoch->moves[i].partition };
    if (request.step_count == 0)
        return;
    assert_int_equal(change_apply(epoch, &request, &moving, arena, &next, &why), KVORUM_OK);
    check_epoch(epoch, &next, arena);
    *epoch = next;
}

static void finish(struct epoch *epoch, struct arena *arena)
{
    for (int round = 0; epoch->move_count > 0; round++) {
        assert_in_range(round, 0, 3); /* it comes to an end */
        take(epoch, MOVE_WRITE_BOTH_READ_OLD, HANDOFF_READ_NEW, 1, arena);
        take(epoch, MOVE_WRITE_BOTH_READ_NEW, HANDOFF_END, 1, arena);
    }
}

static void a_removal_while_partitions_move_leaves_nobody_behind(void **state)
{
    (void)state;
    struct arena arena;
    struct epoch epoch;
    arena_init(&arena, 1 << 27);
    found(&epoch, &arena);
    assert_int_equal(play("join=n5 leave=n2 accept", &moving, &arena, &epoch), KVORUM_OK);
    take(&epoch, MOVE_WRITE_BOTH_READ_OLD, HANDOFF_READ_NEW, 2, &arena); /* every other */
    struct epoch before = epoch;
    assert_int_equal(play("remove=n1 accept", &moving, &arena, &epoch), KVORUM_OK);
    assert_int_equal(epoch.members[0].state, MEMBER_GONE);
    for (uint32_t i = 0; i < before.move_count; i++) {
        const struct move *was = &before.moves[i], *is = ring_move_of(&epoch, was->partition);
        if (was->phase == MOVE_WRITE_BOTH_READ_NEW && is != NULL) { /* cannot be given up */
            assert_int_equal(is->phase, was->phase);
            assert_int_equal(is->session, was->session);
        } else if (is != NULL) { /* begins anew */
            assert_int_equal(is->session, epoch.number);
        }
    }
    finish(&epoch, &arena);
    assert_int_equal(epoch.members[1].state, MEMBER_GONE);
    assert_int_equal(epoch.replica_count, 3);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        const uint16_t *row = ring_row(&epoch, p);
        assert_int_equal(ring_row_size(&epoch, row), 3);
        for (uint8_t c = 0; c < 3; c++)
            assert_int_equal(epoch.members[row[c]].state, MEMBER_ACTIVE);
    }
    arena_done(&arena);
}

/* Its slot is nobody's then, and a record that speaks of it could not be read. */
static void what_is_staged_about_a_leaver_goes_with_him(void **state)
{
    (void)state;
    struct arena arena;
    struct epoch epoch;
    arena_init(&arena, 1 << 27);
    found(&epoch, &arena);
    assert_int_equal(
        play("join=n5 leave=n2 accept remove=n2 weight=n3/200", &moving, &arena, &epoch),
        KVORUM_OK);
    finish(&epoch, &arena);
    assert_int_equal(epoch.members[1].state, MEMBER_GONE);
    assert_int_equal(epoch.change_count, 1);
    assert_int_equal(epoch.changes[0].kind, CHANGE_WEIGHT);
    arena_done(&arena);
}

static void columns_grow_with_the_members(void **state)
{
    (void)state;
    struct arena arena;
    struct epoch epoch, next;
    static const struct change_request commit = { .kind = ASK_COMMIT };
    const char *why;
    arena_init(&arena, 1 << 26);
    found(&epoch, &arena);
    epoch.member_count = epoch.replica_count = 2;
    epoch.voter_count = ring_choose_voters(epoch.members, 2, NULL, 0, epoch.voters);
    for (size_t i = 0; i < PARTITIONS * 2; i++)
        epoch.table[i] = i % 2;
    assert_int_equal(play("join=n5", &moving, &arena, &epoch), KVORUM_OK);
    assert_int_equal(change_apply(&epoch, &commit, &moving, &arena, &next, &why), KVORUM_OK);
    check_epoch(&epoch, &next, &arena);
    assert_int_equal(next.replica_count, 3);
    assert_int_equal(next.move_count, PARTITIONS);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        assert_int_equal(next.table[p * 3 + 2], RING_NO_MEMBER);
        assert_int_equal(ring_owner_limit(&next, p), 2);
    }
    arena_done(&arena);
}

static void what_cannot_be_moved_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct change_options still = { .n = 3, .can_move = false };
    static const struct change_options wide = { .n = 3, .largest_n = 4, .can_move = true };
    struct arena arena;
    struct epoch epoch;
    arena_init(&arena, 1 << 26);
    found(&epoch, &arena);
    assert_int_equal(play("join=n5 commit", &still, &arena, &epoch), KVORUM_UNSUPPORTED);
    assert_int_equal(play("commit", &wide, &arena, &epoch), KVORUM_UNSUPPORTED);
    assert_int_equal(play("clear weight=n1/101 commit", &still, &arena, &epoch), KVORUM_OK);
    assert_int_equal(epoch.members[0].weight, 101);
    assert_int_equal(epoch.move_count, 0);
    arena_done(&arena);
}

static void a_plan_that_is_not_the_one_looked_at_is_refused(void **state)
{
    (void)state;
    struct arena arena;
    struct epoch epoch, next;
    const char *why;
    arena_init(&arena, 1 << 26);
    found(&epoch, &arena);
    assert_int_equal(play("join=n5", &moving, &arena, &epoch), KVORUM_OK);
    struct change_request commit = { .kind = ASK_COMMIT, .expected = 5 };
    assert_int_equal(change_apply(&epoch, &commit, &moving, &arena, &next, &why), KVORUM_CONFLICT);
    commit.expected = 6;
    assert_int_equal(change_apply(&epoch, &commit, &moving, &arena, &next, &why), KVORUM_OK);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_lead_to_the_table_that_was_planned),
        cmocka_unit_test(a_removal_while_partitions_move_leaves_nobody_behind),
        cmocka_unit_test(what_is_staged_about_a_leaver_goes_with_him),
        cmocka_unit_test(columns_grow_with_the_members),
        cmocka_unit_test(what_cannot_be_moved_is_refused_with_the_reason),
        cmocka_unit_test(a_plan_that_is_not_the_one_looked_at_is_refused),
    };
    int failed = RUN_ROWS("changes", rows, check);
    return failed + cmocka_run_group_tests_name("plans", tests, NULL, NULL);
}
