/* SPDX-License-Identifier: Apache-2.0 */
/** Intrusive doubly linked ring.  An element embeds a struct list; a head is one too. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *previous;
};

#define LIST_ENTRY(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static inline void list_init(struct list *head)
{
    head->next = head->previous = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_append(struct list *head, struct list *item)
{
    item->previous = head->previous;
    item->next = head;
    head->previous->next = item;
    head->previous = item;
}

/** Take `item` out; it may be removed again, which does nothing. */
static inline void list_remove(struct list *item)
{
    item->previous->next = item->next;
    item->next->previous = item->previous;
    list_init(item);
}

/** First element, or NULL. */
static inline struct list *list_first(struct list *head)
{
    return list_empty(head) ? NULL : head->next;
}

/** Take the first element out and return it, or NULL. */
static inline struct list *list_take_first(struct list *head)
{
    struct list *item = list_first(head);
    if (item == NULL)
        return NULL;
    head->next = item->next;
    item->next->previous = head;
    list_init(item);
    return item;
}

#endif
