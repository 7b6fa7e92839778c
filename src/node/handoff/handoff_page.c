/* SPDX-License-Identifier: Apache-2.0 */
/* A page of a stream that comes in.  It is counted first: one that makes no sense, or is not what
 * its source says it is, is asked for again and none of it is merged. */
#include "codec/protobuf.h"
#include "codec/varint.h"
#include "node/collect/collect.h"
#include "node/handoff/handoff_inbound.h"

static bool take_entry(struct reader *reader, uint32_t partition, struct key_address *ret_address,
                       struct bytes *ret_key, struct bytes *ret_encoding)
{
    *ret_key = read_sized(reader, ENGINE_KEY_SIZE_MAX);
    *ret_encoding = read_sized(reader, ENGINE_VALUE_SIZE_MAX);
    return !reader->failed && ret_encoding->size > 0 && store_key_parse(*ret_key, ret_address) &&
           ret_address->partition == partition;
}

/* --- merging ---------------------------------------------------------------------------------- */

static void merged(struct node *node, struct request *request)
{
    struct inbound *inbound = request->inbound;
    assert(inbound->merging > 0);
    if (--inbound->merging > 0)
        return;
    inbound_event(node, request, inbound->failed ? TRANSFER_FAILED : TRANSFER_MERGED);
}

struct late_entry {
    uint64_t id;
    struct key_address address;
    struct bytes encoding;
    uint64_t fence;
};

static kvorum_status merge_entry(struct node *node, const struct key_address *address,
                                 struct bytes encoding, uint64_t fence)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    kvorum_status status =
        replica_merge(node, address, encoding, fence, NULL, false, &nothing, NULL);
    return status == KVORUM_DROPPED ? KVORUM_OK : status; /* the source knows less than we do */
}

static void merge_again(struct node *node, struct fetch *fetch)
{
    const struct late_entry *late = fetch->input;
    struct request *request = request_find(node, late->id, REQUEST_STREAM);
    if (request == NULL)
        return; /* the session is over, and so is what belongs to it */
    if (merge_entry(node, &late->address, late->encoding, late->fence) != KVORUM_OK)
        request->inbound->failed = true;
    merged(node, request);
}

static kvorum_status put_off(struct node *node, struct request *request,
                             const struct key_address *address, struct bytes encoding)
{
    struct fetch *fetch = fetch_open(node, merge_again, sizeof(struct late_entry), encoding.size);
    if (fetch != NULL) {
        struct late_entry *late = fetch->input;
        *late = (struct late_entry){ request->id, *address, encoding, request->inbound->fence };
        if (!address_copy(&fetch->arena, &late->address) ||
            !arena_copy(&fetch->arena, encoding, &late->encoding)) {
            fetch_close(node, fetch);
            fetch = NULL;
        }
    }
    return replica_wait(node, address, fetch);
}

void inbound_merge(struct node *node, struct request *request, struct bytes tail)
{
    struct inbound *inbound = request->inbound;
    struct reader reader = reader_of(tail);
    inbound->merging = 1;
    inbound->failed = false;
    while (reader.rest.size > 0) {
        struct key_address address;
        struct bytes key, encoding;
        bool fine = take_entry(&reader, inbound->partition, &address, &key, &encoding);
        assert(fine); /* counted before */
        kvorum_status status = merge_entry(node, &address, encoding, inbound->fence);
        if (status == KVORUM_WOULD_BLOCK) {
            status = put_off(node, request, &address, encoding);
            inbound->merging += status == KVORUM_OK;
        }
        inbound->failed |= status != KVORUM_OK;
    }
    merged(node, request);
}

/* --- counting --------------------------------------------------------------------------------- */

/* What came, counted here; false: it makes no sense. */
static bool count_page(const struct inbound *inbound, struct bytes tail,
                       struct transfer_totals *ret_found)
{
    struct reader reader = reader_of(tail);
    *ret_found = (struct transfer_totals){ 0 };
    while (reader.rest.size > 0) {
        struct key_address address;
        struct bytes key, encoding;
        if (!take_entry(&reader, inbound->partition, &address, &key, &encoding))
            return false;
        transfer_count(ret_found, key, encoding);
    }
    return !reader.failed;
}

static void take_page(struct node *node, struct request *request, const Peer__StreamAnswer *answer,
                      struct bytes tail)
{
    struct inbound *inbound = request->inbound;
    struct transfer_event event = { .kind = TRANSFER_PAGE, .page = answer->page };
    event.last = answer->last;
    event.claimed = (struct transfer_totals){ answer->keys, answer->size, answer->sum };
    bool is_current =
        inbound->transfer.state == TRANSFER_ASKING && answer->page == inbound->transfer.page;
    if (!is_current)
        return;
    if (answer->status != KVORUM_OK || answer->next.len > ENGINE_KEY_SIZE_MAX ||
        (!answer->last && answer->next.len == 0) || !count_page(inbound, tail, &event.found))
        event.kind = TRANSFER_LATER;
    buffer_reset(&inbound->next);
    buffer_append(&inbound->next, answer->next.data, answer->next.len);
    inbound->fence = answer->fence;
    if (event.kind == TRANSFER_PAGE) {
        collect_hear(node, inbound->partition, answer->collected);
        collect_see_stamp(node, inbound->partition, answer->stamp);
    }
    node->counters.stream_keys += event.found.keys;
    node->counters.stream_bytes += event.found.size;
    inbound_step(node, request, event, tail);
}

void handoff_on_page(struct node *node, struct net_address from, const struct message *message)
{
    Peer__StreamAnswer *answer = node_unpack(node, &peer__stream_answer__descriptor, message->body);
    struct request *request = request_find(node, message->request_id, REQUEST_STREAM);
    if (answer == NULL) {
        node->counters.messages_bad++;
        return;
    }
    if (request != NULL && request->inbound->source == from.member)
        take_page(node, request, answer, message->tail);
}
