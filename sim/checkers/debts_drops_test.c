/* SPDX-License-Identifier: Apache-2.0 */
/** Histories made by hand for the checkers "dropped" and "debts": each finds the one that breaks
 *  its rule, and does not mind the one beside it that does not. */
#include "sim/checkers/checkers.h"
#include "sim/checkers/drops.h"
#include "tests/support/rows.h"

#include <stdio.h>

#include "cluster/handoff/hint.h"
#include "engine/memory/memory.h"

/* --- dropped --------------------------------------------------------------------------------- */

enum { KEY = 4, OTHER_KEY = 5, OPERATIONS = 4, VALUE_SIZE = 16 };

/* What a write did, and whether an acknowledged drop came behind it. */
struct course {
    const char *name;
    uint32_t written_key;
    uint64_t written_in; /* generation that the member knew which took the write */
    bool drop_between;   /* acknowledged: begun after the write ended, over before the read */
    bool drop_known;     /* the member that is read at has confirmed it */
    uint64_t read_in;    /* generation known there */
    const char *found;
    uint64_t written_until; /* generation known there at the end of the write; 0: the same */
};

struct drops_fixture {
    struct world world;
    struct cluster *cluster;
    struct plan plan;
    struct drops drops;
    struct drops_operation operations[OPERATIONS];
};

static void drops_begin_by_hand(struct drops_fixture *f, const struct course *course)
{
    *f = (struct drops_fixture){ .drops.count = OPERATIONS };
    world_init(&f->world, 1);
    f->cluster = calloc(1, sizeof(*f->cluster));
    assert_non_null(f->cluster);
    f->cluster->world = &f->world;
    f->cluster->plan = &f->plan;
    f->plan.durable = true;
    f->drops.cluster = f->cluster;
    f->drops.operations = f->operations;
    f->drops.confirmed[0] = course->drop_known ? course->written_in + 1 : 0;
    for (int32_t i = 0; i < OPERATIONS; i++)
        f->operations[i] = (struct drops_operation){
            .drops = &f->drops, .id = i, .action = DROPS_LIST, .state = DROPS_ANSWERED
        };
    f->operations[0] =
        (struct drops_operation){ .drops = &f->drops,
                                  .id = 0,
                                  .action = DROPS_PUT,
                                  .state = DROPS_ANSWERED,
                                  .key = course->written_key,
                                  .generation = course->written_in,
                                  .latest = course->written_until != 0 ? course->written_until
                                                                       : course->written_in,
                                  .invoked_us = 10,
                                  .done_us = 20 };
    if (course->drop_between)
        f->operations[1] = (struct drops_operation){ .drops = &f->drops,
                                                     .id = 1,
                                                     .action = DROPS_DROP,
                                                     .state = DROPS_ANSWERED,
                                                     .invoked_us = 30,
                                                     .done_us = 40 };
    f->operations[2] = (struct drops_operation){ .drops = &f->drops,
                                                 .id = 2,
                                                 .action = DROPS_GET,
                                                 .state = DROPS_ANSWERED,
                                                 .key = KEY,
                                                 .generation = course->read_in,
                                                 .latest = course->read_in,
                                                 .invoked_us = 50,
                                                 .done_us = 60 };
}

static void drops_end_by_hand(struct drops_fixture *f, const char *found)
{
    const char *checker = f->world.violation.checker;
    assert_string_equal(checker == NULL ? "-" : checker, found);
    free(f->cluster);
    world_done(&f->world);
}

static void read_finds_what_was_written(const void *at)
{
    const struct course *course = at;
    struct drops_fixture f;
    drops_begin_by_hand(&f, course);
    struct sibling sibling = { .value = BYTES_LITERAL("0") }; /* of operation 0 */
    struct object object = { .siblings = &sibling, .sibling_count = 1 };
    check_drop_read(&f.operations[2], &object);
    assert_true(f.operations[2].found);
    drops_end_by_hand(&f, course->found);
}

static const struct course reads[] = {
    { "a value of the bucket as it is may be read", KEY, 7, false, false, 7, "-" },
    { "a value of another key may not", OTHER_KEY, 7, false, false, 7, "dropped" },
    { "nor one of an earlier generation", KEY, 7, true, true, 9, "dropped" },
    { "nor one that was written before a drop that its member knows of", KEY, 7, true, true, 7,
      "dropped" },
    { "a member that was never told of the drop may still show it", KEY, 7, true, false, 7, "-" },
    { "a write that met the next generation on its way may be of it", KEY, 7, false, false, 8, "-",
      .written_until = 8 },
};

static void a_value_of_nobody_is_found(void)
{
    static const struct course course = { "", KEY, 7, false, false, 7, "dropped" };
    struct drops_fixture f;
    drops_begin_by_hand(&f, &course);
    struct sibling sibling = { .value = BYTES_LITERAL("99") };
    struct object object = { .siblings = &sibling, .sibling_count = 1 };
    check_drop_read(&f.operations[2], &object);
    drops_end_by_hand(&f, course.found);
}

static void a_list_names_what_was_written_since(void)
{
    static const struct course fine = { "", KEY, 7, false, false, 7, "-" };
    static const struct course old = { "", KEY, 7, true, true, 9, "dropped" };
    static const struct course *const courses[] = { &fine, &old };
    for (size_t i = 0; i < 2; i++) {
        struct drops_fixture f;
        drops_begin_by_hand(&f, courses[i]);
        check_drop_listed(&f.operations[2], BYTES_LITERAL("d4"));
        drops_end_by_hand(&f, courses[i]->found);
    }
}

static void a_lost_write_of_the_last_generation_is_found(void)
{
    static const struct course last = { "", KEY, 7, false, false, 7, "dropped" };
    static const struct course earlier = { "", KEY, 7, true, true, 9, "-" };
    static const struct course *const courses[] = { &last, &earlier };
    for (size_t i = 0; i < 2; i++) {
        struct drops_fixture f;
        drops_begin_by_hand(&f, courses[i]);
        check_drop_lost(&f.operations[2]); /* which found nothing */
        drops_end_by_hand(&f, courses[i]->found);
    }
}

/* What a member was told of (generation 8), and what it goes by when it is asked. */
struct memory {
    const char *name;
    bool told;
    uint64_t goes_by;
    bool serves, volatile_stores, put_back;
    const char *found;
};

static const struct memory memories[] = {
    { "who goes by an earlier generation than it was told has forgotten it", true, 7, true, false,
      false, "dropped" },
    { "who goes by what it was told has forgotten nothing", true, 8, true, false, false, "-" },
    { "nor has who goes by a later one", true, 9, true, false, false, "-" },
    { "who was not told need not know", false, 7, true, false, false, "-" },
    { "who does not serve yet need not know again", true, 7, false, false, false, "-" },
    { "who keeps nothing over its end may forget", true, 7, true, true, false, "-" },
    { "so may who was put back to an older copy", true, 7, true, false, true, "-" },
};

static void what_was_told_is_kept(const void *at)
{
    const struct memory *memory = at;
    const struct course course = { "", KEY, 7, true, memory->told, memory->goes_by, "" };
    struct drops_fixture f;
    drops_begin_by_hand(&f, &course);
    f.plan.memory = memory->volatile_stores;
    f.cluster->yesterday_of = memory->put_back ? &f.cluster->processes[0] : NULL;
    check_drop_kept(&f.operations[2], memory->serves);
    drops_end_by_hand(&f, memory->found);
}

/* --- debts ----------------------------------------------------------------------------------- */

/* Hints are named by letters: small ones are for a member, large ones for one who is none. */
struct debtor {
    const char *name;
    bool parted, running; /* it left by itself; its process is there */
    const char *held;     /* in its stores when its last life ended, */
    uint64_t known;       /* when it knew of so many, */
    const char *begun;    /* there when this life began, */
    const char *now;      /* and now */
    const char *found;
    bool again; /* one more life in between, which began and ended with `begun`, known to it */
};

static const struct debtor debtors[] = {
    { "who left by itself and owes nothing is fine", true, true, "", 0, "", "", "-" },
    { "who left and took a hint for a member along is found", true, true, "", 0, "", "a", "debts" },
    { "a hint for one who is no member any more may go", true, true, "", 0, "", "A", "-" },
    { "who was removed may take what it likes", false, true, "", 0, "", "a", "-" },
    { "who does not run is not looked at", true, false, "", 0, "", "a", "-" },
    { "what was delivered, and came back with a crash, is no debt", true, true, "", 0, "a", "a",
      "-" },
    { "nor is it where another one was owed then", true, true, "b", 1, "ab", "a", "-" },
    { "nor what it was about to remove when it knew of none", true, true, "a", 0, "a", "a", "-" },
    { "what came back stays no debt over one more crash", true, true, "", 0, "a", "a", "-", true },
    { "what was owed when a life ended is one, whatever else came back", true, true, "b", 1, "ab",
      "b", "debts" },
    { "so is what was taken since, whatever else came back", true, true, "", 0, "a", "b", "debts" },
    { "so is what was owed over one more crash", true, true, "b", 1, "b", "b", "debts", true },
};

static void put_hint(struct engine *store, char letter)
{
    struct arena arena;
    struct hint_value value;
    char key[] = "o\0\1key ";
    key[6] = letter;
    struct hint hint = {
        .key = bytes_make(key, 7), .order = (uint8_t)letter, .epoch = 1, .size = 3
    };
    struct engine_batch *batch = engine_batch_create();
    hint.target.bytes[0] = letter < 'a' ? 9 : 2;
    arena_init(&arena, 1 << 16);
    hint_queue_value(&hint, &value);
    assert_int_equal(
        engine_batch_put(batch, hint_queue_key(&arena, &hint), bytes_make(value.data, value.size)),
        KVORUM_OK);
    assert_int_equal(engine_write(store, batch, ENGINE_NONE), KVORUM_OK);
    engine_batch_destroy(batch);
    arena_done(&arena);
}

/* Its store holds these hints and nothing else. */
static void hold(struct process *process, const char *letters)
{
    process->stores[0] = engine_close(process->stores[0]);
    assert_int_equal(memory_open(NULL, &process->stores[0]), KVORUM_OK);
    for (; *letters != '\0'; letters++)
        put_hint(process->stores[0], *letters);
}

static void live(struct process *process, const struct debtor *debtor)
{
    hold(process, debtor->held);
    debts_life_ends(process, debtor->known);
    hold(process, debtor->begun);
    debts_found(&process->debts, process->stores, 1);
    if (debtor->again) {
        debts_life_ends(process, strlen(debtor->begun));
        debts_found(&process->debts, process->stores, 1);
    }
    hold(process, debtor->now);
}

static void who_leaves_owes_nothing(const void *at)
{
    const struct debtor *debtor = at;
    struct world world;
    struct member members[2] = { 0 };
    members[0].id.bytes[0] = 1;
    members[1].id.bytes[0] = 2;
    const struct epoch epoch = { .number = 3, .member_count = 2, .members = members };
    struct epoch_book book = { .world = &world, .parted = debtor->parted ? 1u << 3 : 0 };
    struct process *process = calloc(1, sizeof(*process));
    assert_non_null(process);
    world_init(&world, 1);
    *process = (struct process){
        .world = &world, .member = 3, .book = &book, .running = debtor->running, .store_count = 1
    };
    live(process, debtor);
    check_debts(process, &epoch);
    const char *checker = world.violation.checker;
    assert_string_equal(checker == NULL ? "-" : checker, debtor->found);
    engine_close(process->stores[0]);
    debts_done(&process->debts);
    free(process);
    world_done(&world);
}

static const struct named_test others[] = {
    { "a value that nobody wrote is found", a_value_of_nobody_is_found },
    { "a list names what was written since the drop", a_list_names_what_was_written_since },
    { "an acknowledged write of the last generation that is not there is found",
      a_lost_write_of_the_last_generation_is_found },
};

int main(void)
{
    int failed = RUN_ROWS("dropped, reads", reads, read_finds_what_was_written);
    failed += RUN_TESTS("dropped", others);
    failed += RUN_ROWS("dropped, kept", memories, what_was_told_is_kept);
    return failed + RUN_ROWS("debts", debtors, who_leaves_owes_nothing);
}
