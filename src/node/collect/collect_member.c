/* SPDX-License-Identifier: Apache-2.0 */
/* A member's part in a round (cluster/collect/round.h):
 *
 *      ASK      a job looks what is here of the keys; from then on each write to one is noted, so
 *               what it found is still true later, or known not to be
 *      PREPARE  the fence is raised, now for what comes in, and written; the answer leaves when it
 *               is on disk, and with it everything that was stored before
 *      COMMIT   tombstones that are as they were promised go, in one batch with the fence
 *      SETTLE   nothing is collected
 *
 * A turn is in memory only: after a restart no COMMIT finds it, and the tombstones stay for the
 * next round.  All members do the same, whether they own the key or not. */
#include "base/planted.h"
#include "codec/protobuf.h"
#include "codec/varint.h"
#include "node/collect/collect_internal.h"
#include "node/repair/repair_internal.h"
#include "node/scrub/scrub.h"

enum { TURN_ARENA_LIMIT = 8 << 20 };

static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };

/* --- the wire -------------------------------------------------------------------------------- */

void collect_write_graves(struct buffer *buffer, const struct grave *graves, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        write_sized(buffer, graves[i].key);
        write_u64(buffer, graves[i].digest);
    }
}

bool collect_read_graves(struct bytes tail, uint32_t partition, struct arena *arena,
                         struct grave **ret_graves, uint32_t *ret_count)
{
    struct reader reader = reader_of(tail);
    struct grave *graves = arena_allocate(arena, ROUND_KEYS_MAX * sizeof(*graves));
    uint32_t count = 0;
    while (graves != NULL && reader.rest.size > 0 && count < ROUND_KEYS_MAX) {
        struct key_address address;
        struct bytes key = read_sized(&reader, ENGINE_KEY_SIZE_MAX);
        uint64_t digest = read_u64(&reader);
        bool fine = !reader.failed && store_key_parse(key, &address) &&
                    address.partition == partition &&
                    (count == 0 || bytes_compare(graves[count - 1].key, key) < 0);
        graves[count] = (struct grave){ .digest = digest };
        if (!fine || !arena_copy(arena, key, &graves[count++].key))
            return false;
    }
    *ret_graves = graves;
    *ret_count = count;
    return graves != NULL && reader.rest.size == 0;
}

static void answer(struct node *node, struct net_address to, const Peer__Collect *asked,
                   kvorum_status status, const struct collect_turn *turn)
{
    const struct fenced *fenced = collect_fenced(node, asked->partition);
    Peer__CollectAnswer answer = PEER__COLLECT_ANSWER__INIT;
    uint8_t held[ROUND_KEYS_MAX];
    answer.status = status;
    answer.phase = asked->phase;
    answer.round = asked->round;
    answer.fence = fenced->kept.fence.promised;
    answer.collected = fenced->kept.fence.committed;
    for (uint32_t i = 0; turn != NULL && i < turn->count; i++)
        held[i] = turn->graves[i].changed ? ROUND_KEY_OTHER : turn->graves[i].held;
    if (turn != NULL)
        answer.keys = (ProtobufCBinaryData){ turn->count, held };
    if (to.member == node->config.self)
        collect_take_answer(node, to.member, &answer);
    else
        node_send(node, to, MESSAGE_COLLECT_ANSWER, 0, node_pack(node, &answer.base),
                  (struct bytes){ 0 });
}

/* --- looking --------------------------------------------------------------------------------- */

struct look {
    struct reading reading; /* first */
    struct engine *store;
    struct grave *graves;
    uint32_t count, partition;
    uint64_t round;
};

uint8_t collect_judge(struct arena *arena, const struct grave *grave, struct bytes encoding)
{
    struct object object;
    if (encoding.size == 0)
        return ROUND_KEY_ABSENT;
    bool held = object_digest(encoding) == grave->digest &&
                object_decode(encoding, arena, &object) == KVORUM_OK && object.sibling_count > 0 &&
                object_is_deleted(&object);
    return held ? ROUND_KEY_HELD : ROUND_KEY_OTHER;
}

static kvorum_status look_read(struct reading *reading, bool nowait)
{
    struct look *look = (struct look *)reading;
    const struct engine_read how = { .nowait = nowait };
    for (uint32_t i = 0; i < look->count; i++) {
        struct grave *grave = &look->graves[i];
        struct engine_view view;
        kvorum_status status = engine_view_at(look->store, grave->key, &how, &view);
        if (status == KVORUM_WOULD_BLOCK)
            return status;
        grave->held = status == KVORUM_NOT_FOUND ? ROUND_KEY_ABSENT : ROUND_KEY_OTHER;
        if (status != KVORUM_OK)
            continue;
        grave->held = collect_judge(&reading->arena, grave, view.value);
        engine_release(&view);
    }
    return KVORUM_OK;
}

static struct collect_turn *find_turn(struct node *node, uint32_t partition, uint64_t round)
{
    struct fenced *fenced = collect_fenced(node, partition);
    struct collect_turn *turn = fenced == NULL ? NULL : fenced->turn;
    return turn != NULL && turn->round == round ? turn : NULL;
}

/* The mistake: what a hint is about is not told. */
static void overlook_hints(struct node *node, uint32_t partition, struct collect_turn *turn)
{
    for (uint32_t i = 0; i < turn->count; i++) {
        struct key_address address;
        if (store_key_parse(turn->graves[i].key, &address) &&
            !placement_is_owner(node, partition,
                                repair_bucket_n(node, address.type, address.bucket),
                                node->config.self)) {
            turn->graves[i].held = ROUND_KEY_ABSENT;
            turn->graves[i].changed = false;
        }
    }
}

static void look_done(struct node *node, struct reading *reading)
{
    const struct look *look = (const struct look *)reading;
    struct collect_turn *turn = find_turn(node, look->partition, look->round);
    if (turn != NULL && turn->looking) {
        Peer__Collect asked = PEER__COLLECT__INIT;
        turn->looking = false;
        for (uint32_t i = 0; i < turn->count; i++)
            turn->graves[i].held = look->graves[i].held;
        if (PLANTED(HINT_AFTER_COLLECTION))
            overlook_hints(node, look->partition, turn);
        asked.phase = ROUND_ASKING;
        asked.partition = look->partition;
        asked.round = look->round;
        answer(node, turn->from, &asked, reading->status, turn);
    }
    reading_close(reading);
}

static bool look_start(struct node *node, const Peer__Collect *asked, struct bytes tail)
{
    struct reading *reading = reading_open(sizeof(struct look));
    struct look *look = (struct look *)reading;
    if (reading == NULL)
        return false;
    if (!collect_read_graves(tail, asked->partition, &reading->arena, &look->graves,
                             &look->count)) {
        reading_close(reading);
        return false;
    }
    reading->read = look_read;
    reading->done = look_done;
    look->store = placement_store(node, asked->partition);
    look->partition = asked->partition;
    look->round = asked->round;
    if (node->config.jobs != NULL)
        reading_submit(node, reading);
    else
        reading_start(node, reading);
    return true;
}

/* --- ASK ------------------------------------------------------------------------------------- */

/* Whether this member can take part in a round now.  Nothing is collected from a partition that
 * moves, nor from one that is being refilled.  A doubt is settled in both: what it refuses may be
 * what the move waits for, or what a refill has to push.  And who lacks objects still knows which
 * rounds were committed, as well as whoever was put back and does not know it. */
static kvorum_status may_take_part(struct node *node, uint32_t partition, bool collects)
{
    bool moves = ring_move_of(node->config.epoch, partition) != NULL;
    bool unsure = !node->ready || !handoff_ready(node, partition) ||
                  (moves && (collects || PLANTED(DOUBT_WAITS_FOR_A_MOVE))) ||
                  ((collects || PLANTED(DOUBT_WAITS_FOR_A_REFILL)) &&
                   scrub_doubts_partition(node, partition));
    return unsure ? KVORUM_NOT_READY : KVORUM_OK;
}

static struct collect_turn *make_turn(struct node *node, struct net_address from,
                                      const Peer__Collect *asked, struct bytes tail)
{
    struct collect_turn *turn = calloc(1, sizeof(*turn));
    if (turn == NULL)
        return NULL;
    arena_init(&turn->arena, TURN_ARENA_LIMIT);
    turn->round = asked->round;
    turn->epoch = node->config.epoch->number;
    turn->from = from;
    turn->looking = true;
    if (collect_read_graves(tail, asked->partition, &turn->arena, &turn->graves, &turn->count))
        return turn;
    collect_free_turn(turn);
    return NULL;
}

/* What a turn before this one promised stays in doubt. */
static void replace_turn(struct fenced *fenced, struct collect_turn *turn)
{
    struct collect_turn *former = fenced->turn;
    if (former != NULL && former->number != 0 && fenced->kept.fence.doubt == FENCE_NAMED) {
        collect_free_turn(fenced->named);
        fenced->named = former;
    } else
        collect_free_turn(former);
    fenced->turn = turn;
}

static void on_ask(struct node *node, struct net_address from, const Peer__Collect *asked,
                   struct bytes tail)
{
    struct fenced *fenced = collect_fenced(node, asked->partition);
    if (fenced->turn != NULL && fenced->turn->round == asked->round)
        return; /* doubled */
    kvorum_status status = may_take_part(node, asked->partition, tail.size > 0);
    if (status == KVORUM_OK && scrub_doubts_partition(node, asked->partition))
        PROBE("collect: a member took part in settling a doubt while it refilled");
    struct collect_turn *turn = status == KVORUM_OK ? make_turn(node, from, asked, tail) : NULL;
    if (status == KVORUM_OK && turn == NULL)
        status = KVORUM_NO_MEMORY;
    if (turn != NULL)
        replace_turn(fenced, turn);
    if (turn != NULL && !look_start(node, asked, tail))
        status = KVORUM_NO_MEMORY;
    if (status != KVORUM_OK)
        answer(node, from, asked, status, NULL);
}

/* --- PREPARE --------------------------------------------------------------------------------- */

/* Names the write of a promise, so that its end is not taken for that of a later one. */
static uint8_t next_save(struct fenced *fenced)
{
    fenced->saves = fenced->saves == UINT8_MAX ? 1 : fenced->saves + 1;
    return fenced->saves;
}

static void promise(struct node *node, struct collect_turn *turn, const Peer__Collect *asked)
{
    struct fenced *fenced = collect_fenced(node, asked->partition);
    const struct commit_plan plan = { .kind = COMMIT_FENCE,
                                      .request_id = asked->partition,
                                      .target = next_save(fenced) };
    PROBE("collect: a member promised");
    turn->number = asked->number;
    turn->saving = fenced->saves;
    collect_free_turn(fenced->named);
    fenced->named = NULL;
    if (asked->counter > fenced->kept.counter)
        fenced->kept.counter = asked->counter;
    if (asked->stamp > fenced->kept.stamp)
        fenced->kept.stamp = asked->stamp;
    (void)hlc_see(&node->hlc, asked->stamp, clock_wall_ms(node->config.clock));
    engine_batch_reset(node->batch);
    kvorum_status status = collect_put(node, node->batch, asked->partition);
    if (status == KVORUM_OK)
        status = replica_submit(node, placement_store(node, asked->partition), node->batch,
                                ENGINE_SYNC, &plan);
    node->collect->doubts = true;
    collect_wake(node, node->now_us + COLLECT_SETTLE_US);
    if (status != KVORUM_OK)
        turn->saving = 0; /* no answer ends the round */
    else
        write_on_promised(node, asked->partition);
}

static void on_prepare(struct node *node, struct net_address from, const Peer__Collect *asked)
{
    struct fenced *fenced = collect_fenced(node, asked->partition);
    struct collect_turn *turn = find_turn(node, asked->partition, asked->round);
    if (turn == NULL || turn->looking || turn->number != 0)
        return; /* doubled, or of a life before */
    kvorum_status status = may_take_part(node, asked->partition, true);
    if (status == KVORUM_OK && turn->epoch != node->config.epoch->number)
        status = KVORUM_WRONG_EPOCH;
    if (status == KVORUM_OK) {
        switch (fence_prepare(&fenced->kept.fence, asked->number, asked->collected)) {
        case FENCE_FINE:
            promise(node, turn, asked);
            return;
        case FENCE_BEHIND:
            collect_hear(node, asked->partition, asked->collected);
            status = KVORUM_FENCED;
            break;
        case FENCE_LATE:
            status = KVORUM_CONFLICT;
            break;
        }
    }
    answer(node, from, asked, status, NULL);
}

void collect_on_stored(struct node *node, const struct commit_plan *plan, kvorum_status status)
{
    struct fenced *fenced = collect_fenced(node, (uint32_t)plan->request_id);
    struct collect_turn *turn = fenced == NULL ? NULL : fenced->turn;
    Peer__Collect asked = PEER__COLLECT__INIT;
    if (turn == NULL || turn->saving == 0 || turn->saving != plan->target)
        return;
    turn->saving = 0;
    turn->saved = status == KVORUM_OK;
    asked.phase = ROUND_PREPARING;
    asked.partition = (uint32_t)plan->request_id;
    asked.round = turn->round;
    answer(node, turn->from, &asked, status, turn);
}

/* --- COMMIT, SETTLE -------------------------------------------------------------------------- */

/* Into the batch: tombstones that are wanted (a byte for each) and are as they were. */
static kvorum_status put_collected(struct node *node, const struct collect_turn *turn,
                                   struct bytes wanted, uint32_t *ret_count)
{
    kvorum_status status = KVORUM_OK;
    *ret_count = 0;
    for (uint32_t i = 0; i < turn->count && status == KVORUM_OK; i++) {
        const struct grave *grave = &turn->graves[i];
        if (wanted.data[i] == 0 || grave->changed || grave->held != ROUND_KEY_HELD)
            continue;
        status = engine_batch_delete(node->batch, grave->key);
        ++*ret_count;
    }
    return status;
}

static void note_collected(struct node *node, const struct collect_turn *turn, struct bytes wanted)
{
    for (uint32_t i = 0; i < turn->count; i++) {
        const struct grave *grave = &turn->graves[i];
        struct key_address address;
        if (wanted.data[i] != 0 && !grave->changed && grave->held == ROUND_KEY_HELD &&
            store_key_parse(grave->key, &address))
            repair_note(node, address.partition, grave->key, grave->digest, 0);
    }
}

static void on_commit(struct node *node, const Peer__Collect *asked, struct bytes wanted)
{
    struct fenced *fenced = collect_fenced(node, asked->partition);
    struct collect_turn *turn = find_turn(node, asked->partition, asked->round);
    if (turn == NULL || !turn->saved || turn->epoch != node->config.epoch->number)
        return;
    if (wanted.size != turn->count) {
        node->counters.messages_bad++;
        return;
    }
    uint32_t count = 0;
    struct fence before = fenced->kept.fence;
    if (!fence_commit(&fenced->kept.fence, turn->number))
        return;
    engine_batch_reset(node->batch);
    kvorum_status status = put_collected(node, turn, wanted, &count);
    if (status == KVORUM_OK)
        status = collect_put(node, node->batch, asked->partition);
    if (status == KVORUM_OK)
        status = replica_submit(node, placement_store(node, asked->partition), node->batch,
                                replica_durability(node, false), &nothing);
    if (status != KVORUM_OK) {
        fenced->kept.fence = before; /* they stay, for the next round */
        return;
    }
    PROBE("collect: tombstones were collected");
    node->counters.tombstones_collected += count;
    fenced->turn = NULL;
    note_collected(node, turn, wanted);
    collect_free_turn(turn);
}

static void on_settle(struct node *node, const Peer__Collect *asked)
{
    struct fenced *fenced = collect_fenced(node, asked->partition);
    struct collect_turn *turn = find_turn(node, asked->partition, asked->round);
    if (turn == NULL)
        return;
    struct fence before = fenced->kept.fence;
    if (fence_settle(&fenced->kept.fence, asked->collected) == FENCE_BEHIND) {
        collect_hear(node, asked->partition, asked->collected);
        return;
    }
    collect_free_turn(fenced->named);
    collect_free_turn(turn);
    fenced->turn = fenced->named = NULL;
    if (before.doubt != fenced->kept.fence.doubt || before.known != fenced->kept.fence.known)
        collect_save(node, asked->partition);
}

/* --- questions ------------------------------------------------------------------------------- */

void collect_on_question(struct node *node, struct net_address from, const struct message *message)
{
    Peer__Collect *asked = node_unpack(node, &peer__collect__descriptor, message->body);
    struct grave *graves;
    uint32_t count;
    bool fine = asked != NULL && collect_fenced(node, asked->partition) != NULL;
    if (fine && asked->phase == ROUND_ASKING)
        fine =
            collect_read_graves(message->tail, asked->partition, &node->scratch, &graves, &count);
    if (!fine) {
        node->counters.messages_bad++;
        return;
    }
    if (asked->phase == ROUND_NEW)
        collect_settle(node, asked->partition);
    else if (asked->phase == ROUND_ASKING)
        on_ask(node, from, asked, message->tail);
    else if (asked->phase == ROUND_PREPARING)
        on_prepare(node, from, asked);
    else if (asked->phase == ROUND_FINISHED && asked->commit)
        on_commit(node, asked, message->tail);
    else if (asked->phase == ROUND_FINISHED)
        on_settle(node, asked);
}

/* --- a mistake ------------------------------------------------------------------------------- */

void collect_by_clock(struct node *node, uint32_t partition, const struct grave *graves,
                      uint32_t count)
{
    engine_batch_reset(node->batch);
    kvorum_status status = KVORUM_OK;
    for (uint32_t i = 0; i < count && status == KVORUM_OK; i++)
        status = engine_batch_delete(node->batch, graves[i].key);
    if (status == KVORUM_OK)
        status = replica_submit(node, placement_store(node, partition), node->batch,
                                replica_durability(node, false), &nothing);
    for (uint32_t i = 0; i < count && status == KVORUM_OK; i++) {
        struct key_address address;
        if (store_key_parse(graves[i].key, &address))
            repair_note(node, address.partition, graves[i].key, REPAIR_UNKNOWN, 0);
    }
}
