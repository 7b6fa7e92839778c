/* SPDX-License-Identifier: Apache-2.0 */
/* store scan, dump: many keys of a store's files, in order. */
#include <errno.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/store/record.h"
#include "cli/store/session.h"

enum {
    BOUND_SIZE_MAX = 1 << 20,
    CELL_COLUMNS = 48,
    PAGE_ROWS = 1000, /* of a table: so many are aligned together */
    ESCAPED_SIZE_MAX = INT32_MAX,
};

struct printer {
    enum output_format format;
    FILE *file;
    bool keys_only;
    struct table table;
    struct buffer text;
    uint64_t count;
    struct progress progress;
};

/* --- printing ------------------------------------------------------------------------------ */

static const char *const key_columns[] = { "key", NULL };
static const char *const record_columns[] = { "key", ">size", "value", NULL };

static void printer_init(struct printer *printer, enum output_format format, bool keys_only,
                         FILE *file)
{
    *printer = (struct printer){ .format = format, .file = file, .keys_only = keys_only };
    table_init(&printer->table, keys_only ? key_columns : record_columns);
    buffer_init(&printer->text, ESCAPED_SIZE_MAX);
}

static void printer_done(struct printer *printer)
{
    buffer_done(&printer->text);
    table_done(&printer->table);
}

static void add_cell(struct printer *printer, struct bytes bytes)
{
    buffer_reset(&printer->text);
    record_escape(bytes, CELL_COLUMNS, &printer->text);
    table_cell(&printer->table, "%.*s", (int)printer->text.size, (const char *)printer->text.data);
}

/* The heading stands above the first page. */
static void end_page(struct printer *printer, bool last)
{
    bool first = printer->count <= PAGE_ROWS;
    if (first || printer->table.first != NULL)
        table_print(&printer->table, first ? OUTPUT_TABLE : OUTPUT_PLAIN, printer->file);
    table_done(&printer->table);
    if (!last)
        table_init(&printer->table, printer->keys_only ? key_columns : record_columns);
}

static bool print_row(struct printer *printer, struct bytes key, struct bytes value)
{
    add_cell(printer, key);
    if (!printer->keys_only) {
        table_cell(&printer->table, "%zu", value.size);
        add_cell(printer, value);
    }
    if (printer->count % PAGE_ROWS == 0)
        end_page(printer, false);
    return true;
}

static bool print_line(struct printer *printer, struct bytes key, struct bytes value)
{
    struct buffer *text = &printer->text;
    buffer_reset(text);
    record_escape(key, 0, text);
    if (!printer->keys_only) {
        buffer_append_u8(text, '\t');
        record_escape(value, 0, text);
    }
    buffer_append_u8(text, '\n');
    return !text->failed && fwrite(text->data, 1, text->size, printer->file) == text->size;
}

static bool print_record(struct printer *printer, struct bytes key, struct bytes value)
{
    printer->count++;
    if (printer->count % 64 == 0)
        progress_update(&printer->progress, 0, printer->count);
    if (printer->format == OUTPUT_TABLE)
        return print_row(printer, key, value);
    if (printer->format == OUTPUT_JSON)
        return record_print_json(key, printer->keys_only ? NULL : &value, printer->file);
    return print_line(printer, key, value);
}

/* --- walking ------------------------------------------------------------------------------- */

struct direction {
    bool (*begin)(kvorum_iterator *iterator);
    bool (*go_on)(kvorum_iterator *iterator);
};

static const struct direction forward = { kvorum_iterator_first, kvorum_iterator_next };
static const struct direction backward = { kvorum_iterator_last, kvorum_iterator_previous };

static int walk(struct store_session *session, kvorum_iterator *it, struct printer *printer,
                const struct direction *direction, uint64_t limit)
{
    bool good = true;
    progress_begin(&printer->progress, session->invocation->path, "keys", 0);
    for (bool more = direction->begin(it); more && good; more = direction->go_on(it)) {
        good = print_record(printer, bytes_of_public(kvorum_iterator_key(it)),
                            bytes_of_public(kvorum_iterator_value(it)));
        if (printer->count == limit)
            break;
    }
    if (printer->format == OUTPUT_TABLE)
        end_page(printer, true);
    progress_end(&printer->progress);
    kvorum_status status = kvorum_iterator_status(it);
    if (!good)
        return fail(EXIT_INTERNAL, "cannot write record %s of %s: %s",
                    text_of_count(printer->count), session->path, errno_text(errno));
    return status == KVORUM_OK ? EXIT_DONE : store_fail(session, "read on in", status);
}

static int scan_store(const struct invocation *invocation, const kvorum_scan *scan,
                      struct printer *printer, const struct direction *direction, uint64_t limit)
{
    struct store_session session;
    kvorum_iterator *it;
    int code = store_open_to_read(&session, invocation);
    if (code != EXIT_DONE)
        return code;
    kvorum_status status = kvorum_iterate(session.store, scan, &it);
    if (status == KVORUM_OK) {
        code = walk(&session, it, printer, direction, limit);
        kvorum_iterator_close(it);
    } else if (status == KVORUM_TOO_LARGE) {
        code = fail(EXIT_USAGE, "keys have at most %d bytes, and so have --prefix, --from and --to",
                    KVORUM_KEY_SIZE_MAX);
    } else {
        code = store_fail(&session, "read", status);
    }
    store_close(&session);
    return code;
}

/* --- commands ------------------------------------------------------------------------------ */

static int scan_bounds(const struct invocation *invocation, const kvorum_scan *scan)
{
    struct printer printer;
    enum output_format format = output_format_parse(option_text(invocation, "output"));
    printer_init(&printer, format, scan->keys_only, stdout);
    uint64_t limit = (uint64_t)option_number(invocation, "limit", INT64_MAX);
    int code = scan_store(invocation, scan, &printer,
                          option_flag(invocation, "reverse") ? &backward : &forward, limit);
    printer_done(&printer);
    return code;
}

int command_store_scan(const struct invocation *invocation)
{
    struct buffer bounds[3];
    static const char *const names[3] = { "from", "to", "prefix" };
    bool good = true;
    for (int i = 0; i < 3; i++) {
        buffer_init(&bounds[i], BOUND_SIZE_MAX);
        good = good && store_option(invocation, names[i], &bounds[i]);
    }
    const kvorum_scan scan = {
        .lower = store_bytes(&bounds[0]),
        .upper = store_bytes(&bounds[1]),
        .prefix = store_bytes(&bounds[2]),
        .keys_only = option_flag(invocation, "keys"),
    };
    int code = good ? scan_bounds(invocation, &scan) : EXIT_USAGE;
    for (int i = 0; i < 3; i++)
        buffer_done(&bounds[i]);
    return code;
}

static int dump_to(const struct invocation *invocation, FILE *file)
{
    static const kvorum_scan everything;
    struct printer printer;
    printer_init(&printer, OUTPUT_JSON, false, file);
    int code = scan_store(invocation, &everything, &printer, &forward, UINT64_MAX);
    printer_done(&printer);
    return code;
}

int command_store_dump(const struct invocation *invocation)
{
    const char *path = option_text(invocation, "file");
    if (path == NULL)
        return dump_to(invocation, stdout);
    FILE *file = fopen(path, "wbe");
    if (file == NULL)
        return fail(EXIT_USAGE, "cannot write to %s: %s", path, errno_text(errno));
    int code = dump_to(invocation, file);
    if (fclose(file) != 0 && code == EXIT_DONE)
        code = fail(EXIT_INTERNAL, "cannot write to %s: %s", path, errno_text(errno));
    return code;
}
