/* SPDX-License-Identifier: Apache-2.0 */
/* A batch is given to a store, and when it is as durable as was asked, its plan is carried out. */
#include "node/buckets/drop.h"
#include "node/collect/collect.h"
#include "node/replica/replica_internal.h"
#include "node/scrub/scrub.h"

struct commit {
    struct engine_commit base;
    struct list link;  /* node->commits, or node->free_commits */
    struct node *node; /* NULL: the node went away before its store answered */
    const struct engine *store;
    struct commit_plan plan;
    bool durable;
};

enum engine_durability replica_durability(const struct node *node, bool must_sync)
{
    return must_sync || node->config.sync == NODE_SYNC_ALWAYS ? ENGINE_SYNC : ENGINE_LOG;
}

void replica_send_merge_answer(struct node *node, struct net_address to, uint64_t request_id,
                               kvorum_status status, bool durable)
{
    Peer__MergeAnswer answer = PEER__MERGE_ANSWER__INIT;
    answer.status = status;
    answer.durable = durable;
    node_send(node, to, MESSAGE_MERGE_ANSWER, request_id, node_pack(node, &answer.base),
              (struct bytes){ 0 });
}

void replica_carry_out(struct node *node, const struct commit_plan *plan, kvorum_status status,
                       bool durable)
{
    switch (plan->kind) {
    case COMMIT_NOTHING:
        break;
    case COMMIT_ANSWER:
        if (status == KVORUM_OK)
            status = plan->verdict;
        replica_send_merge_answer(node, plan->to, plan->request_id, status, durable);
        break;
    case COMMIT_SUSPECT_ANSWER:
        suspect_answer(node, plan->to, plan->request_id, status);
        break;
    case COMMIT_TARGET:
        if (request_is(plan->request, plan->request_id, REQUEST_PUT) &&
            plan->attempt == plan->request->attempt)
            write_on_acknowledged(node, plan->request, plan->target, status, durable);
        break;
    case COMMIT_PROPERTIES:
    case COMMIT_PROPERTIES_ANSWER:
    case COMMIT_GENERATION:
        property_on_stored(node, plan, status);
        break;
    case COMMIT_PROMISE:
        drop_on_promised(node, plan, status);
        break;
    case COMMIT_STREAM:
    case COMMIT_TENURE:
        handoff_on_stored(node, plan, status);
        break;
    case COMMIT_LOSS:
        scrub_on_stored(node, plan, status);
        break;
    case COMMIT_FENCE:
        collect_on_stored(node, plan, status);
        break;
    }
}

bool replica_is_poisoned(const struct node *node, uint32_t partition)
{
    return node->poisoned[partition % node->config.store_count];
}

static void report_disk(struct node *node, const struct engine *store, kvorum_status status)
{
    node->counters.disk_errors++;
    for (uint16_t i = 0; i < node->config.store_count; i++)
        node->poisoned[i] |= node->config.stores[i] == store && status == KVORUM_POISONED;
    if (node->refusal_reported)
        return;
    node->refusal_reported = true;
    bool full = status == KVORUM_NO_SPACE;
    log_error(node->config.log, "a store refused a write; it was not acknowledged",
              LOG_STATUS(status),
              LOG_TEXT("next", full ? "make room" : "check the disk, then restart the node"));
}

static void commit_done(struct engine_commit *base, kvorum_status status)
{
    struct commit *commit = LIST_ENTRY(base, struct commit, base);
    struct node *node = commit->node;
    list_remove(&commit->link);
    if (node == NULL) {
        free(commit);
        return;
    }
    struct commit_plan plan = commit->plan;
    bool durable = commit->durable && status == KVORUM_OK;
    list_append(&node->free_commits, &commit->link);
    node_enter(node);
    if (status != KVORUM_OK)
        report_disk(node, commit->store, status);
    replica_carry_out(node, &plan, status, durable);
    node_leave(node);
}

static struct commit *commit_open(struct node *node)
{
    struct list *item = list_first(&node->free_commits);
    struct commit *commit =
        item == NULL ? calloc(1, sizeof(*commit)) : LIST_ENTRY(item, struct commit, link);
    if (commit == NULL)
        return NULL;
    if (item != NULL)
        list_remove(item);
    list_init(&commit->link);
    list_append(&node->commits, &commit->link);
    commit->node = node;
    commit->base.done = commit_done;
    return commit;
}

kvorum_status replica_submit(struct node *node, struct engine *store,
                             const struct engine_batch *batch, enum engine_durability durability,
                             const struct commit_plan *plan)
{
    struct commit *commit = commit_open(node);
    if (commit == NULL)
        return KVORUM_NO_MEMORY;
    commit->plan = *plan;
    commit->store = store;
    commit->durable = durability == ENGINE_SYNC; /* as safe as this store ever makes it */
    kvorum_status status = engine_submit(store, batch, durability, &commit->base);
    if (status != KVORUM_OK) {
        list_remove(&commit->link);
        list_append(&node->free_commits, &commit->link);
        if (status == KVORUM_IO || status == KVORUM_POISONED || status == KVORUM_NO_SPACE)
            report_disk(node, store, status);
    }
    return status;
}

void replica_done(struct node *node)
{
    struct list *item;
    while ((item = list_take_first(&node->free_commits)) != NULL)
        free(LIST_ENTRY(item, struct commit, link));
    while ((item = list_take_first(&node->commits)) != NULL) /* commit_done frees these */
        LIST_ENTRY(item, struct commit, link)->node = NULL;
}
