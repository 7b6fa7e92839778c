/* SPDX-License-Identifier: Apache-2.0 */
/* The process, in the order things happen:
 *
 *     log -> data directory: lock, ports, identity, epoch -> reactors -> accept -> birth (found,
 *     join or nothing) -> server_begin: every reactor opens its stores, then its shard of the node
 *     -> all take operations: serve, "ready"
 *     signal -> drain every reactor's clients -> close every reactor's stores -> clean mark
 */
#include "server/run.h"

#include "os/disk.h"
#include "server/data_directory.h"
#include "server/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* --- the view ------------------------------------------------------------------------------- */

static void fill_view(struct server *server)
{
    static const char *const syncs[] = { "always", "interval", "never" };
    const struct config *config = &server->config;
    struct server_view *view = &server->view;
    view->name = server->member.name;
    view->zone = server->member.zone;
    view->version = KVORUM_VERSION;
    view->data_dir = config->data_dir;
    view->engine = config->engine == CONFIG_ENGINE_MEMORY ? "memory" : "lsm";
    view->sync = syncs[config->sync];
    view->http = server->listeners.all[LISTENER_HTTP].address;
    view->resp = server->listeners.all[LISTENER_RESP].address;
    view->peer = server->listeners.all[LISTENER_PEER].address;
    view->pb = "";
    view->started_wall_ms = clock_wall_ms(&server->clock.clock);
    view->started_monotonic_us = clock_monotonic_us(&server->clock.clock);
    view->clock = &server->clock.clock;
    view->n = (uint8_t)config->n;
    view->reactor_count = server->reactor_count;
    view->store_count = server->store_count;
    view->reactors = server->reactors;
    view->server = server;
}

static uint16_t count_reactors(const struct server *server)
{
    unsigned wanted = server->config.reactors != 0 ? (unsigned)server->config.reactors
                                                   : uv_available_parallelism();
    unsigned limit = server->store_count;
    if (server->config.reactors > limit)
        log_warn(server->log, "there are fewer stores than reactors; one reactor a store is used",
                 LOG_U64("stores", limit), LOG_U64("reactors", server->config.reactors));
    return (uint16_t)(wanted > limit ? limit : wanted);
}

/* --- serving -------------------------------------------------------------------------------- */

void server_begin(struct server *server)
{
    server->self = ring_member_index(&server->epoch, &server->identity.node);
    server->member = server->epoch.members[server->self];
    server->shapes = calloc(RING_MEMBERS_MAX, sizeof(*server->shapes));
    if (server->shapes == NULL) {
        server_stop(server, EXIT_CODE_FAILED);
        return;
    }
    server_learn_shape(server, server->self, server->reactor_count, server->store_count);
    atomic_store(&server->epoch_number, server->epoch.number);
    atomic_store(&server->member_count, ring_present_count(&server->epoch));
    atomic_store(&server->waiting.stage, WAITING_STORES);
    reactor_mail_all(server->reactors[0], &(struct mail){ .kind = MAIL_OPEN });
}

static void log_ready(const struct server *server)
{
    const struct server_view *view = &server->view;
    uint64_t now_us = clock_monotonic_us(view->clock);
    log_info(server->log, "ready", LOG_TEXT("node", view->name), LOG_TEXT("http", view->http),
             LOG_TEXT("resp", view->resp), LOG_TEXT("peer", view->peer),
             LOG_U64("members", server->epoch.member_count),
             LOG_U64("reactors", view->reactor_count), LOG_U64("stores", view->store_count),
             LOG_TEXT("engine", view->engine), LOG_TEXT("sync", view->sync),
             LOG_TEXT("data_dir", view->data_dir),
             LOG_U64("start_ms", (now_us - view->started_monotonic_us) / 1000));
    if (server->key.size == 0 && server->epoch.member_count > 1)
        log_warn(server->log,
                 "the cluster has no key: whoever can reach the peer port may do what nodes do",
                 LOG_TEXT("next", "give all nodes the same [cluster] key_file"));
}

static void serve(struct server *server)
{
    if (!server->identity.stores_made) {
        kvorum_status status = identity_mark_stores_made(server->disk, &server->identity);
        if (status != KVORUM_OK) {
            data_directory_refuse(server, status, "its file `identity` cannot be written");
            server_stop(server, EXIT_CODE_FAILED);
            return;
        }
    }
    server->serving = true;
    reactor_mail_all(server->reactors[0], &(struct mail){ .kind = MAIL_SERVE });
    log_ready(server);
    server_readdress(server, &server->identity.node, server->address);
}

static bool go_on(struct server *server, uint16_t shard, kvorum_status status)
{
    if (server->stopping || status == KVORUM_OK)
        return !server->stopping;
    bool unsafe = status == KVORUM_CORRUPT || status == KVORUM_NOT_FOUND ||
                  status == KVORUM_NEWER_FORMAT || status == KVORUM_FOREIGN ||
                  status == KVORUM_LOCKED;
    log_error(server->log, "a shard could not start", LOG_U64("shard", shard), LOG_STATUS(status));
    server_stop(server, unsafe ? EXIT_CODE_UNSAFE : EXIT_CODE_FAILED);
    return false;
}

/* All stores are open, and no shard runs yet. */
static void check_stores(struct server *server)
{
    uint64_t seal = 0;
    for (uint16_t i = 0; i < server->reactor_count; i++)
        seal += stores_seal(server->reactors[i]);
    if (!identity_check_seal(&server->identity, seal))
        log_warn(server->log,
                 "the stores are not as the last clean stop left them (salvaged, or partly "
                 "restored): what is missing is mended from other replicas",
                 LOG_TEXT("data_dir", server->config.data_dir));
}

void server_shard_opened(struct server *server, uint16_t shard, kvorum_status status)
{
    if (!go_on(server, shard, status) || ++server->opened_count < server->reactor_count)
        return;
    check_stores(server);
    reactor_mail_all(server->reactors[0], &(struct mail){ .kind = MAIL_START });
}

void server_shard_started(struct server *server, uint16_t shard, kvorum_status status)
{
    if (go_on(server, shard, status) && ++server->started_count == server->reactor_count)
        serve(server);
}

/* --- stopping ------------------------------------------------------------------------------- */

void server_stop(struct server *server, int exit_code)
{
    if (server->stopping)
        return;
    server->stopping = true;
    server->exit_code = exit_code;
    atomic_store(&server->waiting.stage, WAITING_STOP);
    log_info(server->log, "stopping", LOG_U64("clients", atomic_load(&server->client_count)));
    listeners_stop(server);
    birth_stop(&server->birth);
    reactor_mail_all(server->reactors[0], &(struct mail){ .kind = MAIL_DRAIN });
}

void server_shard_drained(struct server *server)
{
    if (++server->drained_count < server->reactor_count)
        return;
    for (unsigned i = 0; i < SERVER_SIGNALS; i++)
        uv_close((uv_handle_t *)&server->signals[i], NULL);
    reactor_mail_all(server->reactors[0], &(struct mail){ .kind = MAIL_CLOSE });
}

_Noreturn void server_die_of_disk(struct server *server, const char *what)
{
    log_error(server->log,
              "a disk lost what was written: stopping at once, so that nothing more is "
              "acknowledged in vain",
              LOG_TEXT("store", what), LOG_TEXT("data_dir", server->config.data_dir),
              LOG_TEXT("next", "look at the disk, then start again: what was acknowledged is on "
                               "other replicas or in the log"));
    _exit(EXIT_CODE_INTERNAL); /* tidy: _exit, because every other way writes or answers more */
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    if (server->stopping)
        _exit(128 + number); /* tidy: _exit, because whoever asks twice wants it now */
    server_stop(server, EXIT_CODE_OK);
}

static void start_signals(struct server *server)
{
    static const int numbers[SERVER_SIGNALS] = { SIGTERM, SIGINT };
    for (unsigned i = 0; i < SERVER_SIGNALS; i++) {
        uv_signal_init(&server->reactors[0]->loop, &server->signals[i]);
        server->signals[i].data = server;
        uv_signal_start(&server->signals[i], on_signal, numbers[i]);
    }
    sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
}

/* --- start ---------------------------------------------------------------------------------- */

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool open_log(struct server *server)
{
    const struct config *config = &server->config;
    int descriptor = STDERR_FILENO;
    if (config->log_file[0] != '\0')
        descriptor = open(config->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (descriptor < 0) {
        /* tidy: fprintf, because there is no log to say it */
        fprintf(stderr, "kvorum: cannot open the log %s: %s\n", config->log_file, strerror(errno));
        return false;
    }
    log_file_init(&server->log_file, descriptor, (enum log_level)config->log_level,
                  (enum log_format)config->log_format);
    server->log = &server->log_file.log;
    return true;
}

static void *run_reactor(void *reactor)
{
    reactor_run(reactor);
    return NULL;
}

static bool create_reactors(struct server *server)
{
    server->reactor_count = count_reactors(server);
    for (uint16_t i = 0; i < server->reactor_count; i++) {
        server->reactors[i] = reactor_create(server, i);
        if (server->reactors[i] == NULL) {
            log_error(server->log, "cannot start a reactor: out of memory, threads or descriptors");
            return false;
        }
    }
    fill_view(server);
    return true;
}

static void run_reactors(struct server *server)
{
    for (uint16_t i = 1; i < server->reactor_count; i++) {
        int error =
            pthread_create(&server->reactors[i]->thread, NULL, run_reactor, server->reactors[i]);
        if (error != 0) {
            log_error(server->log, "cannot start a thread", LOG_TEXT("why", strerror(error)));
            _exit(EXIT_CODE_FAILED); /* tidy: _exit, because other reactors run already */
        }
    }
    reactor_run(server->reactors[0]);
    for (uint16_t i = 1; i < server->reactor_count; i++)
        pthread_join(server->reactors[i]->thread, NULL);
}

static int load_key(const struct server *server, const char *path, struct signature_key *ret_key)
{
    const char *why = "";
    if (path[0] == '\0')
        return EXIT_CODE_OK;
    kvorum_status status = signature_key_load(path, ret_key, &why);
    if (status == KVORUM_OK)
        return EXIT_CODE_OK;
    log_error(server->log, "the cluster key cannot be used", LOG_TEXT("key_file", path),
              LOG_STATUS(status), LOG_TEXT("why", why),
              LOG_TEXT("next", "make one and copy it to all nodes: "
                               "(umask 077; head -c 32 /dev/urandom > FILE)"));
    return EXIT_CODE_USAGE;
}

static int prepare(struct server *server)
{
    int code = load_key(server, server->config.key_file, &server->key);
    if (code == EXIT_CODE_OK)
        code = load_key(server, server->config.other_key_file, &server->other_key);
    if (code == EXIT_CODE_OK)
        code = data_directory_open(server);
    if (code != EXIT_CODE_OK)
        return code;
    if (!listeners_bind(server))
        return EXIT_CODE_UNSAFE;
    code = data_directory_identify(server);
    if (code == EXIT_CODE_OK)
        code = data_directory_load_epoch(server);
    if (code == EXIT_CODE_OK && !create_reactors(server))
        code = EXIT_CODE_FAILED;
    return code;
}

static void serve_until_stopped(struct server *server)
{
    if (server->config.pb[0] != '\0')
        log_info(server->log,
                 "nothing listens on the protocol buffers port: it is reserved until "
                 "that protocol exists",
                 LOG_TEXT("pb", server->config.pb));
    start_signals(server);
    listeners_start(server);
    birth_start(&server->birth, server);
    run_reactors(server);
    bool clean = server->exit_code == EXIT_CODE_OK && !atomic_load(&server->unclean);
    if (clean && identity_mark_clean(server->disk, &server->identity, server->last_actor,
                                     atomic_load(&server->seal)) != KVORUM_OK)
        clean = false;
    log_info(server->log, "stopped", LOG_TEXT("clean", clean ? "yes" : "no"));
}

static void done(struct server *server)
{
    listeners_stop(server);
    birth_done(&server->birth);
    for (uint16_t i = 0; i < server->reactor_count; i++)
        reactor_destroy(server->reactors[i]);
    datagrams_done(&server->datagrams);
    free((void *)server->shapes);
    address_book_done(&server->addresses);
    arena_done(&server->epoch_arena);
    if (server->lock != NULL)
        server->disk->ops->close(server->lock);
    os_disk_close(server->disk);
    if (server->log_file.descriptor != STDERR_FILENO)
        close(server->log_file.descriptor);
    log_file_done(&server->log_file);
}

int server_run(const struct config *config)
{
    struct server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return EXIT_CODE_FAILED;
    server->config = *config;
    os_clock_init(&server->clock);
    address_book_init(&server->addresses);
    listeners_init(server);
    if (!open_log(server)) {
        address_book_done(&server->addresses);
        free(server);
        return EXIT_CODE_FAILED;
    }
    raise_file_limit();
    server->exit_code = prepare(server);
    if (server->exit_code == EXIT_CODE_OK)
        serve_until_stopped(server);
    int code = server->exit_code;
    done(server);
    free(server);
    return code;
}
