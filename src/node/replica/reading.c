/* SPDX-License-Identifier: Apache-2.0 */
/* One read, on the shard's thread where it is in memory, else in a job: fetch.h. */
#include "node/replica/fetch.h"

#include "node/internal.h"

enum { ARENA_LIMIT = 1 << 30 };

struct reading *reading_open(size_t size)
{
    struct reading *reading = calloc(1, size);
    if (reading == NULL)
        return NULL;
    arena_init(&reading->arena, ARENA_LIMIT);
    list_init(&reading->link);
    return reading;
}

void reading_close(struct reading *reading)
{
    if (reading->drop != NULL)
        reading->drop(reading);
    arena_done(&reading->arena);
    free(reading);
}

static void reading_work(struct job *job)
{
    struct reading *reading = LIST_ENTRY(job, struct reading, job);
    reading->status = reading->read(reading, false);
}

static void reading_done(struct job *job)
{
    struct reading *reading = LIST_ENTRY(job, struct reading, job);
    struct node *node = reading->node;
    list_remove(&reading->link);
    if (node == NULL) {
        reading_close(reading);
        return;
    }
    node_enter(node);
    reading->done(node, reading);
    node_leave(node);
}

void reading_submit(struct node *node, struct reading *reading)
{
    reading->node = node;
    reading->job =
        (struct job){ .work = reading_work, .done = reading_done, .urgency = reading->job.urgency };
    list_append(&node->readings, &reading->link);
    node->counters.disk_reads++;
    jobs_submit(node->config.jobs, &reading->job);
}

bool reading_start(struct node *node, struct reading *reading)
{
    reading->status = reading->read(reading, node->config.jobs != NULL);
    if (reading->status == KVORUM_WOULD_BLOCK && node->config.jobs != NULL) {
        reading_submit(node, reading);
        return false;
    }
    reading->done(node, reading);
    return true;
}

void reading_begin(struct node *node, struct reading *reading)
{
    if (node->config.jobs != NULL)
        reading_submit(node, reading);
    else
        reading_start(node, reading);
}

void readings_leave(struct node *node)
{
    struct list *item;
    while ((item = list_take_first(&node->readings)) != NULL) {
        struct reading *reading = LIST_ENTRY(item, struct reading, link);
        list_init(&reading->link); /* reading_done removes it */
        reading->node = NULL;
    }
}
