/* SPDX-License-Identifier: Apache-2.0 */
/** The simulated network by itself: what arrives, what is lost, and who is told. */
#include "sim/seams/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

enum { FRAMES = 200 };

struct fixture {
    struct world world;
    struct network network;
    unsigned received, lost[3], refused[3];
    uint64_t last_id;
    unsigned overtaken;
};

static void on_receive(void *context, struct net_address to, struct net_address from,
                       const struct message *message)
{
    struct fixture *f = context;
    (void)to;
    (void)from;
    f->received++;
    f->overtaken += message->request_id < f->last_id;
    f->last_id = message->request_id;
}

static void on_link_lost(void *context, uint16_t to, uint16_t member, bool refused)
{
    struct fixture *f = context;
    (void)member;
    f->lost[to] += !refused;
    f->refused[to] += refused;
}

static void on_watch(void *context, const struct message *message)
{
    (void)context;
    (void)message;
}

static void on_receive_datagram(void *context, uint16_t to, struct bytes datagram)
{
    struct fixture *f = context;
    (void)to;
    f->received++;
    f->overtaken += datagram.data[0] < f->last_id;
    f->last_id = datagram.data[0];
}

static const struct network_events events = { .receive = on_receive,
                                              .receive_datagram = on_receive_datagram,
                                              .link_lost = on_link_lost,
                                              .watch = on_watch };

static void begin(struct fixture *f, uint64_t seed)
{
    *f = (struct fixture){ .last_id = 0 };
    world_init(&f->world, seed);
    network_init(&f->network, &f->world, 3, &events, f);
    for (uint16_t i = 0; i < 3; i++)
        network_started(&f->network, i);
    assert_true(world_run_until(&f->world, 2 * SIM_SECOND));
    for (int i = 0; i < 3; i++)
        f->lost[i] = f->refused[i] = 0;
}

static void end(struct fixture *f)
{
    network_done(&f->network);
    world_done(&f->world);
}

static bool send_one(struct fixture *f, uint64_t id)
{
    struct message message = { MESSAGE_GET, id, 1, BYTES_LITERAL("body"), BYTES_LITERAL("tail") };
    return network_send(&f->network, (struct net_address){ 0, 0 }, (struct net_address){ 1, 0 },
                        &message);
}

static unsigned send_many(struct fixture *f)
{
    unsigned sent = 0;
    for (uint64_t id = 1; id <= FRAMES; id++) {
        sent += send_one(f, id);
        world_run_until(&f->world, f->world.now_us + 50);
    }
    world_run_until(&f->world, f->world.now_us + SIM_SECOND);
    return sent;
}

static void a_healthy_link_loses_and_reorders_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    assert_int_equal(FRAMES, send_many(&f));
    assert_int_equal(FRAMES, f.received);
    assert_int_equal(0, f.overtaken);
    assert_int_equal(0, f.network.frames_in_flight);
    end(&f);
}

static void frames_may_overtake_each_other(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    f.network.faults.reordering = true;
    send_many(&f);
    assert_int_equal(FRAMES, f.received);
    assert_true(f.overtaken > 0);
    end(&f);
}

static void loss_and_doubling_are_as_often_as_asked(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    f.network.faults.loss = 500000;
    send_many(&f);
    assert_in_range(f.received, FRAMES / 4, FRAMES * 3 / 4);
    f.received = 0;
    f.network.faults.loss = 0;
    f.network.faults.duplication = 500000;
    send_many(&f);
    assert_in_range(f.received, FRAMES * 5 / 4, FRAMES * 7 / 4);
    end(&f);
}

static void a_cut_is_silent_then_breaks_the_link(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    network_cut(&f.network, 0, 1);
    assert_true(send_one(&f, 1));
    world_run_until(&f.world, f.world.now_us + 1000 * SIM_SECOND);
    assert_int_equal(0, f.received);
    assert_int_equal(1, f.lost[0]);
    assert_int_equal(1, f.lost[1]);
    assert_false(send_one(&f, 2));
    network_heal(&f.network);
    world_run_until(&f.world, f.world.now_us + 100 * SIM_SECOND);
    assert_true(send_one(&f, 3));
    world_run_until(&f.world, f.world.now_us + SIM_SECOND);
    assert_int_equal(1, f.received);
    end(&f);
}

static void a_stopped_process_is_noticed_and_refuses(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    assert_true(send_one(&f, 1));
    network_stopped(&f.network, 1, false);
    world_run_until(&f.world, f.world.now_us + 10 * SIM_SECOND);
    assert_int_equal(0, f.received);
    assert_int_equal(1, f.lost[0]);
    assert_true(f.refused[0] > 0);
    assert_int_equal(0, f.lost[1] + f.refused[1]);
    end(&f);
}

static void a_silent_crash_is_noticed_only_at_its_restart(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    network_stopped(&f.network, 1, true);
    world_run_until(&f.world, f.world.now_us + 10 * SIM_SECOND);
    assert_int_equal(0, f.lost[0] + f.refused[0]);
    assert_true(send_one(&f, 1));
    network_started(&f.network, 1);
    assert_int_equal(1, f.lost[0]);
    world_run_until(&f.world, f.world.now_us + 10 * SIM_SECOND);
    assert_int_equal(0, f.received);
    end(&f);
}

static void a_clog_delays_everything_behind_it(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    network_clog(&f.network, 0, 1, f.world.now_us + SIM_SECOND);
    assert_true(send_one(&f, 1));
    world_run_until(&f.world, f.world.now_us + SIM_SECOND - 1);
    assert_int_equal(0, f.received);
    world_run_until(&f.world, f.world.now_us + 1);
    assert_int_equal(1, f.received);
    end(&f);
}

static void a_damaged_frame_is_never_delivered(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    f.network.faults.corruption = 1000000;
    assert_true(send_one(&f, 1));
    world_run_until(&f.world, f.world.now_us + SIM_SECOND);
    assert_int_equal(0, f.received);
    assert_int_equal(1, f.lost[0]);
    end(&f);
}

static void throw_many(struct fixture *f)
{
    for (unsigned i = 0; i < FRAMES; i++) {
        const uint8_t number = (uint8_t)i;
        assert_true(network_send_datagram(&f->network, 0, 1, bytes_make(&number, 1)));
        world_run_until(&f->world, f->world.now_us + 50);
    }
    world_run_until(&f->world, f->world.now_us + SIM_SECOND);
    assert_int_equal(0, f->network.frames_in_flight);
}

static void datagrams_need_no_link_and_overtake_each_other(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    network_break(&f.network, 0, 1);
    throw_many(&f);
    assert_int_equal(FRAMES, f.received);
    assert_true(f.overtaken > 0);
    end(&f);
}

static void datagrams_are_lost_doubled_and_cut(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    f.network.faults.loss = 300000;
    throw_many(&f);
    assert_in_range(f.received, FRAMES / 2, FRAMES * 9 / 10);
    f.network.faults.loss = f.received = 0;
    f.network.faults.duplication = 300000;
    throw_many(&f);
    assert_in_range(f.received, FRAMES * 11 / 10, FRAMES * 3 / 2);
    f.network.faults.duplication = f.received = 0;
    network_cut(&f.network, 0, 1);
    throw_many(&f);
    assert_int_equal(0, f.received);
    end(&f);
}

static void a_damaged_datagram_is_lost_and_ends_no_link(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    f.network.faults.corruption = 1000000;
    throw_many(&f);
    assert_int_equal(0, f.received);
    assert_int_equal(0, f.lost[0]);
    end(&f);
}

static void a_datagram_for_an_earlier_life_is_lost(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    network_clog(&f.network, 0, 1, f.world.now_us + SIM_SECOND);
    assert_true(network_send_datagram(&f.network, 0, 1, BYTES_LITERAL("x")));
    network_stopped(&f.network, 1, false);
    network_started(&f.network, 1);
    world_run_until(&f.world, f.world.now_us + 2 * SIM_SECOND);
    assert_int_equal(0, f.received);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_healthy_link_loses_and_reorders_nothing),
        cmocka_unit_test(frames_may_overtake_each_other),
        cmocka_unit_test(loss_and_doubling_are_as_often_as_asked),
        cmocka_unit_test(a_cut_is_silent_then_breaks_the_link),
        cmocka_unit_test(a_stopped_process_is_noticed_and_refuses),
        cmocka_unit_test(a_silent_crash_is_noticed_only_at_its_restart),
        cmocka_unit_test(a_clog_delays_everything_behind_it),
        cmocka_unit_test(a_damaged_frame_is_never_delivered),
        cmocka_unit_test(datagrams_need_no_link_and_overtake_each_other),
        cmocka_unit_test(datagrams_are_lost_doubled_and_cut),
        cmocka_unit_test(a_damaged_datagram_is_lost_and_ends_no_link),
        cmocka_unit_test(a_datagram_for_an_earlier_life_is_lost),
    };
    return cmocka_run_group_tests_name("sim network", tests, NULL, NULL);
}
