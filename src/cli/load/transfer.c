/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/load/transfer.h"

#include <inttypes.h>

#include "cli/http_client.h"
#include "cli/interrupt.h"
#include "cli/load/restore.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/session.h"

enum { TOLD_MAX = 10, BODY_SIZE_MAX = 600 << 20 };
enum { STAGE_WRITE, STAGE_READ };

/* The first few problems are told one by one, the rest only counted. */
static bool may_tell(struct transfer *transfer)
{
    if (transfer->told < TOLD_MAX)
        progress_end(&transfer->progress);
    else if (transfer->told == TOLD_MAX)
        say_error("... further records of this kind are counted, not shown");
    return transfer->told++ < TOLD_MAX;
}

static void tell(struct transfer *transfer, const struct pump_work *work, const char *what,
                 struct bytes detail)
{
    if (!may_tell(transfer))
        return;
    fprintf(stderr, "kvorum: line %" PRIu64 ", key '", work->number);
    print_safely(stderr, bytes_make(work->key.data, work->key.size < 200 ? work->key.size : 200));
    fprintf(stderr, "': %s", what);
    print_safely(stderr, bytes_make(detail.data, detail.size < 400 ? detail.size : 400));
    fputc('\n', stderr);
}

static enum pump_next next(void *context, struct pump_work *work)
{
    struct transfer *transfer = context;
    for (;;) {
        struct bytes value;
        const char *reason = NULL;
        buffer_reset(&work->key);
        enum record_outcome outcome =
            record_reader_next(transfer->reader, &work->key, &value, &reason);
        if (outcome == RECORD_BAD) {
            transfer->bad++;
            if (may_tell(transfer))
                say_error("line %" PRIu64 ": this record is left out: %s '%s'",
                          transfer->reader->line, reason, transfer->reader->key_field);
            continue;
        }
        if (outcome == RECORD_FAILED)
            transfer->source_problem = reason;
        if (outcome != RECORD_FOUND)
            return PUMP_END;
        if (transfer->every > 1 && transfer->seen++ % transfer->every != 0)
            continue;
        buffer_append_bytes(&work->value, value);
        work->number = transfer->reader->line;
        bool restores = transfer->reader->format == &record_format_export;
        work->stage = transfer->mode == TRANSFER_COMPARE && !restores ? STAGE_READ : STAGE_WRITE;
        return PUMP_NEXT;
    }
}

static void request(void *context, const struct pump_work *work, const char *host,
                    struct buffer *out)
{
    struct transfer *transfer = context;
    bool write = work->stage == STAGE_WRITE;
    const char *query = write ? transfer->write_query : transfer->read_query;
    buffer_append_text(out, write ? "PUT " : "GET ");
    buffer_append_bytes(out, buffer_bytes(&transfer->prefix));
    http_append_encoded(out, buffer_bytes(&work->key));
    buffer_printf(out, "%s%s HTTP/1.1\r\nHost: %s\r\n", *query == '\0' ? "" : "?", query, host);
    if (write) {
        buffer_append_bytes(out, buffer_bytes(&transfer->fields));
        buffer_printf(out, "Content-Length: %zu\r\n", work->value.size);
    }
    buffer_append_text(out, "\r\n");
    if (write)
        buffer_append_bytes(out, buffer_bytes(&work->value));
}

static enum pump_verdict done(struct transfer *transfer, const struct pump_work *work)
{
    transfer->records++;
    transfer->bytes += work->value.size;
    return PUMP_DONE;
}

static enum pump_verdict refused(struct transfer *transfer, const struct pump_work *work,
                                 const struct http_response *response)
{
    struct bytes reason = buffer_bytes(&response->body);
    while (reason.size > 0 && reason.data[reason.size - 1] == '\n')
        reason.size--;
    transfer->refused++;
    tell(transfer, work, "refused: ", reason);
    return PUMP_REFUSED;
}

static enum pump_verdict judge_read(struct transfer *transfer, const struct pump_work *work,
                                    const struct http_response *response)
{
    if (response->code == 200 &&
        bytes_equal(buffer_bytes(&response->body), buffer_bytes(&work->value)))
        return done(transfer, work);
    if (response->code == 404) {
        transfer->missing++;
        tell(transfer, work, "is missing in the store", (struct bytes){ 0 });
    } else if (response->code == 200 || response->code == 300) {
        transfer->different++;
        tell(transfer, work,
             response->code == 200 ? "the store holds another value than the source"
                                   : "the store holds concurrent values",
             (struct bytes){ 0 });
    } else {
        return refused(transfer, work, response);
    }
    return PUMP_REFUSED;
}

static enum pump_verdict response(void *context, struct pump_work *work,
                                  const struct http_response *answer)
{
    struct transfer *transfer = context;
    if (answer->code >= 500 || answer->code == 429 || answer->code == 408)
        return PUMP_RETRY;
    if (work->stage == STAGE_READ)
        return judge_read(transfer, work, answer);
    if (answer->code >= 300)
        return refused(transfer, work, answer);
    if (transfer->mode == TRANSFER_WRITE)
        return done(transfer, work);
    work->stage = STAGE_READ;
    return PUMP_AGAIN;
}

static bool tick(void *context)
{
    struct transfer *transfer = context;
    progress_update(&transfer->progress, transfer->reader->offset, transfer->records);
    return !interrupt_wanted();
}

static const struct pump_ops plain_ops = { next, request, response, NULL, tick };

/* --- what export wrote: restore.c ------------------------------------------------------------ */

static void restore_request(void *context, const struct pump_work *work, const char *host,
                            struct buffer *out)
{
    restore_append_request(context, work, host, out);
}

static enum pump_verdict restore_response(void *context, struct pump_work *work,
                                          const struct http_response *answer)
{
    struct transfer *transfer = context;
    const char *problem = NULL;
    switch (restore_take_response(transfer, work, answer, &problem)) {
    case RESTORE_RETRY:
        return PUMP_RETRY;
    case RESTORE_AGAIN:
        return PUMP_AGAIN;
    case RESTORE_DONE:
        return done(transfer, work);
    case RESTORE_DIFFERENT:
        transfer->different++;
        tell(transfer, work, problem, (struct bytes){ 0 });
        return PUMP_REFUSED;
    case RESTORE_REFUSED:
        break;
    }
    if (problem == NULL)
        return refused(transfer, work, answer);
    transfer->refused++;
    tell(transfer, work, problem, (struct bytes){ 0 });
    return PUMP_REFUSED;
}

static void restore_again(void *context, struct pump_work *work)
{
    (void)context;
    restore_begin_again(work);
}

static const struct pump_ops restore_ops = { next, restore_request, restore_response, restore_again,
                                             tick };

static void begin(struct transfer *transfer)
{
    buffer_init(&transfer->prefix, 64 * 1024);
    buffer_init(&transfer->fields, 4096);
    session_append_path(&transfer->prefix, transfer->type, bytes_of_string(transfer->bucket),
                        (struct bytes){ 0 });
    buffer_append_u8(&transfer->prefix, '/');
    buffer_printf(&transfer->fields, "Content-Type: %s\r\n", transfer->content_type);
    progress_begin(&transfer->progress, transfer->label, "records", transfer->source_size);
}

static void finish(struct transfer *transfer, const struct pump_result *result)
{
    progress_end(&transfer->progress);
    transfer->seconds = progress_seconds(&transfer->progress);
    transfer->retries = result->retries;
    transfer->exit_code = result->exit_code;
    if (result->exit_code != EXIT_DONE)
        say_error(
            "%s ended after %s records: %s\n  Next: kvorum status; then repeat it, for records "
            "may be written twice without harm",
            transfer->label, text_of_count(transfer->records), result->reason);
    else if (transfer->source_problem != NULL)
        transfer->exit_code =
            fail(EXIT_INTERNAL, "cannot read the source beyond line %" PRIu64 ": %s",
                 transfer->reader->line, transfer->source_problem);
    else if (transfer->bad + transfer->refused + transfer->different + transfer->missing > 0)
        transfer->exit_code = EXIT_NO;
    buffer_done(&transfer->prefix);
    buffer_done(&transfer->fields);
}

void transfer_run(struct transfer *transfer)
{
    begin(transfer);
    struct pump_config config = {
        .ops = transfer->reader->format == &record_format_export ? &restore_ops : &plain_ops,
        .context = transfer,
        .nodes = transfer->nodes,
        .node_count = transfer->node_count,
        .connections = transfer->connections,
        .pipeline = transfer->pipeline,
        .timeout_ms = transfer->timeout_ms,
        .retry_ms = transfer->retry_ms,
        .body_size_max = BODY_SIZE_MAX,
    };
    struct pump_result result;
    pump_run(&config, &result);
    finish(transfer, &result);
}
