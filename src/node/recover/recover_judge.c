/* SPDX-License-Identifier: Apache-2.0 */
/* What the next line would begin with, and whether it may.  The rules are those of
 * docs/decisions/0012; each refusal says which one it is and what to do. */
#include "base/hash.h"
#include "base/planted.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"
#include "node/recover/recover.h"

static const struct recover_errand *errand_of(const struct node *node)
{
    return &node->recover->errand;
}

static kvorum_status refuse(struct recover_plan *plan, kvorum_status status, const char *why)
{
    plan->why = why;
    return status;
}

/* --- names ---------------------------------------------------------------------------------- */

const char *recover_names(struct node *node,
                          bool (*is_named)(const struct node *node, uint16_t slot))
{
    const struct epoch *epoch = node->config.epoch;
    struct buffer names;
    buffer_init(&names, 64 << 10);
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (epoch->members[i].state != MEMBER_GONE && is_named(node, i))
            buffer_printf(&names, "%s%s", names.size == 0 ? "" : ", ", epoch->members[i].name);
    const char *text =
        names.failed || names.size == 0
            ? ""
            : arena_printf(&node->scratch, "%.*s", (int)names.size, (const char *)names.data);
    buffer_done(&names);
    return text == NULL ? "" : text;
}

static bool is_lost_and_answers(const struct node *node, uint16_t slot)
{
    return errand_of(node)->lost[slot] && errand_of(node)->told[slot].answered;
}

static bool is_left_and_silent(const struct node *node, uint16_t slot)
{
    return errand_of(node)->left[slot] && !errand_of(node)->told[slot].answered;
}

static bool is_ahead(const struct node *node, uint16_t slot)
{
    const struct recover_told *told = &errand_of(node)->told[slot];
    return errand_of(node)->left[slot] && told->answered &&
           told->epoch > node->config.epoch->number;
}

/* --- what it goes on from ------------------------------------------------------------------- */

/* The epoch in force, or the one behind it where a voter who is left accepted that: then it may be
 * decided, and be in force among the lost. */
static kvorum_status find_base(struct node *node, struct arena *arena, struct recover_plan *ret)
{
    const struct recover_errand *errand = errand_of(node);
    ret->now = ret->base = *node->config.epoch;
    if (errand->voted != ret->now.number + 1 || errand->vote.size == 0 ||
        PLANTED(RECOVERY_IGNORES_VOTES))
        return KVORUM_OK;
    kvorum_status status = epoch_decode(buffer_bytes(&errand->vote), arena, &ret->base);
    if (status != KVORUM_OK)
        return refuse(ret, status, "an epoch that was accepted cannot be read");
    PROBE("recover: it goes on from an epoch that was accepted only");
    ret->from_vote = true;
    return KVORUM_OK;
}

static void find_heard(const struct node *node, struct recover_plan *ret)
{
    const struct recover_errand *errand = errand_of(node);
    for (uint16_t i = 0; i < RING_MEMBERS_MAX; i++)
        if (errand->told[i].answered && errand->told[i].heard > ret->base.number &&
            errand->told[i].heard > ret->heard)
            ret->heard = errand->told[i].heard;
}

static void count_voters(const struct node *node, struct recover_plan *ret)
{
    const struct recover_errand *errand = errand_of(node);
    for (uint8_t i = 0; i < ret->base.voter_count; i++) {
        uint16_t voter = ret->base.voters[i];
        ret->voters_answer +=
            errand->left[voter] && errand->told[voter].answered && !errand->told[voter].put_back;
    }
}

/* --- what was begun before ------------------------------------------------------------------ */

static bool is_owner(const struct epoch *epoch, uint16_t slot)
{
    enum member_state state = epoch->members[slot].state;
    return state == MEMBER_ACTIVE || state == MEMBER_LEAVING;
}

static void find_forgetful(const struct recover_errand *errand, bool ret[RING_MEMBERS_MAX])
{
    for (uint16_t i = 0; i < RING_MEMBERS_MAX; i++)
        ret[i] = errand->told[i].forgetful && !PLANTED(RECOVERY_TRUSTS_THE_FORGETFUL);
}

static kvorum_status find_begun(const struct node *node, struct arena *arena,
                                struct recover_plan *ret)
{
    const struct recover_errand *errand = errand_of(node);
    bool forgetful[RING_MEMBERS_MAX];
    struct epoch epoch;
    if (errand->begun.size == 0)
        return KVORUM_OK;
    kvorum_status status = KVORUM_CORRUPT;
    if (recover_proposal_read(buffer_bytes(&errand->begun), &ret->begun))
        status = epoch_decode(ret->begun.record, arena, &epoch);
    if (status != KVORUM_OK)
        return refuse(ret, status, "a recovery that was begun before cannot be read");
    find_forgetful(errand, forgetful);
    if (!recovery_may_be_decided(errand->left, errand->values, forgetful,
                                 hash64(ret->begun.record, 0), ret->begun.needed) ||
        PLANTED(RECOVERY_CHOOSES_AGAIN)) {
        PROBE("recover: one that was begun before gave way to another");
        return KVORUM_OK;
    }
    PROBE("recover: one that was begun before is ended");
    ret->ended = true;
    ret->change = (struct change_plan){ .next = epoch, .table = epoch.table };
    ret->change.gains = arena_allocate_zero(arena, epoch.member_count * sizeof(uint32_t));
    ret->filled = ret->change.gains != NULL;
    return ret->filled ? KVORUM_OK : KVORUM_NO_MEMORY;
}

/* --- whether it may be ---------------------------------------------------------------------- */

static kvorum_status check_lost(struct node *node, struct recover_plan *ret)
{
    const struct recover_errand *errand = errand_of(node);
    if (errand->lost[node->config.self])
        return refuse(ret, KVORUM_INVALID,
                      "this node is named as lost, and was asked; ask one of those who are left");
    if (ret->ended && left_by(node, &ret->change.next)) {
        PROBE("recover: one that was begun, and may be decided, leaves out the node that is asked");
        return refuse(ret, KVORUM_NOT_ALLOWED,
                      "a recovery was begun, and may be decided, in which this node is none; ask "
                      "one of those with whom it goes on");
    }
    const char *names = recover_names(node, is_lost_and_answers);
    if (names[0] == '\0')
        return KVORUM_OK;
    PROBE("recover: refused, for one who is named as lost answers");
    return refuse(ret, KVORUM_NOT_ALLOWED,
                  reason_printf(node,
                                "named as lost, and alive: %s. Next: leave out who is alive, or "
                                "switch it off for good",
                                names));
}

static kvorum_status check_voters(struct node *node, struct recover_plan *ret)
{
    if (errand_of(node)->begun.size > 0 || 2 * ret->voters_answer <= ret->base.voter_count)
        return KVORUM_OK;
    PROBE("recover: refused, for a majority of the voters answers");
    return refuse(ret, KVORUM_NOT_ALLOWED,
                  reason_printf(node,
                                "%u of the %u voters answer, which is a majority: nothing is to "
                                "be recovered. Next: kvorum cluster remove, or replace, then plan "
                                "and commit",
                                ret->voters_answer, ret->base.voter_count));
}

static kvorum_status check_left(struct node *node, struct recover_plan *ret)
{
    const char *silent = recover_names(node, is_left_and_silent);
    if (silent[0] != '\0') {
        PROBE("recover: refused, for one who is left does not answer");
        return refuse(ret, KVORUM_NOT_ALLOWED,
                      reason_printf(node,
                                    "no answer from %s, and all who are left must agree. Next: "
                                    "bring them back, or name with --lost who is lost for good",
                                    silent));
    }
    return KVORUM_OK;
}

/* What is made anew goes on from the newest epoch that anybody goes by.  What was begun goes on
 * from its own, and those who accepted it fetch none of the old line any more: were they held back,
 * and were the one who is ahead none in it, nobody could end it. */
static kvorum_status check_ahead(struct node *node, struct recover_plan *ret)
{
    const char *ahead = recover_names(node, is_ahead);
    if (ahead[0] == '\0')
        return KVORUM_OK;
    if (ret->ended && !PLANTED(RECOVERY_WAITS_FOR_THE_AHEAD)) {
        PROBE("recover: one that was begun is ended by one who is behind another");
        return KVORUM_OK;
    }
    return refuse(ret, KVORUM_UNAVAILABLE,
                  reason_printf(node,
                                "%s goes by a newer epoch than this node, which cannot fetch it. "
                                "Next: ask that one, or retry",
                                ahead));
}

/* Two lists of lost nodes that leave more than half each leave somebody in common, who follows one
 * of them.  Where fewer are left only the operator can know that the others do not do the same. */
static kvorum_status check_sides(struct node *node, struct recover_plan *ret)
{
    const struct recover_errand *errand = errand_of(node);
    unsigned owners = 0, left = 0;
    for (uint16_t i = 0; i < ret->base.member_count; i++) {
        if (!is_owner(&ret->base, i))
            continue;
        owners++;
        left += errand->left[i] && !errand->told[i].put_back;
    }
    if (ret->ended || errand->order.lost_count == 0 || 2 * left > owners ||
        errand->order.switched_off)
        return KVORUM_OK;
    PROBE("recover: refused, for others could be recovered without those who are left");
    return refuse(
        ret, KVORUM_NOT_ALLOWED,
        reason_printf(node,
                      "only %u of the %u nodes that own anything are left, so the others "
                      "could be recovered without them, or go on by themselves, and there "
                      "would be two clusters. Next: make sure that every lost node is "
                      "switched off, or wiped, for good; then --switched-off",
                      left, owners));
}

static kvorum_status check_expected(struct node *node, struct recover_plan *ret)
{
    uint64_t expected = errand_of(node)->order.expected;
    if (ret->ended || expected == 0 || expected == ret->base.number)
        return KVORUM_OK;
    PROBE("recover: refused, for the plan was made for another epoch");
    return refuse(ret, KVORUM_CONFLICT,
                  "the cluster has changed since this plan was made; look at the new one");
}

static kvorum_status check(struct node *node, struct recover_plan *ret)
{
    static kvorum_status (*const checks[])(struct node * node, struct recover_plan * ret) = {
        check_lost, check_voters, check_left, check_ahead, check_sides, check_expected
    };
    kvorum_status status = KVORUM_OK;
    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks) && status == KVORUM_OK; i++)
        status = checks[i](node, ret);
    return status;
}

static kvorum_status plan(struct node *node, struct arena *arena, struct recover_plan *ret)
{
    const struct change_options options = node_change_options(node);
    if (ret->ended)
        return KVORUM_OK;
    kvorum_status status =
        change_recover(&ret->base, errand_of(node)->lost, &options, arena, &ret->change, &ret->why);
    ret->filled = status == KVORUM_OK;
    return status;
}

void recover_judge(struct node *node, struct arena *arena, struct recover_plan *ret)
{
    *ret = (struct recover_plan){ .why = "" };
    kvorum_status status = find_base(node, arena, ret);
    if (status == KVORUM_OK)
        status = find_begun(node, arena, ret);
    find_heard(node, ret);
    count_voters(node, ret);
    if (status == KVORUM_OK)
        status = plan(node, arena, ret);
    if (status == KVORUM_OK)
        status = check(node, ret);
    ret->status = status;
    if (status != KVORUM_OK && (ret->why == NULL || ret->why[0] == '\0'))
        ret->why = kvorum_status_text(status);
}
