/* SPDX-License-Identifier: Apache-2.0 */
/* import: records of a file or of standard input into a bucket. */
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/input.h"
#include "cli/load/transfer.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/session.h"

struct import {
    struct endpoint nodes[ENDPOINTS_MAX];
    struct record_reader reader;
    struct transfer transfer;
    struct buffer write_query, read_query;
};

static bool check_header(const char *content_type)
{
    for (const char *p = content_type; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            say_error("--content-type must be one line of printable text");
            return false;
        }
    }
    return true;
}

/* The queries of session_append_levels without their '?'. */
static void make_queries(const struct invocation *invocation, struct import *import)
{
    buffer_init(&import->write_query, 4096);
    buffer_init(&import->read_query, 4096);
    session_append_levels(&import->write_query, invocation);
    buffer_append_u8(&import->write_query, 0);
    buffer_printf(&import->read_query, "timeout=%lld",
                  (long long)option_number(invocation, "timeout", 10000));
    buffer_append_u8(&import->read_query, 0);
}

/* What the options say.  An exit code. */
static int prepare(const struct invocation *invocation, struct import *import)
{
    const struct record_format *format = record_format_find(option_text(invocation, "format"));
    const char *key_field = option_text(invocation, "key-field");
    const char *content_type = option_text(invocation, "content-type");
    struct transfer *transfer = &import->transfer;
    transfer->bucket = option_text(invocation, "bucket");
    transfer->content_type = content_type == NULL ? format->content_type : content_type;
    if (transfer->bucket == NULL || *transfer->bucket == '\0')
        return fail(EXIT_USAGE, "import needs --bucket BUCKET");
    key_field = key_field == NULL ? format->key_field : key_field;
    if (key_field == NULL)
        return fail(EXIT_USAGE,
                    "import of %s needs --key-field FIELD, the field that holds the key",
                    format->name);
    transfer->node_count =
        endpoint_parse_list(option_text(invocation, "node"), HTTP_PORT, import->nodes);
    if (transfer->node_count == 0 || !check_header(transfer->content_type))
        return EXIT_USAGE;
    make_queries(invocation, import);
    transfer->mode = option_flag(invocation, "verify") ? TRANSFER_WRITE_VERIFY : TRANSFER_WRITE;
    transfer->type = option_text(invocation, "type");
    transfer->write_query = (const char *)import->write_query.data + 1;
    transfer->read_query = (const char *)import->read_query.data;
    transfer->nodes = import->nodes;
    transfer->connections = (uint32_t)option_number(invocation, "connections", 32);
    transfer->pipeline = (uint32_t)option_number(invocation, "pipeline", 4);
    transfer->timeout_ms = (uint32_t)option_number(invocation, "timeout", 10000) + 5000;
    transfer->retry_ms = (uint32_t)option_number(invocation, "retry", 60) * 1000;
    transfer->reader = &import->reader;
    transfer->label = "import";
    record_reader_init(&import->reader, format, key_field, -1);
    return EXIT_DONE;
}

static int print_json(const struct transfer *transfer)
{
    json_t *json = json_pack(
        "{s:o, s:I, s:I, s:f, s:b, s:I, s:I, s:I, s:I, s:I}", "bucket",
        json_text(bytes_of_string(transfer->bucket)), "records", (json_int_t)transfer->records,
        "bytes", (json_int_t)transfer->bytes, "seconds", transfer->seconds, "verified",
        transfer->mode == TRANSFER_WRITE_VERIFY, "repeated_requests", (json_int_t)transfer->retries,
        "without_key", (json_int_t)transfer->bad, "refused", (json_int_t)transfer->refused,
        "different", (json_int_t)transfer->different, "missing", (json_int_t)transfer->missing);
    return json_print(json, stdout);
}

static void print_text(const struct transfer *transfer)
{
    double seconds = transfer->seconds > 0 ? transfer->seconds : 1e-6;
    printf("%s records (%s) written to bucket %s%s in %s, %s records/s\n",
           text_of_count(transfer->records), text_of_size(transfer->bytes), transfer->bucket,
           transfer->mode == TRANSFER_WRITE_VERIFY ? " and read back identical" : "",
           text_of_time(seconds), text_of_count((uint64_t)((double)transfer->records / seconds)));
    if (transfer->retries > 0)
        printf("%s requests had to be repeated\n", text_of_count(transfer->retries));
    uint64_t wrong = transfer->bad + transfer->refused + transfer->different + transfer->missing;
    if (wrong > 0)
        printf(
            "%s records are NOT in the store: %s without a usable key, %s refused, %s different, "
            "%s missing\n",
            text_of_count(wrong), text_of_count(transfer->bad), text_of_count(transfer->refused),
            text_of_count(transfer->different), text_of_count(transfer->missing));
}

/* The code of the transfer, or why nothing could be printed. */
static int print_summary(const struct invocation *invocation, const struct transfer *transfer)
{
    int code = EXIT_DONE;
    if (output_format_parse(option_text(invocation, "output")) == OUTPUT_JSON)
        code = print_json(transfer);
    else
        print_text(transfer);
    return transfer->exit_code != EXIT_DONE ? transfer->exit_code : code;
}

int command_import(const struct invocation *invocation)
{
    static struct import import;
    int code = prepare(invocation, &import);
    if (code != EXIT_DONE)
        return code;
    const char *path = invocation->argument_count > 0 ? invocation->arguments[0] : "-";
    int descriptor = input_open(path);
    if (descriptor < 0)
        return EXIT_USAGE;
    struct stat about;
    if (fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode))
        import.transfer.source_size = (uint64_t)about.st_size;
    import.reader.descriptor = descriptor;
    transfer_run(&import.transfer);
    code = import.transfer.exit_code;
    if (code != EXIT_CONNECT || import.transfer.records > 0)
        code = print_summary(invocation, &import.transfer);
    if (descriptor != STDIN_FILENO)
        close(descriptor);
    record_reader_done(&import.reader);
    buffer_done(&import.write_query);
    buffer_done(&import.read_query);
    return code;
}
