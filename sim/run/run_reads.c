/* SPDX-License-Identifier: Apache-2.0 */
#include "base/planted.h"
#include "sim/checkers/checkers.h"
#include "sim/run/run_internal.h"

enum {
    FINAL_READS_MAX = 20, /* attempts a key and pass */
    FINAL_LOTS_MAX = 400,
    FINAL_PASSES = 2,
    FINAL_LIST_MS = 60 * 1000,
};

uint32_t run_reads_max(const struct plan *plan)
{
    return FINAL_PASSES * FINAL_READS_MAX * plan->key_count;
}

/* --- reading --------------------------------------------------------------------------------- */

static void check_final(struct simulation *s, const struct record *read)
{
    if (s->plan.durable) {
        check_acknowledged(&s->history, read);
        check_superseded(&s->history, read, READING_STRONG);
    }
    if (s->plan.durable || s->plan.deletes_hold)
        check_deletes(&s->history, read);
}

/* Nothing is wrong any more: the key must be readable from all its owners. */
static bool read_key(struct simulation *s, uint32_t key)
{
    struct record *read = NULL;
    int nobody = 0; /* how often the lot fell to one that was switched off: no attempt */
    for (int i = 0; i < FINAL_READS_MAX + nobody; i++) {
        bool done = false;
        read = workload_read_all(&s->workload, key, &done);
        nobody += read == NULL && nobody < FINAL_LOTS_MAX;
        while (read != NULL && !done) {
            if (!world_step(&s->world))
                return false;
        }
        if (s->plan.only_detected && read != NULL && read->status == KVORUM_CORRUPT) {
            PROBE("decay: a key is lost, and said to be");
            return true;
        }
        if (read != NULL && (read->status == KVORUM_OK || read->status == KVORUM_NOT_FOUND)) {
            s->found[key] = read->status == KVORUM_OK;
            check_final(s, read);
            return s->world.violation.checker == NULL;
        }
        if (!run_pass_time(s, RUN_POLL_US))
            return false;
    }
    world_fail(&s->world, "liveness",
               "key %u cannot be read from all owners of a healthy cluster: %s", key,
               read == NULL ? "no node runs" : kvorum_status_name(read->status));
    return false;
}

/* A repair that meets a store without room is given up, for a later read to try again: in the last
 * pass each waits until the background has made room. */
bool run_read_everything(struct simulation *s)
{
    for (int pass = 0; pass < FINAL_PASSES; pass++) {
        bool last = pass == FINAL_PASSES - 1;
        for (uint32_t key = 0; key < s->plan.key_count; key++) {
            if ((last && !run_come_to_rest(s)) || !read_key(s, key))
                return false;
        }
        if (!run_pass_time(s, RUN_SETTLE_US))
            return false;
    }
    return true;
}

/* --- listing --------------------------------------------------------------------------------- */

struct final_list {
    struct simulation *simulation;
    bool answered, over;
    kvorum_status status;
};

static void on_page(void *context, const struct list_page *page)
{
    struct final_list *list = context;
    list->answered = true;
    list->status = page->status;
    list->over = page->last || page->status != KVORUM_OK;
    for (uint32_t i = 0; i < page->count; i++) {
        uint32_t key;
        if (history_key_number(page->names[i], &key) && key < list->simulation->plan.key_count)
            list->simulation->listed[key] = true;
    }
}

bool run_list_everything(struct simulation *s)
{
    struct final_list list = { .simulation = s };
    struct process *process = &s->cluster.processes[choose(&s->world, s->cluster.count)];
    if (process->retired)
        process = cluster_any_running(&s->cluster);
    struct node *node = process->shards[0].node;
    process_enter(process);
    uint64_t id = node_list(node, LIST_KEYS, (struct bytes){ 0 }, BYTES_LITERAL(SIM_BUCKET),
                            FINAL_LIST_MS, on_page, &list);
    process_leave(process, 0);
    while (!list.over) {
        while (!list.answered) {
            if (!world_step(&s->world))
                return false;
        }
        list.answered = false;
        if (list.over)
            break;
        process_enter(process);
        node_list_next(node, id);
        process_leave(process, 0);
    }
    if (list.status != KVORUM_OK)
        world_fail(&s->world, "liveness", "a healthy cluster cannot list a bucket: %s",
                   kvorum_status_name(list.status));
    check_listed(&s->world, s->plan.key_count, s->found, s->listed);
    return s->world.violation.checker == NULL;
}
