/* SPDX-License-Identifier: Apache-2.0 */
/* Bucket properties as values.  Encoding: repeated (id u8, value varint), ids ascending; only what
 * is overridden is there.  An id we do not know is skipped: an older node keeps working.
 *
 *      1 n_val   2 r   3 w   4 dw   5 pr   6 pw   7 node_confirms
 *      8 basic_quorum   9 notfound_ok   10 sloppy   11 allow_mult   12 last_write_wins
 *      13 handoff_strategy   14 ttl_seconds   15, 16 generation, its upper and its lower 32 bits
 */
#include "node/buckets/properties.h"

#include "cluster/ring/ring.h"
#include "codec/varint.h"

enum {
    LEVEL_COUNT = 7,
    FLAG_COUNT = 5,
    FIRST_FLAG_ID = LEVEL_COUNT + 1,
    STRATEGY_ID = FIRST_FLAG_ID + FLAG_COUNT,
    TTL_ID,
    GENERATION_UPPER_ID,
    GENERATION_LOWER_ID,
};

static void level_fields(struct bucket_properties *properties, uint32_t *ret[LEVEL_COUNT])
{
    struct quorum_levels *levels = &properties->levels;
    uint32_t *fields[LEVEL_COUNT] = { &levels->n,
                                      &levels->r,
                                      &levels->w,
                                      &levels->dw,
                                      &levels->pr,
                                      &levels->pw,
                                      &levels->node_confirms };
    memcpy(ret, fields, sizeof(fields));
}

static void flag_fields(struct bucket_properties *properties, int8_t *ret[FLAG_COUNT])
{
    struct quorum_levels *levels = &properties->levels;
    int8_t *fields[FLAG_COUNT] = { &levels->basic_quorum, &levels->notfound_ok, &levels->sloppy,
                                   &properties->allow_mult, &properties->last_write_wins };
    memcpy(ret, fields, sizeof(fields));
}

static uint32_t not_overridden(int level)
{
    return level == 0 ? 0 : LEVEL_DEFAULT;
}

void bucket_properties_init(struct bucket_properties *properties)
{
    quorum_levels_init(&properties->levels);
    properties->allow_mult = properties->last_write_wins = -1;
    properties->handoff_strategy = -1;
    properties->ttl_seconds = PROPERTY_NO_TTL;
    properties->generation = 0;
}

void bucket_properties_apply(struct bucket_properties *base, const struct bucket_properties *over)
{
    struct bucket_properties copy = *over;
    uint32_t *into[LEVEL_COUNT], *from[LEVEL_COUNT];
    int8_t *flags_into[FLAG_COUNT], *flags_from[FLAG_COUNT];
    level_fields(base, into);
    level_fields(&copy, from);
    flag_fields(base, flags_into);
    flag_fields(&copy, flags_from);
    for (int i = 0; i < LEVEL_COUNT; i++)
        if (*from[i] != not_overridden(i))
            *into[i] = *from[i];
    for (int i = 0; i < FLAG_COUNT; i++)
        if (*flags_from[i] >= 0)
            *flags_into[i] = *flags_from[i];
    if (over->handoff_strategy >= 0)
        base->handoff_strategy = over->handoff_strategy;
    if (over->ttl_seconds != PROPERTY_NO_TTL)
        base->ttl_seconds = over->ttl_seconds;
    if (over->generation > base->generation)
        base->generation = over->generation;
}

static const char *const level_problems[LEVEL_COUNT] = {
    "n_val: not a number from 1 to 7",
    "r: above n_val",
    "w: above n_val",
    "dw: above n_val",
    "pr: above n_val",
    "pw: above n_val",
    "node_confirms: above n_val",
};

const char *bucket_properties_problem(const struct bucket_properties *properties)
{
    struct bucket_properties copy = *properties;
    uint32_t *levels[LEVEL_COUNT];
    level_fields(&copy, levels);
    uint32_t n = *levels[0];
    if (n > RING_REPLICAS_MAX)
        return level_problems[0];
    uint32_t limit = n == 0 ? RING_REPLICAS_MAX : n;
    for (int i = 1; i < LEVEL_COUNT; i++)
        if (quorum_level_word(*levels[i]) == NULL && *levels[i] > limit)
            return level_problems[i];
    if (level_is_zoned(properties->levels.node_confirms))
        return "node_confirms: counts machines, not zones";
    return NULL;
}

static void encode_generation(uint64_t generation, struct buffer *buffer)
{
    if (generation == 0)
        return;
    buffer_append_u8(buffer, GENERATION_UPPER_ID);
    write_varint(buffer, generation >> 32);
    buffer_append_u8(buffer, GENERATION_LOWER_ID);
    write_varint(buffer, generation & UINT32_MAX);
}

void bucket_properties_encode(const struct bucket_properties *properties, struct buffer *buffer)
{
    struct bucket_properties copy = *properties;
    uint32_t *levels[LEVEL_COUNT];
    int8_t *flags[FLAG_COUNT];
    level_fields(&copy, levels);
    flag_fields(&copy, flags);
    for (int i = 0; i < LEVEL_COUNT; i++) {
        if (*levels[i] == not_overridden(i))
            continue;
        buffer_append_u8(buffer, (uint8_t)(i + 1));
        write_varint(buffer, *levels[i]);
    }
    for (int i = 0; i < FLAG_COUNT; i++) {
        if (*flags[i] < 0)
            continue;
        buffer_append_u8(buffer, (uint8_t)(FIRST_FLAG_ID + i));
        write_varint(buffer, (uint64_t)*flags[i]);
    }
    if (properties->handoff_strategy >= 0) {
        buffer_append_u8(buffer, STRATEGY_ID);
        write_varint(buffer, (uint64_t)properties->handoff_strategy);
    }
    if (properties->ttl_seconds != PROPERTY_NO_TTL) {
        buffer_append_u8(buffer, TTL_ID);
        write_varint(buffer, properties->ttl_seconds);
    }
    encode_generation(properties->generation, buffer);
}

kvorum_status bucket_properties_with_generation(struct bytes bytes, uint64_t generation,
                                                struct buffer *buffer)
{
    struct reader reader = reader_of(bytes);
    bool placed = false;
    while (!reader.failed && reader.rest.size > 0) {
        struct bytes pair = reader.rest;
        int id = read_u8(&reader);
        (void)read_varint(&reader);
        if (id > GENERATION_LOWER_ID && !placed) {
            encode_generation(generation, buffer);
            placed = true;
        }
        if (!reader.failed && id != GENERATION_UPPER_ID && id != GENERATION_LOWER_ID)
            buffer_append(buffer, pair.data, pair.size - reader.rest.size);
    }
    if (!placed)
        encode_generation(generation, buffer);
    return reader.failed ? KVORUM_CORRUPT : KVORUM_OK;
}

/* False: the value is none of its. */
static bool take_flag(int id, uint64_t value, int8_t *flags[FLAG_COUNT],
                      struct bucket_properties *properties)
{
    if (id < STRATEGY_ID)
        *flags[id - FIRST_FLAG_ID] = (int8_t)value;
    else if (id == STRATEGY_ID)
        properties->handoff_strategy = (int8_t)value;
    else if (id == TTL_ID)
        properties->ttl_seconds = (uint32_t)value;
    else if (id == GENERATION_UPPER_ID)
        properties->generation = value << 32;
    else if (id == GENERATION_LOWER_ID)
        properties->generation |= value;
    return id < STRATEGY_ID ? value <= 1 : id == STRATEGY_ID ? value < HANDOFF_STRATEGIES : true;
}

kvorum_status bucket_properties_decode(struct bytes bytes, struct bucket_properties *ret_properties)
{
    struct bucket_properties properties;
    bucket_properties_init(&properties);
    uint32_t *levels[LEVEL_COUNT];
    int8_t *flags[FLAG_COUNT];
    level_fields(&properties, levels);
    flag_fields(&properties, flags);
    struct reader reader = reader_of(bytes);
    int last = 0;
    while (!reader.failed && reader.rest.size > 0) {
        int id = read_u8(&reader);
        uint64_t value = read_varint(&reader);
        if (reader.failed || id <= last || value > UINT32_MAX)
            return KVORUM_CORRUPT;
        last = id;
        if (id <= LEVEL_COUNT)
            *levels[id - 1] = (uint32_t)value;
        else if (!take_flag(id, value, flags, &properties))
            return KVORUM_CORRUPT;
    }
    if (reader.failed || bucket_properties_problem(&properties) != NULL)
        return KVORUM_CORRUPT;
    *ret_properties = properties;
    return KVORUM_OK;
}
