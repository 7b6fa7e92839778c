/* SPDX-License-Identifier: Apache-2.0 */
/** Histories made by hand: each checker must find the one that breaks its rule, and must not mind
 *  the one beside it that does not. */
#include "sim/checkers/checkers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

enum { OPERATIONS = 64, KEYS = 2 };

struct fixture {
    struct world world;
    struct history history;
};

static void begin(struct fixture *f, bool siblings)
{
    world_init(&f->world, 1);
    history_init(&f->history, &f->world, siblings, KEYS, OPERATIONS);
}

static const char *end(struct fixture *f)
{
    const char *found = f->world.violation.checker;
    history_done(&f->history);
    world_done(&f->world);
    return found == NULL ? "-" : found;
}

static struct sibling sibling_of(struct fixture *f, const struct record *write, uint64_t actor,
                                 uint64_t counter, uint64_t stamp)
{
    struct sibling sibling = { .dot = { actor, counter }, .stamp = stamp };
    if (write == NULL)
        sibling.tombstone = true;
    else {
        struct bytes value = history_value(&f->history, write);
        uint8_t *copy = malloc(value.size); /* the scratch buffer is used again */
        assert_non_null(copy);
        memcpy(copy, value.data, value.size);
        sibling.value = bytes_make(copy, value.size);
    }
    return sibling;
}

static void free_siblings(struct sibling *siblings, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free((void *)siblings[i].value.data);
}

static struct record *write_done(struct fixture *f, enum action action, const struct record *source,
                                 kvorum_status status)
{
    f->world.now_us += 10;
    struct record *write = history_begin(&f->history, action, 0, 0, source);
    write->value_size = 50;
    f->world.now_us += 10;
    history_end(&f->history, write, status, NULL);
    return write;
}

/* A read that finds these siblings and takes them over. */
static struct record *read_done(struct fixture *f, struct sibling *siblings, uint32_t count)
{
    f->world.now_us += 10;
    struct record *read = history_begin(&f->history, ACTION_GET, 0, 0, NULL);
    f->world.now_us += 10;
    struct object object = { .siblings = siblings, .sibling_count = count };
    history_end(&f->history, read, count == 0 ? KVORUM_NOT_FOUND : KVORUM_OK,
                count == 0 ? NULL : &object);
    free_siblings(siblings, count);
    return read;
}

static struct record *read_one(struct fixture *f, const struct record *write, uint64_t counter,
                               uint64_t stamp)
{
    struct sibling sibling = sibling_of(f, write, 7, counter, stamp);
    return read_done(f, &sibling, 1);
}

static void check_all(struct fixture *f, const struct record *read)
{
    check_invented_failed(&f->history, read);
    check_acknowledged(&f->history, read);
    check_superseded(&f->history, read, READING_STRONG);
    check_deletes(&f->history, read);
}

static void a_plain_history_is_fine(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    struct record *first = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    struct record *read = read_one(&f, first, 1, 1);
    check_all(&f, read);
    struct record *second = write_done(&f, ACTION_PUT_CONTEXT, read, KVORUM_OK);
    check_all(&f, read_one(&f, second, 2, 2));
    assert_string_equal("-", end(&f));
}

static void a_value_nobody_wrote_is_invented(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    struct sibling sibling = sibling_of(&f, NULL, 7, 1, 1);
    sibling.tombstone = false;
    uint8_t *value = malloc(5);
    assert_non_null(value);
    for (int i = 0; i < 5; i++)
        value[i] = 'w';
    sibling.value = bytes_make(value, 5);
    read_done(&f, &sibling, 1);
    assert_string_equal("invented", end(&f));
}

static void a_value_under_another_key_is_invented(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    struct record *other = history_begin(&f.history, ACTION_PUT_BLIND, 0, 1, NULL);
    other->value_size = 50;
    read_one(&f, other, 1, 1);
    assert_string_equal("invented", end(&f));
}

static void the_value_of_a_refused_write_is_invented(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    struct record *refused = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_UNAVAILABLE);
    check_all(&f, read_one(&f, refused, 1, 1));
    assert_string_equal("invented", end(&f));
}

static void the_value_of_a_write_of_unknown_outcome_is_not(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    struct record *unknown = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_TIMEOUT);
    check_all(&f, read_one(&f, unknown, 1, 1));
    assert_string_equal("-", end(&f));
}

static void one_dot_for_two_values_is_found(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    struct record *first = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    struct record *second = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    read_one(&f, first, 1, 1);
    read_one(&f, second, 1, 1);
    assert_string_equal("dots", end(&f));
}

static void two_dots_for_one_write_are_found(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    struct record *first = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    read_one(&f, first, 1, 1);
    read_one(&f, first, 2, 2);
    assert_string_equal("dots", end(&f));
}

static void a_missing_acknowledged_write_is_found(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    check_all(&f, read_done(&f, NULL, 0));
    assert_string_equal("acknowledged", end(&f));
}

static void a_vanished_sibling_is_found(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    struct record *second = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    check_all(&f, read_one(&f, second, 1, 1));
    assert_string_equal("acknowledged", end(&f));
}

static void an_overwrite_may_take_it_away(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    struct record *second = write_done(&f, ACTION_PUT_OVERWRITE, NULL, KVORUM_OK);
    check_all(&f, read_one(&f, second, 2, 2));
    assert_string_equal("-", end(&f));
}

static void a_missing_unanswered_write_is_fine(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_TIMEOUT);
    check_all(&f, read_done(&f, NULL, 0));
    assert_string_equal("-", end(&f));
}

static void last_write_wins_keeps_the_newer_only(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, false);
    struct record *first = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    struct record *second = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    check_all(&f, read_one(&f, first, 1, 5));
    assert_null(f.world.violation.checker); /* the second may have the older stamp */
    read_one(&f, second, 2, 9);
    check_all(&f, read_one(&f, first, 1, 5));
    assert_string_equal("acknowledged", end(&f));
}

/* The bucket keeps siblings now; `kept`: the first write was already made so. */
static const char *missing_after_a_change(bool kept, uint64_t stamp)
{
    struct fixture f;
    begin(&f, true);
    f.history.changes = true;
    struct record *first = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    struct record *second = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    read_one(&f, first, 1, 5);
    first->version.kept = kept;
    check_all(&f, read_one(&f, second, 2, stamp));
    return end(&f);
}

static void a_change_of_mode_takes_no_siblings_away(void **state)
{
    (void)state;
    assert_string_equal("acknowledged", missing_after_a_change(true, 9));
    assert_string_equal("-", missing_after_a_change(false, 9));
    assert_string_equal("acknowledged", missing_after_a_change(false, 3));
}

/* Its place was taken by a write that may have seen it, and that one's by a later one. */
static void but_may_take_what_another_took(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    f.history.changes = true;
    struct record *first = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    struct record *read = read_one(&f, first, 1, 5);
    first->version.kept = true;
    struct record *second = write_done(&f, ACTION_PUT_CONTEXT, read, KVORUM_OK);
    read_one(&f, second, 2, 6);
    struct record *third = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    check_all(&f, read_one(&f, third, 3, 7));
    assert_string_equal("-", end(&f));
}

static void a_write_in_the_old_mode_by_one_who_knew_is_found(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    f.history.changes = true;
    struct record *first = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    first->mode_known = true;
    read_one(&f, first, 1, 5); /* not kept */
    assert_string_equal("modes", end(&f));
}

static void a_value_read_after_it_was_replaced_is_found(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    struct record *first = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    struct record *read = read_one(&f, first, 1, 1);
    struct record *second = write_done(&f, ACTION_PUT_CONTEXT, read, KVORUM_OK);
    struct sibling both[2] = { sibling_of(&f, first, 7, 1, 1), sibling_of(&f, second, 7, 2, 2) };
    struct record *again = read_done(&f, both, 2);
    check_superseded(&f.history, again, READING_WEAK);
    assert_string_equal("superseded", end(&f));
}

static void a_deleted_value_that_returns_is_found(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    struct record *first = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    struct record *read = read_one(&f, first, 1, 1);
    write_done(&f, ACTION_DELETE_CONTEXT, read, KVORUM_OK);
    check_all(&f, read_one(&f, first, 1, 1));
    assert_string_equal("deletes", end(&f));
}

static void a_delete_may_take_away_what_it_saw_only(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, true);
    struct record *first = write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    struct record *read = read_one(&f, first, 1, 1);
    write_done(&f, ACTION_DELETE_CONTEXT, read, KVORUM_OK);
    struct sibling tombstone = sibling_of(&f, NULL, 7, 2, 2);
    check_all(&f, read_done(&f, &tombstone, 1));
    assert_null(f.world.violation.checker);
    write_done(&f, ACTION_PUT_BLIND, NULL, KVORUM_OK);
    tombstone = sibling_of(&f, NULL, 7, 2, 2);
    check_all(&f, read_done(&f, &tombstone, 1));
    assert_string_equal("acknowledged", end(&f));
}

static const char *failing_after(uint64_t passed_us, bool outdated)
{
    struct fixture f;
    begin(&f, true);
    struct record *write = history_begin(&f.history, ACTION_PUT_BLIND, 0, 0, NULL);
    f.world.now_us += passed_us;
    history_end(&f.history, write, KVORUM_UNAVAILABLE, NULL);
    check_reopened(&f.history, write, outdated, 1000);
    return end(&f);
}

static void an_operation_that_gives_up_before_a_newer_epoch_is_found(void **state)
{
    (void)state;
    assert_string_equal("reopened", failing_after(100, true));
    assert_string_equal("-", failing_after(100, false));
    assert_string_equal("-", failing_after(990, true));
}

static void a_list_must_be_exact(void **state)
{
    (void)state;
    static const bool none[KEYS] = { false, false }, one[KEYS] = { false, true };
    struct world world;
    world_init(&world, 1);
    check_listed(&world, KEYS, one, one);
    assert_null(world.violation.checker);
    check_listed(&world, KEYS, one, none);
    assert_string_equal("listed", world.violation.checker);
    world.violation.checker = NULL;
    check_listed(&world, KEYS, none, one);
    assert_string_equal("listed", world.violation.checker);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_history_is_fine),
        cmocka_unit_test(a_value_nobody_wrote_is_invented),
        cmocka_unit_test(a_value_under_another_key_is_invented),
        cmocka_unit_test(the_value_of_a_refused_write_is_invented),
        cmocka_unit_test(the_value_of_a_write_of_unknown_outcome_is_not),
        cmocka_unit_test(one_dot_for_two_values_is_found),
        cmocka_unit_test(two_dots_for_one_write_are_found),
        cmocka_unit_test(a_missing_acknowledged_write_is_found),
        cmocka_unit_test(a_vanished_sibling_is_found),
        cmocka_unit_test(an_overwrite_may_take_it_away),
        cmocka_unit_test(a_missing_unanswered_write_is_fine),
        cmocka_unit_test(last_write_wins_keeps_the_newer_only),
        cmocka_unit_test(a_change_of_mode_takes_no_siblings_away),
        cmocka_unit_test(but_may_take_what_another_took),
        cmocka_unit_test(a_write_in_the_old_mode_by_one_who_knew_is_found),
        cmocka_unit_test(a_value_read_after_it_was_replaced_is_found),
        cmocka_unit_test(a_deleted_value_that_returns_is_found),
        cmocka_unit_test(a_delete_may_take_away_what_it_saw_only),
        cmocka_unit_test(an_operation_that_gives_up_before_a_newer_epoch_is_found),
        cmocka_unit_test(a_list_must_be_exact),
    };
    return cmocka_run_group_tests_name("sim checkers", tests, NULL, NULL);
}
