/* SPDX-License-Identifier: Apache-2.0 */
/* How far a stream that comes in is:
 *
 *      'm' 's' partition u16 place u8  ->  whole u8 | session u64 | keys, size, sum u64 | cursor
 *
 * The record is written behind the merges of its page, in the same store, so it is never safe
 * before they are.  The place is that of the source in the row until now, which stays while the
 * move lasts. */
#include "codec/varint.h"
#include "node/handoff/handoff_inbound.h"

static void read_record(struct inbound *inbound, struct bytes value)
{
    struct reader reader = reader_of(value);
    struct transfer_totals totals = { 0 };
    (void)read_u8(&reader);
    uint64_t session = read_u64(&reader);
    totals.keys = read_u64(&reader);
    totals.size = read_u64(&reader);
    totals.sum = read_u64(&reader);
    if (reader.failed || session != inbound->session)
        return;
    inbound->transfer.totals = totals;
    buffer_append(&inbound->cursor, reader.rest.data, reader.rest.size);
}

bool inbound_load(struct node *node, struct inbound *inbound)
{
    struct bytes value,
        key = handoff_stream_key(&node->scratch, inbound->partition, inbound->place);
    if (key.data == NULL)
        return false;
    kvorum_status status =
        engine_get(placement_store(node, inbound->partition), key, &node->scratch, &value);
    if (status == KVORUM_OK)
        read_record(inbound, value);
    return (status == KVORUM_OK || status == KVORUM_NOT_FOUND) && !inbound->cursor.failed;
}

kvorum_status inbound_save(struct node *node, const struct request *request)
{
    const struct inbound *inbound = request->inbound;
    const struct transfer *transfer = &inbound->transfer;
    const struct commit_plan plan = { .kind = COMMIT_STREAM, .request_id = request->id };
    struct bytes key = handoff_stream_key(&node->scratch, inbound->partition, inbound->place);
    struct buffer *record = &node->encoding;
    buffer_reset(record);
    buffer_append_u8(record, transfer->last);
    write_u64(record, inbound->session);
    write_u64(record, transfer->next.keys);
    write_u64(record, transfer->next.size);
    write_u64(record, transfer->next.sum);
    buffer_append(record, inbound->next.data, inbound->next.size);
    if (key.data == NULL || record->failed)
        return KVORUM_NO_MEMORY;
    engine_batch_reset(node->batch);
    kvorum_status status = engine_batch_put(node->batch, key, buffer_bytes(record));
    return status == KVORUM_OK ? replica_submit(node, placement_store(node, inbound->partition),
                                                node->batch, ENGINE_SYNC, &plan)
                               : status;
}

void handoff_on_stored(struct node *node, const struct commit_plan *plan, kvorum_status status)
{
    if (plan->kind == COMMIT_TENURE) {
        sweep_on_stored(node, (uint32_t)plan->request_id, status);
        return;
    }
    struct request *request = request_find(node, plan->request_id, REQUEST_STREAM);
    if (request == NULL)
        return;
    if (status == KVORUM_OK) {
        struct inbound *inbound = request->inbound;
        buffer_reset(&inbound->cursor);
        buffer_append(&inbound->cursor, inbound->next.data, inbound->next.size);
    }
    inbound_event(node, request, status == KVORUM_OK ? TRANSFER_SAVED : TRANSFER_FAILED);
}
