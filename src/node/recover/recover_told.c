/* SPDX-License-Identifier: Apache-2.0 */
/* What the others have said, as far as the judgement and the proposal need it: who answered, the
 * newest proposal that anybody has accepted, and the newest epoch that a voter has. */
#include "base/hash.h"
#include "codec/varint.h"
#include "node/internal.h"
#include "node/recover/recover.h"

/* What was said before the promises of this attempt may have changed. */
void recover_told_forget(struct recover_errand *errand, bool all)
{
    for (uint16_t i = 0; i < RING_MEMBERS_MAX; i++)
        if (all || errand->left[i])
            errand->told[i] = (struct recover_told){ 0 };
    memset(errand->accepted, 0, sizeof(errand->accepted));
    memset(errand->values, 0, sizeof(errand->values));
    errand->voted = 0;
    errand->voted_ballot = (struct ballot){ 0, 0 };
    buffer_reset(&errand->begun);
    buffer_reset(&errand->vote);
}

static void keep_newest(struct ballot ballot, struct ballot *newest, struct bytes record,
                        struct buffer *kept)
{
    if (record.size == 0 || !ballot_less(*newest, ballot))
        return;
    *newest = ballot;
    buffer_reset(kept);
    buffer_append_bytes(kept, record);
}

static void take_records(struct recover_errand *errand, uint16_t slot,
                         const Peer__RecoverAnswer *body, struct bytes begun, struct bytes voted)
{
    const struct ballot accepted = { body->other_counter, body->other_proposer };
    const struct ballot voted_ballot = { body->voted_counter, body->voted_proposer };
    struct ballot newest = recovery_newest(errand->left, errand->accepted);
    struct recover_proposal proposal;
    if (begun.size > 0 && recover_proposal_read(begun, &proposal))
        errand->values[slot] = hash64(proposal.record, 0);
    keep_newest(accepted, &newest, begun, &errand->begun);
    errand->accepted[slot] = accepted;
    if (body->voted > errand->voted) {
        errand->voted = body->voted;
        errand->voted_ballot = (struct ballot){ 0, 0 };
    }
    if (body->voted == errand->voted)
        keep_newest(voted_ballot, &errand->voted_ballot, voted, &errand->vote);
}

bool recover_told_take(struct node *node, uint16_t slot, const Peer__RecoverAnswer *body,
                       struct bytes tail)
{
    struct recover_errand *errand = &node->recover->errand;
    struct reader reader = reader_of(tail);
    struct bytes begun = read_sized(&reader, EPOCH_RECORD_MAX);
    struct bytes voted = read_sized(&reader, EPOCH_RECORD_MAX);
    const struct ballot accepted = { body->other_counter, body->other_proposer };
    if (!reader_finished(&reader) || ballot_is_none(accepted) != (begun.size == 0) ||
        (body->voted == 0) != (voted.size == 0))
        return false;
    errand->told[slot] = (struct recover_told){
        .answered = true,
        .put_back = body->put_back,
        .forgetful = body->forgetful,
        .epoch = body->epoch,
        .heard = body->heard,
        .life = body->life,
    };
    if (errand->left[slot])
        take_records(errand, slot, body, begun, voted);
    return true;
}
