/* SPDX-License-Identifier: Apache-2.0 */
#include "node/tasks/tasks.h"

#include "node/internal.h"

static struct task_figures *figures_of(struct tasks *tasks, const struct node *node, int kind,
                                       uint16_t shard)
{
    return &tasks->figures[(size_t)kind * node->config.shard_count + shard];
}

kvorum_status tasks_open(struct node *node)
{
    struct tasks *tasks = calloc(1, sizeof(*tasks));
    node->tasks = tasks;
    if (tasks == NULL)
        return KVORUM_NO_MEMORY;
    if (node->config.task_orders != NULL)
        tasks->orders = *node->config.task_orders;
    node->config.task_orders = NULL; /* it was the caller's */
    if (node->config.shard != 0)
        return KVORUM_OK;
    kvorum_status status = task_orders_open(node);
    if (status != KVORUM_OK)
        return status;
    tasks->figures = calloc((size_t)TASK_KINDS * node->config.shard_count, sizeof(*tasks->figures));
    return tasks->figures == NULL ? KVORUM_NO_MEMORY : KVORUM_OK;
}

void tasks_close(struct node *node)
{
    if (node->tasks != NULL) {
        task_orders_close(node);
        free(node->tasks->figures);
    }
    free(node->tasks);
    node->tasks = NULL;
}

/* --- figures ---------------------------------------------------------------------------------- */

void tasks_fill(struct node *node, Peer__Progress *progress)
{
    Peer__TaskFigures *all = arena_allocate(&node->scratch, TASK_KINDS * sizeof(*all));
    Peer__TaskFigures **list = arena_allocate(&node->scratch, TASK_KINDS * sizeof(struct node *));
    if (all == NULL || list == NULL)
        return;
    for (int kind = 0; kind < TASK_KINDS; kind++) {
        struct task_figures figures = { 0 };
        Peer__TaskFigures *to = list[kind] = &all[kind];
        task_sources[kind].look(node, &figures);
        peer__task_figures__init(to);
        to->kind = (uint32_t)kind;
        to->active = figures.active;
        to->paused = figures.paused;
        to->throttled = figures.throttled;
        to->runs = figures.runs;
        to->asked_us = figures.asked_us;
        to->done = figures.done;
        to->total = figures.total;
        to->failed = figures.failed;
        to->size = figures.size;
        to->size_total = figures.size_total;
        to->advances = figures.advances;
        to->limit = figures.limit;
        to->left_us = figures.left_us;
        to->note = figures.note;
        to->member = figures.member;
    }
    progress->tasks = list;
    progress->n_tasks = TASK_KINDS;
}

void tasks_take(struct node *node, uint16_t shard, const Peer__Progress *progress)
{
    for (size_t i = 0; i < progress->n_tasks; i++) {
        const Peer__TaskFigures *from = progress->tasks[i];
        if (from->kind >= TASK_KINDS)
            continue;
        *figures_of(node->tasks, node, (int)from->kind, shard) = (struct task_figures){
            .active = from->active,
            .paused = from->paused,
            .throttled = from->throttled,
            .runs = from->runs,
            .asked_us = from->asked_us,
            .done = from->done,
            .total = from->total,
            .failed = from->failed,
            .size = from->size,
            .size_total = from->size_total,
            .advances = from->advances,
            .limit = from->limit,
            .left_us = from->left_us,
            .note = (enum task_note)from->note,
            .member = (uint16_t)from->member,
        };
    }
}

static void step(struct node *node, int kind)
{
    struct tasks *tasks = node->tasks;
    struct task_figures sum = { 0 }, *own = figures_of(tasks, node, kind, 0);
    *own = (struct task_figures){ 0 };
    task_sources[kind].look(node, own);
    for (uint16_t shard = 0; shard < node->config.shard_count; shard++)
        task_figures_add(&sum, figures_of(tasks, node, kind, shard));
    task_meter_step(&tasks->meters[kind], &sum, node->now_us);
}

static void remind(struct node *node);

void tasks_tick(struct node *node)
{
    remind(node);
    for (int kind = 0; kind < TASK_KINDS; kind++)
        step(node, kind);
}

/* --- carrying out ----------------------------------------------------------------------------- */

static uint64_t share(const struct node *node, uint64_t rate)
{
    return (rate + node->config.shard_count - 1) / node->config.shard_count;
}

/* What a shard is told to do. */
struct task_command {
    uint32_t ask;
    uint64_t limit, asked_us;
};

static void carry_out(struct node *node, int kind, const struct task_command *command)
{
    const struct task_source *source = &task_sources[kind];
    switch (command->ask) {
    case TASK_PAUSE:
    case TASK_RESUME:
        source->pause(node, command->ask == TASK_PAUSE);
        break;
    case TASK_LIMIT:
        source->limit(node, share(node, command->limit));
        break;
    case TASK_CANCEL:
        source->cancel(node, command->asked_us);
        break;
    default:
        break;
    }
}

static kvorum_status refusal(const struct task_source *source, uint32_t ask, const char **ret_why)
{
    bool can = (ask == TASK_LIST) ||
               ((ask == TASK_PAUSE || ask == TASK_RESUME) && source->pause != NULL) ||
               (ask == TASK_LIMIT && source->limit != NULL) ||
               (ask == TASK_CANCEL && source->cancel != NULL);
    if (can)
        return KVORUM_OK;
    *ret_why = ask == TASK_CANCEL && source->cancel_refusal != NULL
                   ? source->cancel_refusal
                   : "this kind of work cannot do that";
    return ask == TASK_CANCEL ? KVORUM_NOT_ALLOWED : KVORUM_UNSUPPORTED;
}

static bool tell_shard(struct node *node, uint16_t shard, int kind,
                       const struct task_command *command)
{
    Peer__Tasks asked = PEER__TASKS__INIT;
    asked.ask = command->ask;
    asked.kind = (char *)task_sources[kind].name;
    asked.limit = command->limit;
    asked.asked_us = command->asked_us;
    return node_send(node, (struct net_address){ node->config.self, shard }, MESSAGE_TASKS, 0,
                     node_pack(node, &asked.base), (struct bytes){ 0 });
}

void tasks_go_by_orders(struct node *node)
{
    for (int kind = 0; kind < TASK_KINDS; kind++) {
        const struct task_order *order = &node->tasks->orders.kinds[kind];
        const struct task_command limit = { .ask = TASK_LIMIT, .limit = order->limit };
        const struct task_command pause = { .ask = TASK_PAUSE };
        if (order->limited && task_sources[kind].limit != NULL)
            carry_out(node, kind, &limit);
        if (order->paused && task_sources[kind].pause != NULL)
            carry_out(node, kind, &pause);
    }
}

/* A shard that does not go by the orders missed a message: it is told again. */
static void remind(struct node *node)
{
    for (int kind = 0; kind < TASK_KINDS; kind++) {
        const struct task_order *order = &node->tasks->orders.kinds[kind];
        const struct task_command pause = { .ask = order->paused ? TASK_PAUSE : TASK_RESUME };
        const struct task_command limit = { .ask = TASK_LIMIT, .limit = order->limit };
        for (uint16_t shard = 1; shard < node->config.shard_count; shard++) {
            const struct task_figures *told = figures_of(node->tasks, node, kind, shard);
            if (told->paused != order->paused)
                (void)tell_shard(node, shard, kind, &pause);
            if (order->limited && told->limit != share(node, order->limit))
                (void)tell_shard(node, shard, kind, &limit);
        }
    }
}

/* Shards tell of it half a second later; whoever asks sees it at once. */
static void note_order(struct node *node, int kind, uint32_t ask, uint64_t limit)
{
    struct task_order *order = &node->tasks->orders.kinds[kind];
    if (ask == TASK_CANCEL)
        return;
    if (ask == TASK_LIMIT) {
        order->limited = true;
        order->limit = limit;
    } else {
        order->paused = ask == TASK_PAUSE;
    }
    for (uint16_t shard = 1; shard < node->config.shard_count; shard++) {
        struct task_figures *told = figures_of(node->tasks, node, kind, shard);
        told->paused = order->paused;
        if (order->limited)
            told->limit = share(node, order->limit);
    }
    task_orders_save(node);
}

/* In every shard of this node, this one first. */
static kvorum_status carry_out_everywhere(struct node *node, int kind, const Peer__Tasks *asked,
                                          const char **ret_why)
{
    const struct task_command command = { asked->ask, asked->limit, node->now_us };
    kvorum_status status = refusal(&task_sources[kind], asked->ask, ret_why);
    if (status != KVORUM_OK || asked->ask == TASK_LIST)
        return status;
    carry_out(node, kind, &command);
    note_order(node, kind, asked->ask, asked->limit);
    for (uint16_t shard = 1; shard < node->config.shard_count; shard++)
        if (!tell_shard(node, shard, kind, &command)) {
            *ret_why = "not all of the node's threads could be told; ask again";
            status = KVORUM_OVERLOADED;
        }
    if (asked->ask == TASK_CANCEL)
        task_meter_cancelled(&node->tasks->meters[kind], command.asked_us);
    return status;
}

/* --- telling ---------------------------------------------------------------------------------- */

static const char *note_text(struct node *node, const struct task *task,
                             const struct task_figures *figures)
{
    const struct epoch *epoch = node->config.epoch;
    bool under_way = task->state == TASK_RUNNING || task->state == TASK_PAUSED;
    if (!under_way && figures->note == TASK_NOTE_AWAY && !figures->paused)
        return reason_printf(node, "keeps hints for %s, which is away",
                             figures->member < epoch->member_count
                                 ? epoch->members[figures->member].name
                                 : "a node");
    if (!under_way)
        return figures->paused ? "paused: what comes next waits for kvorum tasks resume" : "";
    if (task->state == TASK_PAUSED)
        return "";
    switch (figures->note) {
    case TASK_NOTE_SWEEP:
        return "what is left here of an earlier ownership is removed first";
    case TASK_NOTE_SOURCE:
        return reason_printf(node, "waits for %s: is it up, and does it answer? see kvorum status",
                             figures->member < epoch->member_count
                                 ? epoch->members[figures->member].name
                                 : "a node");
    case TASK_NOTE_OTHERS:
        return "all is here; every owner has to learn of it: see kvorum cluster status";
    case TASK_NOTE_AWAY:
        return reason_printf(
            node, "keeps writes for %s, which is away: bring it back, or remove it",
            figures->member < epoch->member_count ? epoch->members[figures->member].name
                                                  : "a node");
    default:
        return "";
    }
}

static Peer__Task *tell(struct node *node, int kind)
{
    Peer__Task *told = arena_allocate(&node->scratch, sizeof(*told));
    struct task task;
    if (told == NULL)
        return NULL;
    step(node, kind);
    task_meter_tell(&node->tasks->meters[kind], node->now_us, &task);
    peer__task__init(told);
    told->kind = (char *)task_sources[kind].name;
    told->unit = (char *)task_sources[kind].unit;
    told->nature = task_sources[kind].nature;
    told->state = task.state;
    told->stalled = task.stalled;
    told->done = task.done;
    told->total = task.total;
    told->failed = task.failed;
    told->size = task.size;
    told->size_total = task.size_total;
    told->rate = task.rate;
    told->limit = task.limit;
    told->left_ms = task.left_ms;
    told->age_ms = task.age_ms;
    told->idle_ms = task.idle_ms;
    told->note = (char *)note_text(node, &task, &node->tasks->meters[kind].now);
    return told;
}

static bool is_meant(const Peer__Tasks *asked, int kind)
{
    return asked->kind[0] == '\0' || strcmp(asked->kind, task_sources[kind].name) == 0;
}

Peer__TasksAnswer *tasks_serve(struct node *node, const Peer__Tasks *asked)
{
    Peer__TasksAnswer *answer = arena_allocate(&node->scratch, sizeof(*answer));
    Peer__Task **list = arena_allocate(&node->scratch, TASK_KINDS * sizeof(Peer__Task *));
    if (answer == NULL || list == NULL)
        return NULL;
    peer__tasks_answer__init(answer);
    answer->status = KVORUM_NOT_FOUND;
    answer->reason = "no such kind of work; see kvorum tasks list --all";
    answer->tasks = list;
    for (int kind = 0; kind < TASK_KINDS; kind++) {
        if (!is_meant(asked, kind))
            continue;
        const char *why = "";
        kvorum_status status = carry_out_everywhere(node, kind, asked, &why);
        if (answer->n_tasks == 0 || answer->status == KVORUM_OK) {
            answer->status = status;
            answer->reason = (char *)why;
        }
        list[answer->n_tasks] = tell(node, kind);
        if (list[answer->n_tasks++] == NULL)
            return NULL;
    }
    return answer;
}

/* --- questions -------------------------------------------------------------------------------- */

static void obey(struct node *node, const Peer__Tasks *asked)
{
    const struct task_command command = { asked->ask, asked->limit, asked->asked_us };
    const char *why;
    for (int kind = 0; kind < TASK_KINDS; kind++)
        if (is_meant(asked, kind) && refusal(&task_sources[kind], asked->ask, &why) == KVORUM_OK)
            carry_out(node, kind, &command);
}

void tasks_on_question(struct node *node, struct net_address from, const struct message *message)
{
    const Peer__Tasks *asked = node_unpack(node, &peer__tasks__descriptor, message->body);
    bool own = from.member == node->config.self;
    if (asked == NULL || (node->config.shard != 0 && !own)) {
        node->counters.messages_bad++;
        return;
    }
    if (node->config.shard != 0) {
        obey(node, asked);
        return;
    }
    const Peer__TasksAnswer *answer = tasks_serve(node, asked);
    if (answer != NULL)
        node_send(node, from, MESSAGE_TASKS_ANSWER, message->request_id,
                  node_pack(node, &answer->base), (struct bytes){ 0 });
}
