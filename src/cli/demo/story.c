/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/story.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli/message.h"
#include "cli/output.h"

enum { CONNECTIONS = 60, PIPELINE = 4, TIMEOUT_MS = 15000, RETRY_MS = 60000 };

void story_begin(struct story *run)
{
    run->step++;
    run->begin_ms = demo_now_ms();
}

double story_seconds(const struct story *run)
{
    return (double)(demo_now_ms() - run->begin_ms) / 1000;
}

void story_tell(const struct story *run, const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%3u  %-10s ", run->step, name);
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    va_end(arguments);
}

static uint32_t choose_nodes(const struct story *run, unsigned only_node,
                             struct endpoint nodes[DEMO_NODES_MAX])
{
    uint32_t count = 0;
    for (unsigned node = 1; node <= run->cluster.node_count; node++) {
        bool chosen = only_node == 0 || only_node == node;
        if (chosen && demo_state(&run->cluster, node) == PROCESS_RUNNING)
            demo_endpoint(&run->cluster, node, DEMO_HTTP, &nodes[count++]);
    }
    return count;
}

int story_move(const struct story *run, const struct story_work *work,
               struct transfer *ret_transfer)
{
    struct endpoint nodes[DEMO_NODES_MAX];
    struct record_reader reader;
    *ret_transfer = (struct transfer){ 0 };
    FILE *file = fopen(work->dataset->path, "re");
    uint32_t node_count = choose_nodes(run, work->only_node, nodes);
    if (file == NULL || node_count == 0) {
        if (file != NULL)
            fclose(file);
        return fail(EXIT_INTERNAL, "%s: %s is gone, or no node runs", work->label,
                    work->dataset->path);
    }
    record_reader_init(&reader, &record_format_deb822, record_format_deb822.key_field,
                       fileno(file));
    *ret_transfer = (struct transfer){
        .mode = work->mode,
        .bucket = work->bucket,
        .content_type = record_format_deb822.content_type,
        .write_query = work->query,
        .read_query = work->query,
        .nodes = nodes,
        .node_count = node_count,
        .connections = CONNECTIONS,
        .pipeline = PIPELINE,
        .timeout_ms = demo_patience(TIMEOUT_MS),
        .retry_ms = demo_patience(RETRY_MS),
        .reader = &reader,
        .every = work->every,
        .source_size = work->dataset->size,
        .label = work->label,
    };
    transfer_run(ret_transfer);
    record_reader_done(&reader);
    fclose(file);
    return ret_transfer->exit_code;
}

const char *story_rate(const struct transfer *transfer)
{
    double seconds = transfer->seconds > 0 ? transfer->seconds : 1e-6;
    return text_of_count((uint64_t)((double)transfer->records / seconds));
}
