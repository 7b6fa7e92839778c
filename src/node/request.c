/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of requests.  A request that is answered within the call that started it never enters
 * the map or the heap; ids start at a random place, so that a late answer to an earlier life of
 * this node finds nobody. */
#include "node/buckets/drop.h"
#include "node/internal.h"
#include "node/recover/recover.h"
#include "node/repair/repair.h"
#include "node/tasks/tasks.h"

struct request *request_open(struct node *node, enum request_kind kind)
{
    struct list *free_one = list_first(&node->free_requests);
    struct request *request;
    if (free_one != NULL) {
        list_remove(free_one);
        request = LIST_ENTRY(free_one, struct request, link);
    } else {
        request = calloc(1, sizeof(*request));
        if (request == NULL)
            return NULL;
        arena_init(&request->arena, REQUEST_ARENA_LIMIT);
        list_init(&request->link);
    }
    request->kind = kind;
    request->registered = request->answered = false;
    request->id = node->next_id++;
    request->start_us = node->now_us;
    request->epoch = node->config.epoch->number;
    request->operation = 0;
    request->on_answer = NULL;
    request->context = NULL;
    request->flags = 0;
    request->lost = 0;
    request->target_count = request->stand_in_acks = request->places = 0;
    request->set = request->other_set = 0;
    request->fence = request->collected = 0;
    request->fenced = request->fence_drops = 0;
    request->encoding = (struct bytes){ 0 };
    request->strategy = HANDOFF_CONSISTENT;
    request->ttl_seconds = 0;
    request->newer = request->attempt = request->unable_count = 0;
    request->parked = request->resumed = request->held = false;
    request->steps_open = 0;
    request->unable_status = KVORUM_OK;
    request->kept = NULL;
    request->kept_size = 0;
    node->counters.requests_active++;
    return request;
}

void request_close(struct node *node, struct request *request)
{
    if (request->registered) {
        map_remove(&node->requests, request->id);
        if (node->untimed == &request->link)
            node->untimed = request->link.next;
        heap_remove(&node->timers, &request->timer);
        list_remove(&request->link);
        request->registered = false;
    }
    node->kept_size -= request->kept_size;
    request->kept_size = 0;
    arena_reset(&request->arena);
    list_append(node->free_requests.next, &request->link); /* in front: it is in the cache */
    assert(node->counters.requests_active > 0);
    node->counters.requests_active--;
}

bool request_register(struct node *node, struct request *request, uint64_t deadline_us)
{
    assert(!request->registered && request->timer.place == 0);
    if (!map_insert(&node->requests, &request->by_id, request->id))
        return false;
    request->timer.key = deadline_us;
    request->timed = false;
    list_append(&node->active, &request->link);
    if (node->untimed == &node->active)
        node->untimed = &request->link;
    request->registered = true;
    return true;
}

void request_postpone(struct node *node, struct request *request, uint64_t deadline_us)
{
    assert(request->registered);
    heap_remove(&node->timers, &request->timer);
    request->timer.key = deadline_us;
    if (request->timed) /* into its own place: it has been there, or is being woken */
        (void)heap_insert(&node->timers, &request->timer, deadline_us);
}

/* Most requests are answered before anybody sleeps: they never see the heap.  Without memory the
 * rest waits for the next time. */
void request_set_timers(struct node *node)
{
    while (node->untimed != &node->active) {
        struct request *request = LIST_ENTRY(node->untimed, struct request, link);
        if (!heap_insert(&node->timers, &request->timer, request->timer.key))
            return;
        request->timed = true;
        node->untimed = node->untimed->next;
    }
}

bool request_keep(struct node *node, struct request *request)
{
    return request->registered || (address_copy(&request->arena, &request->address) &&
                                   request_register(node, request, request->deadline_us));
}

uint64_t request_time_over_us(const struct node *node, const struct operation *operation)
{
    return node->now_us + (operation->timeout_ms > 0 ? operation->timeout_ms * 1000ull
                                                     : node->config.request_timeout_us);
}

struct request *request_find(struct node *node, uint64_t id, enum request_kind kind)
{
    struct map_item *item = map_find(&node->requests, id);
    if (item == NULL)
        return NULL;
    struct request *request = LIST_ENTRY(item, struct request, by_id);
    return request->kind == kind ? request : NULL;
}

bool request_is_outdated(const struct node *node, const struct request *request)
{
    return epochs_changed_since(node, request->address.partition, request->epoch);
}

static void count_outcome(struct node *node, const struct request *request, kvorum_status status)
{
    struct node_counters *counters = &node->counters;
    counters->timeouts += status == KVORUM_TIMEOUT;
    counters->unavailable += status == KVORUM_UNAVAILABLE;
    bool failed = status != KVORUM_OK && status != KVORUM_NOT_FOUND;
    counters->get_errors += failed && request->operation == OPERATION_GET;
    counters->put_errors += failed && request->operation != OPERATION_GET;
    if (request->operation != 0 && (int)request->operation < OPERATION_KINDS)
        histogram_add(&node->latency[request->operation], node->now_us - request->start_us);
}

void request_answer(struct node *node, struct request *request, const struct answer *answer)
{
    if (request->answered)
        return;
    request->answered = true;
    count_outcome(node, request, answer->status);
    node_answer_fn on_answer = request->on_answer;
    request->on_answer = NULL;
    if (on_answer != NULL)
        on_answer(request->context, answer);
}

int request_target_of(const struct request *request, uint16_t member)
{
    for (int i = 0; i < request->target_count; i++)
        if (request->targets[i].address.member == member)
            return i;
    return -1;
}

void request_timeout(struct node *node, struct request *request)
{
    switch (request->kind) {
    case REQUEST_GET:
        read_on_deadline(node, request);
        break;
    case REQUEST_PUT:
        write_on_deadline(node, request);
        break;
    case REQUEST_FORWARD:
        forward_on_lost(node, request);
        break;
    case REQUEST_LIST:
        list_on_deadline(node, request);
        break;
    case REQUEST_PROPERTIES:
        property_on_deadline(node, request);
        break;
    case REQUEST_HINT:
        hints_on_acknowledged(node, request, KVORUM_TIMEOUT, false);
        break;
    case REQUEST_SUSPECT:
        suspect_on_deadline(node, request);
        break;
    case REQUEST_CHANGE:
        epochs_on_deadline(node, request);
        break;
    case REQUEST_STREAM:
        handoff_on_due(node, request);
        break;
    case REQUEST_REPAIR:
        repair_on_pushed(node, request, KVORUM_TIMEOUT);
        break;
    case REQUEST_TASKS:
        tasks_on_deadline(node, request);
        break;
    case REQUEST_DROP:
        drop_on_deadline(node, request);
        break;
    case REQUEST_RECOVER:
        recover_on_deadline(node, request);
        break;
    case REQUEST_COMPOSITE: /* lives by its parts' deadlines */
        break;
    }
}
