/* SPDX-License-Identifier: Apache-2.0 */
/* Dropping values whose deadline has come.  Readers see nothing of them from that moment on; here
 * they are turned into tombstones of the same dot, once every clock of the cluster has passed it.
 *
 *      'e'  deadline u64, big-endian  key of the object      value: empty
 *
 * stands beside an object with a deadline, written in the same batch, so that nobody has to look
 * for what expires.  It may be there for nothing (the object was replaced, or given away): it goes
 * when its time comes, after a look at the object. */
#include <endian.h>

#include "base/planted.h"
#include "node/internal.h"
#include "node/repair/repair.h"

enum {
    INTERVAL_US = 1000 * 1000,
    STEP_US = 2000, /* between two pages */
    PAGE = 64,
    PREFIX_SIZE = 9,
};

static struct bytes entry_key(struct arena *arena, uint64_t deadline_ms, struct bytes key)
{
    uint8_t *data = arena_allocate(arena, PREFIX_SIZE + key.size);
    if (data == NULL)
        return (struct bytes){ 0 };
    uint64_t big = htobe64(deadline_ms);
    data[0] = 'e';
    memcpy(data + 1, &big, sizeof(big));
    if (key.size > 0)
        memcpy(data + PREFIX_SIZE, key.data, key.size);
    return bytes_make(data, PREFIX_SIZE + key.size);
}

kvorum_status expiry_add(struct node *node, struct engine_batch *batch, struct bytes key,
                         struct bytes encoding)
{
    uint64_t deadline_ms = object_first_deadline(encoding);
    if (deadline_ms == 0)
        return KVORUM_OK;
    struct bytes entry = entry_key(&node->scratch, deadline_ms, key);
    return entry.data == NULL ? KVORUM_NO_MEMORY
                              : engine_batch_put(batch, entry, (struct bytes){ 0 });
}

uint64_t expiry_passed_ms(const struct node *node)
{
    uint64_t wall_ms = clock_wall_ms(node->config.clock);
    uint64_t offset_ms = node->config.limits.clock_offset_ms;
    return wall_ms > offset_ms ? wall_ms - offset_ms : 0;
}

/* --- one entry ------------------------------------------------------------------------------- */

struct swept {
    bool changed;
    struct bytes key;       /* of the object; these if it changed */
    uint64_t before, after; /* repair_digest */
};

/* Of what the object holds, that is over; with the entry of what is not yet. */
static kvorum_status put_swept(struct node *node, const struct key_address *address,
                               struct bytes encoding, struct swept *ret)
{
    struct object object, rest = { 0 };
    kvorum_status status = object_decode(encoding, &node->scratch, &object);
    if (status == KVORUM_OK)
        status = object_expire(&object, expiry_passed_ms(node), &node->scratch, &rest);
    ret->changed = status == KVORUM_OK && rest.siblings != object.siblings;
    if (!ret->changed)
        return status;
    struct bytes key = ret->key = store_key(&node->scratch, address);
    buffer_reset(&node->encoding);
    object_encode(&rest, &node->encoding);
    if (node->encoding.failed || key.data == NULL)
        return KVORUM_NO_MEMORY;
    ret->before = repair_digest(node, address->partition, encoding);
    ret->after = repair_digest(node, address->partition, buffer_bytes(&node->encoding));
    status = engine_batch_put(node->batch, key, buffer_bytes(&node->encoding));
    if (status == KVORUM_OK)
        status = expiry_add(node, node->batch, key, buffer_bytes(&node->encoding));
    return status;
}

static void sweep(struct node *node, struct bytes entry);

static void sweep_again(struct node *node, struct fetch *fetch)
{
    const struct bytes *entry = fetch->input;
    sweep(node, *entry);
}

/* What cannot be put off now is found again in a second. */
static void put_off(struct node *node, const struct key_address *address, struct bytes entry)
{
    struct fetch *fetch = fetch_open(node, sweep_again, sizeof(struct bytes), entry.size);
    if (fetch != NULL && !arena_copy(&fetch->arena, entry, fetch->input)) {
        fetch_close(node, fetch);
        fetch = NULL;
    }
    (void)!replica_wait(node, address, fetch);
}

static void sweep(struct node *node, struct bytes entry)
{
    static const struct commit_plan nothing = { .kind = COMMIT_NOTHING };
    struct key_address address;
    struct replica_read read;
    struct swept swept = { 0 };
    if (!store_key_parse(bytes_from(entry, PREFIX_SIZE), &address) ||
        placement_store(node, address.partition) == NULL)
        return; /* not ours to judge; stays for an operator to see */
    kvorum_status status = replica_read(node, &address, &read);
    if (status == KVORUM_WOULD_BLOCK) {
        put_off(node, &address, entry);
        return;
    }
    if (status != KVORUM_OK)
        return;
    engine_batch_reset(node->batch);
    status = engine_batch_delete(node->batch, entry);
    if (status == KVORUM_OK && read.held)
        status = put_swept(node, &address, read.encoding, &swept);
    if (status == KVORUM_OK)
        status = replica_submit(node, placement_store(node, address.partition), node->batch,
                                replica_durability(node, false), &nothing);
    node->counters.expired += status == KVORUM_OK && swept.changed;
    if (status == KVORUM_OK && swept.changed) {
        repair_note(node, address.partition, swept.key, swept.before, swept.after);
        PROBE("node: an expired value was dropped");
    }
    replica_release(&read);
}

/* --- looking for them ------------------------------------------------------------------------ */

struct page {
    struct reading reading; /* first */
    struct engine *stores[NODE_STORES_MAX];
    uint16_t store_count;
    struct bytes lower, upper;
    size_t count;
    struct bytes entries[PAGE];
};

static kvorum_status read_store(struct page *page, struct engine *store, bool nowait)
{
    const struct engine_read how = { .nowait = nowait };
    struct engine_range range = { .lower = page->lower, .upper = page->upper, .keys_only = true };
    struct engine_iterator *iterator;
    kvorum_status status = engine_iterate_at(store, &range, &how, &iterator);
    if (status != KVORUM_OK)
        return status;
    engine_iterator_first(iterator);
    while (iterator->valid && page->count < PAGE &&
           arena_copy(&page->reading.arena, iterator->key, &page->entries[page->count])) {
        page->count++;
        engine_iterator_next(iterator);
    }
    status = iterator->error;
    engine_iterator_close(iterator);
    return status;
}

static kvorum_status read_page(struct reading *reading, bool nowait)
{
    struct page *page = (struct page *)reading;
    kvorum_status status = KVORUM_OK;
    page->count = 0;
    for (uint16_t i = 0; i < page->store_count && status == KVORUM_OK; i++)
        if (page->stores[i] != NULL)
            status = read_store(page, page->stores[i], nowait);
    return status;
}

static void set_timer(struct node *node, uint64_t after_us)
{
    heap_remove(&node->timers, &node->expiry_timer);
    (void)heap_insert(&node->timers, &node->expiry_timer, node->now_us + after_us);
}

static void page_done(struct node *node, struct reading *reading)
{
    struct page *page = (struct page *)reading;
    bool full = page->count == PAGE;
    if (reading->status == KVORUM_OK)
        for (size_t i = 0; i < page->count; i++)
            sweep(node, page->entries[i]);
    else
        full = false;
    reading_close(reading);
    set_timer(node, full ? STEP_US : INTERVAL_US);
}

void expiry_tick(struct node *node)
{
    struct reading *reading = reading_open(sizeof(struct page));
    struct page *page = (struct page *)reading;
    set_timer(node, INTERVAL_US);
    if (page == NULL)
        return;
    reading->read = read_page;
    reading->done = page_done;
    page->store_count = node->config.store_count;
    memcpy(page->stores, node->config.stores, page->store_count * sizeof(struct engine *));
    page->lower = entry_key(&reading->arena, 0, (struct bytes){ 0 });
    page->upper = entry_key(&reading->arena, expiry_passed_ms(node) + 1, (struct bytes){ 0 });
    if (page->lower.data == NULL || page->upper.data == NULL) {
        reading_close(reading);
        return;
    }
    heap_remove(&node->timers, &node->expiry_timer); /* page_done sets it */
    reading_start(node, reading);
}

bool expiry_open(struct node *node)
{
    return heap_insert(&node->timers, &node->expiry_timer, node->now_us + INTERVAL_US);
}

/* --- a mistake ------------------------------------------------------------------------------- */

/* "Expiry counts from local insert": each replica gives the value its whole time once more. */
struct bytes expiry_from_insert(struct node *node, struct bytes encoding)
{
    struct object object;
    struct buffer buffer;
    struct bytes shifted = encoding;
    uint64_t wall_ms = clock_wall_ms(node->config.clock);
    if (object_decode(encoding, &node->scratch, &object) != KVORUM_OK)
        return encoding;
    for (uint32_t i = 0; i < object.sibling_count; i++) {
        struct sibling *sibling = &object.siblings[i];
        uint64_t written_ms = hlc_wall_ms(sibling->stamp);
        if (sibling->deadline_ms > written_ms && wall_ms > written_ms)
            sibling->deadline_ms += wall_ms - written_ms;
    }
    buffer_init(&buffer, ENGINE_VALUE_SIZE_MAX);
    object_encode(&object, &buffer);
    (void)!arena_copy(&node->scratch, buffer_bytes(&buffer), &shifted);
    buffer_done(&buffer);
    return shifted;
}
