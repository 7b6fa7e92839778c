/* SPDX-License-Identifier: Apache-2.0 */
/* The member that an operator asks: one errand at a time, from a look at everybody to the report.
 *
 *      LOOK to all, also to those named as lost --> judged --> refused, or a plan
 *          do: PREPARE to all who are left --> judged anew, by what they say now
 *                --> ACCEPT to the same --> decided: saved and adopted as any epoch, and told
 *
 *  An epoch that comes in between begins the look anew.  Whoever crashes, or loses an answer, asks
 *  again: what was accepted is on the disks of those who accepted it. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"
#include "node/recover/recover.h"

static struct recover_errand *errand_of(const struct node *node)
{
    return &node->recover->errand;
}

/* --- the end -------------------------------------------------------------------------------- */

static void stop(struct node *node)
{
    errand_of(node)->active = errand_of(node)->looking = false;
    recover_step(node, (struct recovery_event){ .kind = RECOVERY_STOP });
    heap_remove(&node->timers, &node->recover->timer);
}

void recover_end(struct node *node, kvorum_status status, const char *reason)
{
    struct recover_errand *errand = errand_of(node);
    stop(node);
    recover_refuse(errand->on_report, errand->context, status, reason);
}

void recover_end_judged(struct node *node, const struct recover_plan *plan)
{
    stop(node);
    recover_report(node, plan, plan->status, plan->why);
}

static bool is_silent(const struct node *node, uint16_t slot)
{
    return recovery_waits_for(&node->recover->machine, slot);
}

static bool waits(const struct node *node, uint16_t slot)
{
    return is_silent(node, slot) && errand_of(node)->told[slot].waits;
}

static void end_overdue(struct node *node)
{
    const char *waiting = recover_names(node, waits), *silent = recover_names(node, is_silent);
    bool proposed = errand_of(node)->proposed;
    if (waiting[0] != '\0')
        PROBE("recover: given up, since a member did not know yet whether its disk was put back");
    else if (proposed)
        PROBE("recover: given up, and it may still be decided");
    else
        PROBE("recover: given up before anything was proposed");
    const char *reason =
        waiting[0] != '\0'
            ? reason_printf(node,
                            "nothing was changed: %s cannot tell yet whether its disk is an older "
                            "one, until all who are left have answered it. Next: retry",
                            waiting)
            : reason_printf(node, "%s: %s did not agree in time. Next: the same command again",
                            proposed ? "outcome unknown" : "nothing was changed",
                            silent[0] != '\0' ? silent : "this node");
    recover_end(node, proposed ? KVORUM_TIMEOUT : KVORUM_UNAVAILABLE, reason);
}

/* --- sending -------------------------------------------------------------------------------- */

static void arm(struct node *node)
{
    struct recover *recover = node->recover;
    const struct recover_errand *errand = &recover->errand;
    uint64_t due_us = errand->begun_us + RECOVER_TIMEOUT_US;
    if (errand->resend_us < due_us)
        due_us = errand->resend_us;
    if (recover->machine.next_tick_us < due_us)
        due_us = recover->machine.next_tick_us;
    heap_remove(&node->timers, &recover->timer);
    if (errand->active)
        (void)heap_insert(&node->timers, &recover->timer, due_us);
}

/* Who is asked, and, once all have promised, in which lives they did. */
static bool list_left(struct node *node, Peer__Recover *ret)
{
    const struct recover_errand *errand = errand_of(node);
    ret->left = arena_allocate(&node->scratch, RING_MEMBERS_MAX * sizeof(*ret->left));
    ret->lives = arena_allocate(&node->scratch, RING_MEMBERS_MAX * sizeof(*ret->lives));
    if (ret->left == NULL || ret->lives == NULL)
        return false;
    for (uint16_t i = 0; i < RING_MEMBERS_MAX; i++) {
        if (!errand->left[i])
            continue;
        ret->lives[ret->n_lives++] = errand->told[i].life;
        ret->left[ret->n_left++] = i;
    }
    if (ret->ask == RECOVER_ASK_PREPARE)
        ret->n_lives = 0;
    return true;
}

void recover_send(struct node *node, uint16_t slot, enum recover_ask ask, struct bytes record)
{
    const struct recover *recover = node->recover;
    const struct recover_errand *errand = &recover->errand;
    Peer__Recover body = PEER__RECOVER__INIT;
    body.ask = ask;
    body.line = errand->line;
    body.counter = recover->machine.ballot.counter;
    body.proposer = recover->machine.ballot.proposer;
    if (ask == RECOVER_ASK_LOOK || list_left(node, &body))
        node_send(node, (struct net_address){ slot, 0 }, MESSAGE_RECOVER, errand->round,
                  node_pack(node, &body.base), record);
}

static void send_to_silent(struct node *node, enum recover_ask ask, struct bytes record)
{
    for (uint16_t i = 0; i < RING_MEMBERS_MAX; i++)
        if (recovery_waits_for(&node->recover->machine, i))
            recover_send(node, i, ask, record);
}

/* --- steps ---------------------------------------------------------------------------------- */

/* Who is needed for what was begun before is still, as far as he is asked now. */
static kvorum_status make_proposal(struct node *node, const struct recover_plan *plan)
{
    struct recover_errand *errand = errand_of(node);
    struct epoch again;
    bool needed[RING_MEMBERS_MAX];
    buffer_reset(&errand->record);
    buffer_reset(&errand->proposal);
    for (uint16_t i = 0; i < RING_MEMBERS_MAX; i++)
        needed[i] = errand->left[i] && (!plan->ended || plan->begun.needed[i]);
    if (plan->ended)
        buffer_append_bytes(&errand->record, plan->begun.record);
    else
        epoch_encode(&plan->change.next, &errand->record);
    if (!errand->record.failed)
        recover_proposal_write(needed, buffer_bytes(&errand->record), &errand->proposal);
    return errand->record.failed || errand->proposal.failed
               ? KVORUM_NO_MEMORY
               : epoch_decode(buffer_bytes(&errand->record), &node->scratch, &again);
}

static void choose(struct node *node)
{
    struct recover_plan plan;
    struct arena arena;
    arena_init(&arena, SCRATCH_LIMIT);
    recover_judge(node, &arena, &plan);
    if (plan.status == KVORUM_OK) {
        plan.status = make_proposal(node, &plan);
        plan.why = "the first epoch of the new line cannot be written as a record";
    }
    if (plan.status != KVORUM_OK)
        recover_end_judged(node, &plan);
    else
        recover_step(node, (struct recovery_event){ .kind = RECOVERY_CHOOSE });
    arena_done(&arena);
}

void recover_step(struct node *node, struct recovery_event event)
{
    struct recover *recover = node->recover;
    struct recover_errand *errand = &recover->errand;
    struct recovery_effects effects;
    struct ballot before = recover->machine.ballot;
    event.now_us = node->now_us;
    event.random = event.kind == RECOVERY_REFUSED ? random_next(&node->random) : 0;
    recovery_step(&recover->machine, &event, &effects);
    if (!ballot_equal(before, recover->machine.ballot))
        recover_told_forget(errand, false);
    if (effects.prepare)
        send_to_silent(node, RECOVER_ASK_PREPARE, (struct bytes){ 0 });
    if (effects.accept) {
        errand->proposed = true;
        send_to_silent(node, RECOVER_ASK_ACCEPT, buffer_bytes(&errand->proposal));
    }
    if (effects.promised)
        choose(node);
    if (effects.decided) {
        PROBE("recover: a new line of epochs was decided");
        epochs_learn(node, buffer_bytes(&errand->record));
    }
}

/* --- events --------------------------------------------------------------------------------- */

static bool copy_names(struct recover_errand *errand, const struct recover_order *order)
{
    arena_reset(&errand->arena);
    const char **names =
        arena_allocate(&errand->arena, (order->lost_count + 1u) * sizeof(const char *));
    for (uint16_t i = 0; names != NULL && i < order->lost_count; i++) {
        struct bytes copy;
        const char *name = order->lost[i];
        size_t size = strnlen(name, RING_NAME_MAX + 1);
        if (size > RING_NAME_MAX || !arena_copy(&errand->arena, bytes_make(name, size + 1), &copy))
            return false;
        names[i] = (const char *)copy.data;
    }
    errand->order = *order;
    errand->order.lost = names;
    return names != NULL;
}

void recover_begin(struct node *node, const struct recover_order *order,
                   recover_report_fn on_report, void *context)
{
    struct recover_errand *errand = errand_of(node);
    if (errand->active) {
        PROBE("recover: a second order at once was turned away");
        recover_refuse(on_report, context, KVORUM_OVERLOADED,
                       "this node is asked for another recovery already; retry in a moment");
        return;
    }
    if (order->lost_count > RING_MEMBERS_MAX || !copy_names(errand, order)) {
        recover_refuse(on_report, context, KVORUM_INVALID, "too many names, or one is too long");
        return;
    }
    errand->active = true;
    errand->proposed = false;
    errand->on_report = on_report;
    errand->context = context;
    errand->begun_us = node->now_us;
    recover_look(node);
    arm(node);
}

void recover_ask_tick(struct node *node)
{
    struct recover_errand *errand = errand_of(node);
    if (!errand->active)
        return;
    recover_look_tick(node);
    if (errand->active && !errand->looking)
        recover_step(node, (struct recovery_event){ .kind = RECOVERY_TICK });
    if (errand->active && node->recover->machine.state == RECOVERY_DECIDED)
        errand->resend_us = node->now_us + RECOVERY_RESEND_US; /* the disk may refuse it once */
    if (errand->active && node->recover->machine.state == RECOVERY_DECIDED)
        epochs_learn(node, buffer_bytes(&errand->record));
    if (errand->active && node->now_us >= errand->begun_us + RECOVER_TIMEOUT_US)
        end_overdue(node);
    arm(node);
}

static void on_promise(struct node *node, uint16_t slot, const struct message *message,
                       const Peer__RecoverAnswer *body)
{
    struct ballot ballot = { body->counter, body->proposer };
    struct recover_errand *errand = errand_of(node);
    if (!is_silent(node, slot) || !ballot_equal(ballot, node->recover->machine.ballot) ||
        node->recover->machine.state != RECOVERY_PREPARING)
        return;
    if (body->status == KVORUM_NOT_READY)
        errand->told[slot].waits = true;
    else if (!recover_told_take(node, slot, body, message->tail))
        node->counters.messages_bad++;
    else
        recover_step(node, (struct recovery_event){
                               .kind = RECOVERY_PROMISE, .member = slot, .ballot = ballot });
}

void recover_ask_on_answer(struct node *node, struct net_address from,
                           const struct message *message, const Peer__RecoverAnswer *body)
{
    struct recover_errand *errand = errand_of(node);
    uint16_t slot = from.member;
    struct recovery_event event = { .member = slot,
                                    .ballot = { body->counter, body->proposer },
                                    .other = { body->other_counter, body->other_proposer } };
    if (!errand->active || !recover_is_member(node, slot))
        return;
    if (body->ask == RECOVER_ASK_LOOK) {
        recover_look_on_answer(node, slot, message, body);
    } else if (body->status == KVORUM_CONFLICT) {
        event.kind = RECOVERY_REFUSED;
        recover_step(node, event);
    } else if (body->ask == RECOVER_ASK_PREPARE) {
        on_promise(node, slot, message, body);
    } else if (body->ask == RECOVER_ASK_ACCEPT && body->status == KVORUM_OK) {
        event.kind = RECOVERY_ACCEPTED;
        recover_step(node, event);
    }
    arm(node);
}

void recover_ask_on_adopted(struct node *node, struct bytes record)
{
    struct recover_errand *errand = errand_of(node);
    uint64_t number = node->config.epoch->number;
    bool decided = node->recover->machine.state == RECOVERY_DECIDED;
    if (!errand->active)
        return;
    if (ring_line(number) < errand->line) {
        PROBE("recover: an epoch came in between");
        recover_look(node);
        arm(node);
        return;
    }
    if (decided)
        epochs_push(node, record);
    if (decided || bytes_equal(record, buffer_bytes(&errand->record))) {
        recover_end(node, KVORUM_OK, "");
        return;
    }
    PROBE("recover: another recovery came first");
    recover_end(node, KVORUM_CONFLICT,
                reason_printf(node,
                              "another recovery came first: epoch %llu is in force. Next: kvorum "
                              "cluster status",
                              (unsigned long long)number));
}
