/* SPDX-License-Identifier: Apache-2.0 */
/* status: what one node knows about the cluster. */
#include "cli/status_command.h"
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/status_text.h"

kvorum_status status_fetch(struct http_client *client, json_t **ret_status)
{
    struct http_request request = { .method = "GET", .path = BYTES_LITERAL("/kvorum/status") };
    kvorum_status status = http_client_call(client, &request);
    if (status != KVORUM_OK)
        return status;
    if (client->response.code != 200) {
        snprintf(client->reason, sizeof(client->reason), "HTTP %d", client->response.code);
        return KVORUM_NOT_READY;
    }
    json_error_t error;
    json_t *json = session_json(client, &error);
    const char *problem = json == NULL ? error.text : status_problem(json);
    if (problem != NULL) {
        snprintf(client->reason, sizeof(client->reason), "the status is malformed: %s", problem);
        json_decref(json);
        return KVORUM_INVALID;
    }
    *ret_status = json;
    return KVORUM_OK;
}

static void print_rows(const json_t *status, enum output_format format)
{
    static const char *const columns[] = { "name",  "id",       "address",     "zone", ">weight",
                                           "state", ">since_s", ">partitions", NULL };
    const json_t *nodes = json_object_get(status, "nodes"), *node;
    struct table table;
    table_init(&table, columns);
    size_t i;
    json_array_foreach(nodes, i, node)
    {
        for (const char *const *column = columns; *column != NULL; column++) {
            const json_t *cell = json_object_get(node, *column + (**column == '>'));
            if (json_is_string(cell))
                table_cell(&table, "%s", json_string_value(cell));
            else
                table_cell(&table, "%.0f", json_number_value(cell));
        }
    }
    table_print(&table, format, stdout);
    table_done(&table);
}

static void print_screen(const json_t *status)
{
    struct buffer text;
    buffer_init(&text, 4 << 20);
    status_screen(status, colour_wanted(stdout), &text);
    fwrite(text.data, 1, text.size, stdout);
    buffer_done(&text);
}

int command_status(const struct invocation *invocation)
{
    struct session session;
    json_t *status = NULL;
    if (!session_begin(&session, invocation))
        return EXIT_USAGE;
    kvorum_status outcome = status_fetch(&session.client, &status);
    if (outcome != KVORUM_OK) {
        int code = outcome == KVORUM_NOT_READY
                       ? session_refused(&session.client, "cannot read the status")
                       : session_fail(&session.client, "cannot read the status", outcome);
        session_end(&session);
        return code;
    }
    int code = status_healthy(status) ? EXIT_DONE : EXIT_NO;
    enum output_format format = output_format_parse(option_text(invocation, "output"));
    if (format == OUTPUT_JSON)
        (void)json_print(json_incref(status), stdout);
    else if (format == OUTPUT_TABLE)
        print_screen(status);
    else
        print_rows(status, format);
    json_decref(status);
    session_end(&session);
    return code;
}
