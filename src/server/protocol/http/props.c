/* SPDX-License-Identifier: Apache-2.0 */
/* Bucket properties as JSON.  Those that Riak has and we do not use are shown with Riak's defaults;
 * setting one of them to anything else is refused by name, never ignored. */
#include "server/protocol/http/internal.h"

#include <jansson.h>

/* --- ours ------------------------------------------------------------------------------------- */

struct level_property {
    const char *name;
    size_t offset; /* of a uint32_t in struct bucket_properties */
};

struct flag_property {
    const char *name;
    size_t offset; /* of an int8_t */
    bool fallback; /* what "not overridden" means */
};

#define AT(field) offsetof(struct bucket_properties, field)

static const struct level_property level_properties[] = {
    { "n_val", AT(levels.n) },
    { "r", AT(levels.r) },
    { "w", AT(levels.w) },
    { "dw", AT(levels.dw) },
    { "pr", AT(levels.pr) },
    { "pw", AT(levels.pw) },
    { "node_confirms", AT(levels.node_confirms) },
};

static const struct flag_property flag_properties[] = {
    { "basic_quorum", AT(levels.basic_quorum), false },
    { "notfound_ok", AT(levels.notfound_ok), true },
    { "sloppy_quorum", AT(levels.sloppy), true },
    { "allow_mult", AT(allow_mult), false },
    { "last_write_wins", AT(last_write_wins), false },
};

enum {
    LEVELS = sizeof(level_properties) / sizeof(level_properties[0]),
    FLAGS = sizeof(flag_properties) / sizeof(flag_properties[0]),
};

static uint32_t *level_at(struct bucket_properties *properties, size_t i)
{
    return (uint32_t *)(void *)((char *)properties + level_properties[i].offset);
}

static int8_t *flag_at(struct bucket_properties *properties, size_t i)
{
    return (int8_t *)((char *)properties + flag_properties[i].offset);
}

/* --- Riak's, fixed ---------------------------------------------------------------------------- */

struct fixed_property {
    const char *name, *json;
};

static const struct fixed_property fixed_properties[] = {
    { "rw", "\"quorum\"" },
    { "dvv_enabled", "true" },
    { "old_vclock", "86400" },
    { "young_vclock", "20" },
    { "small_vclock", "50" },
    { "big_vclock", "50" },
    { "precommit", "[]" },
    { "postcommit", "[]" },
    { "chash_keyfun", "{\"mod\":\"riak_core_util\",\"fun\":\"chash_std_keyfun\"}" },
    { "linkfun", "{\"mod\":\"riak_kv_wm_link_walker\",\"fun\":\"mapreduce_linkfun\"}" },
    { "write_once", "false" },
    { "sync_on_write", "\"backend\"" },
};

enum { FIXED = sizeof(fixed_properties) / sizeof(fixed_properties[0]) };

/* --- writing ---------------------------------------------------------------------------------- */

static void write_level(struct buffer *json, const char *name, uint32_t level)
{
    const char *word = level == LEVEL_DEFAULT ? "quorum" : quorum_level_word(level);
    if (word != NULL) {
        bool counts_owners = strcmp(name, "pr") == 0 || strcmp(name, "pw") == 0 ||
                             strcmp(name, "node_confirms") == 0;
        if (level == LEVEL_DEFAULT && counts_owners)
            buffer_printf(json, "\"%s\":0,", name);
        else
            buffer_printf(json, "\"%s\":\"%s\",", name, word);
    } else
        buffer_printf(json, "\"%s\":%u,", name, level);
}

void http_write_props_json(struct http *http, struct buffer *json)
{
    struct bucket_properties properties;
    node_properties(http->environment.node, http->request.type, http->request.bucket, &properties);
    buffer_append_text(json, "\"props\":{\"name\":");
    http_json_string(json, http->request.bucket);
    buffer_append_u8(json, ',');
    for (size_t i = 0; i < LEVELS; i++)
        write_level(json, level_properties[i].name, *level_at(&properties, i));
    for (size_t i = 0; i < FLAGS; i++) {
        int8_t flag = *flag_at(&properties, i);
        bool on = flag < 0 ? flag_properties[i].fallback : flag == 1;
        buffer_printf(json, "\"%s\":%s,", flag_properties[i].name, on ? "true" : "false");
    }
    buffer_printf(json, "\"handoff_strategy\":\"%s\",",
                  handoff_strategy_name(bucket_strategy(&properties)));
    buffer_printf(json, "\"ttl_seconds\":%u,",
                  properties.ttl_seconds == PROPERTY_NO_TTL ? 0 : properties.ttl_seconds);
    for (size_t i = 0; i < FIXED; i++)
        buffer_printf(json, "\"%s\":%s%s", fixed_properties[i].name, fixed_properties[i].json,
                      i + 1 < FIXED ? "," : "");
    buffer_append_u8(json, '}');
}

void http_get_props(struct http *http)
{
    struct buffer json;
    buffer_init(&json, 1 << 18);
    buffer_append_u8(&json, '{');
    http_write_props_json(http, &json);
    buffer_append_u8(&json, '}');
    http_json(http, 200, &json);
}

/* GET /riak/B: properties unless props=false, and keys when asked. */
void http_get_bucket_old(struct http *http)
{
    http->list_props = !http_query_is(http, "props", "false");
    if (http_query_is(http, "keys", "true") || http_query_is(http, "keys", "stream"))
        http_list_keys(http);
    else
        http_get_props(http);
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool read_level(const json_t *value, bool word_allowed, uint32_t *ret)
{
    if (json_is_integer(value)) {
        json_int_t number = json_integer_value(value);
        *ret = (uint32_t)number;
        return number >= (word_allowed ? 0 : 1) && number <= 1000;
    }
    return word_allowed && json_is_string(value) &&
           quorum_level_parse(bytes_of_string(json_string_value(value)), ret);
}

/* Clients' test suites send booleans as text, too. */
static bool read_flag(const json_t *value, int8_t *ret)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    bool on = json_is_true(value) || strcmp(text, "true") == 0;
    bool off = json_is_false(value) || strcmp(text, "false") == 0;
    *ret = on;
    return on || off;
}

static bool read_strategy(const json_t *value, int8_t *ret)
{
    enum handoff_strategy strategy;
    if (!json_is_string(value) ||
        !handoff_strategy_parse(bytes_of_string(json_string_value(value)), &strategy))
        return false;
    *ret = (int8_t)strategy;
    return true;
}

static bool read_seconds(const json_t *value, uint32_t *ret)
{
    json_int_t seconds = json_is_integer(value) ? json_integer_value(value) : -1;
    *ret = (uint32_t)seconds;
    return seconds >= 0 && seconds < (json_int_t)PROPERTY_NO_TTL;
}

static bool is_fixed_value(const char *name, const json_t *value)
{
    for (size_t i = 0; i < FIXED; i++) {
        if (strcmp(name, fixed_properties[i].name) != 0)
            continue;
        json_t *fixed = json_loads(fixed_properties[i].json, JSON_DECODE_ANY, NULL);
        bool same = fixed != NULL && json_equal(fixed, value);
        json_decref(fixed);
        return same;
    }
    return strcmp(name, "name") == 0;
}

/* NULL: taken; else what is wrong with it. */
static const char *read_property(struct bucket_properties *properties, const char *name,
                                 const json_t *value)
{
    for (size_t i = 0; i < LEVELS; i++)
        if (strcmp(name, level_properties[i].name) == 0)
            return read_level(value, i > 0, level_at(properties, i)) ? NULL
                   : i == 0                                          ? "not_integer"
                                                                     : "not_valid_quorum";
    for (size_t i = 0; i < FLAGS; i++)
        if (strcmp(name, flag_properties[i].name) == 0)
            return read_flag(value, flag_at(properties, i)) ? NULL : "not_boolean";
    if (strcmp(name, "handoff_strategy") == 0)
        return read_strategy(value, &properties->handoff_strategy) ? NULL : "not_a_strategy";
    if (strcmp(name, "ttl_seconds") == 0)
        return read_seconds(value, &properties->ttl_seconds) ? NULL : "not_a_number_of_seconds";
    return is_fixed_value(name, value) ? NULL : "this property is not supported";
}

static void on_set(void *context, const struct answer *answer)
{
    struct http *http = http_setting_end(context);
    if (http == NULL)
        return;
    if (answer->status != KVORUM_OK) {
        http_error(http, answer);
        return;
    }
    http_begin(http, 204);
    http_end(http, (struct bytes){ 0 });
}

static void submit(struct http *http, const struct bucket_properties *overrides)
{
    struct http_setting *setting = http_setting_begin(http);
    if (setting != NULL)
        node_set_properties(http->environment.node, http->request.type, http->request.bucket,
                            overrides, overrides == NULL, on_set, setting);
}

static void refuse_property(struct http *http, const char *name, const char *problem)
{
    struct buffer json;
    buffer_init(&json, 1 << 20);
    buffer_append_u8(&json, '{');
    http_json_string(&json, bytes_of_string(name));
    buffer_printf(&json, ":\"%s\"}\n", problem);
    http_json(http, 400, &json);
}

static void put_props(struct http *http, json_t *props)
{
    struct bucket_properties properties;
    const char *name;
    json_t *value;
    bucket_properties_init(&properties);
    json_object_foreach(props, name, value)
    {
        const char *problem = read_property(&properties, name, value);
        if (problem != NULL) {
            refuse_property(http, name, problem);
            return;
        }
    }
    submit(http, &properties);
}

void http_put_props(struct http *http)
{
    struct bytes body = http->request.body;
    json_error_t error;
    json_t *root = json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, &error);
    json_t *props = root == NULL ? NULL : json_object_get(root, "props");
    if (json_is_object(props))
        put_props(http, props);
    else
        http_text(http, 400,
                  "bucket PUT must be a JSON object of the form:\n"
                  "{\"props\":{...}}\n");
    json_decref(root);
}

void http_reset_props(struct http *http)
{
    submit(http, NULL);
}
