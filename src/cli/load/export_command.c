/* SPDX-License-Identifier: Apache-2.0 */
/* export: the records of a bucket as JSON lines.
 *
 *  {"key": K, "content_type": T, "value": V}          value_base64, key_base64 where it is no UTF-8
 *  {"key": K, "siblings": [{"content_type": T, "value": V}, ...]} */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/load/pump.h"
#include "cli/message.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/siblings.h"

struct export
{
    const struct invocation *invocation;
    struct endpoint nodes[ENDPOINTS_MAX];
    uint32_t node_count;
    struct buffer keys; /* each: size as uint32_t, bytes */
    size_t at;
    uint64_t key_count, visited, written, refused;
    struct buffer prefix, query;
    struct siblings siblings;
    struct progress progress;
    FILE *file;
    enum { VALUES_AUTO, VALUES_TEXT, VALUES_BASE64 } values;
    bool write_failed;
};

static bool collect(void *context, struct bytes name)
{
    struct export *export = context;
    uint32_t size = (uint32_t)name.size;
    buffer_append(&export->keys, &size, sizeof(size));
    buffer_append_bytes(&export->keys, name);
    export->key_count++;
    return !export->keys.failed;
}

static enum pump_next next(void *context, struct pump_work *work)
{
    struct export *export = context;
    uint32_t size;
    if (export->at == export->keys.size || export->write_failed)
        return PUMP_END;
    memcpy(&size, export->keys.data + export->at, sizeof(size));
    buffer_append(&work->key, export->keys.data + export->at + sizeof(size), size);
    export->at += sizeof(size) + size;
    return PUMP_NEXT;
}

static void request(void *context, const struct pump_work *work, const char *host,
                    struct buffer *out)
{
    struct export *export = context;
    buffer_append_text(out, "GET ");
    buffer_append_bytes(out, buffer_bytes(&export->prefix));
    http_append_encoded(out, buffer_bytes(&work->key));
    buffer_append_bytes(out, buffer_bytes(&export->query));
    buffer_printf(out, " HTTP/1.1\r\nHost: %s\r\nAccept: multipart/mixed, */*;q=0.9\r\n\r\n", host);
}

/* --- one record as one line ------------------------------------------------------------------ */

/* False when the value is no UTF-8 and must be text. */
static bool set_value(json_t *object, const struct sibling_view *view, int values)
{
    json_object_set_new(object, "content_type", json_text(view->content_type));
    if (values == VALUES_BASE64)
        json_set_base64(object, "value_base64", view->value);
    else
        json_set_bytes(object, "value", view->value);
    return values != VALUES_TEXT || json_object_get(object, "value") != NULL;
}

static int append_to_file(const char *text, size_t size, void *context)
{
    return fwrite(text, 1, size, context) == size ? 0 : -1;
}

static bool write_record(struct export *export, struct bytes key)
{
    const struct siblings *siblings = &export->siblings;
    json_t *object = json_object(), *list = json_array();
    bool good = true;
    json_set_bytes(object, "key", key);
    if (siblings->count == 1)
        good = set_value(object, &siblings->list[0], (int)export->values) && good;
    for (uint32_t i = 0; siblings->count > 1 && i < siblings->count; i++) {
        json_t *one = json_object();
        good = set_value(one, &siblings->list[i], (int)export->values) && good;
        json_array_append_new(list, one);
    }
    if (siblings->count > 1)
        json_object_set(object, "siblings", list);
    if (good) {
        int outcome = json_dump_callback(object, append_to_file, export->file, JSON_COMPACT);
        export->write_failed = outcome != 0 || fputc('\n', export->file) == EOF;
    }
    json_decref(list);
    json_decref(object);
    return good;
}

static enum pump_verdict refused(struct export *export, const struct pump_work *work,
                                 const char *why)
{
    if (export->refused++ < 10) {
        progress_end(&export->progress);
        fputs("kvorum: cannot export '", stderr);
        print_safely(stderr, buffer_bytes(&work->key));
        fprintf(stderr, "': %s\n", why);
    }
    return PUMP_REFUSED;
}

static enum pump_verdict response(void *context, struct pump_work *work,
                                  const struct http_response *answer)
{
    struct export *export = context;
    char why[64];
    if (answer->code >= 500 || answer->code == 429)
        return PUMP_RETRY;
    export->visited++;
    if (answer->code == 404)
        return PUMP_DONE; /* deleted since it was listed */
    snprintf(why, sizeof(why), "HTTP %d", answer->code);
    if (answer->code != 200 && answer->code != 300)
        return refused(export, work, why);
    if (!siblings_read(answer, &export->siblings))
        return refused(export, work, "its list of siblings is malformed");
    if (!write_record(export, buffer_bytes(&work->key)))
        return refused(export, work, "its value is no UTF-8, and --values text is asked for");
    export->written++;
    return PUMP_DONE;
}

static bool tick(void *context)
{
    struct export *export = context;
    progress_update(&export->progress, export->visited, export->written);
    return !export->write_failed;
}

/* --- the command ------------------------------------------------------------------------------ */

static int list_keys(struct export *export)
{
    struct session session = { .invocation = export->invocation };
    http_client_init(&session.client, &export->nodes[0], SESSION_BODY_MAX);
    buffer_init(&export->keys, (size_t)4 << 30);
    struct bytes bucket = bytes_of_string(export->invocation->arguments[0]);
    int code = names_visit(&session, bucket, collect, export);
    session_end(&session);
    if (code == EXIT_DONE && export->keys.failed)
        code = fail(EXIT_INTERNAL, "out of memory: the bucket has too many keys");
    return code;
}

static int run(struct export *export)
{
    static const struct pump_ops ops = { next, request, response, tick };
    const struct invocation *invocation = export->invocation;
    struct pump_config config = {
        .ops = &ops,
        .context = export,
        .nodes = export->nodes,
        .node_count = export->node_count,
        .connections = (uint32_t)option_number(invocation, "connections", 32),
        .pipeline = (uint32_t)option_number(invocation, "pipeline", 4),
        .timeout_ms = (uint32_t)option_number(invocation, "timeout", 10000) + 5000,
        .retry_ms = (uint32_t)option_number(invocation, "retry", 60) * 1000,
        .body_size_max = SESSION_BODY_MAX,
    };
    struct pump_result result;
    progress_begin(&export->progress, "export", "records", export->key_count);
    pump_run(&config, &result);
    progress_end(&export->progress);
    if (export->write_failed || fflush(export->file) != 0)
        return fail(EXIT_INTERNAL, "cannot write the export: %s", errno_text(errno));
    if (result.exit_code != EXIT_DONE)
        return fail(result.exit_code, "export ended after %s records: %s\n  Next: kvorum status",
                    text_of_count(export->written), result.reason);
    double seconds = progress_seconds(&export->progress);
    say_note("%s records exported in %s", text_of_count(export->written), text_of_time(seconds));
    return export->refused == 0
               ? EXIT_DONE
               : fail(EXIT_NO, "%s records are not in the export", text_of_count(export->refused));
}

static bool open_file(struct export *export)
{
    const char *path = option_text(export->invocation, "file");
    export->file = path == NULL ? stdout : fopen(path, "we");
    if (export->file == NULL)
        say_error("cannot write %s: %s", path, errno_text(errno));
    return export->file != NULL;
}

int command_export(const struct invocation *invocation)
{
    struct export *export = calloc(1, sizeof(*export));
    if (export == NULL)
        return fail(EXIT_INTERNAL, "out of memory");
    export->invocation = invocation;
    const char *values = option_text(invocation, "values");
    export->values = values[0] == 't'   ? VALUES_TEXT
                     : values[0] == 'b' ? VALUES_BASE64
                                        : VALUES_AUTO;
    export->node_count =
        endpoint_parse_list(option_text(invocation, "node"), HTTP_PORT, export->nodes);
    int code = export->node_count == 0 ? EXIT_USAGE : list_keys(export);
    if (code == EXIT_DONE && !open_file(export))
        code = EXIT_USAGE;
    if (code == EXIT_DONE) {
        buffer_init(&export->prefix, 64 * 1024);
        buffer_init(&export->query, 4096);
        session_append_path(&export->prefix, option_text(invocation, "type"),
                            bytes_of_string(invocation->arguments[0]), (struct bytes){ 0 });
        buffer_append_u8(&export->prefix, '/');
        session_append_levels(&export->query, invocation);
        code = run(export);
        if (export->file != stdout && fclose(export->file) != 0 && code == EXIT_DONE)
            code = fail(EXIT_INTERNAL, "cannot write the export: %s", errno_text(errno));
        buffer_done(&export->prefix);
        buffer_done(&export->query);
    }
    buffer_done(&export->keys);
    free(export);
    return code;
}
