/* SPDX-License-Identifier: Apache-2.0 */
/* A replica's side of a listing: a question becomes a scan, and the scan an answer. */
#include "node/coordinate/list_internal.h"

#include "codec/protobuf.h"
#include "node/buckets/drop.h"
#include "node/scrub/scrub.h"

/* --- scans ----------------------------------------------------------------------------------- */

static bool copy_question(struct arena *arena, const struct list_question *from,
                          struct list_question *ret)
{
    struct bytes partitions = bytes_make(from->partitions, from->count * sizeof(uint32_t)), kept;
    *ret = *from;
    if (!arena_copy(arena, partitions, &kept) || !arena_copy(arena, from->type, &ret->type) ||
        !arena_copy(arena, from->bucket, &ret->bucket) ||
        !arena_copy(arena, from->cursor, &ret->cursor))
        return false;
    ret->partitions = (const uint32_t *)(const void *)kept.data;
    return true;
}

struct list_scan *list_scan_open(struct node *node, const struct list_question *question,
                                 void (*done)(struct node *node, struct reading *reading))
{
    struct reading *reading = reading_open(sizeof(struct list_scan));
    struct list_scan *scan = (struct list_scan *)reading;
    if (scan == NULL)
        return NULL;
    reading->read = list_page_read;
    reading->done = done;
    scan->page.kind = question->kind;
    scan->page.now_ms = clock_wall_ms(node->config.clock);
    struct bucket_properties properties;
    property_table_mode(node, question->type, question->bucket, &properties, &scan->page.mode);
    scan->generation = properties.generation;
    scan->stores = arena_allocate(&reading->arena, (question->count + 1) * sizeof(struct engine *));
    if (scan->stores == NULL || !copy_question(&reading->arena, question, &scan->question)) {
        reading_close(reading);
        return NULL;
    }
    for (size_t i = 0; i < question->count; i++)
        scan->stores[i] = placement_store(node, question->partitions[i]);
    return scan;
}

bool list_scan_is_outdated(const struct node *node, const struct list_scan *scan)
{
    for (size_t i = 0; i < scan->question.count; i++)
        if (epochs_changed_since(node, scan->question.partitions[i], scan->epoch))
            return true;
    return false;
}

/* --- answers --------------------------------------------------------------------------------- */

static void send_page(struct node *node, struct net_address to, uint64_t request_id,
                      uint32_t question, kvorum_status status, const struct page *page)
{
    Peer__ListAnswer answer = PEER__LIST_ANSWER__INIT;
    ProtobufCBinaryData *names = arena_allocate(&node->scratch, (page->count + 1) * sizeof(*names));
    if (names == NULL)
        return;
    for (uint32_t i = 0; i < page->count; i++)
        names[i] = protobuf_data(page->names[i]);
    answer.status = status;
    answer.names = names;
    answer.n_names = page->count;
    answer.count = page->counted;
    answer.next = protobuf_data(page->next);
    answer.page = question;
    uint64_t dropped = 0;
    for (uint32_t i = 0; page->kind == LIST_BUCKETS && i < page->count; i++)
        dropped |= page->generations[i];
    if (dropped != 0) {
        answer.generations = page->generations;
        answer.n_generations = page->count;
    }
    node_send(node, to, MESSAGE_LIST_ANSWER, request_id, node_pack(node, &answer.base),
              (struct bytes){ 0 });
}

static void send_nothing(struct node *node, struct net_address to, uint64_t request_id,
                         uint32_t question, kvorum_status status)
{
    const struct page none = { 0 };
    send_page(node, to, request_id, question, status, &none);
}

static void send_scan(struct node *node, struct reading *reading)
{
    const struct list_scan *scan = (const struct list_scan *)reading;
    kvorum_status status = list_scan_is_outdated(node, scan) ? KVORUM_WRONG_EPOCH : reading->status;
    if (status == KVORUM_OK)
        send_page(node, scan->from, scan->request_id, scan->number, status, &scan->page);
    else
        send_nothing(node, scan->from, scan->request_id, scan->number, status);
    reading_close(reading);
}

/* --- questions ------------------------------------------------------------------------------- */

/* Only partitions that this shard has. */
static bool scan_is_ours(struct node *node, const uint32_t *partitions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (partitions[i] >= node->config.epoch->partition_count ||
            placement_store(node, partitions[i]) == NULL ||
            scrub_doubts_partition(node, partitions[i]))
            return false;
    return true;
}

static enum list_kind message_kind(const Peer__List *list)
{
    if (list->buckets)
        return LIST_BUCKETS;
    return list->count_only ? LIST_COUNT : LIST_KEYS;
}

/* NULL: *ret_status says why. */
static struct list_scan *take_question(struct node *node, struct net_address from,
                                       const Peer__List *list, kvorum_status *ret_status)
{
    const struct list_question question = {
        .kind = message_kind(list),
        .type = protobuf_bytes(list->type),
        .bucket = protobuf_bytes(list->bucket),
        .cursor = protobuf_bytes(list->after),
        .partitions = list->partitions,
        .count = list->n_partitions,
    };
    const struct key_address listed = { .type = question.type,
                                        .bucket = question.bucket,
                                        .generation = list->generation };
    *ret_status = KVORUM_DROPPED;
    if (!list->buckets && drop_refuses(node, from, &listed))
        return NULL;
    *ret_status = KVORUM_INVALID;
    if (!scan_is_ours(node, list->partitions, list->n_partitions))
        return NULL;
    *ret_status = KVORUM_NO_MEMORY;
    return list_scan_open(node, &question, send_scan);
}

void list_on_request(struct node *node, struct net_address from, const struct message *message)
{
    Peer__List *list = node_unpack(node, &peer__list__descriptor, message->body);
    if (list == NULL || list->bucket.len > NODE_BUCKET_SIZE_MAX ||
        list->type.len > NODE_TYPE_SIZE_MAX) {
        node->counters.messages_bad++;
        return;
    }
    kvorum_status status;
    struct list_scan *scan = take_question(node, from, list, &status);
    if (scan == NULL) {
        send_nothing(node, from, message->request_id, list->page, status);
        return;
    }
    scan->from = from;
    scan->epoch = message->epoch;
    scan->request_id = message->request_id;
    scan->number = list->page;
    reading_start(node, &scan->reading);
}
