/* SPDX-License-Identifier: Apache-2.0 */
/* The side that asks: this life, and what the other members say of it. */
#include "node/members/lives.h"

#include "base/planted.h"
#include "codec/protobuf.h"
#include "node/internal.h"
#include "node/members/lives_book.h"

/* Numbers of lives end here; one more still fits. */
#define LIFE_NUMBER_MAX (UINT64_C(1) << 62)

/** What one member has said, valid for the member with this id. */
struct lives_peer {
    struct node_id id;
    bool answered, remembers;
};

struct lives {
    struct heap_item timer;
    struct node_life life;
    uint64_t begun_us;
    uint64_t retry_us; /* from LIVES_SOON_US, where links are being made, to LIVES_RETRY_US */
    struct lives_peer *peers; /* by slot, RING_MEMBERS_MAX */
    bool put_back;            /* some member remembers a life that this one does not follow */
    bool resolved;            /* enough have answered for votes; stays so */
    struct lives_book book;   /* of the others' lives */
};

/* --- members -------------------------------------------------------------------------------- */

static bool is_other(const struct node *node, uint16_t slot)
{
    const struct epoch *epoch = node->config.epoch;
    return slot < epoch->member_count && slot != node->config.self &&
           epoch->members[slot].state != MEMBER_GONE;
}

/* Slots may be given to others. */
static struct lives_peer *peer_of(const struct node *node, uint16_t slot)
{
    struct lives_peer *peer = &node->lives->peers[slot];
    const struct node_id *id = &node->config.epoch->members[slot].id;
    if (!node_id_equal(&peer->id, id))
        *peer = (struct lives_peer){ .id = *id };
    return peer;
}

static bool all_have(const struct node *node, bool (*has)(const struct node *node, uint16_t slot))
{
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++)
        if (is_other(node, i) && !has(node, i))
            return false;
    return true;
}

static bool has_answered(const struct node *node, uint16_t slot)
{
    return peer_of(node, slot)->answered;
}

static bool has_remembered(const struct node *node, uint16_t slot)
{
    return peer_of(node, slot)->remembers;
}

static bool has_answered_or_is_dead(const struct node *node, uint16_t slot)
{
    return has_answered(node, slot) || node->peers[slot].state == LIVENESS_DEAD;
}

/* --- the actor ------------------------------------------------------------------------------ */

static void tell_shards(struct node *node, uint64_t actor)
{
    Peer__Life life = PEER__LIFE__INIT;
    life.actor = actor;
    for (uint16_t shard = 1; shard < node->config.shard_count; shard++)
        node_send(node, (struct net_address){ node->config.self, shard }, MESSAGE_LIFE, 0,
                  node_pack(node, &life.base), (struct bytes){ 0 }); /* else it keeps its own */
}

static void take_up_actor(struct node *node)
{
    uint64_t actor = node->config.actor_inherited;
    bool asked = ring_present_count(node->config.epoch) > 1 && all_have(node, has_remembered) &&
                 !node->lives->put_back;
    if (actor == 0 || !(asked || PLANTED(ACTOR_UNASKED)))
        return;
    PROBE("lives: the actor of the life before was taken up");
    node->config.actor_inherited = 0;
    node->config.actor = actor;
    tell_shards(node, actor);
}

/* --- the votes ------------------------------------------------------------------------------ */

static bool majority_has_answered(const struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    unsigned count = 0;
    for (uint8_t i = 0; i < epoch->voter_count; i++) {
        uint16_t voter = epoch->voters[i];
        count += voter == node->config.self || (is_other(node, voter) && has_answered(node, voter));
    }
    return 2 * count > epoch->voter_count;
}

static void resolve(struct node *node)
{
    struct lives *lives = node->lives;
    bool patient = node->now_us < lives->begun_us + LIVES_PATIENCE_US;
    if (!lives->resolved && majority_has_answered(node) &&
        (!patient || all_have(node, has_answered_or_is_dead)))
        lives->resolved = true;
    take_up_actor(node);
}

/* Who alone decides has nobody to vote in its place: it goes on once it has the newest epoch. */
bool lives_may_vote(const struct node *node, uint64_t number)
{
    const struct lives *lives = node->lives;
    if (lives == NULL || PLANTED(VOTER_REBORN))
        return true;
    bool alone = node->config.epoch->voter_count == 1;
    return lives->resolved && number + alone >= lives->life.votes_from;
}

bool lives_has_forgotten(const struct node *node)
{
    const struct epoch *epoch = node->config.epoch;
    bool alone = epoch->voter_count == 1;
    return node->lives != NULL && epoch->number + 1 + alone < node->lives->life.votes_from;
}

bool lives_has_forgotten_line(const struct node *node)
{
    if (node->lives == NULL || node->lives->life.votes_from == 0)
        return false;
    return ring_line(node->lives->life.votes_from) >= ring_line(node->config.epoch->number);
}

bool lives_is_remembered_by(const struct node *node, uint16_t slot)
{
    return node->lives == NULL || slot == node->config.self ||
           (is_other(node, slot) && has_remembered(node, slot));
}

uint64_t lives_number(const struct node *node)
{
    return node->lives == NULL ? 0 : node->lives->life.number;
}

uint64_t lives_number_of(const struct node *node, const struct node_id *id)
{
    return node->lives == NULL ? 0 : lives_book_number(&node->lives->book, id);
}

/* --- asking --------------------------------------------------------------------------------- */

static void ask(struct node *node, uint16_t slot)
{
    struct lives *lives = node->lives;
    const struct member *self = &node->config.epoch->members[node->config.self];
    Peer__Life life = PEER__LIFE__INIT;
    life.node = protobuf_data(bytes_make(self->id.bytes, NODE_ID_SIZE));
    life.number = lives->life.number;
    life.history = lives->life.history;
    life.n_history = lives->life.history_count;
    node_send(node, (struct net_address){ slot, 0 }, MESSAGE_LIFE, 0, node_pack(node, &life.base),
              (struct bytes){ 0 });
}

static void arm(struct node *node)
{
    struct lives *lives = node->lives;
    heap_remove(&node->timers, &lives->timer);
    if (!lives->resolved || !all_have(node, has_answered))
        (void)heap_insert(&node->timers, &lives->timer, node->now_us + lives->retry_us);
}

static void ask_all(struct node *node)
{
    for (uint16_t i = 0; i < node->config.epoch->member_count; i++)
        if (is_other(node, i) && !has_answered_or_is_dead(node, i))
            ask(node, i);
    arm(node);
}

void lives_tick(struct node *node)
{
    struct lives *lives = node->lives;
    resolve(node);
    lives->retry_us = 2 * lives->retry_us < LIVES_RETRY_US ? 2 * lives->retry_us : LIVES_RETRY_US;
    ask_all(node);
}

void lives_on_members(struct node *node)
{
    if (node->lives != NULL)
        lives_tick(node);
}

/* --- answers -------------------------------------------------------------------------------- */

static bool save_life(struct node *node, const struct node_life *life)
{
    const struct node_config *config = &node->config;
    if (config->save_life == NULL || !config->save_life(config->liveness_context, life))
        return false;
    node->lives->life = *life;
    return true;
}

/* What was forgotten may be a promise about the epoch behind any that somebody has. */
static uint64_t votes_from(const struct node *node, uint64_t epoch)
{
    uint64_t newest = node->config.epoch->number;
    return (epoch > newest ? epoch : newest) + 2;
}

static void renew(struct node *node, uint16_t slot, struct life_mark known, uint64_t epoch)
{
    struct lives *lives = node->lives;
    struct node_life life = lives->life;
    uint64_t from = votes_from(node, epoch);
    life_renew(&life, known);
    life.votes_from = from > life.votes_from ? from : life.votes_from;
    if (!save_life(node, &life)) {
        log_error(node->config.log, "the file `identity` cannot be written; it is tried again");
        return;
    }
    PROBE("lives: a directory that was put back found out");
    if (!lives->put_back)
        log_warn(node->config.log,
                 "this data directory is an older copy of itself: what it had acknowledged since "
                 "then is lost here; it goes on as another actor, other replicas mend it",
                 LOG_TEXT("told_by", node->config.epoch->members[slot].name),
                 LOG_U64("remembered_life", known.number), LOG_U64("votes_from", life.votes_from));
    lives->put_back = true;
    lives->resolved = false;
    gossip_step(node, SWIM_PUT_BACK, node->config.self);
    memset(lives->peers, 0, RING_MEMBERS_MAX * sizeof(*lives->peers));
    ask_all(node);
}

static void raise_votes(struct node *node, uint64_t epoch)
{
    struct node_life life = node->lives->life;
    uint64_t from = votes_from(node, epoch);
    if (!node->lives->put_back || node->lives->resolved || from <= life.votes_from)
        return;
    life.votes_from = from;
    (void)save_life(node, &life);
}

static void on_answer(struct node *node, uint16_t slot, const Peer__LifeAnswer *answer,
                      uint64_t epoch)
{
    struct lives_peer *peer = peer_of(node, slot);
    struct life_mark known = { answer->known_number, answer->known_id };
    if (!answer->follows) {
        if (known.number < LIFE_NUMBER_MAX && !life_follows(&node->lives->life, known))
            renew(node, slot, known, epoch);
        return;
    }
    peer->answered = true;
    peer->remembers = answer->remembered;
    raise_votes(node, epoch);
    resolve(node);
    arm(node);
}

void lives_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    struct lives *lives = node->lives;
    const Peer__LifeAnswer *answer =
        node_unpack(node, &peer__life_answer__descriptor, message->body);
    if (answer == NULL || lives == NULL || !is_other(node, from.member))
        node->counters.messages_bad++;
    else if (answer->number == lives->life.number && answer->id == lives->life.history[0])
        on_answer(node, from.member, answer, message->epoch);
}

/* --- questions ------------------------------------------------------------------------------ */

static bool read_life(const Peer__Life *from, struct node_life *ret)
{
    *ret = (struct node_life){ .number = from->number, .history_count = (uint8_t)from->n_history };
    if (from->number == 0 || from->number > LIFE_NUMBER_MAX || from->n_history == 0 ||
        from->n_history > LIFE_HISTORY_MAX || from->node.len != NODE_ID_SIZE)
        return false;
    memcpy(ret->history, from->history, from->n_history * sizeof(ret->history[0]));
    return true;
}

void lives_on_question(struct node *node, struct net_address from, const struct message *message)
{
    const Peer__Life *question = node_unpack(node, &peer__life__descriptor, message->body);
    struct node_life life;
    if (question != NULL && from.member == node->config.self && from.shard == 0) {
        node->config.actor = question->actor;
        return;
    }
    if (question == NULL || node->lives == NULL || !is_other(node, from.member) ||
        !read_life(question, &life)) {
        node->counters.messages_bad++;
        return;
    }
    const struct node_id *id = &node->config.epoch->members[from.member].id;
    if (memcmp(id->bytes, question->node.data, NODE_ID_SIZE) == 0) /* else it is of another slot */
        lives_book_ask(node, &node->lives->book, from, id, &life);
}

/* --- life ----------------------------------------------------------------------------------- */

kvorum_status lives_open(struct node *node)
{
    const struct node_config *config = &node->config;
    if (config->shard != 0 || config->disk == NULL || config->life == NULL)
        return KVORUM_OK;
    struct lives *lives = calloc(1, sizeof(*lives));
    if (lives == NULL)
        return KVORUM_NO_MEMORY;
    node->lives = lives;
    lives->life = *config->life;
    lives->begun_us = node->now_us;
    lives->retry_us = LIVES_SOON_US;
    lives->peers = calloc(RING_MEMBERS_MAX, sizeof(*lives->peers));
    kvorum_status status = lives_book_open(node, &lives->book);
    if (status != KVORUM_OK || lives->peers == NULL)
        return status != KVORUM_OK ? status : KVORUM_NO_MEMORY;
    resolve(node);
    arm(node);
    return KVORUM_OK;
}

void lives_close(struct node *node)
{
    struct lives *lives = node->lives;
    if (lives == NULL)
        return;
    heap_remove(&node->timers, &lives->timer);
    lives_book_close(&lives->book);
    free(lives->peers);
    free(lives);
    node->lives = NULL;
}

struct heap_item *lives_timer(struct node *node)
{
    return node->lives == NULL ? NULL : &node->lives->timer;
}

struct lives_book *lives_book_of(struct node *node)
{
    return &node->lives->book;
}
