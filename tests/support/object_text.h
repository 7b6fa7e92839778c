/* SPDX-License-Identifier: Apache-2.0 */
/** Objects as text, for tables of small stories:
 *
 *      a2 b1 | a2@7=x b1~3!        clock {a:2, b:1}; siblings: dot a2, stamp 7, value "x", kept;
 *                                  and dot b1, stamp 3, a tombstone, not kept
 *      a2 b1 <b1~3 | a2@7=x        the same after a2 replaced b1
 *      a2 b1 @7 <b1~3              the context of either
 *
 *  Actors are single letters.  Text that does not parse stops the test.
 */
#ifndef TESTS_SUPPORT_OBJECT_TEXT_H
#define TESTS_SUPPORT_OBJECT_TEXT_H

#include <ctype.h>
#include <stdlib.h>

#include "object/object.h"

enum { OBJECT_TEXT_MAX = 16 }; /* entries and siblings in one text */

static inline struct dot dot_of_text(const char **text)
{
    if (!isalpha((unsigned char)**text))
        abort();
    struct dot dot = { (uint64_t) * (*text)++, 0 };
    char *end;
    dot.counter = strtoull(*text, &end, 10);
    *text = end;
    return dot;
}

static inline void skip_spaces(const char **text)
{
    *text += strspn(*text, " ");
}

static inline struct clock_vector clock_of_text(const char **text, struct arena *arena)
{
    struct clock_vector clock = { arena_allocate(arena, OBJECT_TEXT_MAX * sizeof(struct dot)), 0 };
    if (clock.entries == NULL)
        abort();
    for (skip_spaces(text); isalpha((unsigned char)**text); skip_spaces(text))
        clock.entries[clock.count++] = dot_of_text(text);
    return clock;
}

static inline struct sibling sibling_of_text(const char **text)
{
    struct sibling sibling = { .dot = dot_of_text(text) };
    if (**text == '@' || **text == '~') {
        char *end;
        sibling.kept = **text == '@';
        sibling.stamp = strtoull(*text + 1, &end, 10);
        *text = end;
    }
    sibling.tombstone = **text == '!';
    size_t size = strcspn(*text, " ");
    sibling.value = bytes_make(*text + (size > 0), size > 0 ? size - 1 : 0);
    *text += size;
    return sibling;
}

static inline struct write_mark mark_of_text(const char **text)
{
    if (**text != '<')
        return (struct write_mark){ 0 };
    (*text)++;
    struct sibling sibling = sibling_of_text(text);
    skip_spaces(text);
    return (struct write_mark){ sibling.stamp, sibling.dot };
}

static inline struct object object_of_text(const char *text, struct arena *arena)
{
    struct object object = { .clock = clock_of_text(&text, arena) };
    object.last = mark_of_text(&text);
    object.siblings = arena_allocate(arena, OBJECT_TEXT_MAX * sizeof(struct sibling));
    if (object.siblings == NULL || (*text != '\0' && *text != '|'))
        abort();
    for (text += *text == '|', skip_spaces(&text); *text != '\0'; skip_spaces(&text))
        object.siblings[object.sibling_count++] = sibling_of_text(&text);
    return object;
}

static inline struct object_context context_of_text(const char *text, struct arena *arena)
{
    struct object_context context = { .clock = clock_of_text(&text, arena) };
    char *end = (char *)text;
    if (*text == '@')
        context.stamp = strtoull(text + 1, &end, 10);
    text = end;
    skip_spaces(&text);
    context.last = mark_of_text(&text);
    return context;
}

/** The text object_of_text would read; `buffer` is the caller's to end, and starts empty here. */
static inline const char *object_text(const struct object *object, struct buffer *buffer)
{
    buffer_reset(buffer);
    for (uint32_t i = 0; i < object->clock.count; i++)
        buffer_printf(buffer, "%s%c%llu", i == 0 ? "" : " ", (char)object->clock.entries[i].actor,
                      (unsigned long long)object->clock.entries[i].counter);
    bool last_is_there = false;
    for (uint32_t i = 0; i < object->sibling_count; i++)
        last_is_there |= !object->siblings[i].kept;
    if (object->last.dot.counter != 0 && !last_is_there)
        buffer_printf(buffer, " <%c%llu~%llu", (char)object->last.dot.actor,
                      (unsigned long long)object->last.dot.counter,
                      (unsigned long long)object->last.stamp);
    if (object->sibling_count > 0)
        buffer_append_text(buffer, " |");
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        const struct sibling *sibling = &object->siblings[i];
        buffer_printf(buffer, " %c%llu%c%llu%c%.*s", (char)sibling->dot.actor,
                      (unsigned long long)sibling->dot.counter, sibling->kept ? '@' : '~',
                      (unsigned long long)sibling->stamp, sibling->tombstone ? '!' : '=',
                      (int)sibling->value.size, (const char *)sibling->value.data);
    }
    buffer_append_u8(buffer, 0);
    return (const char *)buffer->data;
}

#endif
