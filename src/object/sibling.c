/* SPDX-License-Identifier: Apache-2.0 */
/** Siblings: their order, and questions about the siblings of one object. */
#include "object/sibling.h"

#include "object/clock_vector.h"

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int metadata_compare(const struct metadata *a, const struct metadata *b)
{
    int by_kind = order(a->kind, b->kind);
    int by_name = by_kind != 0 ? by_kind : bytes_compare(a->name, b->name);
    return by_name != 0 ? by_name : bytes_compare(a->value, b->value);
}

/* A dot names one write, so two contents under one dot mean that an actor was used twice after a
 * loss.  Which one stays does not matter; that all replicas keep the same one does. */
static int content_compare(const struct sibling *a, const struct sibling *b)
{
    int result = order(a->tombstone, b->tombstone);
    if (result == 0)
        result = order(a->deadline_ms, b->deadline_ms);
    if (result == 0)
        result = order(a->kept, b->kept);
    if (result == 0)
        result = bytes_compare(a->value, b->value);
    if (result == 0)
        result = order(a->metadata_count, b->metadata_count);
    for (uint32_t i = 0; result == 0 && i < a->metadata_count; i++)
        result = metadata_compare(&a->metadata[i], &b->metadata[i]);
    return result;
}

int write_mark_compare(struct write_mark a, struct write_mark b)
{
    int by_stamp = order(a.stamp, b.stamp);
    return by_stamp != 0 ? by_stamp : dot_compare(a.dot, b.dot);
}

int sibling_compare(const struct sibling *a, const struct sibling *b)
{
    int by_mark = write_mark_compare(write_mark_of(a), write_mark_of(b));
    return by_mark != 0 ? by_mark : content_compare(a, b);
}

const struct sibling *object_last(const struct object *object)
{
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        if (!object->siblings[i].kept)
            return &object->siblings[i];
    }
    return NULL;
}

struct write_mark object_last_mark(const struct object *object)
{
    const struct sibling *last = object_last(object);
    return last == NULL ? object->last : write_mark_of(last);
}

bool object_is_deleted(const struct object *object)
{
    for (uint32_t i = 0; i < object->sibling_count; i++) {
        if (!object->siblings[i].tombstone)
            return false;
    }
    return true;
}

const struct sibling *object_winner(const struct object *object)
{
    if (object->sibling_count == 0)
        return NULL;
    const struct sibling *winner = &object->siblings[0];
    for (uint32_t i = 1; i < object->sibling_count; i++)
        winner = sibling_max(winner, &object->siblings[i]);
    return winner;
}

uint64_t object_max_stamp(const struct object *object)
{
    uint64_t stamp = object_last_mark(object).stamp;
    for (uint32_t i = 0; i < object->sibling_count; i++)
        stamp = object->siblings[i].stamp > stamp ? object->siblings[i].stamp : stamp;
    return stamp;
}

struct object_context object_context_of(const struct object *object)
{
    return (struct object_context){ object->clock, object_max_stamp(object),
                                    object_last_mark(object) };
}

const struct metadata *sibling_metadata(const struct sibling *sibling, enum metadata_kind kind)
{
    for (uint32_t i = 0; i < sibling->metadata_count; i++) {
        if (sibling->metadata[i].kind == kind)
            return &sibling->metadata[i];
    }
    return NULL;
}
