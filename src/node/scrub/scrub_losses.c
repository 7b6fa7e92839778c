/* SPDX-License-Identifier: Apache-2.0 */
/* Losses, from the report of damage to a store without it.
 *
 *      added --batch synced--> on disk --job--> mended --scrub_refill.c--> over, record deleted
 *        ^                                  |
 *        +--- more is damaged than that ----+
 *
 * Reads give no answer from the moment a loss is added: before the store is mended it would answer
 * CORRUPT itself, and afterwards what is older.  A record that is found at the start is mended
 * again: nobody knows how far it got. */
#include "base/planted.h"
#include "node/collect/collect.h"
#include "node/scrub/scrub_internal.h"

bool scrub_is_alone(const struct node *node)
{
    return node->config.epoch->member_count < 2;
}

/* --- the list -------------------------------------------------------------------------------- */

static bool upper_covers(struct bytes wide, struct bytes upper)
{
    return wide.size == 0 || (upper.size > 0 && bytes_compare(upper, wide) <= 0);
}

static bool covers(const struct loss *loss, struct bytes lower, struct bytes upper)
{
    return bytes_compare(loss->lower, lower) <= 0 && upper_covers(loss->upper, upper);
}

bool scrub_loss_meets(const struct loss *loss, struct bytes lower, struct bytes upper)
{
    return (upper.size == 0 || bytes_compare(loss->lower, upper) < 0) &&
           (loss->upper.size == 0 || bytes_compare(lower, loss->upper) < 0);
}

static bool set_bounds(struct loss *loss, struct bytes lower, struct bytes upper)
{
    uint8_t *memory = malloc(lower.size + upper.size + 1);
    if (memory == NULL)
        return false;
    if (lower.size > 0)
        memcpy(memory, lower.data, lower.size);
    if (upper.size > 0)
        memcpy(memory + lower.size, upper.data, upper.size);
    free(loss->memory);
    loss->memory = memory;
    loss->lower = bytes_make(memory, lower.size);
    loss->upper = bytes_make(memory + lower.size, upper.size);
    return true;
}

struct loss *scrub_loss_create(struct node *node, uint16_t store, struct bytes lower,
                               struct bytes upper)
{
    struct scrub *scrub = node->scrub;
    struct loss *loss = calloc(1, sizeof(*loss));
    if (loss == NULL || !set_bounds(loss, lower, upper)) {
        free(loss);
        return NULL;
    }
    loss->store = store;
    loss->number = scrub->next_number++;
    list_append(&scrub->losses, &loss->link);
    scrub->loss_count++;
    node->counters.scrub_losses++;
    return loss;
}

void scrub_loss_forsake(struct node *node, struct loss *loss, bool forsaken)
{
    node->counters.scrub_lost += (uint64_t)forsaken - (uint64_t)loss->forsaken;
    loss->forsaken = forsaken;
}

void scrub_loss_remove(struct node *node, struct loss *loss)
{
    scrub_loss_forsake(node, loss, false);
    list_remove(&loss->link);
    node->scrub->loss_count--;
    node->counters.scrub_losses--;
    free(loss->memory);
    free(loss->comparisons);
    free(loss);
}

/* The two as one, which is not mended yet, whatever `loss` was. */
static bool widen(struct node *node, struct loss *loss, struct bytes lower, struct bytes upper,
                  bool harmless)
{
    struct bytes least = bytes_compare(lower, loss->lower) < 0 ? lower : loss->lower;
    struct bytes most = upper_covers(loss->upper, upper) ? loss->upper : upper;
    loss->harmless = loss->harmless && harmless;
    loss->mended = loss->taken = false;
    loss->comparison_count = 0;
    scrub_loss_forsake(node, loss, false);
    return set_bounds(loss, least, most);
}

static struct loss *find_meeting(const struct node *node, uint16_t store, struct bytes lower,
                                 struct bytes upper)
{
    struct list *losses = &node->scrub->losses;
    struct loss *any = NULL;
    for (struct list *item = losses->next; item != losses; item = item->next) {
        struct loss *loss = LIST_ENTRY(item, struct loss, link);
        if (loss->store != store)
            continue;
        any = loss;
        if (scrub_loss_meets(loss, lower, upper))
            return loss;
    }
    return node->scrub->loss_count >= SCRUB_LOSSES_MAX ? any : NULL;
}

static bool is_within(const struct loss *loss, struct bytes lower, struct bytes upper,
                      bool harmless)
{
    return !loss->mended && covers(loss, lower, upper) && (harmless || !loss->harmless);
}

bool scrub_loss_known(const struct node *node, uint16_t store, const struct engine_loss *reported)
{
    const struct loss *loss = find_meeting(node, store, reported->lower, reported->upper);
    return loss != NULL && is_within(loss, reported->lower, reported->upper, !reported->lost);
}

bool scrub_loss_add(struct node *node, uint16_t store, struct bytes lower, struct bytes upper,
                    bool harmless)
{
    struct loss *loss = find_meeting(node, store, lower, upper);
    if (loss != NULL && is_within(loss, lower, upper, harmless))
        return true;
    if (loss != NULL)
        return widen(node, loss, lower, upper, harmless);
    loss = scrub_loss_create(node, store, lower, upper);
    if (loss == NULL)
        return false;
    loss->harmless = harmless;
    return true;
}

/* --- doubts ---------------------------------------------------------------------------------- */

/* No other member owns the key, in its bucket. */
static bool is_only_here(struct node *node, const struct key_address *address)
{
    struct bucket_properties properties;
    uint16_t owners[PLACEMENT_OWNERS_MAX];
    property_table_get(node, address->type, address->bucket, &properties);
    uint16_t count =
        placement_owners(node, address->partition, (uint8_t)properties.levels.n, owners);
    for (uint16_t i = 0; i < count; i++)
        if (owners[i] != node->config.self)
            return false;
    return true;
}

enum scrub_doubt scrub_judge(struct node *node, const struct key_address *address)
{
    struct list *losses = &node->scrub->losses;
    uint16_t store = (uint16_t)(address->partition % node->config.store_count);
    enum scrub_doubt doubt = SCRUB_SOUND;
    if (collect_waits(node, address->partition))
        return SCRUB_DOUBT;
    if (PLANTED(LOST_RANGE_ANSWERED))
        return SCRUB_SOUND;
    if (list_empty(losses) || PLANTED(DAMAGE_DROPPED))
        return SCRUB_SOUND;
    struct bytes key = store_key(&node->scratch, address);
    if (key.data == NULL)
        return SCRUB_DOUBT;
    for (struct list *item = losses->next; item != losses && doubt != SCRUB_DOUBT;
         item = item->next) {
        const struct loss *loss = LIST_ENTRY(item, struct loss, link);
        if (loss->store != store || loss->harmless || bytes_compare(loss->lower, key) > 0 ||
            (loss->upper.size > 0 && bytes_compare(key, loss->upper) >= 0))
            continue;
        if (!loss->forsaken)
            doubt = SCRUB_DOUBT;
        else if (is_only_here(node, address))
            doubt = SCRUB_LOST;
    }
    if (doubt == SCRUB_DOUBT)
        PROBE("scrub: no answer about a key in doubt");
    return doubt;
}

bool scrub_doubts_partition(struct node *node, uint32_t partition)
{
    struct list *losses = &node->scrub->losses;
    uint8_t lower[] = { 'o', (uint8_t)(partition >> 8), (uint8_t)partition };
    uint8_t upper[] = { 'o', (uint8_t)((partition + 1) >> 8), (uint8_t)(partition + 1) };
    upper[0] += partition == UINT16_MAX;
    if (collect_waits(node, partition))
        return true;
    for (struct list *item = losses->next; item != losses; item = item->next) {
        const struct loss *loss = LIST_ENTRY(item, struct loss, link);
        if (loss->store == partition % node->config.store_count && !loss->harmless &&
            scrub_loss_meets(loss, bytes_make(lower, sizeof(lower)),
                             bytes_make(upper, sizeof(upper))))
            return true;
    }
    return false;
}

void scrub_on_corrupt(struct node *node, uint32_t partition, struct bytes key)
{
    uint16_t store = (uint16_t)(partition % node->config.store_count);
    uint8_t *upper = arena_allocate(&node->scratch, key.size + 1);
    if (upper == NULL)
        return; /* who reads it next says it again */
    memcpy(upper, key.data, key.size);
    upper[key.size] = 0;
    PROBE("scrub: a read met damage");
    if (scrub_loss_add(node, store, key, bytes_make(upper, key.size + 1), false))
        scrub_wake(node, node->now_us);
}
