/* SPDX-License-Identifier: Apache-2.0 */
/* All exchanges that this shard began: how many there may be, and when one of them is due. */
#include "base/planted.h"
#include "node/repair/repair_internal.h"

struct repair_exchange *exchange_find(struct node *node, uint64_t id)
{
    struct list *exchanges = &node->repair->exchanges;
    for (struct list *item = exchanges->next; item != exchanges; item = item->next) {
        struct repair_exchange *exchange = LIST_ENTRY(item, struct repair_exchange, link);
        if (exchange->id == id)
            return exchange;
    }
    return NULL;
}

bool exchanges_have_room(const struct node *node)
{
    const struct list *exchanges = &node->repair->exchanges;
    uint32_t busy = 0;
    for (const struct list *item = exchanges->next; item != exchanges; item = item->next) {
        const struct repair_exchange *exchange = LIST_ENTRY(item, struct repair_exchange, link);
        busy += !exchange->waiting && exchange->machine.state != EXCHANGE_SETTLING;
    }
    return node->repair->exchange_count < REPAIR_EXCHANGES_MAX && busy < REPAIR_BUSY_MAX;
}

static uint64_t own_due_us(const struct repair_exchange *exchange)
{
    return exchange->waiting ? exchange->retry_us : exchange->machine.deadline_us;
}

uint64_t exchanges_due_us(const struct node *node)
{
    uint64_t due_us = UINT64_MAX;
    const struct list *exchanges = &node->repair->exchanges;
    for (const struct list *item = exchanges->next; item != exchanges; item = item->next) {
        uint64_t own_us = own_due_us(LIST_ENTRY(item, struct repair_exchange, link));
        due_us = own_us < due_us ? own_us : due_us;
    }
    return due_us;
}

void exchanges_tick(struct node *node)
{
    uint64_t ids[REPAIR_EXCHANGES_MAX + TARGETS_MAX];
    uint32_t count = 0;
    struct list *exchanges = &node->repair->exchanges;
    for (struct list *item = exchanges->next; item != exchanges; item = item->next)
        if (count < sizeof(ids) / sizeof(*ids))
            ids[count++] = LIST_ENTRY(item, struct repair_exchange, link)->id;
    for (uint32_t i = 0; i < count; i++) {
        struct repair_exchange *exchange = exchange_find(node, ids[i]);
        if (exchange == NULL || own_due_us(exchange) > node->now_us)
            continue;
        if (exchange->waiting)
            exchange_begin(node, exchange);
        else
            exchange_event(node, exchange, (struct exchange_event){ .kind = EXCHANGE_TICK });
    }
}

/* A next question would go to whoever has the slot now, in the name of an epoch in which one of the
 * two may be no owner. */
void exchanges_end_outdated(struct node *node, uint64_t former)
{
    struct list *exchanges = &node->repair->exchanges, *item = exchanges->next;
    while (item != exchanges) {
        struct repair_exchange *exchange = LIST_ENTRY(item, struct repair_exchange, link);
        item = item->next;
        if (!epochs_changed_since(node, exchange->partition, former) &&
            !epochs_slot_changed_since(node, exchange->member, former))
            continue;
        PROBE("repair: an exchange ended with its epoch");
        exchange_end(node, exchange, KVORUM_WRONG_EPOCH);
    }
}

void exchanges_hurry(struct node *node, uint32_t partition)
{
    struct list *exchanges = &node->repair->exchanges;
    for (struct list *item = exchanges->next; item != exchanges; item = item->next) {
        struct repair_exchange *exchange = LIST_ENTRY(item, struct repair_exchange, link);
        if (exchange->waiting && exchange->partition == partition)
            exchange->retry_us = node->now_us;
    }
}

void exchanges_close(struct node *node)
{
    struct list *item;
    while ((item = list_take_first(&node->repair->exchanges)) != NULL)
        exchange_free(node, LIST_ENTRY(item, struct repair_exchange, link));
}
