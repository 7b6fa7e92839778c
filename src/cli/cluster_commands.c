/* SPDX-License-Identifier: Apache-2.0 */
/* cluster: what it is made of, and changes of that: staged, planned, committed. */
#include <jansson.h>
#include <stdlib.h>

#include "cli/cluster_watch.h"
#include "cli/commands.h"
#include "cli/json_field.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/session.h"

/* --- asking --------------------------------------------------------------------------------- */

int cluster_ask(struct session *session, const char *method, const char *path, json_t *body,
                const char *what, json_t **ret_json)
{
    kvorum_status status =
        session_object(&session->client, method, bytes_of_string(path), body, ret_json);
    json_decref(body);
    return status == KVORUM_OK ? EXIT_DONE : session_object_failed(&session->client, what, status);
}

/* --- showing -------------------------------------------------------------------------------- */

static void print_staged(const json_t *json)
{
    const json_t *staged = json_object_get(json, "staged"), *change;
    size_t i;
    json_array_foreach(staged, i, change)
        printf("%s%s\n", i == 0 ? "staged: " : "        ", json_string_value(change));
    if (json_array_size(staged) == 0)
        puts("staged: nothing");
}

/* In the order of their names; NULL: none, or no memory.  To be freed. */
static const json_t **sorted_nodes(const json_t *json, size_t *ret_count)
{
    const json_t *nodes = json_object_get(json, "nodes");
    *ret_count = json_array_size(nodes);
    const json_t **sorted = calloc(*ret_count + 1, sizeof(const json_t *));
    for (size_t i = 0; sorted != NULL && i < *ret_count; i++)
        sorted[i] = json_array_get(nodes, i);
    if (sorted == NULL)
        *ret_count = 0;
    else
        qsort(sorted, *ret_count, sizeof(const json_t *), field_name_order);
    return sorted;
}

static void print_rows(const json_t *json, const char *const *columns, enum output_format format)
{
    size_t count;
    const json_t **nodes = sorted_nodes(json, &count);
    struct table table;
    table_init(&table, columns);
    for (size_t i = 0; i < count; i++) {
        for (const char *const *column = columns; *column != NULL; column++) {
            const json_t *cell = json_object_get(nodes[i], *column + (**column == '>'));
            if (json_is_string(cell))
                table_cell(&table, "%s", json_string_value(cell));
            else if (json_is_boolean(cell))
                table_cell(&table, "%s", json_is_true(cell) ? "yes" : "no");
            else
                table_cell(&table, "%lld", (long long)json_integer_value(cell));
        }
    }
    table_print(&table, format, stdout);
    table_done(&table);
    free(nodes);
}

static void print_cluster(const json_t *json, enum output_format format)
{
    static const char *const columns[] = { "name",    "membership",  "state", "zone", ">weight",
                                           "address", ">partitions", "voter", NULL };
    print_rows(json, columns, format);
    if (format != OUTPUT_TABLE)
        return;
    printf("epoch %llu, %llu partitions", field_number(json, "epoch"),
           field_number(json, "partitions"));
    if (field_number(json, "moving") > 0)
        printf(", %llu of them moving", field_number(json, "moving"));
    putchar('\n');
    print_staged(json);
}

/* Zones are worth a word where there is more than one of them. */
static void print_zones(const json_t *json)
{
    const json_t *zones = json_object_get(json, "zones_of_a_partition");
    unsigned long long before = field_number(zones, "before"), after = field_number(zones, "after");
    if (before > 1 || after > 1)
        printf("copies of a partition: in at least %llu zone%s before, %llu after\n", before,
               before == 1 ? "" : "s", after);
}

static bool has_zones(const json_t *survives)
{
    const char *name;
    json_t *moment;
    json_object_foreach((json_t *)survives, name,
                        moment) if (field_number(moment, "zones") > 0) return true;
    return false;
}

static void print_survival(const json_t *json)
{
    static const char *const moments[] = { "before", "during", "after" };
    const json_t *survives = json_object_get(json, "survives");
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        const json_t *one = json_object_get(survives, moments[i]);
        unsigned long long nodes = field_number(one, "nodes"), zones = field_number(one, "zones");
        printf("%s%s: any %llu node%s", i == 0 ? "survives " : "; ", moments[i], nodes,
               nodes == 1 ? "" : "s");
        if (zones > 0)
            printf(", any %llu zone%s", zones, zones == 1 ? "" : "s");
        else if (has_zones(survives))
            printf(", no zone");
    }
    putchar('\n');
    print_zones(json);
}

static void print_plan(const json_t *json, enum output_format format)
{
    static const char *const columns[] = { "name",    "membership",  "becomes",           "zone",
                                           ">weight", ">partitions", ">partitions_after", ">gains",
                                           ">losses", NULL };
    bool filled = json_object_get(json, "nodes") != NULL;
    if (format == OUTPUT_TABLE)
        print_staged(json);
    if (filled)
        print_rows(json, columns, format);
    if (format != OUTPUT_TABLE)
        return;
    if (filled) {
        printf("%llu partitions move, %llu copies travel\n", field_number(json, "moves"),
               field_number(json, "copies"));
        print_survival(json);
    }
    if (json_is_true(json_object_get(json, "possible")))
        printf("Next: kvorum cluster commit --epoch %llu\n", field_number(json, "epoch"));
}

static void print(json_t *json, const struct invocation *invocation,
                  void (*print_text)(const json_t *json, enum output_format format))
{
    enum output_format format = output_format_parse(option_text(invocation, "output"));
    if (format == OUTPUT_JSON)
        (void)json_print(json, stdout);
    else {
        print_text(json, format);
        json_decref(json);
    }
}

/* --- the commands --------------------------------------------------------------------------- */

static int show(const struct invocation *invocation, const char *method, const char *path,
                json_t *body, const char *what)
{
    struct session session;
    json_t *json = NULL;
    if (!session_begin(&session, invocation)) {
        json_decref(body);
        return EXIT_USAGE;
    }
    int code = cluster_ask(&session, method, path, body, what, &json);
    if (code == EXIT_DONE)
        print(json, invocation, print_cluster);
    session_end(&session);
    return code;
}

int command_cluster_status(const struct invocation *invocation)
{
    return show(invocation, "GET", "/kvorum/cluster", NULL, "cannot read the cluster's shape");
}

int command_cluster_plan(const struct invocation *invocation)
{
    struct session session;
    json_t *json = NULL;
    if (!session_begin(&session, invocation))
        return EXIT_USAGE;
    int code =
        cluster_ask(&session, "GET", "/kvorum/cluster/plan", NULL, "cannot read the plan", &json);
    if (code == EXIT_DONE && !json_is_true(json_object_get(json, "possible"))) {
        bool nothing = json_array_size(json_object_get(json, "staged")) == 0;
        code = nothing ? EXIT_NO : EXIT_UNSAFE;
        say_error(nothing ? "%s" : "refused: %s", field_text(json, "reason"));
    }
    if (json != NULL)
        print(json, invocation, print_plan);
    session_end(&session);
    return code;
}

int command_cluster_clear(const struct invocation *invocation)
{
    return show(invocation, "POST", "/kvorum/cluster/clear", NULL, "cannot clear what is staged");
}

int command_cluster_commit(const struct invocation *invocation)
{
    int64_t epoch = option_number(invocation, "epoch", 0);
    json_t *body = json_object(), *json = NULL;
    if (epoch != 0)
        json_object_set_new(body, "epoch", json_integer((json_int_t)epoch));
    if (option_flag(invocation, "allow-zone-loss"))
        json_object_set_new(body, "allow_zone_loss", json_true());
    bool waits = output_format_parse(option_text(invocation, "output")) == OUTPUT_TABLE &&
                 !option_flag(invocation, "no-wait");
    struct session session;
    if (!session_begin(&session, invocation)) {
        json_decref(body);
        return EXIT_USAGE;
    }
    int code =
        cluster_ask(&session, "POST", "/kvorum/cluster/commit", body, "cannot commit", &json);
    if (code == EXIT_DONE && waits)
        code = cluster_watch(&session, &json);
    if (json != NULL)
        print(json, invocation, print_cluster);
    session_end(&session);
    return code;
}

static int stage(const struct invocation *invocation, const char *change, const char *extra,
                 json_t *value)
{
    json_t *body = json_pack("{s:s, s:s}", "change", change, "node", invocation->arguments[0]);
    if (extra != NULL)
        json_object_set_new(body, extra, value);
    char what[160];
    snprintf(what, sizeof(what), "cannot stage %s of %.63s", change, invocation->arguments[0]);
    return show(invocation, "POST", "/kvorum/cluster/stage", body, what);
}

int command_cluster_join(const struct invocation *invocation)
{
    return stage(invocation, "join", NULL, NULL);
}

int command_cluster_leave(const struct invocation *invocation)
{
    return stage(invocation, "leave", NULL, NULL);
}

int command_cluster_remove(const struct invocation *invocation)
{
    return stage(invocation, "remove", NULL, NULL);
}

int command_cluster_replace(const struct invocation *invocation)
{
    return stage(invocation, "replace", "with", json_string(invocation->arguments[1]));
}

int command_cluster_weight(const struct invocation *invocation)
{
    int64_t weight;
    if (!option_read_number(invocation->arguments[1], 1, 10000, &weight))
        return fail(EXIT_USAGE, "a weight is 1 to 10000, not %.60s", invocation->arguments[1]);
    return stage(invocation, "weight", "weight", json_integer((json_int_t)weight));
}

int command_cluster_zone(const struct invocation *invocation)
{
    return stage(invocation, "zone", "zone", json_string(invocation->arguments[1]));
}
