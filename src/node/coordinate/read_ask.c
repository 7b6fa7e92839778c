/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the replicas: ours is read here, or by a job, and others are sent a question. */
#include "node/coordinate/read_internal.h"

#include "node/collect/collect.h"
#include "node/scrub/scrub.h"

void read_ask_remote(struct node *node, struct request *request, uint8_t at, bool digest)
{
    Peer__Address address;
    address_pack(&request->address, &address);
    Peer__Get get = PEER__GET__INIT;
    get.address = &address;
    get.digest = digest;
    get.collected = request->collected;
    struct bytes body = node_pack(node, &get.base);
    if (!request_send(node, request, request->targets[at].address, MESSAGE_GET, body,
                      (struct bytes){ 0 }))
        read_step(node, request, (struct get_event){ .kind = GET_FAILED, .target = at });
}

/* --- our own replica -------------------------------------------------------------------------- */

static void ask_local(struct node *node, struct request *request, uint8_t at);

struct late_ask {
    uint64_t id;
    uint8_t target, attempt;
};

static void ask_again(struct node *node, struct fetch *fetch)
{
    const struct late_ask *late = fetch->input;
    struct request *request = request_find(node, late->id, REQUEST_GET);
    if (request == NULL || request->parked || request->attempt != late->attempt)
        return; /* its deadline has passed, or it asks others by now */
    ask_local(node, request, late->target);
    read_settle(node, request);
}

/* The request lives on, beyond the call that brought it. */
static kvorum_status put_off(struct node *node, struct request *request, uint8_t at)
{
    struct fetch *fetch = fetch_open(node, ask_again, sizeof(struct late_ask), 0);
    bool fine = fetch != NULL && request_keep(node, request);
    if (fine)
        *(struct late_ask *)fetch->input = (struct late_ask){ request->id, at, request->attempt };
    else if (fetch != NULL)
        fetch_close(node, fetch);
    return replica_wait(node, &request->address, fine ? fetch : NULL);
}

static kvorum_status look(struct node *node, struct request *request, struct replica_read *ret_read)
{
    if (!request_is_outdated(node, request))
        return replica_read(node, &request->address, ret_read);
    reopen_note(request, node->config.epoch->number);
    return KVORUM_WRONG_EPOCH;
}

/* Why what was read is no answer; OK: it is one. */
static kvorum_status judge(struct node *node, struct request *request, uint8_t at)
{
    struct target *target = &request->targets[at];
    uint32_t partition = request->address.partition;
    enum scrub_doubt doubt = scrub_judge(node, &request->address);
    if (doubt != SCRUB_SOUND) {
        read_note_lost(request, at, doubt == SCRUB_LOST);
        return KVORUM_CORRUPT;
    }
    if (replica_is_poisoned(node, partition) && read_counts_as_absent(request))
        return KVORUM_POISONED;
    target->fence = collect_promised(node, partition);
    bool recent = read_note_collected(request, target, collect_committed(node, partition));
    return recent ? KVORUM_OK : KVORUM_FENCED;
}

/* What was read may be gone when the machine is done: an open request keeps a copy. */
static struct get_event keep(struct request *request, uint8_t at, struct bytes encoding)
{
    struct target *target = &request->targets[at];
    struct get_event event = { .kind = GET_ANSWER, .target = at, .full = true };
    bool alone = request->target_count == 1;
    target->in_hand = true;
    if (encoding.size > 0) {
        event.digest = object_digest(encoding);
        target->encoding = encoding;
        target->in_hand = alone || arena_copy(&request->arena, encoding, &target->encoding);
    }
    if (!target->in_hand)
        event = (struct get_event){ .kind = GET_FAILED, .target = at };
    return event;
}

static void ask_local(struct node *node, struct request *request, uint8_t at)
{
    struct replica_read read = { 0 };
    struct get_event event = { .kind = GET_FAILED, .target = at };
    kvorum_status status = look(node, request, &read);
    if (status == KVORUM_WOULD_BLOCK && put_off(node, request, at) == KVORUM_OK)
        return;
    node->counters.own_gets++;
    if (status == KVORUM_OK)
        status = judge(node, request, at);
    if (status == KVORUM_OK)
        event = keep(request, at, read.encoding);
    else
        replica_release(&read);
    read_step(node, request, event);
    replica_release(&read);
}

/* --- all of them ------------------------------------------------------------------------------ */

/* Remote targets first: their answers travel while we read our own store. */
void read_ask(struct node *node, struct request *request, uint32_t full, uint32_t digest)
{
    uint32_t local = 0;
    for (uint8_t i = 0; i < request->target_count; i++) {
        uint32_t bit = 1u << i;
        if ((full | digest) & bit) {
            if (request->targets[i].local)
                local |= bit;
            else
                read_ask_remote(node, request, i, (full & bit) == 0);
        }
    }
    for (uint8_t i = 0; i < request->target_count; i++)
        if (local & (1u << i))
            ask_local(node, request, i);
}
