/* SPDX-License-Identifier: Apache-2.0 */
/* export: the records of a bucket as JSON lines.
 *
 *  {"key": K, "content_type": T, "headers": {NAME: TEXT, ...}, "value": V}
 *  {"key": K, "siblings": [{"content_type": T, "headers": {...}, "value": V}, ...]}
 *
 *  What is no UTF-8 stands as base64 under key_base64, value_base64, headers_base64.  Headers are
 *  those that belong to the value (metadata, indexes, links, encoding), as they would be sent with
 *  it; without any the member is left out.  restore.c reads all this back. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

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

/* False when it is no UTF-8 and must be text. */
static bool set_bytes(json_t *object, const char *name, const char *base64_name, struct bytes bytes,
                      int values)
{
    json_t *text = values == VALUES_BASE64
                       ? NULL
                       : json_stringn(bytes.size == 0 ? "" : (const char *)bytes.data, bytes.size);
    if (text != NULL)
        json_object_set_new(object, name, text);
    else if (values == VALUES_TEXT)
        return false;
    else
        json_set_base64(object, base64_name, bytes);
    return true;
}

static bool belongs_to_value(struct bytes name)
{
    static const char *const prefixes[] = { "x-riak-meta-", "x-riak-index-" };
    static const char *const names[] = { "link", "content-encoding" };
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(prefixes[i]);
        if (name.size > size && strncasecmp((const char *)name.data, prefixes[i], size) == 0)
            return true;
        if (name.size == strlen(names[i]) &&
            strncasecmp((const char *)name.data, names[i], name.size) == 0)
            return true;
    }
    return false;
}

static bool is_link_up(struct bytes link)
{
    return link.size > 8 && memcmp(link.data + link.size - 8, "rel=\"up\"", 8) == 0;
}

/* The node adds the link to the value's own bucket, as the first. */
static struct bytes own_links(struct bytes links)
{
    const uint8_t *comma = links.size == 0 ? NULL : memchr(links.data, ',', links.size);
    size_t size = comma == NULL ? links.size : (size_t)(comma - links.data);
    if (!is_link_up(bytes_make(links.data, size)))
        return links;
    links = bytes_from(links, comma == NULL ? size : size + 1);
    while (links.size > 0 && links.data[0] == ' ')
        links = bytes_from(links, 1);
    return links;
}

/* Fields of one name may be sent as one, with a comma between their values. */
static void set_header(void *context, struct bytes name, struct bytes value)
{
    json_t *object = context;
    char key[256];
    if (!belongs_to_value(name) || name.size >= sizeof(key))
        return;
    for (size_t i = 0; i <= name.size; i++)
        key[i] = i == name.size ? '\0' : (char)tolower(name.data[i]);
    bool links = strcmp(key, "link") == 0;
    value = links ? own_links(value) : value;
    if (links && value.size == 0)
        return;
    json_t *text = json_stringn(value.size == 0 ? "" : (const char *)value.data, value.size);
    const char *member = text != NULL ? "headers" : "headers_base64";
    json_t *headers = json_object_get(object, member), *known = json_object_get(headers, key);
    if (headers == NULL) {
        headers = json_object();
        json_object_set_new(object, member, headers);
    }
    if (text != NULL && known != NULL) {
        json_object_set_new(
            headers, key,
            json_sprintf("%s, %s", json_string_value(known), json_string_value(text)));
        json_decref(text);
    } else if (text != NULL)
        json_object_set_new(headers, key, text);
    else
        json_set_base64(headers, key, value);
}

static bool set_value(json_t *object, const struct sibling_view *view, int values)
{
    json_object_set_new(object, "content_type", json_text(view->content_type));
    sibling_visit_fields(view, set_header, object);
    return set_bytes(object, "value", "value_base64", view->value, values);
}

/* A deletion among siblings is nothing that could be written back. */
static void leave_out_deleted(struct siblings *siblings)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < siblings->count; i++) {
        if (!siblings->list[i].deleted)
            siblings->list[count++] = siblings->list[i];
    }
    siblings->count = count;
}

static bool write_record(struct export *export, struct bytes key)
{
    struct siblings *siblings = &export->siblings;
    leave_out_deleted(siblings);
    json_t *object = json_object(), *list = json_array();
    bool good = set_bytes(object, "key", "key_base64", key, VALUES_AUTO);
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
        int outcome = json_dumpf(object, export->file, JSON_COMPACT);
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
    static const struct pump_ops ops = { next, request, response, NULL, tick };
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
