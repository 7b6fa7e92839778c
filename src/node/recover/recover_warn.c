/* SPDX-License-Identifier: Apache-2.0 */
/* The outlook of every bucket: those with the same levels are judged once, and what is true of
 * several is told once. */
#include <stdio.h>

#include "node/epochs/epochs.h"
#include "node/internal.h"
#include "node/recover/outlook.h"
#include "node/recover/recover.h"

enum {
    LEVELS_MAX = 64 /* a bit each */,
    WARNINGS_MAX = 128,
    NAMED_MAX = 8,
    NAMES_MAX = 1024,
    NAME_SHOWN_MAX = 64
};

struct warning {
    enum outlook_kind kind;
    const char *text;
    uint64_t levels; /* that it is about, as bits */
    size_t named;
    char names[NAMES_MAX];
};

struct warnings {
    struct node *node;
    struct quorum_levels levels[LEVELS_MAX]; /* different ones; the first are the defaults */
    size_t level_count, at;
    struct warning list[WARNINGS_MAX + 1]; /* the last tells of what was not kept */
    size_t count;
    size_t unseen; /* buckets that were not judged, warnings that were not kept */
    bool failed;   /* no memory */
};

/* --- finding -------------------------------------------------------------------------------- */

static size_t find_levels(const struct warnings *warnings, const struct quorum_levels *levels)
{
    size_t at = 0;
    while (at < warnings->level_count && !quorum_levels_equal(&warnings->levels[at], levels))
        at++;
    return at;
}

static void collect(void *context, struct bytes bucket, const struct bucket_properties *properties)
{
    struct warnings *warnings = context;
    size_t at = find_levels(warnings, &properties->levels);
    (void)bucket;
    if (at == LEVELS_MAX)
        warnings->unseen++;
    else if (at == warnings->level_count)
        warnings->levels[warnings->level_count++] = properties->levels;
}

static void find(void *context, enum outlook_kind kind, const char *text)
{
    struct warnings *warnings = context;
    size_t i = 0;
    if (text == NULL) {
        warnings->failed = true;
        return;
    }
    while (i < warnings->count && strcmp(warnings->list[i].text, text) != 0)
        i++;
    if (i == WARNINGS_MAX) {
        warnings->unseen++;
        return;
    }
    if (i == warnings->count)
        warnings->list[warnings->count++] = (struct warning){ .kind = kind, .text = text };
    warnings->list[i].levels |= UINT64_C(1) << warnings->at;
}

/* `plan->change.table` is where all ends; what was begun before has it in its moves. */
static uint16_t *find_table(struct node *node, const struct recover_plan *plan)
{
    const struct epoch *next = &plan->change.next;
    size_t places = (size_t)next->partition_count * next->replica_count;
    if (!plan->ended)
        return plan->change.table;
    uint16_t *table = arena_allocate(&node->scratch, places * sizeof(*table));
    if (table == NULL)
        return NULL;
    memcpy(table, next->table, places * sizeof(*table));
    for (uint32_t i = 0; i < next->move_count; i++)
        memcpy(table + (size_t)next->moves[i].partition * next->replica_count, next->moves[i].to,
               next->replica_count * sizeof(*table));
    return table;
}

/* --- telling -------------------------------------------------------------------------------- */

static void add_name(struct warning *warning, struct bytes name)
{
    char printable[NAME_SHOWN_MAX + 1];
    size_t size = name.size < NAME_SHOWN_MAX ? name.size : NAME_SHOWN_MAX;
    if (warning->named++ >= NAMED_MAX)
        return;
    for (size_t i = 0; i < size; i++)
        printable[i] = name.data[i] >= 0x20 && name.data[i] < 0x7f ? (char)name.data[i] : '.';
    size_t used = strlen(warning->names);
    snprintf(warning->names + used, NAMES_MAX - used, "%s%.*s", used == 0 ? "" : ", ", (int)size,
             printable);
}

/* To all warnings about such levels. */
static void add_name_to_all(struct warnings *warnings, size_t levels, struct bytes name)
{
    for (size_t i = 0; i < warnings->count; i++)
        if ((warnings->list[i].levels >> levels & 1) != 0)
            add_name(&warnings->list[i], name);
}

/* The defaults stand for all that ask for nothing else. */
static void name_bucket(void *context, struct bytes bucket,
                        const struct bucket_properties *properties)
{
    struct warnings *warnings = context;
    size_t at = find_levels(warnings, &properties->levels);
    if (at > 0 && at < warnings->level_count)
        add_name_to_all(warnings, at, bucket);
}

static void name_all(struct warnings *warnings)
{
    add_name_to_all(warnings, 0, BYTES_LITERAL("(default)"));
    property_table_each(warnings->node, name_bucket, warnings);
    for (size_t i = 0; i < warnings->count; i++) {
        struct warning *warning = &warnings->list[i];
        size_t used = strlen(warning->names);
        if (warning->named > NAMED_MAX)
            snprintf(warning->names + used, NAMES_MAX - used, ", and %zu more",
                     warning->named - NAMED_MAX);
    }
}

static bool tell(struct warnings *warnings, Peer__RecoverReport *ret)
{
    struct arena *arena = &warnings->node->scratch;
    Peer__RecoverWarning *told = arena_allocate(arena, (WARNINGS_MAX + 1) * sizeof(*told));
    Peer__RecoverWarning **list = arena_allocate(arena, (WARNINGS_MAX + 1) * sizeof(*list));
    if (told == NULL || list == NULL)
        return false;
    ret->warnings = list;
    name_all(warnings);
    for (size_t i = 0; i < warnings->count; i++) {
        told[i] = (Peer__RecoverWarning)PEER__RECOVER_WARNING__INIT;
        told[i].kind = (char *)outlook_kind_name(warnings->list[i].kind);
        told[i].text = (char *)warnings->list[i].text;
        struct bytes names =
            bytes_make(warnings->list[i].names, strlen(warnings->list[i].names) + 1);
        if (!arena_copy(arena, names, &names))
            return false;
        told[i].buckets = (char *)names.data;
        list[ret->n_warnings++] = &told[i];
    }
    return true;
}

/* Nothing is passed over in silence. */
static bool tell_unseen(struct warnings *warnings)
{
    if (warnings->unseen == 0)
        return true;
    struct warning *last = &warnings->list[warnings->count++];
    *last = (struct warning){ .kind = OUTLOOK_UNSEEN };
    last->text = arena_printf(&warnings->node->scratch,
                              "%zu more warnings, or buckets with levels of their own, are not "
                              "shown: see the properties of your buckets",
                              warnings->unseen);
    return last->text != NULL;
}

/* --- all of it ------------------------------------------------------------------------------ */

static bool judge_all(struct warnings *warnings, const struct recover_plan *plan)
{
    struct node *node = warnings->node;
    struct outlook outlook;
    uint16_t *table = find_table(node, plan);
    if (table == NULL)
        return false;
    outlook_init(&outlook, &plan->base, &plan->change.next, table, node->recover->errand.lost,
                 &node->scratch);
    warnings->levels[warnings->level_count++] = node->config.default_levels;
    property_table_each(node, collect, warnings);
    for (warnings->at = 0; warnings->at < warnings->level_count; warnings->at++)
        outlook_judge(&outlook, &warnings->levels[warnings->at], find, warnings);
    return !warnings->failed && tell_unseen(warnings);
}

bool recover_warn(struct node *node, const struct recover_plan *plan, Peer__RecoverReport *ret)
{
    struct warnings *warnings = calloc(1, sizeof(*warnings));
    if (warnings == NULL)
        return false;
    warnings->node = node;
    bool told = judge_all(warnings, plan) && tell(warnings, ret);
    free(warnings);
    return told;
}
