/* SPDX-License-Identifier: Apache-2.0 */
/* What others ask of shard 0: a promise for a generation, or to do it for another shard. */
#include "codec/protobuf.h"
#include "node/buckets/drop_internal.h"

void drop_answer(struct node *node, struct net_address to, uint64_t request_id,
                 kvorum_status status, const char *reason, uint64_t generation)
{
    Peer__DropAnswer body = PEER__DROP_ANSWER__INIT;
    body.status = status;
    body.reason = (char *)(reason == NULL ? "" : reason);
    body.generation = generation;
    node_send(node, to, MESSAGE_DROP_ANSWER, request_id, node_pack(node, &body.base),
              (struct bytes){ 0 });
}

/* Nobody else is promised less from now on; it is said once a start here would know it. */
static void promise(struct node *node, struct net_address to, uint64_t request_id,
                    uint64_t generation)
{
    const struct commit_plan plan = {
        .kind = COMMIT_PROMISE, .to = to, .request_id = request_id, .generation = generation
    };
    node->drops->promised = generation;
    node->drops->to = to.member;
    (void)hlc_see(&node->hlc, generation, clock_wall_ms(node->config.clock));
    kvorum_status status = drop_keep_promise(node, generation, &plan);
    if (status != KVORUM_OK)
        drop_on_promised(node, &plan, status);
}

/* One whose disk refuses it says so, and is asked again. */
void drop_on_promised(struct node *node, const struct commit_plan *plan, kvorum_status status)
{
    drop_answer(node, plan->to, plan->request_id, status, NULL, plan->generation);
}

static void on_promise(struct node *node, struct net_address from, uint64_t request_id,
                       const Peer__Drop *asked)
{
    struct drops *drops = node->drops;
    uint64_t own =
        drop_generation(node, protobuf_bytes(asked->type), protobuf_bytes(asked->bucket));
    bool again = asked->generation == drops->promised && drops->to == from.member;
    if (!node->ready) {
        drop_answer(node, from, request_id, KVORUM_NOT_READY, NULL, 0);
        return;
    }
    if (asked->generation <= own || (asked->generation <= drops->promised && !again)) {
        uint64_t latest = own > drops->promised ? own : drops->promised;
        drop_answer(node, from, request_id, KVORUM_CONFLICT, NULL, latest);
        return;
    }
    promise(node, from, request_id, asked->generation);
}

void drop_on_question(struct node *node, struct net_address from, const struct message *message)
{
    const Peer__Drop *asked = node_unpack(node, &peer__drop__descriptor, message->body);
    bool own = from.member == node->config.self;
    if (asked == NULL || node->config.shard != 0 ||
        (asked->ask == DROP_ASK_DECIDE
             ? !own
             : asked->ask != DROP_ASK_PROMISE || asked->generation == 0)) {
        node->counters.messages_bad++;
        return;
    }
    if (asked->ask == DROP_ASK_DECIDE)
        drop_run_errand(node, from, message->request_id, asked);
    else
        on_promise(node, from, message->request_id, asked);
}
