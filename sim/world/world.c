/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world/world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

enum { MILLION = 1000000 };

void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){ .seed = seed, .now_us = SIM_SECOND, .told_key = -1 };
    heap_init(&world->events);
    random_init(&world->random, seed);
    random_init(&world->apart, ~seed);
    tape_begin_span(&world->tape, STREAM_NOISE);
}

void world_replay(struct world *world, const struct tape *tape)
{
    world->replaying = true;
    tape_reader_init(&world->reader, tape);
    tape_reader_next_span(&world->reader, STREAM_NOISE);
}

void world_redraw_noise(struct world *world, uint64_t seed)
{
    world->noise_redrawn = true;
    random_init(&world->random, seed);
}

void world_drop_events(struct world *world)
{
    struct heap_item *item;
    while ((item = heap_first(&world->events)) != NULL) {
        struct event *event = LIST_ENTRY(item, struct event, item);
        heap_remove(&world->events, item);
        if (event->drop != NULL)
            event->drop(event);
    }
}

void world_done(struct world *world)
{
    world_drop_events(world);
    heap_done(&world->events);
    tape_done(&world->tape);
}

static void begin_span(struct world *world)
{
    world->in_span = true;
    tape_begin_span(&world->tape, world->stream);
    if (world->replaying)
        tape_reader_next_span(&world->reader, world->stream);
}

/* A span is begun even if nothing will be drawn in it: what the actor does then is kept too. */
void world_span(struct world *world, enum stream stream)
{
    world->stream = stream;
    world->in_span = false;
    world->ended =
        stream != STREAM_NOISE && world->replaying && tape_reader_ended(&world->reader, stream);
    if (stream != STREAM_NOISE && !world->ended)
        begin_span(world);
}

void world_begin_part(struct world *world)
{
    world_noise(world);
    begin_span(world);
}

static bool is_on_tape(const struct world *world)
{
    return world->replaying && !(world->noise_redrawn && world->stream == STREAM_NOISE);
}

static uint64_t choose_by(struct world *world, struct random *random, uint64_t limit, uint64_t calm)
{
    assert(calm < limit);
    if (world->stream != STREAM_NOISE && !world->in_span)
        begin_span(world);
    uint64_t drawn, choice;
    if (is_on_tape(world)) {
        choice = tape_reader_take(&world->reader, world->stream) % limit;
        drawn = choice < limit - calm ? choice + calm : choice - (limit - calm);
    } else {
        drawn = random_below(random, limit);
        choice = drawn >= calm ? drawn - calm : drawn + (limit - calm);
    }
    tape_record(&world->tape, world->stream, choice);
    world->choice_count++;
    return drawn;
}

uint64_t choose_calm(struct world *world, uint64_t limit, uint64_t calm)
{
    return choose_by(world, &world->random, limit, calm);
}

uint64_t choose(struct world *world, uint64_t limit)
{
    return choose_calm(world, limit, 0);
}

uint64_t choose_between(struct world *world, uint64_t low, uint64_t high)
{
    assert(low <= high);
    return low + choose(world, high - low + 1);
}

bool choose_one_in(struct world *world, uint64_t n)
{
    return choose_calm(world, n, n - 1) == 0;
}

bool choose_one_in_apart(struct world *world, uint64_t n)
{
    return choose_by(world, &world->apart, n, n - 1) == 0;
}

bool choose_chance(struct world *world, uint32_t per_million)
{
    return per_million != 0 && choose_calm(world, MILLION, MILLION - 1) < per_million;
}

uint64_t choose_delay(struct world *world, uint64_t mean_us)
{
    uint64_t calm = 256 * mean_us + 255;
    uint64_t draw = choose_calm(world, 256 * (2 * mean_us + 1), calm);
    uint64_t tail = draw % 256;
    uint64_t delay = draw / 256;
    if (tail == 0)
        return delay * 64;
    return tail < 16 ? delay * 8 : delay;
}

void gate_init(struct gate *gate)
{
    gate->closed = false;
    list_init(&gate->held);
}

void gate_open(struct world *world, struct gate *gate)
{
    struct list *link;
    gate->closed = false;
    while ((link = list_first(&gate->held)) != NULL) {
        list_remove(link);
        world_at(world, LIST_ENTRY(link, struct event, held_link), world->now_us);
    }
}

void event_init(struct event *event, struct gate *gate, void (*run)(struct event *event))
{
    *event = (struct event){ .gate = gate, .run = run };
    list_init(&event->held_link);
}

void world_at(struct world *world, struct event *event, uint64_t at_us)
{
    assert(!event_is_set(event));
    if (at_us < world->now_us)
        at_us = world->now_us;
    if (!heap_insert(&world->events, &event->item, at_us))
        abort();
}

void world_cancel(struct world *world, struct event *event)
{
    heap_remove(&world->events, &event->item);
    list_remove(&event->held_link);
}

bool world_step(struct world *world)
{
    struct heap_item *item = heap_first(&world->events);
    if (item == NULL || world->violation.checker != NULL)
        return false;
    struct event *event = LIST_ENTRY(item, struct event, item);
    assert(item->key >= world->now_us);
    world->now_us = item->key;
    heap_remove(&world->events, item);
    if (event->gate != NULL && event->gate->closed) {
        list_append(&event->gate->held, &event->held_link);
        return true;
    }
    world->event_count++;
    world_mix(world, world->now_us, world->choice_count);
    world_span(world, event->stream);
    event->run(event);
    world_noise(world);
    return world->violation.checker == NULL;
}

bool world_run_until(struct world *world, uint64_t until_us)
{
    struct heap_item *item;
    while ((item = heap_first(&world->events)) != NULL && item->key <= until_us) {
        if (!world_step(world))
            return false;
    }
    if (world->now_us < until_us)
        world->now_us = until_us;
    return world->violation.checker == NULL;
}

void world_mix(struct world *world, uint64_t a, uint64_t b)
{
    uint64_t numbers[2] = { a, b };
    world->trace_hash = hash64(bytes_make(numbers, sizeof(numbers)), world->trace_hash);
}

static void print_line(const struct world *world, const char *format, va_list arguments)
{
    printf("[%5" PRIu64 ".%06" PRIu64 "] ", world->now_us / SIM_SECOND, world->now_us % SIM_SECOND);
    vprintf(format, arguments);
    putchar('\n');
}

void world_trace(struct world *world, const char *format, ...)
{
    if (!world->tracing)
        return;
    va_list arguments;
    va_start(arguments, format);
    print_line(world, format, arguments);
    va_end(arguments);
}

void world_tell(struct world *world, int64_t key, const char *format, ...)
{
    bool told = world->telling && (key == -1 || world->told_key == -1 || key == world->told_key);
    if (!world->tracing && !told)
        return;
    va_list arguments;
    va_start(arguments, format);
    print_line(world, format, arguments);
    va_end(arguments);
}

void world_fail(struct world *world, const char *checker, const char *format, ...)
{
    struct violation *violation = &world->violation;
    if (violation->checker != NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    violation->checker = checker;
    violation->at_us = world->now_us;
    vsnprintf(violation->text, sizeof(violation->text), format, arguments);
    va_end(arguments);
    world_tell(world, -1, "VIOLATION %s: %s", checker, violation->text);
    world->telling = false; /* what follows is the end of the run, not of the story */
}
