/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/status_text.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/json_field.h"
#include "cli/output.h"

struct census {
    uint64_t nodes, alive;
};

uint64_t status_number(const json_t *status, const char *name)
{
    double number = json_number_value(json_object_get(status, name));
    return number <= 0 ? 0 : (uint64_t)number;
}

const char *status_problem(const json_t *status)
{
    const json_t *nodes = json_object_get(status, "nodes"), *node;
    if (!json_is_object(status))
        return "it is no JSON object";
    if (!json_is_array(nodes) || json_array_size(nodes) == 0)
        return "it lists no nodes";
    size_t i;
    json_array_foreach(nodes, i, node)
    {
        if (!json_is_string(json_object_get(node, "name")) ||
            !json_is_string(json_object_get(node, "state")))
            return "a node has no name or no state";
    }
    if (!json_is_number(json_object_get(status, "partitions")))
        return "it has no number of partitions";
    return NULL;
}

static bool is_alive(const json_t *node)
{
    return strcmp(field_text(node, "state"), "alive") == 0;
}

static struct census count_nodes(const json_t *status)
{
    const json_t *nodes = json_object_get(status, "nodes"), *node;
    struct census census = { .nodes = json_array_size(nodes) };
    size_t i;
    json_array_foreach(nodes, i, node) census.alive += is_alive(node);
    return census;
}

bool status_healthy(const json_t *status)
{
    if (status_number(status, "left_epoch") > 0)
        return false;
    struct census census = count_nodes(status);
    return census.alive == census.nodes && status_number(status, "unavailable_partitions") == 0;
}

/* --- the sentence --------------------------------------------------------------------------- */

/* The node counts whole seconds. */
static const char *since_text(const json_t *node)
{
    double since = json_number_value(json_object_get(node, "since_s"));
    return since < 1 ? "<1 s" : text_of_time(since);
}

/* "n3 is dead for 12 s, n5 is suspect", at most four of them. */
static void append_missing(const json_t *status, struct buffer *text)
{
    const json_t *nodes = json_object_get(status, "nodes"), *node;
    unsigned named = 0, more = 0;
    size_t i;
    json_array_foreach(nodes, i, node)
    {
        if (is_alive(node))
            continue;
        if (named == 4) {
            more++;
            continue;
        }
        const char *state = field_text(node, "state");
        buffer_printf(text, "%s%s ", named++ == 0 ? "" : ", ", field_text(node, "name"));
        if (strcmp(state, "unknown") == 0)
            buffer_append_text(text, "was not heard of yet");
        else
            buffer_printf(text, "is %s for %s", state, since_text(node));
    }
    if (more > 0)
        buffer_printf(text, " and %u more", more);
}

static void append_nodes(const json_t *status, struct census census, struct buffer *text)
{
    if (census.nodes == 1 && census.alive == 1) {
        buffer_append_text(text, "the only node is alive");
    } else if (census.alive == census.nodes) {
        buffer_printf(text, "all %s nodes are alive", text_of_count(census.nodes));
    } else {
        buffer_printf(text, "%s of %s nodes %s alive (", text_of_count(census.alive),
                      text_of_count(census.nodes), census.alive == 1 ? "is" : "are");
        append_missing(status, text);
        buffer_append_text(text, ")");
    }
}

static void append_outlook(const json_t *status, struct census census, struct buffer *text)
{
    uint64_t unavailable = status_number(status, "unavailable_partitions");
    uint64_t partitions = status_number(status, "partitions");
    uint64_t more = status_number(status, "survives_more");
    uint64_t zones = status_number(json_object_get(status, "survives"), "zones");
    if (unavailable > 0) {
        buffer_printf(text,
                      "%s of %s partitions have no quorum: their keys (%.0f %% of all) cannot be "
                      "read and written at quorum until a node is back",
                      text_of_count(unavailable), text_of_count(partitions),
                      partitions == 0 ? 0 : 100.0 * (double)unavailable / (double)partitions);
    } else if (more > 0) {
        buffer_printf(text, "any %s %smay fail and every key stays readable and writable at quorum",
                      text_of_count(more), census.alive < census.nodes ? "more " : "of them ");
        if (zones > 0 && census.alive == census.nodes)
            buffer_printf(text, ", and so it does without any %s zone%s", text_of_count(zones),
                          zones == 1 ? "" : "s");
    } else if (census.nodes == 1) {
        buffer_append_text(text, "without it nothing can be read or written");
    } else {
        buffer_append_text(text, "every key is readable and writable at quorum, but one more "
                                 "failure may change that");
    }
}

void status_sentence(const json_t *status, struct buffer *ret_text)
{
    struct census census = count_nodes(status);
    if (status_number(status, "left_epoch") > 0) {
        buffer_printf(ret_text,
                      "this node left the cluster, or was removed from it, as epoch %s says; it "
                      "serves nothing, and shows how the cluster was when it was a member. Next: "
                      "kvorum status --node of another node",
                      text_of_count(status_number(status, "left_epoch")));
        return;
    }
    append_nodes(status, census, ret_text);
    buffer_append_text(ret_text, "; ");
    append_outlook(status, census, ret_text);
}

/* --- the screen ----------------------------------------------------------------------------- */

enum { RED = 31, GREEN = 32, YELLOW = 33 };

static void append_coloured(struct buffer *text, bool colour, int number, const char *words)
{
    if (colour)
        buffer_printf(text, "\x1b[%dm%s\x1b[0m", number, words);
    else
        buffer_append_text(text, words);
}

static int colour_of(const json_t *status)
{
    return status_number(status, "unavailable_partitions") > 0 ? RED
           : status_healthy(status)                            ? GREEN
                                                               : YELLOW;
}

static void append_state(const json_t *node, bool colour, struct buffer *text)
{
    char words[64];
    const char *state = field_text(node, "state");
    snprintf(words, sizeof(words), "%-8.8s %8s", state, since_text(node));
    int number = is_alive(node) ? GREEN : strcmp(state, "dead") == 0 ? RED : YELLOW;
    append_coloured(text, colour, number, words);
}

static int widest(const json_t *nodes, const char *member, int least)
{
    const json_t *node;
    size_t i;
    json_array_foreach(nodes, i, node)
    {
        int size = (int)strlen(field_text(node, member));
        least = size > least && size <= 40 ? size : least;
    }
    return least;
}

/* The nodes in the order of their names; NULL out of memory. */
static json_t *sorted_nodes(const json_t *status)
{
    const json_t *nodes = json_object_get(status, "nodes");
    size_t count = json_array_size(nodes);
    json_t **list = calloc(count, sizeof(json_t *)), *sorted = json_array();
    for (size_t i = 0; list != NULL && i < count; i++)
        list[i] = json_array_get(nodes, i);
    if (list != NULL)
        qsort(list, count, sizeof(json_t *), field_name_order);
    for (size_t i = 0; list != NULL && i < count; i++)
        json_array_append(sorted, list[i]);
    free(list);
    return sorted;
}

/* Shares are of all replicas, so they add up to 100 %; the bar is full at twice the mean. */
static void append_nodes_table(const json_t *status, bool colour, struct buffer *text)
{
    json_t *nodes = sorted_nodes(status), *node;
    double held = 0;
    size_t i;
    json_array_foreach(nodes, i, node) held +=
        json_number_value(json_object_get(node, "partitions"));
    int name = widest(nodes, "name", 4), zone = widest(nodes, "zone", 4);
    int address = widest(nodes, "address", 7);
    buffer_printf(text, "  %-*s    %-*s  %-*s  %-17s  %10s  share\n", name, "node", address,
                  "peers", zone, "zone", "state, for", "partitions");
    json_array_foreach(nodes, i, node)
    {
        double partitions = json_number_value(json_object_get(node, "partitions"));
        double share = held <= 0 ? 0 : partitions / held;
        bool self = json_is_true(json_object_get(node, "self"));
        buffer_printf(text, "  %-*s %s  %-*s  %-*s  ", name, field_text(node, "name"),
                      self ? "*" : " ", address, field_text(node, "address"), zone,
                      field_text(node, "zone"));
        append_state(node, colour, text);
        buffer_printf(text, "  %10s  %s %5.1f %%\n", text_of_count((uint64_t)partitions),
                      text_of_bar(share * (double)json_array_size(nodes) / 2, 12), share * 100);
    }
    json_decref(nodes);
}

static void append_ring(const json_t *status, struct buffer *text)
{
    buffer_printf(text, "  ring: %s partitions x %s replicas, epoch %s, ",
                  text_of_count(status_number(status, "partitions")),
                  text_of_count(status_number(status, "replicas")),
                  text_of_count(status_number(status, "epoch")));
    double imbalance = json_number_value(json_object_get(status, "imbalance"));
    if (imbalance > 0)
        buffer_printf(text, "most loaded node %.2f x its share, ", imbalance);
    buffer_printf(text, "cluster %.36s\n", field_text(status, "cluster"));
}

/* Where the data is on disk, once anything went there. */
static void append_tables(const json_t *status, struct buffer *text)
{
    const json_t *levels = json_object_get(status, "levels"), *level;
    const json_t *cache = json_object_get(status, "cache");
    size_t i;
    if (json_array_size(levels) == 0)
        return;
    buffer_printf(text, "  tables:");
    json_array_foreach((json_t *)levels, i, level)
    {
        buffer_printf(text, "%s level %zu %s in %s", i == 0 ? "" : ",", i,
                      text_of_size(status_number(level, "size")),
                      text_of_count(status_number(level, "tables")));
    }
    uint64_t hits = status_number(cache, "hits"), all = hits + status_number(cache, "misses");
    buffer_printf(text, "; cache %s of %s, %.1f %% hits\n",
                  text_of_size(status_number(cache, "size")),
                  text_of_size(status_number(cache, "limit")),
                  all == 0 ? 0.0 : 100.0 * (double)hits / (double)all);
    buffer_printf(text, "  since the start: %s flushes, %s compactions, %s slowdowns, %s stalls\n",
                  text_of_count(status_number(status, "flushes")),
                  text_of_count(status_number(status, "compactions")),
                  text_of_count(status_number(status, "slowdowns")),
                  text_of_count(status_number(status, "stalls")));
}

/* Local health of the Lifeguard paper: only worth a line when it is not well. */
static void append_health(const json_t *status, struct buffer *text)
{
    uint64_t health = status_number(json_object_get(status, "gossip"), "health");
    if (health > 0)
        buffer_printf(
            text,
            "  local health %s (0 is well, 7 worst): this node is slow to hear others, so "
            "it waits longer before it calls them dead\n",
            text_of_count(health));
}

static void append_scrub(const json_t *status, struct buffer *text)
{
    const json_t *scrub = json_object_get(status, "scrub");
    const json_t *last = json_object_get(scrub, "last_pass_s");
    if (!json_is_object(scrub))
        return;
    buffer_append_text(text, "  files: ");
    if (json_is_integer(last))
        buffer_printf(text, "all read and checked %s ago", text_of_time(json_number_value(last)));
    else
        buffer_append_text(text, "never read and checked as a whole yet");
    buffer_printf(text, "%s; %s damaged places found, %s mended",
                  json_is_true(json_object_get(scrub, "running")) ? ", and being read now" : "",
                  text_of_count(status_number(scrub, "damaged")),
                  text_of_count(status_number(scrub, "mended")));
    if (status_number(scrub, "unmended") > 0)
        buffer_printf(text, "; %s cannot be written anew: do not stop this node, see its log",
                      text_of_count(status_number(scrub, "unmended")));
    if (status_number(scrub, "in_doubt") > 0)
        buffer_printf(text, "; %s ranges of keys in doubt until others were asked",
                      text_of_count(status_number(scrub, "in_doubt")));
    if (status_number(scrub, "lost") > 0)
        buffer_printf(text, "; %s ranges lost: see kvorum help scrub",
                      text_of_count(status_number(scrub, "lost")));
    buffer_append_text(text, "\n");
}

static void append_self(const json_t *status, struct buffer *text)
{
    const json_t *listeners = json_object_get(status, "listeners"), *address;
    buffer_printf(text, "* %s: kvorum %s, up %s, %s reactors, engine %s, sync %s\n",
                  field_text(status, "node"), field_text(status, "version"),
                  text_of_time(json_number_value(json_object_get(status, "uptime_s"))),
                  text_of_count(status_number(status, "reactors")), field_text(status, "engine"),
                  field_text(status, "sync"));
    buffer_printf(text, "  about %s keys here, %s memory, %s disk;",
                  text_of_count(status_number(status, "keys")),
                  text_of_size(status_number(status, "memory")),
                  text_of_size(status_number(status, "disk_size")));
    const char *name;
    json_object_foreach((json_t *)listeners, name, address)
    {
        if (json_string_length(address) > 0)
            buffer_printf(text, " %s %s", name, json_string_value(address));
    }
    buffer_append_text(text, "\n");
    append_health(status, text);
    append_scrub(status, text);
    append_tables(status, text);
}

void status_screen(const json_t *status, bool colour, struct buffer *ret_text)
{
    struct buffer sentence;
    buffer_init(&sentence, 4096);
    status_sentence(status, &sentence);
    buffer_append_u8(&sentence, 0);
    append_coloured(ret_text, colour, colour_of(status),
                    sentence.failed ? "" : (const char *)sentence.data);
    buffer_append_text(ret_text, "\n\n");
    buffer_done(&sentence);
    append_nodes_table(status, colour, ret_text);
    buffer_append_text(ret_text, "\n");
    append_ring(status, ret_text);
    append_self(status, ret_text);
}
