/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/load/restore.h"

#include <jansson.h>
#include <stdlib.h>

#include "cli/base64.h"
#include "cli/http_client.h"
#include "cli/siblings.h"

enum { STAGE_LOOK, STAGE_FIRST };

/* --- the line -------------------------------------------------------------------------------- */

static json_t *parse(const struct pump_work *work)
{
    json_error_t error;
    return json_loadb((const char *)work->value.data, work->value.size, JSON_ALLOW_NUL, &error);
}

static size_t value_count(const json_t *line)
{
    const json_t *siblings = json_object_get(line, "siblings");
    return siblings == NULL ? 1 : json_array_size(siblings);
}

static const json_t *value_at(const json_t *line, size_t i)
{
    const json_t *siblings = json_object_get(line, "siblings");
    return siblings == NULL ? line : json_array_get(siblings, i);
}

static struct bytes text_of(const json_t *text)
{
    return bytes_make(json_string_value(text), json_string_length(text));
}

/* The bytes under `name`, or under the other name as base64.  False: there are none. */
static bool append_bytes(const json_t *object, const char *name, const char *base64_name,
                         struct buffer *out)
{
    const json_t *text = json_object_get(object, name);
    const json_t *base64 = json_object_get(object, base64_name);
    if (json_is_string(text))
        buffer_append_bytes(out, text_of(text));
    else
        return json_is_string(base64) && base64_append_decoded(out, text_of(base64));
    return !out->failed;
}

static bool is_field_text(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '\r' || text.data[i] == '\n' || text.data[i] == 0)
            return false;
    return true;
}

static bool append_field(const char *name, struct bytes value, struct buffer *out)
{
    if (!is_field_text(value) || strpbrk(name, "\r\n: ") != NULL)
        return false;
    buffer_printf(out, "%s: ", name);
    buffer_append_bytes(out, value);
    buffer_append_text(out, "\r\n");
    return true;
}

/* What the line says of value `i`, as header lines.  False: it cannot be a header. */
static bool append_fields(const json_t *value, struct buffer *out)
{
    const json_t *type = json_object_get(value, "content_type");
    bool good = append_field("Content-Type",
                             json_is_string(type) && json_string_length(type) > 0
                                 ? text_of(type)
                                 : BYTES_LITERAL("application/octet-stream"),
                             out);
    static const char *const members[] = { "headers", "headers_base64" };
    for (int i = 0; i < 2; i++) {
        json_t *headers = json_object_get(value, members[i]), *header;
        const char *name;
        json_object_foreach(headers, name, header)
        {
            struct buffer bytes;
            buffer_init(&bytes, 1 << 20);
            if (i == 0)
                buffer_append_bytes(&bytes, text_of(header));
            else
                good = base64_append_decoded(&bytes, text_of(header)) && good;
            good = good && json_is_string(header) && !bytes.failed &&
                   append_field(name, buffer_bytes(&bytes), out);
            buffer_done(&bytes);
        }
    }
    return good;
}

/* NULL, or why the line cannot be written. */
static const char *problem_of(const json_t *line)
{
    const char *problem = value_count(line) == 0 ? "its list of siblings is empty" : NULL;
    for (size_t i = 0; problem == NULL && i < value_count(line); i++) {
        struct buffer scratch;
        buffer_init(&scratch, (size_t)1 << 30);
        if (!append_bytes(value_at(line, i), "value", "value_base64", &scratch))
            problem = "it has neither value nor value_base64 as text";
        else if (!append_fields(value_at(line, i), &scratch))
            problem = "its content type or a header is not one line of text";
        buffer_done(&scratch);
    }
    return problem;
}

/* --- requests -------------------------------------------------------------------------------- */

static void append_line(const struct transfer *transfer, const struct pump_work *work,
                        const char *method, const char *query, const char *host, struct buffer *out)
{
    buffer_printf(out, "%s ", method);
    buffer_append_bytes(out, buffer_bytes(&transfer->prefix));
    http_append_encoded(out, buffer_bytes(&work->key));
    buffer_printf(out, "%s%s HTTP/1.1\r\nHost: %s\r\n", *query == '\0' ? "" : "?", query, host);
}

static void append_write(const struct transfer *transfer, const struct pump_work *work,
                         const json_t *value, const char *host, struct buffer *out)
{
    struct buffer body;
    buffer_init(&body, (size_t)1 << 30);
    append_line(transfer, work, "PUT", transfer->write_query, host, out);
    bool good = append_fields(value, out) && append_bytes(value, "value", "value_base64", &body);
    if (work->stage == STAGE_FIRST && work->note.size > 0)
        append_field("X-Riak-Vclock", buffer_bytes(&work->note), out);
    buffer_printf(out, "Content-Length: %zu\r\n\r\n", body.size);
    buffer_append_bytes(out, buffer_bytes(&body));
    out->failed |= !good; /* problem_of looked before; only memory can be short */
    buffer_done(&body);
}

void restore_append_request(const struct transfer *transfer, const struct pump_work *work,
                            const char *host, struct buffer *out)
{
    json_t *line = parse(work);
    if (work->stage >= STAGE_FIRST && work->stage < STAGE_FIRST + value_count(line)) {
        append_write(transfer, work, value_at(line, work->stage - STAGE_FIRST), host, out);
    } else {
        append_line(transfer, work, "GET", transfer->read_query, host, out);
        buffer_append_text(out, "Accept: multipart/mixed, */*;q=0.9\r\n\r\n");
    }
    json_decref(line);
}

/* --- answers --------------------------------------------------------------------------------- */

static bool holds(const json_t *line, const struct sibling_view *view)
{
    bool found = false;
    for (size_t i = 0; !found && i < value_count(line); i++) {
        const json_t *value = value_at(line, i), *type = json_object_get(value, "content_type");
        struct buffer bytes;
        buffer_init(&bytes, (size_t)1 << 30);
        found = append_bytes(value, "value", "value_base64", &bytes) &&
                bytes_equal(buffer_bytes(&bytes), view->value) &&
                (!json_is_string(type) || json_string_length(type) == 0 ||
                 bytes_equal(text_of(type), view->content_type));
        buffer_done(&bytes);
    }
    return found;
}

static enum restore_verdict compare(const json_t *line, const struct http_response *answer,
                                    const char **ret_problem)
{
    struct siblings *siblings = calloc(1, sizeof(*siblings));
    bool same = siblings != NULL && (answer->code == 200 || answer->code == 300) &&
                siblings_read(answer, siblings) && siblings->count == value_count(line);
    for (uint32_t i = 0; same && i < siblings->count; i++)
        same = holds(line, &siblings->list[i]);
    *ret_problem = same ? NULL
                   : value_count(line) > 1 && answer->code == 200
                       ? "only one of its concurrent values is there: set the bucket's allow_mult "
                         "and import again"
                       : "the store does not hold what the line says";
    free(siblings);
    return same ? RESTORE_DONE : RESTORE_DIFFERENT;
}

static enum restore_verdict look(struct pump_work *work, const json_t *line,
                                 const struct http_response *answer, const char **ret_problem)
{
    struct bytes context = { 0 };
    *ret_problem = problem_of(line);
    if (*ret_problem != NULL || (answer->code != 200 && answer->code != 300 && answer->code != 404))
        return RESTORE_REFUSED;
    http_response_field(answer, "x-riak-vclock", &context);
    buffer_reset(&work->note);
    buffer_append_bytes(&work->note, context);
    work->stage = STAGE_FIRST;
    return RESTORE_AGAIN;
}

static enum restore_verdict take(const struct transfer *transfer, struct pump_work *work,
                                 const json_t *line, const struct http_response *answer,
                                 const char **ret_problem)
{
    size_t count = value_count(line);
    if (work->stage == STAGE_LOOK)
        return look(work, line, answer, ret_problem);
    if (work->stage == STAGE_FIRST + count)
        return compare(line, answer, ret_problem);
    if (answer->code >= 300)
        return RESTORE_REFUSED;
    work->stage++;
    bool written = work->stage == STAGE_FIRST + count;
    bool checks = count > 1 || transfer->mode != TRANSFER_WRITE;
    return written && !checks ? RESTORE_DONE : RESTORE_AGAIN;
}

enum restore_verdict restore_take_response(const struct transfer *transfer, struct pump_work *work,
                                           const struct http_response *answer,
                                           const char **ret_problem)
{
    *ret_problem = NULL;
    if (answer->code >= 500 || answer->code == 429 || answer->code == 408)
        return RESTORE_RETRY;
    json_t *line = parse(work);
    enum restore_verdict verdict = take(transfer, work, line, answer, ret_problem);
    json_decref(line);
    return verdict;
}

void restore_begin_again(struct pump_work *work)
{
    work->stage = STAGE_LOOK;
}
