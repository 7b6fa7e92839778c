/* SPDX-License-Identifier: Apache-2.0 */
/* What an exchange that ended tells: leaves that both doubt, marks of dropped hints that it
 * settles, and whether to try again. */
#include "node/repair/repair_internal.h"

#include "codec/protobuf.h"
#include "node/scrub/scrub.h"

/* --- leaves in doubt -------------------------------------------------------------------------- */

static void tell_doubts(struct node *node, const struct repair_exchange *exchange,
                        const struct leaf_set *leaves)
{
    Peer__Repair doubt = PEER__REPAIR__INIT;
    doubt.kind = REPAIR_DOUBT;
    doubt.partition = exchange->partition;
    doubt.n = exchange->n;
    if (!repair_pack_leaves(node, leaves, &doubt))
        return;
    node_send(node, placement_of(node, exchange->member, exchange->partition), MESSAGE_REPAIR, 0,
              node_pack(node, &doubt.base), (struct bytes){ 0 });
}

/* --- marks of dropped hints ------------------------------------------------------------------ */

void repair_on_mark(struct node *node, uint32_t number)
{
    struct repair_partition *partition = repair_partition(node, number);
    if (partition == NULL)
        return; /* nor can it be compared */
    partition->marks++;
    partition->settled_count = 0;
}

/* A mark is settled when all that both own has been compared, whatever the bucket. */
static void settle_marks(struct node *node, const struct repair_exchange *exchange)
{
    struct repair_partition *partition = repair_partition(node, exchange->partition);
    if (partition == NULL || partition->marks != exchange->marks || exchange->machine.narrowed)
        return;
    uint8_t at = 0;
    while (at < partition->settled_count && partition->settled[at].member != exchange->member)
        at++;
    if (at == TARGETS_MAX)
        return;
    if (at == partition->settled_count) {
        partition->settled[partition->settled_count++].member = exchange->member;
        partition->settled[at].ns = 0;
    }
    partition->settled[at].ns |= UINT32_C(1) << exchange->n;
    uint32_t open = repair_shared_ns(node, exchange->partition, exchange->member);
    if ((open & ~partition->settled[at].ns) == 0) {
        partition->settled[at].ns = 0;
        hints_compared(node, exchange->partition, exchange->member);
    }
}

/* --- the end of an exchange ------------------------------------------------------------------- */

static void count(struct node *node, const struct repair_exchange *exchange, bool failed)
{
    const struct exchange_figures *figures = &exchange->machine.figures;
    struct node_counters *counters = &node->counters;
    counters->repair_exchanges++;
    counters->repair_failures += failed;
    counters->repair_keys_compared += figures->keys_compared;
    counters->repair_keys_differing += figures->keys_differing;
    if (exchange->demand != 0 && exchange->demand == node->repair->demand.number) {
        counters->repair_demand_done++;
        counters->repair_demand_failed += failed;
    }
}

void repair_exchange_over(struct node *node, const struct repair_exchange *exchange,
                          kvorum_status status)
{
    const struct exchange_figures *figures = &exchange->machine.figures;
    struct leaf_set doubted;
    bool failed = status != KVORUM_OK || figures->failed > 0;
    bool doubts = status == KVORUM_OK && exchange_doubts(&exchange->machine, &doubted);
    count(node, exchange, failed);
    if (failed)
        log_info(node->config.log, "two replicas could not be compared",
                 LOG_U64("partition", exchange->partition),
                 LOG_TEXT("member", node->config.epoch->members[exchange->member].name),
                 LOG_TEXT("status", kvorum_status_name(status)),
                 LOG_U64("failed", figures->failed));
    if (doubts) {
        repair_doubt(node, exchange->partition, exchange->n, &doubted);
        tell_doubts(node, exchange, &doubted);
    }
    scrub_on_compared(node, exchange, !failed && !doubts && figures->left == 0);
    if (failed || doubts || figures->left > 0)
        repair_suspect(node, exchange->partition, exchange->member);
    else
        settle_marks(node, exchange);
}
