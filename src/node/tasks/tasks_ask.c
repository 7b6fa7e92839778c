/* SPDX-License-Identifier: Apache-2.0 */
/* Asking members about their tasks, and waiting for those that answer. */
#include "node/internal.h"
#include "node/tasks/tasks.h"

enum { PATIENCE_US = 3 * 1000 * 1000, TASKS_OF_ONE_MAX = 64 };

struct task_round {
    node_tasks_fn on_list;
    void *context;
    uint8_t *waiting; /* by member */
    uint16_t member_count, waiting_count;
    bool asking; /* not all have been asked yet */
    struct task *tasks;
    uint32_t count, room;
    struct task_silence *silent;
    uint32_t silent_count;
    kvorum_status status;
    const char *reason;
};

/* --- the end ---------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const struct task *one = a, *other = b;
    if (one->member != other->member)
        return one->member < other->member ? -1 : 1;
    return strcmp(one->kind, other->kind);
}

static void finish(struct node *node, struct request *request)
{
    struct task_round *round = request->round;
    if (round->count > 1)
        qsort(round->tasks, round->count, sizeof(*round->tasks), compare);
    const struct task_list list = { .status = round->status,
                                    .reason = round->reason,
                                    .tasks = round->tasks,
                                    .count = round->count,
                                    .silent = round->silent,
                                    .silent_count = round->silent_count };
    node_tasks_fn on_list = round->on_list;
    if (on_list != NULL)
        on_list(round->context, &list);
    request_close(node, request);
}

static void finish_if_all(struct node *node, struct request *request)
{
    if (request->round->waiting_count == 0 && !request->round->asking)
        finish(node, request);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void fall_silent(struct task_round *round, uint16_t member, kvorum_status status,
                        const char *reason)
{
    round->silent[round->silent_count++] = (struct task_silence){ member, status, reason };
}

static const char *keep_text(struct arena *arena, const char *text)
{
    struct bytes copy;
    size_t size = strlen(text);
    return arena_copy(arena, bytes_make((const uint8_t *)text, size + 1), &copy)
               ? (const char *)copy.data
               : "";
}

static bool make_room(struct request *request, size_t more)
{
    struct task_round *round = request->round;
    if (round->count + more <= round->room)
        return true;
    uint32_t room = 2 * (round->count + (uint32_t)more);
    struct task *tasks = arena_allocate(&request->arena, room * sizeof(*tasks));
    if (tasks == NULL)
        return false;
    if (round->count > 0)
        memcpy(tasks, round->tasks, round->count * sizeof(*tasks));
    round->tasks = tasks;
    round->room = room;
    return true;
}

static void take_task(struct request *request, uint16_t member, const Peer__Task *from)
{
    struct task_round *round = request->round;
    round->tasks[round->count++] = (struct task){
        .member = member,
        .kind = keep_text(&request->arena, from->kind),
        .unit = keep_text(&request->arena, from->unit),
        .nature = from->nature <= TASK_ENDLESS ? (enum task_nature)from->nature : TASK_ASKED,
        .state = from->state <= TASK_CANCELLED ? (enum task_state)from->state : TASK_IDLE,
        .stalled = from->stalled,
        .done = from->done,
        .total = from->total,
        .failed = from->failed,
        .size = from->size,
        .size_total = from->size_total,
        .rate = from->rate,
        .limit = from->limit,
        .left_ms = from->left_ms,
        .age_ms = from->age_ms,
        .idle_ms = from->idle_ms,
        .note = keep_text(&request->arena, from->note),
    };
}

static void take_answer(struct request *request, uint16_t member, const Peer__TasksAnswer *answer)
{
    struct task_round *round = request->round;
    kvorum_status status = (kvorum_status)answer->status;
    if (member >= round->member_count || !round->waiting[member])
        return;
    round->waiting[member] = 0;
    round->waiting_count--;
    if (status != KVORUM_OK && round->status == KVORUM_OK) {
        round->status = status;
        round->reason = keep_text(&request->arena, answer->reason);
    }
    if (answer->n_tasks > TASKS_OF_ONE_MAX || !make_room(request, answer->n_tasks)) {
        fall_silent(round, member, KVORUM_NO_MEMORY, "its answer has no room");
        return;
    }
    for (size_t i = 0; i < answer->n_tasks; i++)
        take_task(request, member, answer->tasks[i]);
}

void tasks_on_answer(struct node *node, struct net_address from, const struct message *message)
{
    struct request *request = request_find(node, message->request_id, REQUEST_TASKS);
    const Peer__TasksAnswer *answer =
        node_unpack(node, &peer__tasks_answer__descriptor, message->body);
    if (request == NULL || answer == NULL || from.shard != 0) {
        node->counters.messages_bad += answer == NULL;
        return;
    }
    take_answer(request, from.member, answer);
    finish_if_all(node, request);
}

void tasks_on_deadline(struct node *node, struct request *request)
{
    struct task_round *round = request->round;
    for (uint16_t i = 0; i < round->member_count; i++)
        if (round->waiting[i])
            fall_silent(round, i, KVORUM_TIMEOUT, "it did not answer within 3 s");
    finish(node, request);
}

/* --- asking ----------------------------------------------------------------------------------- */

static void ask_one(struct node *node, struct request *request, uint16_t member,
                    const Peer__Tasks *question)
{
    struct task_round *round = request->round;
    const struct net_address to = { member, 0 };
    if (!placement_reachable(node, member)) {
        fall_silent(round, member, KVORUM_UNAVAILABLE, "it is down");
        return;
    }
    round->waiting[member] = 1;
    round->waiting_count++;
    if (member == node->config.self && node->config.shard == 0) {
        const Peer__TasksAnswer *answer = tasks_serve(node, question);
        if (answer != NULL)
            take_answer(request, member, answer);
    } else if (!node_send(node, to, MESSAGE_TASKS, request->id, node_pack(node, &question->base),
                          (struct bytes){ 0 })) {
        round->waiting[member] = 0;
        round->waiting_count--;
        fall_silent(round, member, KVORUM_UNAVAILABLE, "it is not reached");
    }
}

static void ask_all(struct node *node, struct request *request, const struct task_request *asked)
{
    const struct epoch *epoch = node->config.epoch;
    Peer__Tasks question = PEER__TASKS__INIT;
    question.ask = asked->ask;
    question.kind = (char *)asked->kind;
    question.limit = asked->limit;
    request->round->asking = true;
    for (uint16_t i = 0; i < request->round->member_count; i++)
        if (epoch->members[i].state != MEMBER_GONE &&
            (asked->member == TASK_UNKNOWN_MEMBER || asked->member == i))
            ask_one(node, request, i, &question);
    request->round->asking = false;
    finish_if_all(node, request);
}

static struct request *open_round(struct node *node, node_tasks_fn on_list, void *context)
{
    struct request *request = request_open(node, REQUEST_TASKS);
    uint16_t members = node->config.epoch->member_count;
    if (request == NULL)
        return NULL;
    struct task_round *round = arena_allocate_zero(&request->arena, sizeof(*round));
    if (round != NULL) {
        *round = (struct task_round){
            .on_list = on_list, .context = context, .member_count = members, .reason = ""
        };
        round->waiting = arena_allocate_zero(&request->arena, members);
        round->silent = arena_allocate(&request->arena, members * sizeof(*round->silent));
    }
    request->round = round;
    if (round != NULL && round->waiting != NULL && round->silent != NULL &&
        request_register(node, request, node->now_us + PATIENCE_US))
        return request;
    request_close(node, request);
    return NULL;
}

void node_tasks(struct node *node, const struct task_request *asked, node_tasks_fn on_list,
                void *context)
{
    node_enter(node);
    bool left = node->left_epoch != 0;
    struct request *request = left ? NULL : open_round(node, on_list, context);
    if (left)
        on_list(context, &(struct task_list){ .status = KVORUM_GONE, .reason = left_reason(node) });
    else if (request != NULL)
        ask_all(node, request, asked);
    else
        on_list(context,
                &(struct task_list){ .status = KVORUM_NO_MEMORY, .reason = "out of memory" });
    node_leave(node);
}
