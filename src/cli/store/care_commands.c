/* SPDX-License-Identifier: Apache-2.0 */
/* store create, inspect, verify, compact, salvage: a store's files as a whole. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/store/session.h"

/* --- create -------------------------------------------------------------------------------- */

int command_store_create(const struct invocation *invocation)
{
    struct store_session session;
    store_begin(&session, invocation);
    kvorum_options options = store_options(&session);
    options.must_exist = false;
    options.must_be_new = true;
    options.engine = option_text(invocation, "engine");
    kvorum_status status = kvorum_open(session.path, &options, &session.store);
    if (status == KVORUM_NOT_FOUND)
        return fail(EXIT_NO, "cannot create a store in %s: its parent folder is not there",
                    session.path);
    if (status != KVORUM_OK)
        return store_fail(&session, "create a store in", status);
    store_close(&session);
    return EXIT_DONE;
}

/* --- inspect ------------------------------------------------------------------------------- */

static json_t *json_number(uint64_t number)
{
    return json_integer((json_int_t)number);
}

/* "name   number" a line becomes {"name": number, ...}. */
static json_t *json_of_figures(char *text)
{
    json_t *object = json_object();
    char *line, name[64];
    uint64_t number;
    while ((line = strsep(&text, "\n")) != NULL) {
        if (sscanf(line, "%63s %" SCNu64, name, &number) == 2)
            json_object_set_new(object, name, json_number(number));
    }
    return object;
}

static json_t *json_of_levels(const kvorum_statistics *figures)
{
    json_t *list = json_array();
    for (int i = 0; i < KVORUM_LEVELS; i++) {
        const kvorum_level_statistics *level = &figures->levels[i];
        json_t *object = json_object();
        json_object_set_new(object, "level", json_integer(i));
        json_object_set_new(object, "tables", json_number(level->tables));
        json_object_set_new(object, "size", json_number(level->size));
        json_array_append_new(list, object);
    }
    return list;
}

static int inspect_json(struct store_session *session, const char *engine, char *figures_text,
                        const kvorum_statistics *figures)
{
    json_t *object = json_object();
    json_set_bytes(object, "path", bytes_of_string(session->path));
    json_object_set_new(object, "engine", json_string(engine));
    json_object_set_new(object, "statistics", json_of_figures(figures_text));
    json_object_set_new(object, "levels", json_of_levels(figures));
    return json_print(object, stdout);
}

static void print_levels(const kvorum_statistics *figures)
{
    static const char *const columns[] = { ">level", ">tables", ">size", NULL };
    struct table table;
    bool any = false;
    table_init(&table, columns);
    for (int i = 0; i < KVORUM_LEVELS; i++) {
        const kvorum_level_statistics *level = &figures->levels[i];
        if (level->tables == 0)
            continue;
        table_cell(&table, "%d", i);
        table_cell(&table, "%s", text_of_count(level->tables));
        table_cell(&table, "%s", text_of_size(level->size));
        any = true;
    }
    if (any) {
        putchar('\n');
        table_print(&table, OUTPUT_TABLE, stdout);
    }
    table_done(&table);
}

static int inspect_people(const struct store_session *session, const char *engine,
                          const kvorum_statistics *figures)
{
    printf("store      %s\n", session->path);
    printf("engine     %s\n", engine);
    printf("keys       %s\n", text_of_count(figures->live_entries));
    printf("on disk    %s, of it %s log\n", text_of_size(figures->disk_size),
           text_of_size(figures->log_size));
    printf("in memory  %s\n", text_of_size(figures->memory_size));
    printf("at open    %s batches read from the log, %s of a torn tail dropped\n",
           text_of_count(figures->recovered_batches), text_of_size(figures->dropped_tail_size));
    print_levels(figures);
    return EXIT_DONE;
}

static int inspect(struct store_session *session, char *engine, char *text)
{
    kvorum_statistics figures;
    kvorum_status status = kvorum_get_statistics(session->store, &figures);
    if (status != KVORUM_OK)
        return store_fail(session, "inspect", status);
    engine[strcspn(engine, "\n")] = '\0';
    switch (output_format_parse(option_text(session->invocation, "output"))) {
    case OUTPUT_JSON:
        return inspect_json(session, engine, text, &figures);
    case OUTPUT_PLAIN:
        fputs(text, stdout);
        return EXIT_DONE;
    default:
        return inspect_people(session, engine, &figures);
    }
}

int command_store_inspect(const struct invocation *invocation)
{
    struct store_session session;
    char *engine = NULL, *text = NULL;
    int code = store_open_to_read(&session, invocation);
    if (code != EXIT_DONE)
        return code;
    kvorum_status status = kvorum_property(session.store, "engine", &engine);
    if (status == KVORUM_OK)
        status = kvorum_property(session.store, "stats", &text);
    code = status == KVORUM_OK ? inspect(&session, engine, text)
                               : store_fail(&session, "inspect", status);
    kvorum_free(engine);
    kvorum_free(text);
    store_close(&session);
    return code;
}

/* --- damage -------------------------------------------------------------------------------- */

struct damages {
    struct table table;
    uint64_t count;
};

static const char *const damage_columns[] = { "file", ">offset", "status", "what", NULL };

static void add_damage(void *context, const kvorum_damage *damage)
{
    struct damages *damages = context;
    damages->count++;
    table_cell(&damages->table, "%s", damage->file);
    table_cell(&damages->table, "%" PRIu64, damage->offset);
    table_cell(&damages->table, "%s", kvorum_status_name(damage->status));
    table_cell(&damages->table, "%s", damage->what);
}

static void print_damages(const struct damages *damages, const struct invocation *invocation)
{
    enum output_format format = output_format_parse(option_text(invocation, "output"));
    if (damages->count > 0 || format == OUTPUT_JSON)
        table_print(&damages->table, format, stdout);
}

/* --- verify, compact ------------------------------------------------------------------------ */

/* Runs beside the command's thread, which shows how far it got. */
struct care {
    struct store_session *session;
    kvorum_status (*work)(struct care *care);
    struct damages damages;
    kvorum_status status;
    atomic_bool ended;
};

static kvorum_status verify(struct care *care)
{
    return kvorum_verify(care->session->store, add_damage, &care->damages);
}

static kvorum_status compact(struct care *care)
{
    return kvorum_compact(care->session->store, kvorum_make(NULL, 0), kvorum_make(NULL, 0));
}

static void *run_work(void *context)
{
    struct care *care = context;
    care->status = care->work(care);
    atomic_store(&care->ended, true);
    return NULL;
}

/* Bytes handled so far, as far as the store counts them. */
static uint64_t handled(const struct care *care)
{
    kvorum_statistics figures;
    kvorum_status status = kvorum_get_statistics(care->session->store, &figures);
    return status == KVORUM_OK ? figures.compaction_read_size : 0;
}

static void run_showing_progress(struct care *care, const char *label, uint64_t total)
{
    pthread_t thread;
    struct progress progress;
    if (pthread_create(&thread, NULL, run_work, care) != 0) {
        run_work(care);
        return;
    }
    progress_begin(&progress, label, "bytes", total);
    while (!atomic_load(&care->ended)) {
        progress_update(&progress, handled(care), handled(care));
        interrupt_sleep_ms(20);
    }
    pthread_join(thread, NULL);
    progress_end(&progress);
}

static uint64_t disk_size(const struct store_session *session)
{
    kvorum_statistics figures;
    return kvorum_get_statistics(session->store, &figures) == KVORUM_OK ? figures.disk_size : 0;
}

static int verified(struct care *care, uint64_t size)
{
    const struct store_session *session = care->session;
    print_damages(&care->damages, session->invocation);
    if (care->status == KVORUM_OK) {
        say_note("%s is sound: %s read and checked", session->path, text_of_size(size));
        return EXIT_DONE;
    }
    if (care->status != KVORUM_CORRUPT)
        return store_fail(session, "verify", care->status);
    say_error("%s is damaged in %s place%s", session->path, text_of_count(care->damages.count),
              care->damages.count == 1 ? "" : "s");
    say_note("  Next: kvorum store salvage %s NEW-PATH copies all that is intact", session->path);
    return EXIT_NO;
}

int command_store_verify(const struct invocation *invocation)
{
    struct store_session session;
    int code = store_open_to_read(&session, invocation);
    if (code != EXIT_DONE)
        return code;
    struct care care = { .session = &session, .work = verify };
    uint64_t size = disk_size(&session);
    table_init(&care.damages.table, damage_columns);
    run_showing_progress(&care, "verify", 0);
    code = verified(&care, size);
    table_done(&care.damages.table);
    store_close(&session);
    return code;
}

int command_store_compact(const struct invocation *invocation)
{
    struct store_session session;
    int code = store_open(&session, invocation);
    if (code != EXIT_DONE)
        return code;
    struct care care = { .session = &session, .work = compact };
    uint64_t before = disk_size(&session);
    run_showing_progress(&care, "compact", before);
    if (care.status == KVORUM_OK)
        say_note("%s: %s before, %s now", session.path, text_of_size(before),
                 text_of_size(disk_size(&session)));
    else
        code = store_fail(&session, "compact", care.status);
    store_close(&session);
    return code;
}

/* --- salvage -------------------------------------------------------------------------------- */

static int salvaged(const struct store_session *session, const char *new_path,
                    const kvorum_salvaged *result)
{
    say_note("%s: %s keys of tables and %s batches of the log copied to %s; %s in %s place%s could "
             "not be used",
             session->path, text_of_count(result->keys), text_of_count(result->batches), new_path,
             text_of_size(result->lost_size), text_of_count(result->damages),
             result->damages == 1 ? "" : "s");
    return result->damages == 0 ? EXIT_DONE : EXIT_NO;
}

int command_store_salvage(const struct invocation *invocation)
{
    struct store_session session;
    const char *new_path = invocation->arguments[1];
    struct damages damages = { .count = 0 };
    kvorum_salvaged result;
    store_begin(&session, invocation);
    const kvorum_options options = store_options(&session);
    table_init(&damages.table, damage_columns);
    kvorum_status status =
        kvorum_salvage(session.path, new_path, &options, add_damage, &damages, &result);
    print_damages(&damages, invocation);
    table_done(&damages.table);
    if (status == KVORUM_OK)
        return salvaged(&session, new_path, &result);
    if (status == KVORUM_EXISTS)
        return fail(EXIT_CONFLICT,
                    "cannot salvage to %s: something is there already\n"
                    "  Next: name a new folder",
                    new_path);
    return store_fail(&session, "salvage", status);
}
