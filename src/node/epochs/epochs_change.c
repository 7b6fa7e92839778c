/* SPDX-License-Identifier: Apache-2.0 */
/* Getting a change decided: shard 0 makes the next epoch of the one in force and what is asked for,
 * and proposes it (epochs_propose.c).  When another epoch takes the number, the change is
 * made again from that one, until its time is over.  One at a time; others wait in line. */
#include "base/planted.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"

enum { CHANGE_ARENA_LIMIT = 64 << 20 };

/* The one worked on, or the next, which then is; NULL: nobody wants anything. */
static struct epoch_wish *next_wish(struct epochs *epochs)
{
    if (epochs->current == NULL) {
        struct list *item = list_take_first(&epochs->wishes);
        epochs->current = item == NULL ? NULL : LIST_ENTRY(item, struct epoch_wish, link);
    }
    return epochs->current;
}

/* It is in no list any more. */
static void wish_answer(struct node *node, struct epoch_wish *wish, kvorum_status status,
                        const char *reason)
{
    struct answer answer = { .status = status, .reason = reason };
    node->epochs->wish_count--;
    wish->on_answer(wish->context, &answer);
    free(wish);
}

/* The one that is worked on. */
static void wish_end(struct node *node, kvorum_status status, const char *reason)
{
    struct epoch_wish *wish = node->epochs->current;
    assert(wish != NULL);
    node->epochs->current = NULL;
    wish_answer(node, wish, status, reason);
}

/* --- making the next epoch ------------------------------------------------------------------ */

static kvorum_status check_readable(struct node *node, const struct epochs *epochs)
{
    struct epoch again;
    if (epochs->own.failed)
        return KVORUM_NO_MEMORY;
    return epoch_decode(buffer_bytes(&epochs->own), &node->scratch, &again);
}

struct change_options node_change_options(const struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    struct change_options options = { .n = (uint8_t)node->config.default_levels.n,
                                      .largest_n = property_table_largest_n(node),
                                      .can_move = true };
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (node_liveness(node, i) == LIVENESS_DEAD)
            options.dead[i / 8] |= (uint8_t)(1 << i % 8);
    return options;
}

static kvorum_status make_here(struct node *node, const struct epoch_wish *wish,
                               struct arena *arena, const char **ret_why)
{
    struct epochs *epochs = node->epochs;
    struct epoch next;
    const struct change_options options = node_change_options(node);
    kvorum_status status =
        change_apply(node->config.epoch, &wish->request, &options, arena, &next, ret_why);
    buffer_reset(&epochs->own);
    if (status == KVORUM_OK)
        epoch_encode(&next, &epochs->own);
    return status;
}

/* epochs->own is the next epoch where `status` is OK.  True: it is being proposed.  Else the wish
 * is answered and gone. */
static bool propose_made(struct node *node, struct epoch_wish *wish, kvorum_status status,
                         const char *why)
{
    struct epochs *epochs = node->epochs;
    if (status == KVORUM_OK) {
        status = check_readable(node, epochs);
        if (status != KVORUM_OK)
            why = "the next epoch cannot be written as a record";
        status = status == KVORUM_CORRUPT ? KVORUM_INTERNAL : status;
    }
    if (status == KVORUM_OK) {
        epochs_propose(node);
        wish->number = epochs->proposing;
    } else if (status == KVORUM_EXISTS) {
        wish_end(node, KVORUM_OK, "");
    } else {
        wish_end(node, status, why[0] == '\0' ? kvorum_status_text(status) : why);
    }
    return status == KVORUM_OK;
}

void wishes_planned(struct node *node, kvorum_status status, struct bytes record, const char *why)
{
    struct epochs *epochs = node->epochs;
    buffer_reset(&epochs->own);
    buffer_append_bytes(&epochs->own, record);
    (void)propose_made(node, epochs->current, status, why);
}

/* True: it is being planned or proposed. */
static bool propose(struct node *node, struct epoch_wish *wish)
{
    struct arena arena;
    const char *why = "";
    bool plans = wish->request.kind == ASK_COMMIT && epochs_plans_beside(node);
    if (plans && epochs_plan_beside(node, &wish->request))
        return true;
    arena_init(&arena, CHANGE_ARENA_LIMIT);
    kvorum_status status = make_here(node, wish, &arena, &why);
    bool proposed = propose_made(node, wish, status, why);
    arena_done(&arena);
    return proposed;
}

void wishes_begin(struct node *node)
{
    struct epochs *epochs = node->epochs;
    struct epoch_wish *wish;
    while (epochs->proposing == 0 && !epochs->planning && !epochs->record_save->busy &&
           (wish = next_wish(epochs)) != NULL)
        if (propose(node, wish))
            break;
    epochs_arm(node);
}

/* --- what came of it ------------------------------------------------------------------------ */

const char wishes_lost_track[] =
    "outcome unknown: other changes came in between. Next: kvorum cluster status";

static void judge(struct node *node, struct epoch_wish *wish, struct bytes record)
{
    bool ours = bytes_equal(record, buffer_bytes(&node->epochs->own));
    bool skipped = node->config.epoch->number > wish->number;
    if (ours)
        wish_end(node, KVORUM_OK, "");
    else if (skipped && wish->request.kind == ASK_COMMIT)
        wish_end(node, KVORUM_TIMEOUT, wishes_lost_track);
    else
        PROBE("node: a change was made again after another took its number");
}

void wishes_on_adopted(struct node *node, struct bytes record)
{
    struct epochs *epochs = node->epochs;
    struct epoch_wish *wish = epochs->current;
    if (epochs->proposing != 0) {
        bool decided = epochs->proposer.state == PROPOSER_DECIDED;
        epochs_propose_stop(node);
        if (decided)
            epochs_push(node, record);
        if (wish != NULL && wish->number != 0)
            judge(node, wish, record);
    }
    if (epochs->record_save != NULL)
        wishes_begin(node);
}

/* --- time ----------------------------------------------------------------------------------- */

static const char *unreachable_voters(struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    struct buffer names;
    buffer_init(&names, 1024);
    for (uint8_t i = 0; i < epoch->voter_count; i++)
        if (node_liveness(node, epoch->voters[i]) != LIVENESS_ALIVE)
            buffer_printf(&names, "%s%s", names.size == 0 ? "" : ", ",
                          epoch->members[epoch->voters[i]].name);
    const char *reason =
        names.size == 0
            ? reason_printf(node,
                            "outcome unknown: no majority of the %u voters answered in time. "
                            "Next: kvorum cluster status, or retry",
                            epoch->voter_count)
            : reason_printf(node,
                            "outcome unknown: no majority of the %u voters answered in time; "
                            "not alive: %.*s. Next: bring them back, or retry",
                            epoch->voter_count, (int)names.size, (const char *)names.data);
    buffer_done(&names);
    return reason;
}

static bool is_overdue(const struct node *node, const struct epoch_wish *wish)
{
    return wish != NULL && node->now_us >= wish->deadline_us;
}

/* What is decided already goes on its way; what is not may still come to be, by somebody else. */
static void end_overdue(struct node *node)
{
    struct epochs *epochs = node->epochs;
    if (is_overdue(node, epochs->current)) {
        if (epochs->proposing != 0 && epochs->proposer.state != PROPOSER_DECIDED)
            epochs_propose_stop(node);
        wish_end(node, KVORUM_TIMEOUT, unreachable_voters(node));
    }
    while (!list_empty(&epochs->wishes) &&
           is_overdue(node, LIST_ENTRY(epochs->wishes.next, struct epoch_wish, link))) {
        struct list *item = list_take_first(&epochs->wishes);
        wish_answer(node, LIST_ENTRY(item, struct epoch_wish, link), KVORUM_TIMEOUT,
                    unreachable_voters(node));
    }
}

void wishes_tick(struct node *node)
{
    struct epochs *epochs = node->epochs;
    if (epochs->record_save == NULL)
        return;
    epochs_propose_tick(node);
    end_overdue(node);
    finish_tick(node);
    wishes_begin(node);
}

uint64_t wishes_deadline_us(const struct node *node)
{
    const struct epochs *epochs = node->epochs;
    uint64_t due_us = epochs_propose_deadline_us(node);
    const struct epoch_wish *first = epochs->current;
    if (first == NULL && !list_empty(&epochs->wishes))
        first = LIST_ENTRY(epochs->wishes.next, struct epoch_wish, link);
    if (first != NULL && first->deadline_us < due_us)
        due_us = first->deadline_us;
    uint64_t finish_us = finish_deadline_us(node);
    return finish_us < due_us ? finish_us : due_us;
}
