/* SPDX-License-Identifier: Apache-2.0 */
/** Histories made by hand for the checker "acknowledged" where tombstones are collected: a read
 *  finds nothing at all, and what is missing must have been hidden by a delete, as stamps say. */
#include "sim/checkers/checkers.h"
#include "tests/support/rows.h"

enum { OPERATIONS = 8, KEYS = 1, VALUE_SIZE = 50, NO_DELETE = KVORUM_NOT_FOUND };

/* A delete, then a put that is acknowledged, then a read that finds nothing. */
struct course {
    const char *name;
    kvorum_status deleted; /* the answer to the delete */
    uint64_t deleted_at;   /* its stamp; 0: nobody saw its tombstone */
    uint64_t written_at;   /* the stamp of the put; 0: nobody saw it */
    const char *found;
    bool siblings, changes; /* the bucket's mode */
    bool kept_for_ever;     /* no tombstone is collected */
};

static const struct course courses[] = {
    { "a delete by a clock that was ahead hides a later put", KVORUM_OK, 9, 5, "-" },
    { "a delete with an earlier stamp hides nothing", KVORUM_OK, 3, 5, "acknowledged" },
    { "without a delete nothing is hidden", NO_DELETE, 0, 5, "acknowledged" },
    { "nor where nobody saw what was written", NO_DELETE, 0, 0, "acknowledged" },
    { "what nobody saw may have an earlier stamp than a delete", KVORUM_OK, 9, 0, "-" },
    { "a delete of unknown outcome may come later, with any stamp", KVORUM_TIMEOUT, 0, 5, "-" },
    { "a delete that did not happen hides nothing", KVORUM_UNAVAILABLE, 0, 5, "acknowledged" },
    { "where siblings are kept a delete hides what it saw, whatever its stamp", KVORUM_OK, 9, 5,
      "acknowledged", .siblings = true },
    { "while the mode changes stamps may decide", KVORUM_OK, 9, 5, "-", .siblings = true,
      .changes = true },
    { "and then an earlier one hides nothing either", KVORUM_OK, 3, 5, "acknowledged",
      .siblings = true, .changes = true },
    { "a tombstone that is never collected is still there", KVORUM_OK, 9, 5, "acknowledged",
      .kept_for_ever = true },
};

static struct record *written(struct world *world, struct history *history, enum action action)
{
    world->now_us += 10;
    struct record *record = history_begin(history, action, 0, 0, NULL);
    record->value_size = VALUE_SIZE;
    world->now_us += 10;
    return record;
}

static void answered(struct history *history, struct record *record, kvorum_status status,
                     uint64_t stamp)
{
    struct sibling sibling = { .dot = { 7, (uint64_t)record->id + 1 }, .stamp = stamp };
    struct object object = { .siblings = &sibling, .sibling_count = 1 };
    sibling.tombstone = action_deletes(record->action);
    if (!sibling.tombstone)
        sibling.value = history_value(history, record);
    uint8_t copy[VALUE_SIZE + 1]; /* the scratch buffer is used again */
    if (sibling.value.size > 0)
        memcpy(copy, sibling.value.data, sibling.value.size);
    sibling.value.data = copy;
    history_end(history, record, status, stamp == 0 ? NULL : &object);
}

static void nothing_is_there(const void *at)
{
    const struct course *course = at;
    struct world world;
    struct history history;
    world_init(&world, 1);
    history_init(&history, &world, course->siblings, KEYS, OPERATIONS);
    history.collects = !course->kept_for_ever;
    history.changes = course->changes;
    struct record *delete = written(&world, &history, ACTION_DELETE_BLIND);
    answered(&history, delete, course->deleted, course->deleted_at);
    struct record *put = written(&world, &history, ACTION_PUT_BLIND);
    answered(&history, put, KVORUM_OK, course->written_at);
    struct record *read = written(&world, &history, ACTION_GET);
    history_end(&history, read, KVORUM_NOT_FOUND, NULL);
    check_acknowledged(&history, read);
    const char *checker = world.violation.checker;
    assert_string_equal(checker == NULL ? "-" : checker, course->found);
    history_done(&history);
    world_done(&world);
}

int main(void)
{
    return RUN_ROWS("acknowledged, tombstones collected", courses, nothing_is_there);
}
