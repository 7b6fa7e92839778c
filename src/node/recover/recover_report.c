/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator is told of a recovery: who answered, what it goes on from, and what is left of
 * the partitions. */
#include "node/epochs/epochs.h"
#include "node/internal.h"
#include "node/recover/recover.h"

enum { BUCKETS_NAMED_MAX = 8 };

void recover_refuse(recover_report_fn on_report, void *context, kvorum_status status,
                    const char *reason)
{
    Peer__RecoverReport report = PEER__RECOVER_REPORT__INIT;
    report.status = status;
    report.reason = (char *)reason;
    on_report(context, &report);
}

/* --- members -------------------------------------------------------------------------------- */

static uint64_t *count_held(struct node *node, const struct epoch *epoch, const uint16_t *table)
{
    size_t places = (size_t)epoch->partition_count * epoch->replica_count;
    uint64_t *held = arena_allocate_zero(&node->scratch, RING_MEMBERS_MAX * sizeof(*held));
    for (size_t i = 0; held != NULL && i < places; i++)
        if (table[i] != RING_NO_MEMBER)
            held[table[i]]++;
    return held;
}

static void fill_member(struct node *node, const struct recover_plan *plan, uint16_t slot,
                        Peer__RecoverMember *ret)
{
    const struct recover_errand *errand = &node->recover->errand;
    const struct recover_told *told = &errand->told[slot];
    *ret = (Peer__RecoverMember)PEER__RECOVER_MEMBER__INIT;
    ret->name = plan->base.members[slot].name;
    ret->membership = plan->base.members[slot].state;
    ret->liveness = node_liveness(node, slot);
    ret->lost = errand->lost[slot];
    ret->answered = told->answered;
    ret->voter = ring_is_voter(&plan->base, slot);
    ret->put_back = told->put_back;
    ret->accepted = !ballot_is_none(errand->accepted[slot]);
    ret->epoch = told->epoch;
    ret->heard = told->heard;
}

static bool add_members(struct node *node, const struct recover_plan *plan,
                        Peer__RecoverReport *ret)
{
    const struct epoch *base = &plan->base;
    const struct change_plan *change = &plan->change;
    Peer__RecoverMember *members =
        arena_allocate(&node->scratch, base->member_count * sizeof(*members));
    Peer__RecoverMember **list = arena_allocate(&node->scratch, base->member_count * sizeof(*list));
    uint64_t *before = count_held(node, base, base->table);
    uint64_t *after = plan->filled ? count_held(node, &change->next, change->table) : before;
    if (members == NULL || list == NULL || before == NULL || after == NULL)
        return false;
    for (uint16_t i = 0; i < base->member_count; i++) {
        if (base->members[i].state == MEMBER_GONE)
            continue;
        fill_member(node, plan, i, &members[i]);
        members[i].partitions = before[i];
        members[i].partitions_after = after[i];
        if (plan->filled && i < change->next.member_count)
            members[i].gains = change->gains[i];
        list[ret->n_members++] = &members[i];
    }
    ret->members = list;
    return true;
}

static void add_voters(struct node *node, const struct epoch *next, Peer__RecoverReport *ret)
{
    char **names = arena_allocate(&node->scratch, RING_VOTERS_MAX * sizeof(*names));
    for (uint8_t i = 0; names != NULL && i < next->voter_count; i++)
        names[ret->n_voters_after++] = next->members[next->voters[i]].name;
    ret->voters_after = names;
}

/* --- copies --------------------------------------------------------------------------------- */

static char *name_buckets(struct node *node, uint8_t n)
{
    struct buffer names;
    buffer_init(&names, 64 << 10);
    if (n == node->config.default_levels.n)
        buffer_printf(&names, "(default)");
    size_t count = property_table_name_buckets(node, n, BUCKETS_NAMED_MAX, &names);
    if (count > BUCKETS_NAMED_MAX)
        buffer_printf(&names, ", and %zu more", count - BUCKETS_NAMED_MAX);
    char *text = arena_printf(&node->scratch, "%.*s", (int)names.size,
                              names.size == 0 ? "" : (const char *)names.data);
    buffer_done(&names);
    return text;
}

static bool add_copies(struct node *node, const struct recover_plan *plan, Peer__RecoverReport *ret)
{
    uint32_t ns = property_table_ns(node);
    Peer__RecoverCopies *copies = arena_allocate(&node->scratch, 32 * sizeof(*copies));
    Peer__RecoverCopies **list = arena_allocate(&node->scratch, 32 * sizeof(*list));
    if (copies == NULL || list == NULL)
        return false;
    for (uint32_t n = 1; n < 32; n++) {
        struct change_copies count;
        if ((ns >> n & 1) == 0)
            continue;
        change_count_copies(&plan->base, node->recover->errand.lost, (uint8_t)n, &count);
        Peer__RecoverCopies *one = &copies[ret->n_copies];
        *one = (Peer__RecoverCopies)PEER__RECOVER_COPIES__INIT;
        one->n = n;
        one->buckets = name_buckets(node, (uint8_t)n);
        one->whole = count.whole;
        one->majority = count.majority;
        one->minority = count.minority;
        one->none = count.none;
        if (one->buckets == NULL)
            return false;
        list[ret->n_copies++] = one;
    }
    ret->copies = list;
    return true;
}

/* --- all of it ------------------------------------------------------------------------------ */

static void add_change(struct node *node, const struct recover_plan *plan, Peer__RecoverReport *ret)
{
    const struct change_plan *change = &plan->change;
    ret->next = change->next.number;
    ret->moves = change->next.move_count;
    ret->travel = change->gain_count;
    ret->survives_nodes = change->after.nodes;
    ret->staged = plan->base.change_count > change->next.change_count;
    add_voters(node, &change->next, ret);
}

void recover_report(struct node *node, const struct recover_plan *plan, kvorum_status status,
                    const char *reason)
{
    const struct recover_errand *errand = &node->recover->errand;
    Peer__RecoverReport report = PEER__RECOVER_REPORT__INIT;
    report.status = status;
    report.reason = (char *)reason;
    report.epoch = plan->base.number;
    report.begun = plan->ended;
    report.from_vote = plan->from_vote;
    report.voters = plan->base.voter_count;
    report.voters_answer = plan->voters_answer;
    report.heard = plan->heard;
    report.moving = plan->base.move_count;
    if (plan->filled)
        add_change(node, plan, &report);
    if (!add_members(node, plan, &report) || !add_copies(node, plan, &report) ||
        (plan->filled && !recover_warn(node, plan, &report))) {
        recover_refuse(errand->on_report, errand->context, KVORUM_NO_MEMORY, "out of memory");
        return;
    }
    errand->on_report(errand->context, &report);
}
