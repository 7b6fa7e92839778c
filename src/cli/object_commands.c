/* SPDX-License-Identifier: Apache-2.0 */
/* get, put, del: one key of one bucket. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/input.h"
#include "cli/message.h"
#include "cli/object_address.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/siblings.h"

enum { VALUE_SIZE_MAX = 512 << 20 };

static void append_object_path(struct buffer *path, const struct invocation *invocation,
                               const struct object_address *address)
{
    buffer_init(path, 512 * 1024);
    session_append_path(path, option_text(invocation, "type"), address->bucket, address->key);
    session_append_levels(path, invocation);
}

static int call_object(struct session *session, struct http_request *request,
                       const struct object_address *address, const char *verb)
{
    char what[200];
    snprintf(what, sizeof(what), "cannot %s %s", verb, address->text);
    struct buffer path;
    append_object_path(&path, session->invocation, address);
    request->path = buffer_bytes(&path);
    kvorum_status status = http_client_call(&session->client, request);
    buffer_done(&path);
    if (status != KVORUM_OK)
        return session_fail(&session->client, what, status);
    if (session->client.response.code == 404)
        return fail(EXIT_NO, "there is no %s", address->text);
    if (session->client.response.code == 412 && strcmp(request->method, "PUT") == 0)
        return fail(EXIT_CONFLICT, "cannot write %s: it has a value, and --if-absent was asked for",
                    address->text);
    if (session->client.response.code >= 400)
        return session_refused(&session->client, what);
    return EXIT_DONE;
}

/* Plain says nothing of what went well. */
static int print_done(const struct invocation *invocation, const struct object_address *address,
                      const char *result)
{
    if (output_format_parse(option_text(invocation, "output")) != OUTPUT_JSON)
        return EXIT_DONE;
    json_t *json = json_object();
    json_set_bytes(json, "bucket", address->bucket);
    json_set_bytes(json, "key", address->key);
    json_object_set_new(json, "result", json_string(result));
    return json_print(json, stdout);
}

int command_get(const struct invocation *invocation)
{
    struct object_address address;
    struct session session;
    if (!object_address_read(invocation, invocation->argument_count, &address) ||
        !session_begin(&session, invocation))
        return EXIT_USAGE;
    struct http_request request = {
        .method = "GET",
        .fields = BYTES_LITERAL("Accept: multipart/mixed, */*;q=0.9\r\n"),
    };
    int code = call_object(&session, &request, &address, "read");
    struct siblings *siblings = code == EXIT_DONE ? malloc(sizeof(*siblings)) : NULL;
    if (siblings != NULL) {
        code = siblings_read(&session.client.response, siblings)
                   ? siblings_print(siblings, &address, invocation)
                   : fail(EXIT_INTERNAL, "cannot read %s: the node's list of siblings is malformed",
                          address.text);
        free(siblings);
    }
    session_end(&session);
    return code;
}

/* The value: VALUE, `-` for standard input, or --file.  False after saying why not. */
static bool read_value(const struct invocation *invocation, const char *argument,
                       struct buffer *value)
{
    const char *file = option_text(invocation, "file");
    if ((file != NULL) == (argument != NULL)) {
        say_error(file != NULL ? "give either a value or --file, not both"
                               : "no value is given: put BUCKET/KEY VALUE, or `-` for standard "
                                 "input, or --file FILE");
        return false;
    }
    if (file == NULL && strcmp(argument, "-") != 0) {
        buffer_append_text(value, argument);
        return !value->failed;
    }
    int descriptor = input_open(file != NULL ? file : argument);
    if (descriptor < 0)
        return false;
    bool read = input_read_all(descriptor, file != NULL ? file : "standard input", value);
    if (descriptor != STDIN_FILENO)
        close(descriptor);
    return read;
}

static bool fits_header(const char *name, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            say_error("--%s must be one line of printable text", name);
            return false;
        }
    }
    return true;
}

static bool append_fields(const struct invocation *invocation, struct buffer *fields)
{
    const char *content_type = option_text(invocation, "content-type");
    const char *context = option_text(invocation, "context");
    if (!fits_header("content-type", content_type) ||
        (context != NULL && !fits_header("context", context)))
        return false;
    buffer_printf(fields, "Content-Type: %s\r\n", content_type);
    if (context != NULL)
        buffer_printf(fields, "X-Riak-Vclock: %s\r\n", context);
    if (option_flag(invocation, "if-absent"))
        buffer_append_text(fields, "If-None-Match: *\r\n");
    return true;
}

static int put_value(const struct invocation *invocation, const struct object_address *address,
                     struct bytes value)
{
    struct session session;
    struct buffer fields;
    buffer_init(&fields, 64 * 1024);
    int code = EXIT_USAGE;
    if (append_fields(invocation, &fields) && session_begin(&session, invocation)) {
        struct http_request request = {
            .method = "PUT",
            .fields = buffer_bytes(&fields),
            .body = value,
            .has_body = true,
        };
        code = call_object(&session, &request, address, "write");
        if (code == EXIT_DONE)
            code = print_done(invocation, address, "written");
        session_end(&session);
    }
    buffer_done(&fields);
    return code;
}

/* put BUCKET/KEY VALUE, put BUCKET KEY VALUE; without VALUE when --file is given. */
int command_put(const struct invocation *invocation)
{
    bool from_file = option_text(invocation, "file") != NULL;
    bool slash = strchr(invocation->arguments[0], '/') != NULL;
    int values = invocation->argument_count == 3 ? 1
                 : from_file                     ? 0
                                                 : invocation->argument_count > 1;
    int address_count = invocation->argument_count - values;
    if (address_count == 1 && values == 1 && !slash)
        return fail(EXIT_USAGE, "no value is given for %s/%s\n  Next: kvorum put %s %s VALUE",
                    invocation->arguments[0], invocation->arguments[1], invocation->arguments[0],
                    invocation->arguments[1]);
    struct object_address address;
    if (!object_address_read(invocation, address_count, &address))
        return EXIT_USAGE;
    struct buffer value;
    buffer_init(&value, VALUE_SIZE_MAX);
    const char *argument = values == 1 ? invocation->arguments[address_count] : NULL;
    int code = read_value(invocation, argument, &value)
                   ? put_value(invocation, &address, buffer_bytes(&value))
                   : EXIT_USAGE;
    buffer_done(&value);
    return code;
}

int command_del(const struct invocation *invocation)
{
    struct object_address address;
    struct session session;
    struct buffer fields;
    if (!object_address_read(invocation, invocation->argument_count, &address) ||
        !session_begin(&session, invocation))
        return EXIT_USAGE;
    buffer_init(&fields, 64 * 1024);
    const char *context = option_text(invocation, "context");
    int code = EXIT_USAGE;
    if (context == NULL || fits_header("context", context)) {
        if (context != NULL)
            buffer_printf(&fields, "X-Riak-Vclock: %s\r\n", context);
        struct http_request request = { .method = "DELETE", .fields = buffer_bytes(&fields) };
        code = call_object(&session, &request, &address, "delete");
        if (code == EXIT_DONE)
            code = print_done(invocation, &address, "deleted");
    }
    buffer_done(&fields);
    session_end(&session);
    return code;
}
