/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/common/epoch.h"

void epoch_init(struct epoch *epoch)
{
    *epoch = (struct epoch){ .turn = 2 };
    pthread_mutex_init(&epoch->mutex, NULL);
}

static size_t free_all(struct epoch_item *item)
{
    size_t count = 0;
    while (item != NULL) {
        struct epoch_item *next = item->next;
        item->free(item);
        item = next;
        count++;
    }
    return count;
}

/* A freed item may retire others. */
void epoch_drain(struct epoch *epoch)
{
    for (bool any = true; any;) {
        struct epoch_item *heavy = epoch->heavy;
        epoch->heavy = NULL;
        any = free_all(heavy) > 0;
        for (int i = 0; i < EPOCH_BAGS; i++) {
            struct epoch_item *items = epoch->bags[i];
            epoch->bags[i] = NULL;
            any |= free_all(items) > 0;
        }
    }
    atomic_store(&epoch->retired_count, 0);
}

void epoch_done(struct epoch *epoch)
{
    epoch_drain(epoch);
    pthread_mutex_destroy(&epoch->mutex);
}

/* Who was counted in this parity before the look began has left when every slot shows zero. */
static bool parity_is_empty(struct epoch *epoch, uint64_t parity)
{
    atomic_thread_fence(memory_order_seq_cst);
    for (int i = 0; i < EPOCH_SLOTS; i++)
        if (atomic_load(&epoch->slots[i].inside[parity]) != 0)
            return false;
    return true;
}

/* Take the heavy ones out of `due` and put them aside. */
static struct epoch_item *put_aside(struct epoch *epoch, struct epoch_item *due)
{
    struct epoch_item *light = NULL;
    while (due != NULL) {
        struct epoch_item *next = due->next, **to = due->heavy ? &epoch->heavy : &light;
        due->next = *to;
        *to = due;
        due = next;
    }
    return light;
}

/* With the mutex: go on by one turn if that is possible, and return what is nobody's then. */
static struct epoch_item *move_on(struct epoch *epoch)
{
    uint64_t turn = atomic_load_explicit(&epoch->turn, memory_order_relaxed);
    if (!parity_is_empty(epoch, (turn + 1) & 1))
        return NULL;
    atomic_store(&epoch->turn, ++turn);
    struct epoch_item *due = epoch->bags[(turn + 1) % EPOCH_BAGS]; /* of turn - 2 */
    epoch->bags[(turn + 1) % EPOCH_BAGS] = NULL;
    return put_aside(epoch, due);
}

static void free_due(struct epoch *epoch, struct epoch_item *due)
{
    if (due != NULL)
        atomic_fetch_sub(&epoch->retired_count, free_all(due));
}

/* With the mutex. */
static void put(struct epoch *epoch, struct epoch_item *item)
{
    uint64_t turn = atomic_load_explicit(&epoch->turn, memory_order_relaxed);
    item->next = epoch->bags[turn % EPOCH_BAGS];
    epoch->bags[turn % EPOCH_BAGS] = item;
    atomic_fetch_add(&epoch->retired_count, 1);
}

void epoch_put_back(struct epoch *epoch, struct epoch_item *item)
{
    pthread_mutex_lock(&epoch->mutex);
    put(epoch, item);
    pthread_mutex_unlock(&epoch->mutex);
}

void epoch_retire(struct epoch *epoch, struct epoch_item *item)
{
    pthread_mutex_lock(&epoch->mutex);
    put(epoch, item);
    struct epoch_item *due = move_on(epoch);
    pthread_mutex_unlock(&epoch->mutex);
    free_due(epoch, due);
}

void epoch_advance(struct epoch *epoch)
{
    pthread_mutex_lock(&epoch->mutex);
    struct epoch_item *due = move_on(epoch);
    pthread_mutex_unlock(&epoch->mutex);
    free_due(epoch, due);
}

static struct epoch_item *take_heavy(struct epoch *epoch)
{
    pthread_mutex_lock(&epoch->mutex);
    struct epoch_item *heavy = epoch->heavy;
    epoch->heavy = NULL;
    pthread_mutex_unlock(&epoch->mutex);
    return heavy;
}

void epoch_poll(struct epoch *epoch)
{
    for (int i = 0; i < EPOCH_BAGS && atomic_load(&epoch->retired_count) > 0; i++)
        epoch_advance(epoch);
    free_due(epoch, take_heavy(epoch));
}
