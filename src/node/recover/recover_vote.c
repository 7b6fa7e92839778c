/* SPDX-License-Identifier: Apache-2.0 */
/* A member as one who is asked: what it has, what it promises and accepts of the next line.
 *
 * Who accepted a recovery votes for no epoch of the line before, and adopts none: whatever is still
 * decided there is decided without it.  So what it accepts must go on from all that it knows: the
 * epoch that it goes by, and the one that it accepted as a voter, which may be decided. */
#include "base/hash.h"
#include "base/planted.h"
#include "codec/varint.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"
#include "node/members/lives.h"
#include "node/recover/recover.h"
#include "node/small_file.h"

static const char recovery_file[] = "recovery", recovery_temporary[] = "recovery.new";
static const uint8_t recovery_magic[VOTES_MAGIC_SIZE] = { 'K', 'V', 'R', '1' };

/* --- proposals ------------------------------------------------------------------------------ */

void recover_proposal_write(const bool *needed, struct bytes record, struct buffer *buffer)
{
    uint16_t count = 0;
    for (uint16_t i = 0; i < RING_MEMBERS_MAX; i++)
        count = (uint16_t)(count + needed[i]);
    write_u16(buffer, count);
    for (uint16_t i = 0; i < RING_MEMBERS_MAX; i++)
        if (needed[i])
            write_u16(buffer, i);
    buffer_append_bytes(buffer, record);
}

bool recover_proposal_read(struct bytes bytes, struct recover_proposal *ret)
{
    struct reader reader = reader_of(bytes);
    uint16_t count = read_u16(&reader);
    *ret = (struct recover_proposal){ 0 };
    for (uint16_t i = 0; i < count && !reader.failed; i++) {
        uint16_t slot = read_u16(&reader);
        if (slot >= RING_MEMBERS_MAX)
            return false;
        ret->needed[slot] = true;
    }
    ret->record = reader.rest;
    return !reader.failed && reader.rest.size > 0;
}

/* --- the file ------------------------------------------------------------------------------- */

kvorum_status recover_vote_write(struct disk *disk, struct bytes bytes)
{
    return small_file_replace(disk, recovery_file, recovery_temporary, bytes);
}

kvorum_status recover_vote_load(struct node *node)
{
    struct recover *recover = node->recover;
    struct acceptor saved;
    struct bytes record = { 0 };
    struct buffer buffer;
    buffer_init(&buffer, 2 * EPOCH_RECORD_MAX);
    kvorum_status status = small_file_read(node->config.disk, recovery_file, &buffer);
    if (status == KVORUM_OK) {
        status = votes_decode(recovery_magic, buffer_bytes(&buffer), &saved, &record);
        if (status == KVORUM_OK) {
            acceptor_load(&recover->acceptor, ring_line(node->config.epoch->number), &saved);
            buffer_append_bytes(&recover->accepted, record);
        }
        bool fenced = status == KVORUM_OK && recover_fences(node, node->config.epoch->number);
        if (fenced)
            PROBE("recover: a member started with an acceptance of what was not ended");
        if (fenced)
            log_warn(node->config.log,
                     "a recovery from lost voters was begun and is not ended: this node has no "
                     "part in other changes of the cluster",
                     LOG_TEXT("next", "kvorum cluster recover, as before"));
    }
    buffer_done(&buffer);
    if (status == KVORUM_OK || status == KVORUM_NOT_FOUND)
        return KVORUM_OK;
    log_error(node->config.log,
              "the file `recovery` cannot be read, so this node no longer knows what it accepted; "
              "start it with a new data directory, and name the old one as lost, or remove it",
              LOG_STATUS(status));
    return status;
}

/* --- answering ------------------------------------------------------------------------------ */

static void fill(const struct node *node, struct ballot ballot, Peer__RecoverAnswer *ret)
{
    *ret = (Peer__RecoverAnswer)PEER__RECOVER_ANSWER__INIT;
    ret->counter = ballot.counter;
    ret->proposer = ballot.proposer;
    ret->epoch = node->config.epoch->number;
    ret->heard = node->epochs->heard;
    ret->put_back = lives_has_forgotten(node);
    ret->forgetful = lives_has_forgotten_line(node);
    ret->life = lives_number(node);
}

/* With what this member accepted, of the line and of the next epoch. */
static void tell(struct node *node, struct net_address to, uint64_t request_id,
                 Peer__RecoverAnswer *answer)
{
    const struct acceptor *line = &node->recover->acceptor;
    const struct acceptor *next = &node->epochs->acceptor;
    struct bytes begun = { 0 }, voted = { 0 };
    answer->other_counter = line->accepted.counter;
    answer->other_proposer = line->accepted.proposer;
    if (!ballot_is_none(line->accepted))
        begun = buffer_bytes(&node->recover->accepted);
    if (!ballot_is_none(next->accepted)) {
        answer->voted = next->number;
        answer->voted_counter = next->accepted.counter;
        answer->voted_proposer = next->accepted.proposer;
        voted = buffer_bytes(&node->epochs->accepted);
    }
    buffer_reset(&node->encoding);
    write_sized(&node->encoding, begun);
    write_sized(&node->encoding, voted);
    if (!node->encoding.failed)
        node_send(node, to, MESSAGE_RECOVER_ANSWER, request_id, node_pack(node, &answer->base),
                  buffer_bytes(&node->encoding));
}

static void say(struct node *node, struct net_address to, enum recover_ask ask,
                kvorum_status status, struct ballot ballot, struct ballot other)
{
    Peer__RecoverAnswer answer;
    fill(node, ballot, &answer);
    answer.ask = ask;
    answer.status = status;
    answer.other_counter = other.counter;
    answer.other_proposer = other.proposer;
    node_send(node, to, MESSAGE_RECOVER_ANSWER, 0, node_pack(node, &answer.base),
              (struct bytes){ 0 });
}

static void carry_out(struct node *node, struct net_address to, enum recover_ask ask,
                      const struct acceptor_effects *effects)
{
    Peer__RecoverAnswer answer;
    switch (effects->answer) {
    case ACCEPTOR_NO_ANSWER:
    case ACCEPTOR_NEW:
        break; /* it has not heard yet of the epoch whose line is over */
    case ACCEPTOR_OLD:
        PROBE("recover: who asked was told that the line has begun");
        epochs_send_record(node, to);
        break;
    case ACCEPTOR_REFUSE:
        PROBE("recover: a member had promised a newer ballot");
        say(node, to, ask, KVORUM_CONFLICT, effects->ballot, node->recover->acceptor.promised);
        break;
    case ACCEPTOR_PROMISE:
        node->recover->told_number = node->epochs->acceptor.number;
        node->recover->told = node->epochs->acceptor.accepted;
        fill(node, effects->ballot, &answer);
        answer.ask = RECOVER_ASK_PREPARE;
        tell(node, to, 0, &answer);
        break;
    case ACCEPTOR_ACCEPTED:
        say(node, to, RECOVER_ASK_ACCEPT, KVORUM_OK, effects->ballot, (struct ballot){ 0, 0 });
        break;
    }
}

void recover_vote_saved(struct node *node, kvorum_status status)
{
    struct recover *recover = node->recover;
    struct acceptor_effects effects;
    const struct acceptor_event event = { .kind = status == KVORUM_OK ? ACCEPTOR_SAVED
                                                                      : ACCEPTOR_FAILED };
    acceptor_step(&recover->acceptor, &event, &effects);
    carry_out(node, recover->asker, recover->asked, &effects);
}

static void save(struct node *node, struct net_address to, enum recover_ask ask)
{
    struct recover *recover = node->recover;
    recover->asker = to;
    recover->asked = ask;
    buffer_reset(&recover->save->bytes);
    votes_encode(recovery_magic, &recover->acceptor, buffer_bytes(&recover->accepted),
                 &recover->save->bytes);
    if (recover->save->bytes.failed)
        recover_vote_saved(node, KVORUM_NO_MEMORY);
    else
        epochs_save(node, recover->save);
}

static void vote(struct node *node, struct net_address from, enum recover_ask ask,
                 const struct acceptor_event *event, struct bytes record)
{
    struct recover *recover = node->recover;
    struct acceptor_effects effects;
    acceptor_step(&recover->acceptor, event, &effects);
    if (effects.save && event->kind == ACCEPTOR_ACCEPT) {
        PROBE("recover: a member accepted the beginning of a new line");
        buffer_reset(&recover->accepted);
        buffer_append_bytes(&recover->accepted, record);
    }
    if (effects.save)
        save(node, from, ask);
    else
        carry_out(node, from, ask, &effects);
}

/* --- being asked ---------------------------------------------------------------------------- */

/* Nothing is about to change what it would say.  Who has accepted a recovery adopts no epoch of the
 * old line any more, decided or not: voters who came back may still agree to what it proposed. */
static bool is_settled(const struct node *node)
{
    const struct epochs *epochs = node->epochs;
    bool adopts = wishes_decided(node) && !recover_fences(node, node->config.epoch->number);
    return !epochs->record_save->busy && !epochs->votes_save->busy && !adopts &&
           !node->recover->save->busy;
}

void recover_vote_on_look(struct node *node, struct net_address from, const struct message *message)
{
    Peer__RecoverAnswer answer;
    fill(node, (struct ballot){ 0, 0 }, &answer);
    answer.ask = RECOVER_ASK_LOOK;
    tell(node, from, message->request_id, &answer);
}

/* Who was put back may have forgotten that it accepted; the others that are asked tell it so, and
 * remember the life that promises now. */
static bool knows_itself(const struct node *node, const Peer__Recover *body)
{
    for (size_t i = 0; i < body->n_left; i++)
        if (body->left[i] >= RING_MEMBERS_MAX ||
            !lives_is_remembered_by(node, (uint16_t)body->left[i]))
            return false;
    return true;
}

void recover_vote_on_prepare(struct node *node, struct net_address from,
                             const struct message *message, const Peer__Recover *body)
{
    const struct acceptor_event event = { .kind = ACCEPTOR_PREPARE,
                                          .number = body->line,
                                          .ballot = { body->counter, body->proposer } };
    (void)message;
    if (!is_settled(node)) {
        PROBE("recover: a member was asked for a promise while something else was under way");
        return; /* it asks again */
    }
    if (body->line == node->recover->acceptor.number && !knows_itself(node, body)) {
        PROBE("recover: a member did not know yet whether its disk was put back");
        say(node, from, RECOVER_ASK_PREPARE, KVORUM_NOT_READY, event.ballot,
            (struct ballot){ 0, 0 });
    } else
        vote(node, from, RECOVER_ASK_PREPARE, &event, (struct bytes){ 0 });
}

/* All that may be decided, as far as is known here, is behind it; or this member is none in it. */
static bool goes_on_from_all(const struct node *node, const struct epoch *epoch)
{
    const struct acceptor *next = &node->epochs->acceptor;
    const struct node_id *self = &node->config.epoch->members[node->config.self].id;
    const struct recover *recover = node->recover;
    uint64_t base = epoch->number - RING_LINE - 1;
    if (ring_member_index(epoch, self) == RING_NO_MEMBER)
        return true;
    bool none = ballot_is_none(next->accepted) || PLANTED(RECOVERY_IGNORES_VOTES);
    bool told = next->number == recover->told_number && ballot_equal(next->accepted, recover->told);
    return node->config.epoch->number <= base && (none || (next->number <= base && told));
}

/* The promises that it rests on were made in the newest lives of which this member knows.  A disk
 * that was put back may lack what a former life promised, so that nobody keeps it; and this member
 * remembered the new life before that could promise anything else. */
static bool rests_on_these_lives(const struct node *node, const Peer__Recover *body,
                                 const struct epoch *epoch)
{
    for (size_t i = 0; i < body->n_left; i++) {
        uint32_t slot = body->left[i];
        if (slot >= epoch->member_count)
            return false;
        bool own = slot == node->config.self;
        uint64_t known = own ? lives_number(node) : lives_number_of(node, &epoch->members[slot].id);
        if (own ? known != body->lives[i] : known > body->lives[i])
            return false;
    }
    return true;
}

static bool read_record(struct node *node, struct bytes record, uint64_t line, struct epoch *ret)
{
    return epoch_decode(record, &node->scratch, ret) == KVORUM_OK &&
           memcmp(&ret->cluster, &node->config.epoch->cluster, NODE_ID_SIZE) == 0 &&
           ring_line(ret->number) == line && line > 0 && ret->number > RING_LINE + 1;
}

void recover_vote_on_accept(struct node *node, struct net_address from,
                            const struct message *message, const Peer__Recover *body)
{
    struct epoch epoch;
    const struct acceptor_event event = { .kind = ACCEPTOR_ACCEPT,
                                          .number = body->line,
                                          .ballot = { body->counter, body->proposer },
                                          .value = hash64(message->tail, 0) };
    struct recover_proposal proposal;
    if (body->n_left != body->n_lives || !recover_proposal_read(message->tail, &proposal) ||
        !read_record(node, proposal.record, body->line, &epoch)) {
        node->counters.messages_bad++;
        return;
    }
    if (!is_settled(node))
        return; /* it asks again */
    bool open = body->line == node->recover->acceptor.number;
    bool repeated = ballot_equal(node->recover->acceptor.accepted, event.ballot);
    if (open && !repeated && !rests_on_these_lives(node, body, &epoch)) {
        PROBE("recover: what was proposed rests on promises of former lives");
        say(node, from, RECOVER_ASK_ACCEPT, KVORUM_CONFLICT, event.ballot, (struct ballot){ 0, 0 });
        return;
    }
    if (open && !goes_on_from_all(node, &epoch)) {
        PROBE("recover: what was proposed did not go on from all that a member knew");
        say(node, from, RECOVER_ASK_ACCEPT, KVORUM_CONFLICT, event.ballot, (struct ballot){ 0, 0 });
        return;
    }
    vote(node, from, RECOVER_ASK_ACCEPT, &event, message->tail);
}

bool recover_fences(const struct node *node, uint64_t number)
{
    const struct recover *recover = node->recover;
    bool fences = recover != NULL && !ballot_is_none(recover->acceptor.accepted) &&
                  ring_line(number) < recover->acceptor.number && !PLANTED(RECOVERY_UNFENCED);
    if (fences)
        PROBE("recover: a member that accepted a new line has no part in the one before");
    return fences;
}
