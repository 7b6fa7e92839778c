/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/siblings.h"

#include <unistd.h>

#include "cli/base64.h"
#include "cli/message.h"
#include "cli/multipart.h"
#include "cli/object_address.h"
#include "cli/output.h"

static struct bytes unquoted(struct bytes text)
{
    if (text.size < 2 || text.data[0] != '"' || text.data[text.size - 1] != '"')
        return text;
    return bytes_make(text.data + 1, text.size - 2);
}

static struct sibling_view read_single(const struct http_response *response)
{
    struct sibling_view view = { .value = buffer_bytes(&response->body), .response = response };
    struct bytes ignored;
    http_response_field(response, "content-type", &view.content_type);
    http_response_field(response, "last-modified", &view.last_modified);
    http_response_field(response, "etag", &view.vtag);
    view.vtag = unquoted(view.vtag);
    view.deleted = http_response_field(response, "x-riak-deleted", &ignored);
    return view;
}

static struct sibling_view read_part(struct bytes head, struct bytes body)
{
    struct sibling_view view = { .value = body, .head = head };
    struct bytes ignored;
    multipart_field(head, "content-type", &view.content_type);
    multipart_field(head, "last-modified", &view.last_modified);
    multipart_field(head, "etag", &view.vtag);
    view.vtag = unquoted(view.vtag);
    view.deleted = multipart_field(head, "x-riak-deleted", &ignored);
    return view;
}

bool siblings_read(const struct http_response *response, struct siblings *ret_siblings)
{
    struct siblings *siblings = ret_siblings;
    siblings->count = 0;
    siblings->context = (struct bytes){ 0 };
    http_response_field(response, "x-riak-vclock", &siblings->context);
    if (response->code != 300) {
        siblings->list[siblings->count++] = read_single(response);
        return true;
    }
    struct bytes content_type = { 0 }, head, body;
    struct multipart multipart;
    http_response_field(response, "content-type", &content_type);
    if (!multipart_begin(&multipart, content_type, buffer_bytes(&response->body)))
        return false;
    while (siblings->count < SIBLINGS_MAX && multipart_next(&multipart, &head, &body))
        siblings->list[siblings->count++] = read_part(head, body);
    return siblings->count > 0;
}

void sibling_visit_fields(const struct sibling_view *view,
                          void (*visit)(void *context, struct bytes name, struct bytes value),
                          void *context)
{
    struct bytes head = view->head, name, value;
    for (uint32_t i = 0; view->response != NULL && i < view->response->field_count; i++)
        visit(context, view->response->fields[i].name, view->response->fields[i].value);
    while (multipart_next_field(&head, &name, &value))
        visit(context, name, value);
}

/* --- printing ------------------------------------------------------------------------------- */

static json_t *sibling_json(const struct sibling_view *view)
{
    json_t *object = json_object();
    json_object_set_new(object, "content_type", json_text(view->content_type));
    json_object_set_new(object, "vtag", json_text(view->vtag));
    json_object_set_new(object, "last_modified", json_text(view->last_modified));
    if (view->deleted)
        json_object_set_new(object, "deleted", json_true());
    json_t *text =
        json_stringn(view->value.size == 0 ? "" : (const char *)view->value.data, view->value.size);
    if (text != NULL) {
        json_object_set_new(object, "value", text);
        return object;
    }
    struct buffer encoded;
    buffer_init(&encoded, view->value.size * 2 + 16);
    base64_append(&encoded, view->value);
    json_object_set_new(object, "value_base64", json_text(buffer_bytes(&encoded)));
    buffer_done(&encoded);
    return object;
}

static int print_as_json(const struct siblings *siblings, const struct object_address *address)
{
    json_t *object = json_object(), *values = json_array();
    for (uint32_t i = 0; i < siblings->count; i++)
        json_array_append_new(values, sibling_json(&siblings->list[i]));
    json_object_set_new(object, "bucket", json_text(address->bucket));
    json_object_set_new(object, "key", json_text(address->key));
    json_object_set_new(object, "context", json_text(siblings->context));
    json_object_set_new(object, "values", values);
    return json_print(object, stdout);
}

static void print_rows(const struct siblings *siblings, enum output_format format)
{
    static const char *const columns[] = { "vtag",  "last_modified", "content_type",
                                           ">size", "value",         NULL };
    struct table table;
    table_init(&table, columns);
    for (uint32_t i = 0; i < siblings->count; i++) {
        const struct sibling_view *view = &siblings->list[i];
        table_cell(&table, "%.*s", (int)view->vtag.size, (const char *)view->vtag.data);
        table_cell(&table, "%.*s", (int)view->last_modified.size,
                   (const char *)view->last_modified.data);
        table_cell(&table, "%.*s", (int)view->content_type.size,
                   (const char *)view->content_type.data);
        table_cell(&table, "%zu", view->value.size);
        size_t shown = format == OUTPUT_TABLE && view->value.size > 40 ? 40 : view->value.size;
        struct buffer clean;
        buffer_init(&clean, 512);
        for (size_t j = 0; j < shown && j < 500; j++) {
            uint8_t c = view->value.data[j];
            buffer_append_u8(&clean, c < 0x20 || c == 0x7f ? '.' : c);
        }
        table_cell(&table, "%.*s%s", (int)clean.size, (const char *)clean.data,
                   shown < view->value.size ? "..." : "");
        buffer_done(&clean);
    }
    table_print(&table, format, stdout);
    table_done(&table);
}

/* A lone value goes out byte for byte; a terminal gets the newline it needs. */
static void print_raw(const struct siblings *siblings)
{
    bool several = siblings->count > 1, terminal = isatty(STDOUT_FILENO);
    for (uint32_t i = 0; i < siblings->count; i++) {
        const struct sibling_view *view = &siblings->list[i];
        if (several)
            printf("--- sibling %u of %u, %.*s, %.*s%s\n", i + 1, siblings->count,
                   (int)view->last_modified.size, (const char *)view->last_modified.data,
                   (int)view->content_type.size, (const char *)view->content_type.data,
                   view->deleted ? ", deleted" : "");
        fwrite(view->value.data, 1, view->value.size, stdout);
        bool ended = view->value.size > 0 && view->value.data[view->value.size - 1] == '\n';
        if (!ended && (several || terminal))
            putchar('\n');
    }
}

static void print_note(const struct siblings *siblings, const struct object_address *address)
{
    say_note("note: %s holds %u concurrent values. Resolve them by writing the one you want with "
             "their context:\n  kvorum put %s VALUE --context %.*s",
             address->text, siblings->count, address->text, (int)siblings->context.size,
             (const char *)siblings->context.data);
}

int siblings_print(const struct siblings *siblings, const struct object_address *address,
                   const struct invocation *invocation)
{
    enum output_format format = output_format_parse(option_text(invocation, "output"));
    int code = EXIT_DONE;
    if (format == OUTPUT_JSON)
        code = print_as_json(siblings, address);
    else if (format == OUTPUT_PLAIN)
        print_raw(siblings);
    else
        print_rows(siblings, format);
    if (siblings->count > 1)
        print_note(siblings, address);
    else if (option_flag(invocation, "show-context"))
        say_note("context: %.*s", (int)siblings->context.size,
                 (const char *)siblings->context.data);
    return code;
}
