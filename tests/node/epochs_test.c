/* SPDX-License-Identifier: Apache-2.0 */
/* Three nodes with real directories, a queue for a network and a hand-moved clock: how an epoch
 * becomes another, in stories.  Chance, crashes and faults are the simulator's business. */
#include "support/rows.h"

#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "codec/peer.pb-c.h"
#include "engine/memory/memory.h"
#include "node/members/identity.h"
#include "node/node.h"
#include "os/disk.h"

enum { NODES = 3, QUEUE_MAX = 1024, PARTITIONS = 8 };

struct parcel {
    struct net_address from, to;
    struct message message;
    uint8_t *memory;
};

struct world;

struct test_net {
    struct net net;
    struct world *world;
    uint16_t member;
};

struct world {
    struct clock clock;
    uint64_t now_us;
    struct epoch epoch;
    struct arena arena;
    struct member members[NODES];
    uint16_t table[PARTITIONS * NODES];
    struct test_net nets[NODES];
    struct node *nodes[NODES];
    struct engine *stores[NODES];
    char folders[NODES][64];
    struct disk *disks[NODES];
    bool down[NODES];
    bool keeps_epochs;          /* no record of one arrives */
    bool plans_late;            /* lengthy jobs of member 0 wait */
    bool hushes;                /* once voters are asked to accept, no vote arrives */
    unsigned accepts, prepares; /* that were sent so far */
    struct parcel queue[QUEUE_MAX];
    size_t head, tail;
};

/* --- jobs, of member 0 ----------------------------------------------------------------------- */

enum { JOBS_MAX = 64 };

static struct job *job_queue[JOBS_MAX];
static size_t job_count;

static void queue_job(struct jobs *jobs, struct job *job)
{
    (void)jobs;
    assert_true(job_count < JOBS_MAX);
    job_queue[job_count++] = job;
}

static bool do_jobs(bool lengthy_too)
{
    bool any = false;
    for (size_t i = 0; i < job_count; i++) {
        struct job *job = job_queue[i];
        if (job->urgency == JOB_LENGTHY && !lengthy_too)
            continue;
        memmove(job_queue + i, job_queue + i + 1, (--job_count - i) * sizeof(*job_queue));
        job->work(job);
        job->done(job);
        any = true;
        i = SIZE_MAX; /* from the beginning: it may have brought more */
    }
    return any;
}

static const struct jobs_ops jobs_ops = { .submit = queue_job };
static struct jobs jobs = { &jobs_ops };

/* --- the world ------------------------------------------------------------------------------ */

static uint64_t test_monotonic_us(struct clock *clock)
{
    return LIST_ENTRY(clock, struct world, clock)->now_us;
}

static uint64_t test_wall_ms(struct clock *clock)
{
    return 1700000000000ull + test_monotonic_us(clock) / 1000;
}

static const struct clock_ops test_clock_ops = { test_monotonic_us, test_wall_ms };

static struct bytes copy_to(uint8_t *at, struct bytes bytes)
{
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return bytes_make(at, bytes.size);
}

static bool test_send(struct net *net, struct net_address to, const struct message *message)
{
    struct test_net *from = LIST_ENTRY(net, struct test_net, net);
    struct world *world = from->world;
    if (to.member >= NODES || world->down[to.member])
        return false;
    if (world->keeps_epochs && message->kind == MESSAGE_EPOCH_ANSWER)
        return true;
    world->accepts += message->kind == MESSAGE_EPOCH_ACCEPT;
    world->prepares += message->kind == MESSAGE_EPOCH_PREPARE;
    if (world->hushes && world->accepts > 0 && message->kind == MESSAGE_EPOCH_VOTE)
        return true;
    assert_true(world->tail - world->head < QUEUE_MAX);
    struct parcel *parcel = &world->queue[world->tail++ % QUEUE_MAX];
    *parcel = (struct parcel){ { from->member, 0 }, to, *message, NULL };
    parcel->memory = malloc(message->body.size + message->tail.size + 1);
    parcel->message.body = copy_to(parcel->memory, message->body);
    parcel->message.tail = copy_to(parcel->memory + message->body.size, message->tail);
    return true;
}

static uint16_t test_shard_of(struct net *net, uint16_t member, uint32_t partition)
{
    (void)net;
    (void)member;
    (void)partition;
    return 0;
}

static const struct net_ops test_net_ops = { test_send, test_shard_of };

static void deliver(struct world *world)
{
    while (world->head < world->tail) {
        struct parcel parcel = world->queue[world->head++ % QUEUE_MAX];
        if (!world->down[parcel.to.member] && !world->down[parcel.from.member])
            node_receive(world->nodes[parcel.to.member], parcel.from, &parcel.message);
        free(parcel.memory);
    }
}

static void settle(struct world *world)
{
    do
        deliver(world);
    while (do_jobs(!world->plans_late));
}

static void pass(struct world *world, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 100) {
        world->now_us += 100 * 1000;
        for (uint16_t n = 0; n < NODES; n++)
            if (!world->down[n])
                node_tick(world->nodes[n]);
        settle(world);
    }
}

static void make_epoch(struct world *world)
{
    for (uint16_t i = 0; i < NODES; i++) {
        struct member *member = &world->members[i];
        member->id.bytes[0] = (uint8_t)(i + 1);
        snprintf(member->name, sizeof(member->name), "n%d", i + 1);
        snprintf(member->zone, sizeof(member->zone), "default");
        snprintf(member->address, sizeof(member->address), "127.0.0.1:%d", 9000 + i);
        member->weight = RING_WEIGHT_DEFAULT;
    }
    world->epoch = (struct epoch){ .number = 1,
                                   .cluster = { "cluster-id-16-by" },
                                   .partition_count = PARTITIONS,
                                   .replica_count = NODES,
                                   .replicas_wanted = NODES,
                                   .member_count = NODES,
                                   .members = world->members,
                                   .table = world->table,
                                   .voter_count = NODES,
                                   .voters = { 0, 1, 2 } };
    struct ring_plan_input input = { world->members, NODES, PARTITIONS, NODES, NULL };
    const char *why;
    assert_int_equal(ring_plan(&input, &world->arena, world->table, &why), KVORUM_OK);
}

static kvorum_status start(struct world *world, uint16_t i, const struct epoch *epoch)
{
    struct node_config config = {
        .epoch = epoch,
        .self = i,
        .shard_count = 1,
        .store_count = 1,
        .stores = &world->stores[i],
        .actor = 100 + i,
        .clock = &world->clock,
        .net = &world->nets[i].net,
        .random_seed = 1000 + i,
        .disk = world->disks[i],
    };
    return node_create(&config, &world->nodes[i]);
}

static struct world *world_make(void)
{
    struct world *world = calloc(1, sizeof(*world));
    world->clock.ops = &test_clock_ops;
    world->now_us = 1000 * 1000;
    arena_init(&world->arena, 1 << 26);
    make_epoch(world);
    for (uint16_t i = 0; i < NODES; i++) {
        world->nets[i] = (struct test_net){ { &test_net_ops }, world, i };
        snprintf(world->folders[i], sizeof(world->folders[i]), "/tmp/kvorum-epochs-XXXXXX");
        assert_non_null(mkdtemp(world->folders[i]));
        assert_int_equal(os_disk_open(world->folders[i], false, &world->disks[i]), KVORUM_OK);
        assert_int_equal(memory_open(NULL, &world->stores[i]), KVORUM_OK);
        assert_int_equal(start(world, i, &world->epoch), KVORUM_OK);
    }
    pass(world, 1000);
    return world;
}

static void world_free(struct world *world)
{
    for (uint16_t i = 0; i < NODES; i++) {
        node_destroy(world->nodes[i]);
        engine_close(world->stores[i]);
        os_disk_close(world->disks[i]);
        char command[128];
        snprintf(command, sizeof(command), "rm -rf %s", world->folders[i]);
        assert_int_equal(system(command), 0);
    }
    while (world->head < world->tail)
        free(world->queue[world->head++ % QUEUE_MAX].memory);
    arena_done(&world->arena);
    free(world);
}

static void cut(struct world *world, uint16_t member)
{
    world->down[member] = true;
    for (uint16_t i = 0; i < NODES; i++)
        if (i != member && !world->down[i])
            node_link_lost(world->nodes[i], member, true);
    settle(world);
}

/* --- asking --------------------------------------------------------------------------------- */

struct outcome {
    bool answered;
    kvorum_status status;
    char reason[256];
};

static void note(void *context, const struct answer *answer)
{
    struct outcome *outcome = context;
    assert_false(outcome->answered);
    *outcome = (struct outcome){ .answered = true, .status = answer->status };
    snprintf(outcome->reason, sizeof(outcome->reason), "%s", answer->reason);
}

static struct change_request weight_of(const char *name, uint32_t weight)
{
    struct change_request request = { .kind = ASK_STAGE };
    request.change = (struct change){ .kind = CHANGE_WEIGHT, .weight = weight };
    snprintf(request.name, sizeof(request.name), "%s", name);
    return request;
}

static struct outcome stage(struct world *world, uint16_t at, const char *name, uint32_t weight)
{
    struct outcome outcome = { 0 };
    struct change_request request = weight_of(name, weight);
    node_change_epoch(world->nodes[at], &request, note, &outcome);
    settle(world);
    for (int i = 0; i < 150 && !outcome.answered; i++)
        pass(world, 100);
    assert_true(outcome.answered);
    return outcome;
}

static uint64_t number_at(struct world *world, uint16_t at)
{
    return node_epoch(world->nodes[at])->number;
}

static uint64_t number_on_disk(struct world *world, uint16_t at)
{
    struct identity identity = { .node = world->members[at].id, .cluster = world->epoch.cluster };
    struct epoch epoch = { 0 };
    const char *why;
    kvorum_status status =
        identity_load_epoch(world->disks[at], &identity, &world->arena, &epoch, &why);
    return status == KVORUM_OK ? epoch.number : 0;
}

/* --- stories -------------------------------------------------------------------------------- */

static void what_one_is_asked_all_go_by_and_keep(void)
{
    struct world *world = world_make();
    assert_int_equal(stage(world, 1, "n3", 200).status, KVORUM_OK);
    pass(world, 1000);
    for (uint16_t i = 0; i < NODES; i++) {
        assert_int_equal(number_at(world, i), 2);
        assert_int_equal(number_on_disk(world, i), 2);
        assert_int_equal(node_epoch(world->nodes[i])->changes[0].weight, 200);
    }
    world_free(world);
}

static void the_same_again_is_granted_and_changes_nothing(void)
{
    struct world *world = world_make();
    assert_int_equal(stage(world, 0, "n3", 200).status, KVORUM_OK);
    assert_int_equal(stage(world, 0, "n3", 200).status, KVORUM_OK);
    assert_int_equal(number_at(world, 0), 2);
    assert_int_equal(stage(world, 0, "n9", 200).status, KVORUM_NOT_FOUND);
    assert_int_equal(stage(world, 0, "n1", 0).status, KVORUM_INVALID);
    assert_int_equal(number_at(world, 0), 2);
    world_free(world);
}

static void of_two_at_once_both_come_one_after_the_other(void)
{
    struct world *world = world_make();
    struct outcome first = { 0 }, second = { 0 };
    struct change_request a = weight_of("n1", 10), b = weight_of("n2", 20);
    node_change_epoch(world->nodes[0], &a, note, &first);
    node_change_epoch(world->nodes[1], &b, note, &second);
    pass(world, 5000);
    assert_true(first.answered && second.answered);
    assert_int_equal(first.status, KVORUM_OK);
    assert_int_equal(second.status, KVORUM_OK);
    for (uint16_t i = 0; i < NODES; i++) {
        assert_int_equal(number_at(world, i), 3);
        assert_int_equal(node_epoch(world->nodes[i])->change_count, 2);
    }
    world_free(world);
}

/* Member 0 begins another life, in which it plans beside its thread. */
static struct world *world_that_plans_beside(void)
{
    struct world *world = world_make();
    world->nodes[0] = node_destroy(world->nodes[0]);
    struct node_config config = {
        .epoch = &world->epoch,
        .shard_count = 1,
        .store_count = 1,
        .stores = &world->stores[0],
        .actor = 200,
        .clock = &world->clock,
        .net = &world->nets[0].net,
        .jobs = &jobs,
        .random_seed = 2000,
        .disk = world->disks[0],
        .plan_inline_max = 1,
    };
    assert_int_equal(node_create(&config, &world->nodes[0]), KVORUM_OK);
    pass(world, 2000);
    assert_int_equal(stage(world, 0, "n3", 200).status, KVORUM_OK);
    return world;
}

static const struct change_request commit = { .kind = ASK_COMMIT };

static void a_plan_that_is_much_work_is_made_beside(void)
{
    struct world *world = world_that_plans_beside();
    struct outcome outcome = { 0 };
    world->plans_late = true;
    node_change_epoch(world->nodes[0], &commit, note, &outcome);
    pass(world, 1000);
    assert_false(outcome.answered);
    assert_int_equal(number_at(world, 0), 2);
    world->plans_late = false;
    pass(world, 1000);
    assert_true(outcome.answered);
    assert_int_equal(outcome.status, KVORUM_OK);
    assert_true(number_at(world, 1) > 2);
    assert_int_equal(node_epoch(world->nodes[1])->members[2].weight, 200);
    world_free(world);
}

static void a_plan_that_came_too_late_is_made_again(void)
{
    struct world *world = world_that_plans_beside();
    struct outcome outcome = { 0 };
    world->plans_late = true;
    node_change_epoch(world->nodes[0], &commit, note, &outcome);
    assert_int_equal(stage(world, 1, "n2", 300).status, KVORUM_OK);
    pass(world, 1000);
    assert_int_equal(number_at(world, 0), 3);
    assert_false(outcome.answered);
    world->plans_late = false;
    pass(world, 1000);
    assert_int_equal(outcome.status, KVORUM_OK);
    assert_int_equal(node_epoch(world->nodes[1])->members[2].weight, 200);
    assert_int_equal(node_epoch(world->nodes[1])->members[1].weight, 300);
    world_free(world);
}

static void a_plan_that_takes_too_long_is_nobodys(void)
{
    struct world *world = world_that_plans_beside();
    struct outcome outcome = { 0 };
    world->plans_late = true;
    node_change_epoch(world->nodes[0], &commit, note, &outcome);
    for (int i = 0; i < 600 && !outcome.answered; i++)
        pass(world, 100);
    assert_int_equal(outcome.status, KVORUM_TIMEOUT);
    world->plans_late = false;
    pass(world, 1000);
    assert_int_equal(number_at(world, 0), 2);
    assert_int_equal(stage(world, 0, "n1", 10).status, KVORUM_OK);
    world_free(world);
}

static void without_a_majority_the_outcome_is_unknown(void)
{
    struct world *world = world_make();
    cut(world, 1);
    cut(world, 2);
    struct outcome outcome = stage(world, 0, "n1", 10);
    assert_int_equal(outcome.status, KVORUM_TIMEOUT);
    assert_non_null(strstr(outcome.reason, "n2, n3"));
    assert_int_equal(number_at(world, 0), 1);
    world->down[1] = world->down[2] = false;
    pass(world, 1000);
    assert_int_equal(stage(world, 0, "n1", 10).status, KVORUM_OK);
    world_free(world);
}

static void who_was_away_learns_of_it_and_what_came_early_waits(void)
{
    struct world *world = world_make();
    world->down[2] = true; /* for so short a time that nobody notices */
    assert_int_equal(stage(world, 0, "n1", 10).status, KVORUM_OK);
    assert_int_equal(number_at(world, 2), 1);
    world->down[2] = false;
    struct operation operation = { .kind = OPERATION_PUT,
                                   .bucket = BYTES_LITERAL("b"),
                                   .key = BYTES_LITERAL("k"),
                                   .value = BYTES_LITERAL("v") };
    struct outcome outcome = { 0 };
    quorum_levels_init(&operation.levels);
    operation.levels.w = 3;
    operation.levels.sloppy = 0;
    node_submit(world->nodes[0], &operation, note, &outcome);
    pass(world, 2000);
    assert_int_equal(outcome.status, KVORUM_OK);
    assert_int_equal(number_at(world, 2), 2);
    assert_int_equal(node_counters(world->nodes[2])->epoch_waits, 1);
    world_free(world);
}

static void a_newcomer_is_listed_by_whom_it_asks(void)
{
    struct world *world = world_make();
    struct outcome outcome = { 0 };
    struct change_request join = { .kind = ASK_JOIN, .newcomer = world->members[0] };
    join.newcomer.id.bytes[0] = 9;
    snprintf(join.newcomer.name, sizeof(join.newcomer.name), "n9");
    snprintf(join.newcomer.address, sizeof(join.newcomer.address), "127.0.0.1:9999");
    node_change_epoch(world->nodes[2], &join, note, &outcome);
    pass(world, 2000);
    assert_int_equal(outcome.status, KVORUM_OK);
    for (uint16_t i = 0; i < NODES; i++) {
        const struct epoch *epoch = node_epoch(world->nodes[i]);
        assert_int_equal(epoch->member_count, NODES + 1);
        assert_int_equal(epoch->members[NODES].state, MEMBER_JOINING);
        assert_int_equal(node_liveness(world->nodes[i], NODES), LIVENESS_UNKNOWN);
    }
    world_free(world);
}

static void a_damaged_vote_stops_the_node(void)
{
    struct world *world = world_make();
    assert_int_equal(stage(world, 0, "n1", 10).status, KVORUM_OK);
    char path[128];
    snprintf(path, sizeof(path), "%s/votes", world->folders[1]);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    char magic[5] = "";
    assert_int_equal(fread(magic, 1, 4, file), 4);
    assert_string_equal(magic, "KVV1");
    fseek(file, 20, SEEK_SET);
    fputc(0x55, file);
    fclose(file);
    world->nodes[1] = node_destroy(world->nodes[1]);
    assert_int_equal(start(world, 1, &world->epoch), KVORUM_CORRUPT);
    assert_int_equal(remove(path), 0);
    assert_int_equal(start(world, 1, &world->epoch), KVORUM_OK);
    world_free(world);
}

/* Epoch 2, in which each partition has its owners in another order, at n2 and n3 alone. */
static void give_others_a_newer_epoch(struct world *world)
{
    struct epoch newer = world->epoch;
    uint16_t table[PARTITIONS * NODES];
    struct buffer record;
    buffer_init(&record, 1 << 20);
    for (size_t p = 0; p < PARTITIONS; p++)
        for (size_t i = 0; i < NODES; i++)
            table[p * NODES + i] = world->table[p * NODES + (i + 1) % NODES];
    newer.number = 2;
    newer.table = table;
    epoch_encode(&newer, &record);
    world->down[0] = true;
    for (uint16_t i = 1; i < NODES; i++) {
        Peer__EpochAnswer answer = PEER__EPOCH_ANSWER__INIT;
        uint8_t body[64];
        answer.number = 2;
        size_t size = peer__epoch_answer__pack(&answer, body);
        const struct message message = {
            MESSAGE_EPOCH_ANSWER, 0, 2, { body, size }, buffer_bytes(&record)
        };
        node_receive(world->nodes[i], (struct net_address){ (uint16_t)(3 - i), 0 }, &message);
        assert_int_equal(number_at(world, i), 2);
    }
    settle(world);
    world->down[0] = false;
    buffer_done(&record);
    assert_int_equal(number_at(world, 0), 1);
}

static struct operation on_all(enum operation_kind kind)
{
    struct operation operation = { .kind = kind,
                                   .bucket = BYTES_LITERAL("b"),
                                   .key = BYTES_LITERAL("k"),
                                   .value = BYTES_LITERAL("v") };
    quorum_levels_init(&operation.levels);
    operation.levels.r = operation.levels.w = 3;
    operation.levels.sloppy = 0;
    return operation;
}

static void who_is_refused_by_a_newer_epoch_begins_again(void)
{
    static const enum operation_kind kinds[] = { OPERATION_PUT, OPERATION_GET };
    for (size_t i = 0; i < 2; i++) {
        struct world *world = world_make();
        struct operation write = on_all(OPERATION_PUT), operation = on_all(kinds[i]);
        struct outcome before = { 0 }, outcome = { 0 };
        node_submit(world->nodes[1], &write, note, &before);
        settle(world);
        assert_int_equal(before.status, KVORUM_OK);
        give_others_a_newer_epoch(world);
        node_submit(world->nodes[0], &operation, note, &outcome);
        settle(world);
        assert_string_equal(outcome.reason, "");
        assert_true(outcome.answered);
        assert_int_equal(outcome.status, KVORUM_OK);
        assert_int_equal(number_at(world, 0), 2);
        assert_int_equal(node_counters(world->nodes[0])->reopened, 1);
        world_free(world);
    }
}

/* Nobody hands out the epoch that the refusals speak of. */
static void without_the_newer_epoch_its_time_runs_out(void)
{
    struct world *world = world_make();
    struct operation operation = on_all(OPERATION_GET);
    struct outcome outcome = { 0 };
    operation.timeout_ms = 1000;
    give_others_a_newer_epoch(world);
    world->keeps_epochs = true;
    node_submit(world->nodes[0], &operation, note, &outcome);
    pass(world, 900);
    assert_false(outcome.answered);
    pass(world, 200);
    assert_true(outcome.answered);
    assert_int_equal(outcome.status, KVORUM_UNAVAILABLE);
    world_free(world);
}

/* Epoch 2, in which n3 is to weigh 200, is accepted by all, and n1, which proposed it, is gone. */
static struct world *world_that_accepted(void)
{
    struct world *world = world_make();
    struct change_request request = weight_of("n3", 200);
    struct outcome unknown = { 0 };
    world->hushes = true;
    node_change_epoch(world->nodes[0], &request, note, &unknown);
    settle(world);
    assert_int_equal(world->accepts, NODES);
    cut(world, 0);
    world->nodes[0] = node_destroy(world->nodes[0]);
    world->hushes = false;
    world->prepares = 0;
    return world;
}

static void assert_finished(struct world *world, uint16_t first)
{
    for (uint16_t i = first; i < NODES; i++) {
        assert_int_equal(number_at(world, i), 2);
        assert_int_equal(number_on_disk(world, i), 2);
        assert_int_equal(node_epoch(world->nodes[i])->changes[0].weight, 200);
    }
}

static void what_was_accepted_is_finished_by_a_voter(void)
{
    struct world *world = world_that_accepted();
    pass(world, 6000);
    assert_int_equal(number_at(world, 1), 1); /* the first voter, who is gone, would be by now */
    pass(world, 2000);
    assert_finished(world, 1);
    unsigned prepares = world->prepares;
    pass(world, 120 * 1000);
    assert_int_equal(world->prepares, prepares); /* and that is that */
    world_free(world);
}

static void what_was_accepted_is_finished_in_another_life(void)
{
    struct world *world = world_that_accepted();
    for (uint16_t i = 1; i < NODES; i++) {
        world->nodes[i] = node_destroy(world->nodes[i]);
        assert_int_equal(start(world, i, &world->epoch), KVORUM_OK);
    }
    pass(world, 8000);
    assert_finished(world, 1);
    world_free(world);
}

static void a_voter_that_cannot_finish_tries_less_and_less(void)
{
    struct world *world = world_that_accepted();
    cut(world, 2);
    pass(world, 60 * 1000);
    unsigned first_minute = world->prepares;
    assert_true(first_minute > 0);
    pass(world, 540 * 1000);
    assert_true(world->prepares - first_minute < 9 * first_minute / 2);
    world->down[2] = false;
    pass(world, 60 * 1000);
    assert_finished(world, 1);
    world_free(world);
}

/* n2 makes another change while n3 waits with what it accepted. */
static void a_change_that_comes_first_finishes_it_too(void)
{
    struct world *world = world_that_accepted();
    assert_int_equal(stage(world, 1, "n2", 300).status, KVORUM_OK);
    pass(world, 20 * 1000);
    for (uint16_t i = 1; i < NODES; i++) {
        assert_int_equal(number_at(world, i), 3);
        assert_int_equal(node_epoch(world->nodes[i])->change_count, 2);
    }
    world_free(world);
}

static void a_change_that_comes_while_it_is_tried_waits_its_turn(void)
{
    struct world *world = world_that_accepted();
    cut(world, 2);
    while (world->prepares == 0)
        pass(world, 100);
    struct change_request request = weight_of("n2", 300);
    struct outcome outcome = { 0 };
    node_change_epoch(world->nodes[1], &request, note, &outcome);
    pass(world, 4000);
    assert_false(outcome.answered);
    world->down[2] = false;
    pass(world, 2000);
    assert_true(outcome.answered);
    assert_int_equal(outcome.status, KVORUM_OK);
    assert_int_equal(number_at(world, 2), 3);
    assert_int_equal(node_epoch(world->nodes[2])->change_count, 2);
    world_free(world);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "what one is asked, all go by and keep", what_one_is_asked_all_go_by_and_keep },
        { "the same again is granted and changes nothing",
          the_same_again_is_granted_and_changes_nothing },
        { "of two at once both come, one after the other",
          of_two_at_once_both_come_one_after_the_other },
        { "a plan that is much work is made beside the shard's thread",
          a_plan_that_is_much_work_is_made_beside },
        { "a plan that came after another epoch is made again",
          a_plan_that_came_too_late_is_made_again },
        { "a plan that takes longer than its time is nobody's",
          a_plan_that_takes_too_long_is_nobodys },
        { "without a majority the outcome is unknown", without_a_majority_the_outcome_is_unknown },
        { "who was away learns of it, and what came early waits",
          who_was_away_learns_of_it_and_what_came_early_waits },
        { "a newcomer is listed by whom it asks", a_newcomer_is_listed_by_whom_it_asks },
        { "a damaged vote stops the node", a_damaged_vote_stops_the_node },
        { "what voters accepted is finished by one of them, once",
          what_was_accepted_is_finished_by_a_voter },
        { "what voters accepted is finished in another life of theirs",
          what_was_accepted_is_finished_in_another_life },
        { "a voter that cannot finish tries less and less, and does when it can",
          a_voter_that_cannot_finish_tries_less_and_less },
        { "a change that comes first finishes what was accepted",
          a_change_that_comes_first_finishes_it_too },
        { "a change that comes while a voter tries to finish waits its turn",
          a_change_that_comes_while_it_is_tried_waits_its_turn },
        { "who is refused by a newer epoch begins again",
          who_is_refused_by_a_newer_epoch_begins_again },
        { "without the newer epoch its time runs out", without_the_newer_epoch_its_time_runs_out },
    };
    return RUN_TESTS("epochs", tests);
}
