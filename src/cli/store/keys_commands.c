/* SPDX-License-Identifier: Apache-2.0 */
/* store put, get, delete: one key of a store's files. */
#include <unistd.h>

#include "cli/commands.h"
#include "cli/input.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/store/record.h"
#include "cli/store/session.h"

enum { ARGUMENT_SIZE_MAX = 1 << 20, CELL_COLUMNS = 60 };

/* Say that the key itself is what is wrong. */
static int fail_key(const struct store_session *session, const char *what, kvorum_status status)
{
    if (status == KVORUM_INVALID)
        return fail(EXIT_USAGE, "cannot %s %s: the key is empty", what, session->path);
    if (status == KVORUM_TOO_LARGE)
        return fail(EXIT_USAGE, "cannot %s %s: keys have at most %d bytes, values %d", what,
                    session->path, KVORUM_KEY_SIZE_MAX, KVORUM_VALUE_SIZE_MAX);
    return store_fail(session, what, status);
}

/* --- put ----------------------------------------------------------------------------------- */

static bool read_value(const struct invocation *invocation, struct buffer *value)
{
    if (strcmp(invocation->arguments[2], "-") == 0)
        return input_read_all(STDIN_FILENO, "standard input", value);
    return store_argument(invocation, 2, value);
}

static int put(const struct invocation *invocation, kvorum_bytes key, kvorum_bytes value)
{
    struct store_session session;
    int code = store_open(&session, invocation);
    if (code != EXIT_DONE)
        return code;
    kvorum_status status = kvorum_put(session.store, key, value, KVORUM_DURABILITY_SYNC);
    if (status != KVORUM_OK)
        code = fail_key(&session, "write to", status);
    store_close(&session);
    return code;
}

int command_store_put(const struct invocation *invocation)
{
    struct buffer key, value;
    buffer_init(&key, ARGUMENT_SIZE_MAX);
    buffer_init(&value, KVORUM_VALUE_SIZE_MAX + (64 << 10)); /* input is read in pieces of 64 KiB */
    int code = EXIT_USAGE;
    if (store_argument(invocation, 1, &key) && read_value(invocation, &value))
        code = put(invocation, store_bytes(&key), store_bytes(&value));
    buffer_done(&value);
    buffer_done(&key);
    return code;
}

/* --- get ----------------------------------------------------------------------------------- */

static void print_table(struct bytes key, struct bytes value)
{
    static const char *const columns[] = { "key", ">size", "value", NULL };
    struct table table;
    struct buffer text;
    table_init(&table, columns);
    buffer_init(&text, 4096);
    record_escape(key, CELL_COLUMNS, &text);
    table_cell(&table, "%.*s", (int)text.size, (const char *)text.data);
    table_cell(&table, "%zu", value.size);
    buffer_reset(&text);
    record_escape(value, CELL_COLUMNS, &text);
    table_cell(&table, "%.*s", (int)text.size, (const char *)text.data);
    table_print(&table, OUTPUT_TABLE, stdout);
    buffer_done(&text);
    table_done(&table);
}

static int print_value(const struct invocation *invocation, struct bytes key, struct bytes value)
{
    switch (output_format_parse(option_text(invocation, "output"))) {
    case OUTPUT_JSON:
        return record_print_json(key, &value, stdout) ? EXIT_DONE
                                                      : fail(EXIT_INTERNAL, "out of memory");
    case OUTPUT_TABLE:
        print_table(key, value);
        return EXIT_DONE;
    default:
        fwrite(value.data, 1, value.size, stdout);
        return EXIT_DONE;
    }
}

static int get(struct store_session *session, kvorum_bytes key)
{
    kvorum_view view;
    kvorum_status status = kvorum_get_view(session->store, key, NULL, &view);
    if (status == KVORUM_NOT_FOUND)
        return fail(EXIT_NO, "there is no such key in %s", session->path);
    if (status != KVORUM_OK)
        return fail_key(session, "read from", status);
    int code = print_value(session->invocation, bytes_of_public(key), bytes_of_public(view.value));
    kvorum_view_release(&view);
    return code;
}

/* --- delete -------------------------------------------------------------------------------- */

static int delete (struct store_session *session, kvorum_bytes key)
{
    bool found = false;
    kvorum_status status = kvorum_contains(session->store, key, &found);
    if (status == KVORUM_OK && !found)
        return fail(EXIT_NO, "there is no such key in %s", session->path);
    if (status == KVORUM_OK)
        status = kvorum_delete(session->store, key, KVORUM_DURABILITY_SYNC);
    return status == KVORUM_OK ? EXIT_DONE : fail_key(session, "delete from", status);
}

/* Open the store, and run `act` with the key, which is the second argument. */
static int with_key(const struct invocation *invocation,
                    int (*open)(struct store_session *session, const struct invocation *invocation),
                    int (*act)(struct store_session *session, kvorum_bytes key))
{
    struct store_session session;
    struct buffer key;
    buffer_init(&key, ARGUMENT_SIZE_MAX);
    int code = EXIT_USAGE;
    if (store_argument(invocation, 1, &key)) {
        code = open(&session, invocation);
        if (code == EXIT_DONE) {
            code = act(&session, store_bytes(&key));
            store_close(&session);
        }
    }
    buffer_done(&key);
    return code;
}

int command_store_get(const struct invocation *invocation)
{
    return with_key(invocation, store_open_to_read, get);
}

int command_store_delete(const struct invocation *invocation)
{
    return with_key(invocation, store_open, delete);
}
