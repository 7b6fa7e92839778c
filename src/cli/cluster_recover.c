/* SPDX-License-Identifier: Apache-2.0 */
/* cluster recover: the plan, and with --yes what it says. */
#include <jansson.h>
#include <stdlib.h>

#include "cli/cluster_watch.h"
#include "cli/commands.h"
#include "cli/json_field.h"
#include "cli/message.h"
#include "cli/output.h"

enum { PATH_MAX_SIZE = 128 << 10 };

static bool is_at(const json_t *json, const char *name)
{
    return json_is_true(json_object_get(json, name));
}

/* --- showing -------------------------------------------------------------------------------- */

/* In the order of their names, where they have any. */
static void print_rows(const json_t *rows, const char *const *columns, enum output_format format)
{
    size_t count = json_array_size(rows);
    const json_t **sorted = calloc(count + 1, sizeof(const json_t *));
    struct table table;
    if (sorted == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        sorted[i] = json_array_get(rows, i);
    if (strcmp(columns[0], "name") == 0)
        qsort(sorted, count, sizeof(const json_t *), field_name_order);
    table_init(&table, columns);
    for (size_t i = 0; i < count; i++) {
        const json_t *row = sorted[i];
        for (const char *const *column = columns; *column != NULL; column++) {
            const json_t *cell = json_object_get(row, *column + (**column == '>'));
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
    free(sorted);
}

static void print_voters(const json_t *plan)
{
    const json_t *after = json_object_get(plan, "voters_after"), *name;
    size_t i;
    printf("voters: %llu of %llu answer", field_number(plan, "voters_answer"),
           field_number(plan, "voters"));
    json_array_foreach(after, i, name)
        printf("%s%s", i == 0 ? "; afterwards: " : ", ", json_string_value(name));
    putchar('\n');
}

static void print_epochs(const json_t *plan)
{
    unsigned long long next = field_number(plan, "next_epoch"),
                       heard = field_number(plan, "heard_of");
    if (is_at(plan, "begun_before"))
        puts("A recovery was begun before and may be decided: it is ended as it was begun.");
    if (next > 0)
        printf("goes on from epoch %llu%s, as epoch %llu, the first of a new line\n",
               field_number(plan, "epoch"),
               is_at(plan, "accepted_only") ? ", which a voter who is left accepted" : "", next);
    if (heard > 0)
        printf(
            "epoch %llu was heard of, and nobody who is left holds it: what it changed is lost\n",
            heard);
    if (is_at(plan, "staged_is_forgotten"))
        puts("what is staged is forgotten");
}

static void print_copies(const json_t *plan)
{
    static const char *const columns[] = { ">n",        "buckets", ">whole", ">majority",
                                           ">minority", ">none",   NULL };
    puts("partitions by what is left of their n copies:");
    print_rows(json_object_get(plan, "copies"), columns, OUTPUT_TABLE);
    printf("%llu partitions move, %llu copies travel; survives afterwards: any %llu node%s\n",
           field_number(plan, "moves"), field_number(plan, "copies_travel"),
           field_number(plan, "survives_after_nodes"),
           field_number(plan, "survives_after_nodes") == 1 ? "" : "s");
}

static void print_warnings(const json_t *plan)
{
    const json_t *warnings = json_object_get(plan, "warnings"), *one;
    size_t i;
    json_array_foreach(warnings, i, one)
        printf("warning: %s%s%s\n", field_text(one, "buckets"),
               *field_text(one, "buckets") == '\0' ? "" : ": ", field_text(one, "text"));
}

static void print_plan(const json_t *plan, enum output_format format)
{
    static const char *const columns[] = {
        "name",        "membership",        "lost",   "answered", "voter", ">epoch",
        ">partitions", ">partitions_after", ">gains", NULL
    };
    if (format == OUTPUT_JSON) {
        (void)json_print(json_incref((json_t *)plan), stdout);
        return;
    }
    print_rows(json_object_get(plan, "nodes"), columns, format);
    if (format != OUTPUT_TABLE)
        return;
    print_voters(plan);
    print_epochs(plan);
    if (field_number(plan, "next_epoch") > 0)
        print_copies(plan);
    print_warnings(plan);
}

/* --- asking --------------------------------------------------------------------------------- */

static int plan(struct session *session, json_t **ret_plan)
{
    const struct invocation *invocation = session->invocation;
    const char *lost = option_text(invocation, "lost");
    struct buffer path;
    buffer_init(&path, PATH_MAX_SIZE);
    buffer_printf(&path, "/kvorum/cluster/recover?switched_off=%s&lost=",
                  option_flag(invocation, "switched-off") ? "true" : "false");
    for (const char *at = lost; at != NULL && *at != '\0'; at++)
        buffer_printf(&path, *at == ',' ? "," : "%%%02x", (unsigned char)*at);
    buffer_append_u8(&path, 0);
    int code = path.failed ? fail(EXIT_USAGE, "--lost is too long")
                           : cluster_ask(session, "GET", (const char *)path.data, NULL,
                                         "cannot plan a recovery", ret_plan);
    buffer_done(&path);
    return code;
}

static json_t *split(const char *lost)
{
    json_t *names = json_array();
    for (const char *at = lost; at != NULL && *at != '\0';) {
        size_t size = strcspn(at, ",");
        json_array_append_new(names, json_stringn(at, size));
        at += size + (at[size] == ',');
    }
    return names;
}

static int carry_out(struct session *session, const json_t *plan)
{
    const struct invocation *invocation = session->invocation;
    json_t *cluster = NULL;
    json_t *body = json_pack("{s:o, s:I, s:b}", "lost", split(option_text(invocation, "lost")),
                             "epoch", (json_int_t)field_number(plan, "epoch"), "switched_off",
                             option_flag(invocation, "switched-off"));
    int code =
        cluster_ask(session, "POST", "/kvorum/cluster/recover", body, "cannot recover", &cluster);
    if (code == EXIT_DONE && output_format_parse(option_text(invocation, "output")) == OUTPUT_TABLE)
        printf("recovered: epoch %llu is in force. Next: kvorum cluster status, and new nodes by "
               "kvorum server --join\n",
               field_number(cluster, "epoch"));
    json_decref(cluster);
    return code;
}

static void print_next(const struct invocation *invocation, const json_t *plan)
{
    const char *lost = option_text(invocation, "lost");
    printf("Next: kvorum cluster recover%s%s%s --epoch %llu --yes\n",
           lost == NULL ? "" : " --lost ", lost == NULL ? "" : lost,
           option_flag(invocation, "switched-off") ? " --switched-off" : "",
           field_number(plan, "epoch"));
}

static int go_on(struct session *session, const json_t *plan)
{
    const struct invocation *invocation = session->invocation;
    int64_t expected = option_number(invocation, "epoch", 0);
    bool table = output_format_parse(option_text(invocation, "output")) == OUTPUT_TABLE;
    if (!is_at(plan, "possible"))
        return fail(EXIT_UNSAFE, "refused: %s", field_text(plan, "reason"));
    if (expected != 0 && expected != field_number(plan, "epoch") && !is_at(plan, "begun_before"))
        return fail(EXIT_UNSAFE,
                    "refused: the cluster has changed since that plan was made; look at the new "
                    "one");
    if (option_flag(invocation, "yes"))
        return carry_out(session, plan);
    if (table)
        print_next(invocation, plan);
    return EXIT_DONE;
}

int command_cluster_recover(const struct invocation *invocation)
{
    struct session session;
    json_t *shown = NULL;
    if (!session_begin(&session, invocation))
        return EXIT_USAGE;
    int code = plan(&session, &shown);
    if (code == EXIT_DONE) {
        print_plan(shown, output_format_parse(option_text(invocation, "output")));
        fflush(stdout);
        code = go_on(&session, shown);
    }
    json_decref(shown);
    session_end(&session);
    return code;
}
