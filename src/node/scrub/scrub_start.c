/* SPDX-License-Identifier: Apache-2.0 */
/* What the stores hold of losses when the node starts; where records of the node itself, or hints,
 * cannot be read, the store is mended here and now. */
#include "base/planted.h"
#include "node/records.h"
#include "node/scrub/scrub_internal.h"

enum { BOUNDS_SIZE_MAX = 2 * ENGINE_KEY_SIZE_MAX + 8 };

/* What the other parts of the node read when they open, which are not among the objects. */
static const struct record_area promises = { "promises to collect", "m", "n" },
                                others = { "properties, proofs and trees", "p", "w" },
                                owed = { "hints", "h", "k" };

/* Whoever needs it looks into it later. */
static kvorum_status pass_over(struct node *node, struct bytes key, struct bytes value,
                               void *context)
{
    (void)node;
    (void)key;
    (void)value;
    (void)context;
    return KVORUM_OK;
}

static kvorum_status check_store(struct node *node, uint16_t store)
{
    struct engine *engine = node->config.stores[store];
    kvorum_status status = scrub_load_store(node, store);
    if (status == KVORUM_OK)
        status = records_load(node, engine, &promises, pass_over, NULL);
    if (status == KVORUM_OK)
        status = records_load(node, engine, &others, pass_over, NULL);
    return status;
}

static kvorum_status check_hints(struct node *node, uint16_t store)
{
    return records_load(node, node->config.stores[store], &owed, pass_over, NULL);
}

/* All between the bounds is in doubt, on disk, before the store is mended. */
static kvorum_status rescue(struct node *node, uint16_t store, struct bytes lower,
                            struct bytes upper)
{
    struct engine *engine = node->config.stores[store];
    const struct engine_range range = { .lower = lower, .upper = upper };
    struct scrub_reports reports = { 0 };
    struct arena arena;
    uint64_t mended = 0;
    PROBE("scrub: a store was mended when the node started");
    if (!scrub_loss_add(node, store, lower, upper, false))
        return KVORUM_NO_MEMORY;
    arena_init(&arena, BOUNDS_SIZE_MAX * SCRUB_REPORTS_MAX);
    kvorum_status status =
        scrub_reports_open(&reports, &arena) ? scrub_fill_batch(node, store) : KVORUM_NO_MEMORY;
    if (status == KVORUM_OK)
        status = engine_write(engine, node->batch, ENGINE_SYNC);
    if (status == KVORUM_OK)
        status = engine_mend(engine, &range, 1, scrub_report, &reports, &mended);
    arena_done(&arena);
    node->counters.scrub_mended += mended;
    node->counters.scrub_damaged += mended;
    return status;
}

/* Which of its own records are lost nobody knows: all of the store is in doubt. */
static kvorum_status rescue_all(struct node *node, uint16_t store)
{
    log_error(node->config.log,
              "records of the node itself are damaged; all of the store is compared with the "
              "other owners",
              LOG_U64("store", store));
    return rescue(node, store, (struct bytes){ 0 }, (struct bytes){ 0 });
}

/* CORRUPT: more than hints stood in the block. */
static kvorum_status rescue_hints(struct node *node, uint16_t store)
{
    log_error(
        node->config.log,
        "what is owed to nodes that were away is damaged; the owners of what it was about are "
        "compared",
        LOG_U64("store", store));
    return rescue(node, store, BYTES_LITERAL("h"), BYTES_LITERAL("k"));
}

static void forget_store(struct node *node, uint16_t store)
{
    struct list *losses = &node->scrub->losses;
    for (struct list *item = losses->next, *next; item != losses; item = next) {
        struct loss *loss = LIST_ENTRY(item, struct loss, link);
        next = item->next;
        if (loss->store == store)
            scrub_loss_remove(node, loss);
    }
}

/* Its losses are on disk, and read there. */
static kvorum_status check_again(struct node *node, uint16_t store)
{
    forget_store(node, store);
    return check_store(node, store);
}

static kvorum_status load_store(struct node *node, uint16_t store)
{
    kvorum_status status = check_store(node, store), hints = KVORUM_OK;
    if (status == KVORUM_OK)
        hints = check_hints(node, store);
    if (hints == KVORUM_CORRUPT) {
        hints = rescue_hints(node, store);
        status = check_again(node, store);
    }
    if (status == KVORUM_CORRUPT || hints == KVORUM_CORRUPT) {
        forget_store(node, store);
        status = rescue_all(node, store);
        if (status == KVORUM_OK)
            status = check_again(node, store);
        hints = KVORUM_OK;
    }
    return status == KVORUM_OK ? hints : status;
}

kvorum_status scrub_losses_load(struct node *node)
{
    kvorum_status status = KVORUM_OK;
    for (uint16_t i = 0; i < node->config.store_count && status == KVORUM_OK; i++) {
        struct engine *engine = node->config.stores[i];
        if (engine == NULL || !engine_can(engine, ENGINE_DURABLE | ENGINE_ORDERED | ENGINE_TABLES))
            continue;
        status = load_store(node, i);
    }
    return status;
}
