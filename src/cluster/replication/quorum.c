/* SPDX-License-Identifier: Apache-2.0 */
/* Levels resolve in one order everywhere: the request, else the bucket, else the defaults here. */
#include "cluster/replication/quorum.h"

#include <assert.h>

struct word {
    const char *text;
    uint32_t level;
};

static const struct word words[] = {
    { "one", LEVEL_ONE },
    { "quorum", LEVEL_QUORUM },
    { "all", LEVEL_ALL },
    { "default", LEVEL_DEFAULT },
    { "local_quorum", LEVEL_LOCAL_QUORUM },
    { "each_quorum", LEVEL_EACH_QUORUM },
};

enum { WORDS = sizeof(words) / sizeof(words[0]) };

/* One level on its way: where it is said, what it is when nobody says it, and its limits. */
struct level {
    const char *name;
    uint32_t asked, bucket, fallback;
    uint8_t least;
    bool counts_machines;
    uint8_t *ret, *ret_zones; /* NULL: it knows no zones */
};

void quorum_levels_init(struct quorum_levels *levels)
{
    *levels = (struct quorum_levels){
        .n = 0,
        .r = LEVEL_DEFAULT,
        .w = LEVEL_DEFAULT,
        .dw = LEVEL_DEFAULT,
        .pr = LEVEL_DEFAULT,
        .pw = LEVEL_DEFAULT,
        .node_confirms = LEVEL_DEFAULT,
        .basic_quorum = -1,
        .notfound_ok = -1,
        .sloppy = -1,
    };
}

static bool parse_number(struct bytes text, uint32_t *ret_number)
{
    uint64_t number = 0;
    if (text.size == 0 || text.size > 10)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    if (number >= LEVEL_EACH_QUORUM) /* digits must never turn into a word */
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

bool quorum_level_parse(struct bytes text, uint32_t *ret_level)
{
    for (size_t i = 0; i < WORDS; i++) {
        if (bytes_equal(text, bytes_of_string(words[i].text))) {
            *ret_level = words[i].level;
            return true;
        }
    }
    return parse_number(text, ret_level);
}

const char *quorum_level_word(uint32_t level)
{
    for (size_t i = 0; i < WORDS; i++)
        if (words[i].level == level)
            return words[i].text;
    return NULL;
}

const char *zone_level_word(uint8_t level)
{
    static const char *const texts[] = { [ZONE_LEVEL_NONE] = NULL,
                                         [ZONE_LEVEL_LOCAL] = "local_quorum",
                                         [ZONE_LEVEL_EACH] = "each_quorum" };
    return texts[level];
}

static bool flag(int8_t asked, int8_t bucket, bool fallback)
{
    if (asked >= 0)
        return asked != 0;
    return bucket >= 0 ? bucket != 0 : fallback;
}

/* 0 when the request asks for more copies than the bucket keeps, or than anything can keep. */
static uint8_t replicas(const struct quorum_levels *asked, const struct quorum_levels *bucket)
{
    uint32_t kept = bucket->n != 0 ? bucket->n : REPLICAS_DEFAULT;
    uint32_t n = asked->n != 0 ? asked->n : kept;
    return n > kept || n > REPLICAS_MAX ? 0 : (uint8_t)n;
}

static bool resolve_one(const struct level *level, uint8_t n, uint8_t effective, bool sloppy)
{
    uint32_t value = level->asked != LEVEL_DEFAULT ? level->asked : level->bucket;
    if (value == LEVEL_DEFAULT)
        value = level->fallback;
    if (level_is_zoned(value) && level->ret_zones != NULL) {
        *level->ret_zones = value == LEVEL_EACH_QUORUM ? ZONE_LEVEL_EACH : ZONE_LEVEL_LOCAL;
        value = level->least;
    }
    if (value == LEVEL_ONE)
        value = 1;
    else if (value == LEVEL_QUORUM)
        value = effective / 2 + 1;
    else if (value == LEVEL_ALL)
        value = effective;
    if (value > n || (value > effective && (!sloppy || level->counts_machines)))
        return false;
    if (value > effective)
        value = effective;
    *level->ret = value < level->least ? level->least : (uint8_t)value;
    return true;
}

static uint32_t dw_fallback(const struct quorum_levels *asked, const struct quorum_levels *bucket)
{
    uint32_t w = asked->w != LEVEL_DEFAULT ? asked->w : bucket->w;
    return level_is_zoned(w) ? w : LEVEL_QUORUM;
}

kvorum_status quorum_resolve(const struct quorum_levels *asked, const struct quorum_levels *bucket,
                             uint16_t member_count, struct quorum *ret_quorum,
                             const char **ret_level_name)
{
    uint8_t n = replicas(asked, bucket);
    if (n == 0 || member_count == 0) {
        *ret_level_name = "n";
        return KVORUM_QUORUM_IMPOSSIBLE;
    }
    struct quorum quorum = {
        .n = n < member_count ? n : (uint8_t)member_count,
        .basic_quorum = flag(asked->basic_quorum, bucket->basic_quorum, false),
        .notfound_ok = flag(asked->notfound_ok, bucket->notfound_ok, true),
        .sloppy = flag(asked->sloppy, bucket->sloppy, true),
    };
    const struct level levels[] = {
        { "r", asked->r, bucket->r, LEVEL_QUORUM, 1, false, &quorum.r, &quorum.zones.r },
        { "w", asked->w, bucket->w, LEVEL_QUORUM, 0, false, &quorum.w, &quorum.zones.w },
        { "dw", asked->dw, bucket->dw, dw_fallback(asked, bucket), 1, false, &quorum.dw,
          &quorum.zones.dw },
        { "pr", asked->pr, bucket->pr, 0, 0, false, &quorum.pr, &quorum.zones.pr },
        { "pw", asked->pw, bucket->pw, 0, 0, false, &quorum.pw, &quorum.zones.pw },
        { "node_confirms", asked->node_confirms, bucket->node_confirms, 0, 0, true,
          &quorum.node_confirms, NULL },
    };
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (!resolve_one(&levels[i], n, quorum.n, quorum.sloppy)) {
            *ret_level_name = levels[i].name;
            return KVORUM_QUORUM_IMPOSSIBLE;
        }
    }
    assert(quorum.n >= 1 && quorum.r <= quorum.n && quorum.w <= quorum.n && quorum.dw <= quorum.n);
    *ret_quorum = quorum;
    return KVORUM_OK;
}
