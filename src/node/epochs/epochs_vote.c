/* SPDX-License-Identifier: Apache-2.0 */
/* This data directory as a voter: cluster/epoch/acceptor.h over the file `votes`.
 *
 *      offset size
 *       0     4    magic "KVV1" (the format version is its last byte)
 *       4     8    number of the epoch that is being decided
 *      12    16    promised ballot: counter, proposer
 *      28    16    accepted ballot; zeros: none
 *      44          accepted epoch record, sized
 *      end-8  8    XXH3-64 of all before
 *
 * The file is replaced whole and synced before anything in it is answered. */
#include "base/hash.h"
#include "base/planted.h"
#include "codec/protobuf.h"
#include "codec/varint.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"
#include "node/members/lives.h"
#include "node/recover/recover.h"
#include "node/small_file.h"

static const char votes_file[] = "votes", votes_temporary[] = "votes.new";
static const uint8_t votes_magic[4] = { 'K', 'V', 'V', '1' };

enum { VOTE_PROMISE = 1, VOTE_ACCEPTED, VOTE_REFUSED };

/* --- the file ------------------------------------------------------------------------------- */

kvorum_status votes_write(struct disk *disk, struct bytes bytes)
{
    return small_file_replace(disk, votes_file, votes_temporary, bytes);
}

static void write_ballot(struct buffer *buffer, struct ballot ballot)
{
    write_u64(buffer, ballot.counter);
    write_u64(buffer, ballot.proposer);
}

static struct ballot read_ballot(struct reader *reader)
{
    uint64_t counter = read_u64(reader);
    return (struct ballot){ counter, read_u64(reader) };
}

void votes_encode(const uint8_t magic[VOTES_MAGIC_SIZE], const struct acceptor *acceptor,
                  struct bytes record, struct buffer *buffer)
{
    buffer_append(buffer, magic, VOTES_MAGIC_SIZE);
    write_u64(buffer, acceptor->number);
    write_ballot(buffer, acceptor->promised);
    write_ballot(buffer, acceptor->accepted);
    write_sized(buffer, ballot_is_none(acceptor->accepted) ? (struct bytes){ 0 } : record);
    if (!buffer->failed)
        write_u64(buffer, hash64(buffer_bytes(buffer), 0));
}

kvorum_status votes_decode(const uint8_t magic[VOTES_MAGIC_SIZE], struct bytes bytes,
                           struct acceptor *ret, struct bytes *ret_record)
{
    if (bytes.size < VOTES_MAGIC_SIZE + 8 || memcmp(bytes.data, magic, 3) != 0)
        return KVORUM_CORRUPT;
    if (bytes.data[3] != magic[3])
        return bytes.data[3] > magic[3] ? KVORUM_NEWER_FORMAT : KVORUM_CORRUPT;
    struct bytes content = { bytes.data, bytes.size - 8 };
    struct reader sum = reader_of(bytes_from(bytes, content.size));
    if (read_u64(&sum) != hash64(content, 0))
        return KVORUM_CORRUPT;
    struct reader reader = reader_of(bytes_from(content, VOTES_MAGIC_SIZE));
    *ret = (struct acceptor){ .number = read_u64(&reader) };
    ret->promised = read_ballot(&reader);
    ret->accepted = read_ballot(&reader);
    *ret_record = read_sized(&reader, EPOCH_RECORD_MAX);
    bool accepted = !ballot_is_none(ret->accepted);
    ret->value = accepted ? hash64(*ret_record, 0) : 0;
    return reader_finished(&reader) && accepted == (ret_record->size > 0) &&
                   !ballot_less(ret->promised, ret->accepted)
               ? KVORUM_OK
               : KVORUM_CORRUPT;
}

kvorum_status votes_load(struct node *node)
{
    struct epochs *epochs = node->epochs;
    struct acceptor saved;
    struct bytes record;
    struct buffer buffer;
    buffer_init(&buffer, 2 * EPOCH_RECORD_MAX);
    kvorum_status status = small_file_read(node->config.disk, votes_file, &buffer);
    bool there = status == KVORUM_OK;
    if (there)
        status = votes_decode(votes_magic, buffer_bytes(&buffer), &saved, &record);
    if (status == KVORUM_OK && there) {
        acceptor_load(&epochs->acceptor, node->config.epoch->number, &saved);
        buffer_append_bytes(&epochs->accepted, record);
        finish_on_accepted(node);
    } else if (status != KVORUM_NOT_FOUND) {
        log_error(node->config.log,
                  "the file `votes` cannot be read, so this node no longer knows what it promised; "
                  "start it with a new data directory, and remove the old one from the cluster",
                  LOG_STATUS(status));
    }
    buffer_done(&buffer);
    return status == KVORUM_NOT_FOUND ? KVORUM_OK : status;
}

/* --- answering ------------------------------------------------------------------------------ */

static void send_vote(struct node *node, struct net_address to, uint32_t answer,
                      struct ballot ballot, struct ballot other, struct bytes record)
{
    Peer__EpochVote vote = PEER__EPOCH_VOTE__INIT;
    vote.number = node->epochs->acceptor.number;
    vote.counter = ballot.counter;
    vote.proposer = ballot.proposer;
    vote.answer = answer;
    vote.other_counter = other.counter;
    vote.other_proposer = other.proposer;
    node->counters.epoch_votes++;
    node_send(node, to, MESSAGE_EPOCH_VOTE, 0, node_pack(node, &vote.base), record);
}

static void carry_out(struct node *node, struct net_address to,
                      const struct acceptor_effects *effects)
{
    const struct epochs *epochs = node->epochs;
    const struct acceptor *acceptor = &epochs->acceptor;
    struct ballot none = { 0, 0 };
    struct bytes nothing = { 0 };
    bool accepted = !ballot_is_none(acceptor->accepted);
    switch (effects->answer) {
    case ACCEPTOR_NO_ANSWER:
        break;
    case ACCEPTOR_PROMISE:
        send_vote(node, to, VOTE_PROMISE, effects->ballot, acceptor->accepted,
                  accepted ? buffer_bytes(&epochs->accepted) : nothing);
        break;
    case ACCEPTOR_ACCEPTED:
        send_vote(node, to, VOTE_ACCEPTED, effects->ballot, none, nothing);
        break;
    case ACCEPTOR_REFUSE:
        send_vote(node, to, VOTE_REFUSED, effects->ballot, acceptor->promised, nothing);
        break;
    case ACCEPTOR_OLD:
        epochs_send_record(node, to);
        break;
    case ACCEPTOR_NEW:
        break; /* we have heard of it by the epoch of the message */
    }
}

static void save(struct node *node, struct net_address to)
{
    struct epochs *epochs = node->epochs;
    struct epoch_save *save = epochs->votes_save;
    epochs->asker = to;
    buffer_reset(&save->bytes);
    votes_encode(votes_magic, &epochs->acceptor, buffer_bytes(&epochs->accepted), &save->bytes);
    if (save->bytes.failed)
        votes_on_saved(node, KVORUM_NO_MEMORY);
    else
        epochs_save(node, save);
}

void votes_on_saved(struct node *node, kvorum_status status)
{
    struct acceptor_effects effects;
    const struct acceptor_event event = { .kind = status == KVORUM_OK ? ACCEPTOR_SAVED
                                                                      : ACCEPTOR_FAILED };
    acceptor_step(&node->epochs->acceptor, &event, &effects);
    carry_out(node, node->epochs->asker, &effects);
}

void votes_on_adopted(struct node *node)
{
    struct acceptor_effects effects;
    const struct acceptor_event event = { .kind = ACCEPTOR_DECIDED,
                                          .number = node->config.epoch->number };
    acceptor_step(&node->epochs->acceptor, &event, &effects);
    finish_on_adopted(node);
}

/* --- being asked ---------------------------------------------------------------------------- */

static bool may_vote(const struct node *node, uint64_t number)
{
    return epochs_voter_of(node->config.epoch, node->config.self) >= 0 &&
           lives_may_vote(node, number) && !recover_fences(node, number);
}

/* What is accepted may be decided, and must then be an epoch that everybody can read. */
static bool is_good_record(struct node *node, struct bytes record, uint64_t number)
{
    struct epoch epoch;
    return epoch_decode(record, &node->scratch, &epoch) == KVORUM_OK && epoch.number == number &&
           memcmp(&epoch.cluster, &node->config.epoch->cluster, NODE_ID_SIZE) == 0;
}

void epochs_on_ballot(struct node *node, struct net_address from, const struct message *message)
{
    struct epochs *epochs = node->epochs;
    const Peer__EpochBallot *ballot =
        node_unpack(node, &peer__epoch_ballot__descriptor, message->body);
    bool accept = message->kind == MESSAGE_EPOCH_ACCEPT;
    if (ballot == NULL || (accept && !is_good_record(node, message->tail, ballot->number))) {
        node->counters.messages_bad++;
        return;
    }
    if (epochs->votes_save == NULL || epochs->votes_save->busy)
        return; /* it asks again */
    if (ballot->number == epochs->acceptor.number && !may_vote(node, ballot->number))
        return; /* it asks again */
    const struct acceptor_event event = {
        .kind = accept ? ACCEPTOR_ACCEPT : ACCEPTOR_PREPARE,
        .number = ballot->number,
        .ballot = { ballot->counter, ballot->proposer },
        .value = accept ? hash64(message->tail, 0) : 0,
    };
    struct acceptor_effects effects;
    acceptor_step(&epochs->acceptor, &event, &effects);
    if (effects.save && accept) {
        buffer_reset(&epochs->accepted);
        buffer_append_bytes(&epochs->accepted, message->tail);
        finish_on_accepted(node);
    }
    if (effects.save && PLANTED(VOTE_BEFORE_DISK)) {
        epochs->asker = from;
        votes_on_saved(node, KVORUM_OK);
    } else if (effects.save)
        save(node, from);
    else
        carry_out(node, from, &effects);
}
