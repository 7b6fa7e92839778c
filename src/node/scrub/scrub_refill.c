/* SPDX-License-Identifier: Apache-2.0 */
/* What was lost comes back by anti-entropy: the store as it was mended is compared with every other
 * owner of the partitions that the loss touches, for every n in use, and each exchange fetches what
 * only the other one has.
 *
 * With every one, because a write that this member acknowledged may be at any one of them alone.
 * Who is away is waited for, and keys stay in doubt here as long. */
#include "base/planted.h"
#include "node/collect/collect.h"
#include "node/scrub/scrub_internal.h"

enum { COMPARE_AGAIN_US = 5 * 1000 * 1000 };

/* --- which comparisons ----------------------------------------------------------------------- */

/* The first partition whose objects may be at or behind `key`. */
static uint32_t partition_of_lower(struct bytes key)
{
    if (key.size == 0 || key.data[0] < 'o')
        return 0;
    if (key.data[0] > 'o')
        return UINT32_MAX;
    return (key.size > 1 ? (uint32_t)key.data[1] << 8 : 0) | (key.size > 2 ? key.data[2] : 0);
}

/* The last one whose objects may be before `key`; *ret_any: there is one. */
static uint32_t partition_of_upper(struct bytes key, bool *ret_any)
{
    *ret_any = key.size == 0 || key.data[0] >= 'o';
    if (!*ret_any || key.size == 0 || key.data[0] > 'o')
        return UINT16_MAX;
    return (key.size > 1 ? (uint32_t)key.data[1] << 8 : 0) | (key.size > 2 ? key.data[2] : 0);
}

static bool add_comparison(struct loss *loss, const struct loss_comparison *comparison)
{
    struct loss_comparison *list =
        realloc(loss->comparisons, (loss->comparison_count + 1) * sizeof(*list));
    if (list == NULL)
        return false;
    list[loss->comparison_count++] = *comparison;
    loss->comparisons = list;
    return true;
}

/* A row that is not full yet has no owners beyond it: who stands there refuses to compare. */
static bool add_owners(struct node *node, struct loss *loss, uint32_t partition, uint8_t n)
{
    uint16_t owners[TARGETS_MAX];
    uint8_t limit = ring_owner_limit(node->config.epoch, partition);
    uint16_t count = ring_preference(node->config.epoch, partition, owners, n < limit ? n : limit);
    if (repair_place(node, partition, n, node->config.self) < 0)
        return true;
    loss->only_here = loss->only_here || count < 2;
    for (uint16_t i = 0; i < count; i++) {
        struct loss_comparison comparison = { partition, owners[i], n, node->now_us + 1 };
        if (owners[i] != node->config.self && !add_comparison(loss, &comparison))
            return false;
    }
    return true;
}

static bool list_comparisons(struct node *node, struct loss *loss)
{
    bool any;
    uint32_t last = partition_of_upper(loss->upper, &any);
    uint32_t ns = property_table_ns(node);
    loss->comparison_count = 0;
    loss->only_here = false;
    if (!any)
        return true;
    for (uint32_t p = partition_of_lower(loss->lower);
         p <= last && p < node->repair->partition_count; p++) {
        if (p % node->config.store_count != loss->store)
            continue;
        for (uint8_t n = 1; n <= TARGETS_MAX; n++)
            if ((ns >> n & 1) != 0 && !add_owners(node, loss, p, n))
                return false;
    }
    return true;
}

void scrub_refill(struct node *node, struct loss *loss)
{
    scrub_loss_forsake(node, loss, false);
    if (!list_comparisons(node, loss)) {
        loss->mended = false; /* no memory: from the beginning, in a while */
        loss->comparison_count = 0;
    }
    scrub_wake(node, node->now_us + 1);
}

/* --- making them ----------------------------------------------------------------------------- */

static struct loss_comparison *next_due(struct node *node)
{
    struct list *losses = &node->scrub->losses;
    for (struct list *item = losses->next; item != losses; item = item->next) {
        const struct loss *loss = LIST_ENTRY(item, struct loss, link);
        for (size_t i = 0; loss->mended && i < loss->comparison_count; i++)
            if (loss->comparisons[i].next_us <= node->now_us &&
                placement_reachable(node, loss->comparisons[i].member))
                return &loss->comparisons[i];
    }
    return NULL;
}

/* One exchange answers for every loss that waits for it. */
static void put_off(struct node *node, const struct loss_comparison *made)
{
    struct list *losses = &node->scrub->losses;
    for (struct list *item = losses->next; item != losses; item = item->next) {
        struct loss *loss = LIST_ENTRY(item, struct loss, link);
        for (size_t i = 0; i < loss->comparison_count; i++) {
            struct loss_comparison *own = &loss->comparisons[i];
            if (own->partition == made->partition && own->member == made->member &&
                own->n == made->n)
                own->next_us = node->now_us + COMPARE_AGAIN_US;
        }
    }
}

static void follow_epoch(struct node *node)
{
    struct list *losses = &node->scrub->losses;
    if (node->scrub->epoch == node->config.epoch->number)
        return;
    node->scrub->epoch = node->config.epoch->number;
    for (struct list *item = losses->next; item != losses; item = item->next) {
        struct loss *loss = LIST_ENTRY(item, struct loss, link);
        if (loss->mended)
            scrub_refill(node, loss);
    }
}

/* Its record stays: the next life must not answer either. */
static void forsake(struct node *node, struct loss *loss)
{
    PROBE("scrub: nobody could refill a loss");
    scrub_loss_forsake(node, loss, true);
    log_error(node->config.log,
              "keys that no other node owns are lost with a damaged file; reads of them fail until "
              "they are given up with `kvorum scrub --accept`",
              LOG_U64("store", loss->store), LOG_BYTES("from", loss->lower),
              LOG_BYTES("before", loss->upper));
}

/* Of a former life, and properties of buckets may have been lost with it: one of a single replica
 * would be taken for one of more, and what it has here alone for compared.  So nothing is concluded
 * before another member has the same records; then it is looked who owns what once more. */
static bool waits_for_properties(struct node *node, struct loss *loss)
{
    if (!loss->inherited || loss->listed_again || node->config.epoch->member_count < 2 ||
        !scrub_loss_meets_records(loss))
        return false;
    if (property_table_agreed(node)) {
        PROBE("scrub: who owns what was lost was looked up again with the properties of others");
        loss->listed_again = true;
        scrub_refill(node, loss);
    }
    return true;
}

static void end_those_done(struct node *node)
{
    struct list *losses = &node->scrub->losses;
    for (struct list *item = losses->next, *next; item != losses; item = next) {
        struct loss *loss = LIST_ENTRY(item, struct loss, link);
        next = item->next;
        if (!loss->mended || loss->comparison_count > 0 || loss->forsaken ||
            waits_for_properties(node, loss))
            continue;
        if (loss->only_here && !PLANTED(LOSS_FORGOTTEN)) {
            forsake(node, loss);
            continue;
        }
        PROBE("scrub: a loss was refilled");
        node->counters.scrub_refilled++;
        log_info(node->config.log, "what a damaged file held was compared with all other owners",
                 LOG_U64("store", loss->store), LOG_U64("left", node->scrub->loss_count - 1));
        scrub_loss_over(node, loss);
    }
}

void scrub_refill_tick(struct node *node)
{
    struct loss_comparison *due;
    follow_epoch(node);
    end_those_done(node);
    while (exchanges_have_room(node) && (due = next_due(node)) != NULL) {
        struct loss_comparison made = *due;
        put_off(node, &made); /* an exchange may be over at once */
        if (!exchange_open(node, made.partition, made.member, made.n, 0))
            return;
    }
}

/* --- giving up ------------------------------------------------------------------------------- */

/* A record that cannot be deleted now is found at the next start, and asks once more. */
void scrub_on_accept(struct node *node)
{
    struct list *losses = &node->scrub->losses;
    collect_on_accept(node);
    for (struct list *item = losses->next, *next; item != losses; item = next) {
        struct loss *loss = LIST_ENTRY(item, struct loss, link);
        next = item->next;
        if (!loss->forsaken)
            continue;
        node->counters.scrub_accepted++;
        log_warn(node->config.log, "keys that were lost were given up",
                 LOG_U64("store", loss->store), LOG_BYTES("from", loss->lower),
                 LOG_BYTES("before", loss->upper));
        scrub_loss_over(node, loss);
    }
}

/* --- what comes of them ---------------------------------------------------------------------- */

void scrub_on_compared(struct node *node, const struct repair_exchange *exchange, bool whole)
{
    struct list *losses = &node->scrub->losses;
    if (!whole || exchange->machine.narrowed)
        return;
    for (struct list *item = losses->next; item != losses; item = item->next) {
        struct loss *loss = LIST_ENTRY(item, struct loss, link);
        if (!loss->mended || exchange->begun_us <= loss->mended_us)
            continue;
        for (size_t i = loss->comparison_count; i-- > 0;) {
            const struct loss_comparison *own = &loss->comparisons[i];
            if (own->partition == exchange->partition && own->member == exchange->member &&
                own->n == exchange->n)
                loss->comparisons[i] = loss->comparisons[--loss->comparison_count];
        }
        if (PLANTED(REFILLED_FROM_ONE))
            loss->comparison_count = 0;
    }
    if (!list_empty(losses))
        scrub_wake(node, node->now_us + 1);
}
