/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cluster_watch.h"

#include <string.h>

#include "base/buffer.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/progress.h"

enum { LOOK_MS = 250, STALL_S = 10 };

struct watch {
    struct session *session;
    struct progress progress;
    uint64_t moving; /* when last looked */
    double moved_at_s;
    bool stall_told;
};

static uint64_t moving_of(const json_t *cluster)
{
    json_int_t moving = json_integer_value(json_object_get(cluster, "moving"));
    return moving < 0 ? 0 : (uint64_t)moving;
}

/* "n3 (dead), n5 (suspect)" */
static void append_missing(const json_t *cluster, struct buffer *text)
{
    const json_t *nodes = json_object_get(cluster, "nodes"), *node;
    size_t i;
    json_array_foreach(nodes, i, node)
    {
        const char *name = json_string_value(json_object_get(node, "name"));
        const char *state = json_string_value(json_object_get(node, "state"));
        if (name != NULL && state != NULL && strcmp(state, "alive") != 0)
            buffer_printf(text, "%s%s (%s)", text->size == 0 ? "" : ", ", name, state);
    }
}

/* Once: the moves may well go on by themselves when it is back. */
static void tell_stall(struct watch *watch, const json_t *cluster)
{
    struct buffer missing;
    if (watch->stall_told || progress_seconds(&watch->progress) - watch->moved_at_s < STALL_S)
        return;
    buffer_init(&missing, 4096);
    append_missing(cluster, &missing);
    if (missing.size > 0) {
        progress_end(&watch->progress);
        fprintf(stderr,
                "  nothing has moved for %d s: not alive: %.*s. Moves wait for their owners. Next: "
                "start it again, or kvorum cluster replace\n",
                STALL_S, (int)missing.size, (const char *)missing.data);
        watch->stall_told = true;
    }
    buffer_done(&missing);
}

static void show(struct watch *watch, const json_t *cluster)
{
    uint64_t moving = moving_of(cluster), total = watch->progress.total;
    if (moving > total) /* somebody has committed more */
        watch->progress.total = total = moving;
    if (moving != watch->moving) {
        watch->moving = moving;
        watch->moved_at_s = progress_seconds(&watch->progress);
    }
    progress_update(&watch->progress, total - moving, total - moving);
    tell_stall(watch, cluster);
}

static int look(struct watch *watch, json_t **cluster)
{
    json_t *next = NULL;
    int code = cluster_ask(watch->session, "GET", "/kvorum/cluster", NULL,
                           "cannot see how far the move is, which goes on", &next);
    if (code != EXIT_DONE)
        return code;
    json_decref(*cluster);
    *cluster = next;
    return EXIT_DONE;
}

int cluster_watch(struct session *session, json_t **cluster)
{
    struct watch watch = { .session = session, .moving = moving_of(*cluster) };
    int code = EXIT_DONE;
    if (watch.moving == 0)
        return EXIT_DONE;
    progress_begin(&watch.progress, "move", "partitions", watch.moving);
    interrupt_watch();
    while (code == EXIT_DONE && moving_of(*cluster) > 0 && !interrupt_wanted()) {
        show(&watch, *cluster);
        interrupt_sleep_ms(LOOK_MS);
        code = look(&watch, cluster);
    }
    progress_end(&watch.progress);
    if (moving_of(*cluster) == 0)
        printf("%s partitions moved in %s\n", text_of_count(watch.progress.total),
               text_of_time(progress_seconds(&watch.progress)));
    else if (interrupt_wanted())
        puts("The move goes on. Next: kvorum cluster status");
    return code;
}
