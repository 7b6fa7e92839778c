/* SPDX-License-Identifier: Apache-2.0 */
#include "node/tasks/task_meter.h"

#include "tests/support/rows.h"

#define MB (UINT64_C(1) << 20)
#define LATER (UINT64_C(1000) * 1000 * 1000) /* than all that happens in a row */

/* One look at the figures, half a second after the one before. */
struct look {
    uint32_t times; /* the same again; 0: the end */
    struct task_figures figures;
    uint64_t more_size; /* bytes and as many advances, added at each */
    bool cancelled;     /* before it */
};

struct row {
    const char *name;
    struct look looks[6];
    enum task_state state;
    bool stalled;
    uint64_t rate, left_ms; /* told may differ by 2 % */
};

#define RUN(n, of, ...)                                                                            \
    {                                                                                              \
        .active = true, .runs = 1, .done = (n), .total = (of), __VA_ARGS__                         \
    }
#define OVER(n, of, ...)                                                                           \
    {                                                                                              \
        .runs = 1, .done = (n), .total = (of), __VA_ARGS__                                         \
    }

static const struct row rows[] = {
    { "nothing ever ran", { { 3, { 0 }, 0, false } }, TASK_IDLE, false, 0, TASK_NEVER },
    { "it has just begun", { { 1, RUN(0, 4, 0), 0, false } }, TASK_RUNNING, false, 0, TASK_NEVER },
    { "a steady rate is told as it is",
      { { 20, RUN(1, 4, .size_total = 100 * MB), MB, false } },
      TASK_RUNNING,
      false,
      2 * MB,
      40500 },
    { "a rate that has doubled is believed step by step",
      { { 20, RUN(1, 4, .size_total = 0), MB, false }, { 10, RUN(1, 4, 0), 2 * MB, false } },
      TASK_RUNNING,
      false,
      3396000,
      TASK_NEVER },
    { "without bytes the units tell how long yet",
      { { 1, RUN(0, 100, 0), 0, false }, { 1, RUN(10, 100, .advances = 1), 0, false } },
      TASK_RUNNING,
      false,
      0,
      4500 },
    { "all is here",
      { { 1, RUN(0, 4, 0), 0, false }, { 1, RUN(4, 4, .advances = 1), 0, false } },
      TASK_RUNNING,
      false,
      0,
      0 },
    { "nothing comes for ten seconds: it is stalled",
      { { 22, RUN(1, 4, 0), 0, false } },
      TASK_RUNNING,
      true,
      0,
      TASK_NEVER },
    { "nothing comes because of its rate: it is not",
      { { 60, RUN(1, 4, .throttled = true), 0, false } },
      TASK_RUNNING,
      false,
      0,
      TASK_NEVER },
    { "nothing comes because it is paused: it is not",
      { { 60, RUN(1, 4, .paused = true), 0, false } },
      TASK_PAUSED,
      false,
      0,
      TASK_NEVER },
    { "after a pause the patience is whole again",
      { { 60, RUN(1, 4, .paused = true), 0, false }, { 10, RUN(1, 4, 0), 0, false } },
      TASK_RUNNING,
      false,
      0,
      TASK_NEVER },
    { "it ends",
      { { 5, RUN(1, 4, 0), MB, false }, { 5, OVER(4, 4, 0), 0, false } },
      TASK_DONE,
      false,
      0,
      TASK_NEVER },
    { "it ran between two looks",
      { { 3, { 0 }, 0, false }, { 1, OVER(4, 4, 0), 0, false } },
      TASK_DONE,
      false,
      0,
      TASK_NEVER },
    { "it was cancelled",
      { { 5, RUN(1, 4, 0), MB, false }, { 1, OVER(4, 4, .failed = 3), 0, true } },
      TASK_CANCELLED,
      false,
      0,
      TASK_NEVER },
    { "what comes after a cancelled run is another",
      { { 5, RUN(1, 4, 0), MB, false },
        { 1, OVER(4, 4, .failed = 3), 0, true },
        { 1, { .active = true, .runs = 2, .asked_us = LATER, .total = 4 }, 0, false },
        { 1, { .runs = 2, .asked_us = LATER, .done = 4, .total = 4 }, 0, false } },
      TASK_DONE,
      false,
      0,
      TASK_NEVER },
    { "a shard that tells of its run when that was cancelled begins no other",
      { { 2, RUN(1, 4, .asked_us = 1), 0, false },
        { 1, { .active = true, .runs = 2, .asked_us = 1, .done = 5, .total = 8 }, 0, true },
        { 1, { .runs = 2, .asked_us = 1, .done = 8, .total = 8, .failed = 7 }, 0, false } },
      TASK_CANCELLED,
      false,
      0,
      TASK_NEVER },
    { "it was cancelled before anybody told of it",
      { { 1, { 0 }, 0, true },
        { 1, { .runs = 1, .asked_us = 1, .done = 4, .total = 4, .failed = 4 }, 0, false } },
      TASK_CANCELLED,
      false,
      0,
      TASK_NEVER },
    { "cancelling what is over changes nothing",
      { { 5, RUN(1, 4, 0), MB, false },
        { 1, OVER(4, 4, 0), 0, false },
        { 1, OVER(4, 4, 0), 0, true } },
      TASK_DONE,
      false,
      0,
      TASK_NEVER },
};

static void assert_near(uint64_t told, uint64_t expected)
{
    uint64_t slack = expected == TASK_NEVER ? 0 : expected / 50;
    assert_in_range(told, expected - slack, expected + slack);
}

static void check(const void *context)
{
    const struct row *row = context;
    struct task_meter meter = { 0 };
    struct task task;
    uint64_t now_us = 1000 * 1000, more = 0;
    for (const struct look *look = row->looks; look->times > 0; look++)
        for (uint32_t i = 0; i < look->times; i++) {
            struct task_figures figures = look->figures;
            more += look->more_size;
            figures.size += more;
            figures.advances += more;
            now_us += 500 * 1000;
            if (look->cancelled)
                task_meter_cancelled(&meter, now_us);
            task_meter_step(&meter, &figures, now_us);
        }
    task_meter_tell(&meter, now_us, &task);
    assert_int_equal(task.state, row->state);
    assert_int_equal(task.stalled, row->stalled);
    assert_near(task.rate, row->rate);
    assert_near(task.left_ms, row->left_ms);
}

/* --- adding up -------------------------------------------------------------------------------- */

static void check_unknown_sizes(void)
{
    const struct task_figures idle = { 0 };
    const struct task_figures known = { .active = true, .size_total = 10 };
    const struct task_figures unknown = { .active = true };
    struct task_figures sum = { 0 };
    task_figures_add(&sum, &known);
    task_figures_add(&sum, &idle);
    task_figures_add(&sum, &known);
    assert_int_equal(sum.size_total, 20);
    task_figures_add(&sum, &unknown);
    assert_int_equal(sum.size_total, 0);
    task_figures_add(&sum, &known);
    assert_int_equal(sum.size_total, 0);
}

static void check_notes(void)
{
    const struct task_figures sweeping = { .note = TASK_NOTE_SWEEP };
    const struct task_figures waiting = { .note = TASK_NOTE_SOURCE, .member = 3 };
    struct task_figures sum = { 0 };
    task_figures_add(&sum, &sweeping);
    task_figures_add(&sum, &waiting);
    task_figures_add(&sum, &sweeping);
    assert_int_equal(sum.note, TASK_NOTE_SOURCE);
    assert_int_equal(sum.member, 3);
}

static const struct named_test sums[] = {
    { "a size that one shard does not know is known of none", check_unknown_sizes },
    { "the gravest note counts", check_notes },
};

int main(void)
{
    int failed = RUN_ROWS("task meter", rows, check);
    return failed + RUN_TESTS("task figures", sums);
}
