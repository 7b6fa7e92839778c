/* SPDX-License-Identifier: Apache-2.0 */
/* The look at everybody, also at those who are named as lost: from the first question to a
 * judgement by what was told until then. */
#include "node/internal.h"
#include "node/recover/recover.h"

static struct recover_errand *errand_of(const struct node *node)
{
    return &node->recover->errand;
}

bool recover_is_member(const struct node *node, uint16_t slot)
{
    const struct epoch *epoch = node->config.epoch;
    return slot < epoch->member_count && epoch->members[slot].state != MEMBER_GONE;
}

/* By the epoch in force.  False: a name is none's, and the errand is over. */
static bool find_members(struct node *node)
{
    struct recover_errand *errand = errand_of(node);
    const struct epoch *epoch = node->config.epoch;
    memset(errand->lost, 0, sizeof(errand->lost));
    memset(errand->left, 0, sizeof(errand->left));
    for (uint16_t k = 0; k < errand->order.lost_count; k++) {
        bool found = false;
        for (uint16_t i = 0; i < epoch->member_count; i++)
            if (recover_is_member(node, i) &&
                strcmp(epoch->members[i].name, errand->order.lost[k]) == 0)
                found = errand->lost[i] = true;
        if (found)
            continue;
        recover_end(
            node, KVORUM_NOT_FOUND,
            reason_printf(node, "no node of this cluster is named %.80s", errand->order.lost[k]));
        return false;
    }
    for (uint16_t i = 0; i < epoch->member_count; i++)
        errand->left[i] = recover_is_member(node, i) && !errand->lost[i];
    return true;
}

static void look_again(struct node *node)
{
    struct recover_errand *errand = errand_of(node);
    errand->resend_us = node->now_us + RECOVERY_RESEND_US;
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++)
        if (recover_is_member(node, i) && !errand->told[i].answered)
            recover_send(node, i, RECOVER_ASK_LOOK, (struct bytes){ 0 });
}

void recover_look(struct node *node)
{
    struct recover_errand *errand = errand_of(node);
    recover_step(node, (struct recovery_event){ .kind = RECOVERY_STOP });
    errand->looking = true;
    errand->line = ring_line(node->config.epoch->number) + 1;
    errand->round = random_next(&node->random) | 1;
    errand->look_us = node->now_us;
    recover_told_forget(errand, true);
    buffer_reset(&errand->record);
    if (find_members(node))
        look_again(node);
}

/* Those who are named as lost get some time to show that they are not. */
static bool has_looked(const struct node *node)
{
    const struct recover_errand *errand = errand_of(node);
    bool all_left = true, all = true;
    for (uint16_t i = 0; i < RING_MEMBERS_MAX; i++) {
        bool told = errand->told[i].answered;
        if (told && errand->told[i].epoch > node->config.epoch->number)
            return node->now_us >= errand->begun_us + RECOVER_LOOK_MOST_US; /* it is on its way */
        all_left &= told || !errand->left[i];
        all &= told || !(errand->left[i] || errand->lost[i]);
    }
    uint64_t patience_us = all_left ? RECOVER_LOOK_LEAST_US : RECOVER_LOOK_MOST_US;
    return all || node->now_us >= errand->look_us + patience_us;
}

static void end_look(struct node *node)
{
    struct recover_errand *errand = errand_of(node);
    struct recover_plan plan;
    struct arena arena;
    if (!errand->looking || !has_looked(node))
        return;
    arena_init(&arena, SCRATCH_LIMIT);
    recover_judge(node, &arena, &plan);
    errand->looking = false;
    errand->resend_us = UINT64_MAX;
    if (plan.status != KVORUM_OK || !errand->order.does)
        recover_end_judged(node, &plan);
    else
        recover_step(node,
                     (struct recovery_event){ .kind = RECOVERY_START, .members = errand->left });
    arena_done(&arena);
}

void recover_look_tick(struct node *node)
{
    struct recover_errand *errand = errand_of(node);
    if (errand->looking && node->now_us >= errand->resend_us)
        look_again(node);
    end_look(node);
}

void recover_look_on_answer(struct node *node, uint16_t slot, const struct message *message,
                            const Peer__RecoverAnswer *body)
{
    const struct recover_errand *errand = errand_of(node);
    if (errand->looking && message->request_id == errand->round && !errand->told[slot].answered &&
        !recover_told_take(node, slot, body, message->tail))
        node->counters.messages_bad++;
    end_look(node);
}
