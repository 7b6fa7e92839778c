/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that met a newer epoch.  A replica refuses what is of an older epoch when the owners of
 * the partition have changed since, and nothing has happened there.  That is no news for a client
 * whose time is not over: the request waits until this member goes by the epoch that it was refused
 * by, and begins again.
 *
 *      GET      from the beginning
 *      PUT      before it had a dot: from the beginning, perhaps at another member now;
 *               after that: with the same dot and object, to those who own the key now.  Merging it
 *               twice is merging it once, so nothing happens twice.
 *      FORWARD  as a PUT that had no dot: who refused it had not begun
 *      LIST     goes on at its cursor; partitions that changed are asked of their owners now
 *
 * Not before its own epoch is at least the refuser's: then a late copy of a refusal can be told
 * from one of the new round, because it names no newer epoch. */
#include "base/planted.h"
#include "node/internal.h"

void reopen_note(struct request *request, uint64_t newer)
{
    if (newer > request->newer)
        request->newer = newer;
}

static bool is_ready(const struct node *node, const struct request *request)
{
    return request->parked && node->config.epoch->number >= request->newer;
}

bool reopen_later(struct node *node, struct request *request, kvorum_status verdict)
{
    if (!request->registered || request->newer <= request->epoch ||
        node->now_us >= request->deadline_us || PLANTED(EPOCH_REFUSAL_TOLD))
        return false;
    request->parked = true;
    request->verdict = verdict;
    node->reopen_due |= is_ready(node, request);
    return true;
}

void reopen_begin(struct node *node, struct request *request)
{
    request->parked = false;
    request->attempt++;
    request->newer = 0;
    if (request->kind != REQUEST_LIST) /* which compares the two, and goes on */
        request->epoch = node->config.epoch->number;
}

static void reopen(struct node *node, struct request *request)
{
    node->counters.reopened++;
    PROBE("node: a request that met a newer epoch began again");
    reopen_begin(node, request);
    switch (request->kind) {
    case REQUEST_GET:
        read_reopen(node, request);
        break;
    case REQUEST_PUT:
    case REQUEST_FORWARD:
        write_reopen(node, request);
        break;
    case REQUEST_LIST:
        list_reopen(node, request);
        break;
    default:
        assert(false); /* no other kind is parked */
    }
}

/* Ids first: an answer may end or start other requests. */
void reopen_run(struct node *node)
{
    uint64_t *ids = arena_allocate(&node->scratch, (node->requests.count + 1) * sizeof(*ids));
    size_t count = 0;
    node->reopen_due = false;
    if (ids == NULL)
        return; /* deadlines will do it */
    for (struct list *item = node->active.next; item != &node->active; item = item->next) {
        const struct request *request = LIST_ENTRY(item, struct request, link);
        if (is_ready(node, request))
            ids[count++] = request->id;
    }
    for (size_t i = 0; i < count; i++) {
        struct map_item *found = map_find(&node->requests, ids[i]);
        struct request *request = found == NULL ? NULL : LIST_ENTRY(found, struct request, by_id);
        if (request != NULL && is_ready(node, request))
            reopen(node, request);
    }
}
