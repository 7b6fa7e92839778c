/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over an epoch: to the disk first, then into force on shard 0, then on the others. */
#include "node/epochs/epochs.h"

#include "base/planted.h"
#include "node/internal.h"
#include "node/members/identity.h"
#include "node/members/lives.h"
#include "node/recover/recover.h"
#include "node/repair/repair.h"

enum { EPOCH_ARENA_LIMIT = 64 << 20 };

/* --- files written by jobs ------------------------------------------------------------------ */

static void save_work(struct job *job)
{
    struct epoch_save *save = LIST_ENTRY(job, struct epoch_save, job);
    save->status = save->write(save->disk, buffer_bytes(&save->bytes));
}

static void save_free(struct epoch_save *save)
{
    if (save == NULL)
        return;
    buffer_done(&save->bytes);
    free(save);
}

static void save_done(struct job *job)
{
    struct epoch_save *save = LIST_ENTRY(job, struct epoch_save, job);
    struct node *node = save->node;
    save->busy = false;
    if (node == NULL) {
        save_free(save);
        return;
    }
    node_enter(node);
    node->counters.disk_errors += save->status != KVORUM_OK;
    save->done(node, save->status);
    node_leave(node);
}

void epochs_save(struct node *node, struct epoch_save *save)
{
    assert(!save->busy);
    save->busy = true;
    save->node = node;
    save->disk = node->config.disk;
    save->job = (struct job){ .work = save_work, .done = save_done, .urgency = JOB_FIRST };
    if (node->config.jobs != NULL) {
        jobs_submit(node->config.jobs, &save->job);
        return;
    }
    save_work(&save->job);
    save_done(&save->job);
}

struct epoch_save *epochs_save_open(kvorum_status (*write)(struct disk *disk, struct bytes bytes),
                                    void (*done)(struct node *node, kvorum_status status))
{
    struct epoch_save *save = calloc(1, sizeof(*save));
    if (save == NULL)
        return NULL;
    buffer_init(&save->bytes, 2 * EPOCH_RECORD_MAX);
    save->write = write;
    save->done = done;
    return save;
}

/* The node goes; a job that is under way frees what it works on. */
void epochs_save_leave(struct epoch_save *save)
{
    if (save != NULL && save->busy)
        save->node = NULL;
    else
        save_free(save);
}

/* --- what has changed since when ------------------------------------------------------------ */

static uint16_t place_of(const struct epoch *epoch, uint32_t partition, uint8_t column)
{
    if (column >= epoch->replica_count)
        return RING_NO_MEMBER;
    return epoch->table[(size_t)partition * epoch->replica_count + column];
}

static bool row_differs(const struct epoch *a, const struct epoch *b, uint32_t partition)
{
    for (uint8_t c = 0; c < RING_REPLICAS_MAX; c++)
        if (place_of(a, partition, c) != place_of(b, partition, c))
            return true;
    return false;
}

static const struct move *move_at(const struct epoch *epoch, uint32_t partition, uint32_t *at)
{
    while (*at < epoch->move_count && epoch->moves[*at].partition < partition)
        ++*at;
    bool found = *at < epoch->move_count && epoch->moves[*at].partition == partition;
    return found ? &epoch->moves[*at] : NULL;
}

static bool move_differs(const struct move *a, const struct move *b)
{
    if (a == NULL || b == NULL)
        return a != b;
    return a->phase != b->phase || a->session != b->session;
}

static void note_changes(struct epochs *epochs, const struct epoch *former,
                         const struct epoch *epoch)
{
    uint32_t former_move = 0, move = 0;
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        const struct move *before = move_at(former, p, &former_move);
        const struct move *now = move_at(epoch, p, &move);
        if (row_differs(former, epoch, p) || move_differs(before, now))
            epochs->row_since[p] = epoch->number;
    }
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (i >= former->member_count ||
            memcmp(&former->members[i].id, &epoch->members[i].id, NODE_ID_SIZE) != 0)
            epochs->slot_since[i] = epoch->number;
}

/* --- into force ----------------------------------------------------------------------------- */

/* A newer line may go on from an epoch before ours, without those who came since. */
static bool is_of_this_cluster(const struct node *node, const struct epoch *epoch)
{
    const struct epoch *ours = node->config.epoch;
    return memcmp(&ours->cluster, &epoch->cluster, NODE_ID_SIZE) == 0 &&
           ours->hash_seed == epoch->hash_seed && ours->partition_count == epoch->partition_count &&
           (epoch->member_count >= ours->member_count ||
            (ring_line(epoch->number) > ring_line(ours->number) && left_by(node, epoch)));
}

static void tell_own_shards(struct node *node, uint64_t number, struct bytes record)
{
    Peer__EpochAnswer answer = PEER__EPOCH_ANSWER__INIT;
    answer.number = number;
    for (uint16_t shard = 1; shard < node->config.shard_count; shard++) {
        struct bytes body = node_pack(node, &answer.base);
        (void)node_send(node, (struct net_address){ node->config.self, shard },
                        MESSAGE_EPOCH_ANSWER, 0, body, record); /* else it asks */
    }
}

static void tell_adopted(struct node *node, const struct epoch *former)
{
    const struct epoch *epoch = node->config.epoch;
    node->counters.epochs_adopted++;
    if (node->config.shard == 0)
        log_info(node->config.log, "epoch in force", LOG_U64("epoch", epoch->number),
                 LOG_U64("before", former->number), LOG_U64("members", ring_present_count(epoch)),
                 LOG_U64("moves", epoch->move_count), LOG_U64("staged", epoch->change_count));
    if (node->config.epoch_changed != NULL)
        node->config.epoch_changed(node->config.epoch_context);
}

/* Who left by itself was LEAVING before, and has given away what it held; unless an epoch was
 * missed, or it was removed while it was leaving. */
static bool somebody_was_removed(const struct epoch *former, const struct epoch *epoch)
{
    for (uint16_t i = 0; i < former->member_count; i++) {
        bool goes = former->members[i].state != MEMBER_GONE && i < epoch->member_count &&
                    (epoch->members[i].state == MEMBER_GONE ||
                     !node_id_equal(&epoch->members[i].id, &former->members[i].id));
        bool parted = former->members[i].state == MEMBER_LEAVING && former->move_count > 0 &&
                      epoch->move_count == 0;
        if (goes && !parted)
            return true;
    }
    return false;
}

/* `record` is on disk. */
static void leave(struct node *node, uint64_t number, struct bytes record)
{
    left_begin(node, number);
    if (node->config.shard != 0)
        return;
    epochs_on_left(node, number, record);
    tell_own_shards(node, number, record);
}

/* `record` is on disk.  What was handed out of the epoch before lives on until the next. */
static void adopt(struct node *node, struct bytes record)
{
    struct epochs *epochs = node->epochs;
    const struct epoch *former = node->config.epoch;
    unsigned place = 1 - epochs->place;
    arena_reset(&epochs->arenas[place]);
    kvorum_status status = epoch_decode(record, &epochs->arenas[place], &epochs->copies[place]);
    if (status == KVORUM_OK && left_by(node, &epochs->copies[place])) {
        leave(node, epochs->copies[place].number, record);
        return;
    }
    if (status == KVORUM_OK)
        status = gossip_members_changed(node, &epochs->copies[place]);
    if (status != KVORUM_OK) {
        log_error(node->config.log, "a newer epoch cannot be taken over; it is tried again",
                  LOG_STATUS(status));
        return;
    }
    epochs->place = place;
    note_changes(epochs, former, node->config.epoch);
    handoff_on_adopted(node, former);
    repair_on_adopted(node, former->number);
    if (somebody_was_removed(former, node->config.epoch))
        repair_on_lost(node);
    if (node->config.shard == 0) {
        votes_on_adopted(node);
        tell_own_shards(node, node->config.epoch->number, record);
    }
    tell_adopted(node, former);
    if (node->config.shard == 0) {
        wishes_on_adopted(node, record);
        recover_on_adopted(node, record);
    }
    epochs_deliver_late(node);
    node->reopen_due = true;
    property_on_members(node);
    lives_on_members(node);
    epochs_arm(node);
}

static void on_record_saved(struct node *node, kvorum_status status)
{
    if (status == KVORUM_OK)
        adopt(node, buffer_bytes(&node->epochs->record_save->bytes));
    else
        log_error(node->config.log, "a newer epoch cannot be written; it is tried again",
                  LOG_STATUS(status));
    epochs_arm(node);
}

void epochs_learn(struct node *node, struct bytes record)
{
    struct epochs *epochs = node->epochs;
    struct epoch epoch;
    kvorum_status status = epoch_decode(record, &node->scratch, &epoch);
    if (status != KVORUM_OK || !is_of_this_cluster(node, &epoch)) {
        node->counters.messages_bad += status != KVORUM_NO_MEMORY;
        return;
    }
    if (epoch.number <= node->config.epoch->number || node->left_epoch != 0 ||
        recover_fences(node, epoch.number))
        return;
    if (node->config.shard != 0) {
        adopt(node, record);
        return;
    }
    struct epoch_save *save = epochs->record_save;
    if (save == NULL || save->busy)
        return; /* its end looks whether there is more to learn */
    if (PLANTED(EPOCH_BEFORE_DISK)) {
        buffer_reset(&save->bytes);
        buffer_append_bytes(&save->bytes, record);
        adopt(node, buffer_bytes(&save->bytes));
        return;
    }
    buffer_reset(&save->bytes);
    buffer_append_bytes(&save->bytes, record);
    if (!save->bytes.failed)
        epochs_save(node, save);
}

void epochs_on_record(struct node *node, struct net_address from, const struct message *message)
{
    bool own = from.member == node->config.self && from.shard == 0;
    if (node->config.shard == 0 || own)
        epochs_learn(node, message->tail);
}

/* --- time ----------------------------------------------------------------------------------- */

struct heap_item *epochs_timer(struct node *node)
{
    return &node->epochs->timer;
}

void epochs_arm(struct node *node)
{
    struct epochs *epochs = node->epochs;
    uint64_t due_us = wishes_deadline_us(node);
    if (epochs_is_behind(node) && epochs->asked_us + EPOCH_RETRY_US < due_us)
        due_us = epochs->asked_us + EPOCH_RETRY_US;
    heap_remove(&node->timers, &epochs->timer);
    if (due_us != UINT64_MAX)
        (void)heap_insert(&node->timers, &epochs->timer, due_us);
}

void epochs_tick(struct node *node)
{
    struct epochs *epochs = node->epochs;
    if (node->config.shard == 0)
        wishes_tick(node);
    if (epochs_is_behind(node) && node->now_us >= epochs->asked_us + EPOCH_RETRY_US)
        epochs_fetch(node);
    epochs_arm(node);
}

/* --- life ----------------------------------------------------------------------------------- */

static bool open_keeper(struct node *node)
{
    struct epochs *epochs = node->epochs;
    if (node->config.shard != 0 || node->config.disk == NULL)
        return true;
    epochs->record_save = epochs_save_open(identity_replace_epoch, on_record_saved);
    epochs->votes_save = epochs_save_open(votes_write, votes_on_saved);
    return epochs->record_save != NULL && epochs->votes_save != NULL;
}

/* What changed when before this life began is not known: everything, just now. */
static bool open_since(struct node *node)
{
    struct epochs *epochs = node->epochs;
    const struct epoch *epoch = node->config.epoch;
    epochs->row_since = calloc(epoch->partition_count, sizeof(*epochs->row_since));
    epochs->slot_since = calloc(RING_MEMBERS_MAX, sizeof(*epochs->slot_since));
    if (epochs->row_since == NULL || epochs->slot_since == NULL)
        return false;
    for (uint32_t p = 0; p < epoch->partition_count; p++)
        epochs->row_since[p] = epoch->number;
    for (uint16_t i = 0; i < epoch->member_count; i++)
        epochs->slot_since[i] = epoch->number;
    return true;
}

kvorum_status epochs_open(struct node *node)
{
    struct epochs *epochs = calloc(1, sizeof(*epochs));
    if (epochs == NULL)
        return KVORUM_NO_MEMORY;
    node->epochs = epochs;
    for (int i = 0; i < 2; i++)
        arena_init(&epochs->arenas[i], EPOCH_ARENA_LIMIT);
    list_init(&epochs->late);
    list_init(&epochs->wishes);
    buffer_init(&epochs->accepted, EPOCH_RECORD_MAX);
    buffer_init(&epochs->own, EPOCH_RECORD_MAX);
    buffer_init(&epochs->carried, EPOCH_RECORD_MAX);
    proposer_init(&epochs->proposer, random_next(&node->random) | 1);
    acceptor_init(&epochs->acceptor, node->config.epoch->number);
    if (!open_keeper(node) || !open_since(node))
        return KVORUM_NO_MEMORY;
    return epochs->votes_save == NULL ? KVORUM_OK : votes_load(node);
}

void epochs_close(struct node *node)
{
    struct epochs *epochs = node->epochs;
    if (epochs == NULL)
        return;
    epochs_drop_late(node);
    wishes_drop(node);
    heap_remove(&node->timers, &epochs->timer);
    epochs_save_leave(epochs->record_save);
    epochs_save_leave(epochs->votes_save);
    buffer_done(&epochs->accepted);
    buffer_done(&epochs->own);
    buffer_done(&epochs->carried);
    for (int i = 0; i < 2; i++)
        arena_done(&epochs->arenas[i]);
    free(epochs->row_since);
    free(epochs->slot_since);
    free(epochs);
    node->epochs = NULL;
}
