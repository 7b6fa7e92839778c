/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of server/ share.
 *
 *      main_server.c   flags, help, exit codes        config*.c   options
 *      server.c        the process: start-up and stop, in order
 *      data_directory.c, server_epoch.c               what it says about this node; another epoch
 *      birth.c         founding a cluster, or joining one; auto_join.c
 *      listeners.c     sockets that accept
 *      reactor.c       a thread and its loop          mailbox.c   between reactors
 *      connection*.c   a client                       waiting.c   answers before we serve
 *      peers.c         net of a reactor: peer_link.c (out), peer_guest.c (in), frame_stream.c;
 *                      address_book.c: who is elsewhere than the epoch says
 *      datagrams.c     gossip by UDP, signature.c
 *      stores*.c       a reactor's engines            snapshot.c, view.c   looking in
 *      shapes.c        what is known of other members' processes
 */
#ifndef SERVER_INTERNAL_H
#define SERVER_INTERNAL_H

#include <stdatomic.h>

#include "cluster/ring/ring.h"
#include "codec/peer.pb-c.h"
#include "node/members/identity.h"
#include "os/clock.h"
#include "os/log_file.h"
#include "server/address_book.h"
#include "server/auto_join.h"
#include "server/birth.h"
#include "server/config.h"
#include "server/datagrams.h"
#include "server/listeners.h"
#include "server/reactor.h"
#include "server/view.h"

enum server_exit {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILED = 1,
    EXIT_CODE_USAGE = 2,
    EXIT_CODE_UNSAFE = 8, /* the data directory is not ours to use, or a port is taken */
    EXIT_CODE_INTERNAL = 70,
};

enum { SERVER_SIGNALS = 2 };

/** What kind of process a member is; zeros while it was never met. */
struct server_shape {
    uint16_t shard_count, store_count;
};

/** Written before the reactors start, except where it says otherwise. */
struct server {
    struct config config;
    struct log_file log_file;
    const struct log *log;
    struct os_clock clock;
    struct disk *disk;
    struct disk_file *lock;
    struct signature_key key;       /* of the cluster */
    struct signature_key other_key; /* that links may be made with too, while it is changed */
    struct identity identity;       /* reactor 0 alone, once the reactors run */
    _Atomic uint64_t seal;          /* of the stores that were closed so far; 0: of none */
    uint64_t last_actor;            /* what reactor 0's node wrote under at its end */
    struct server_view view;
    uint16_t reactor_count, store_count;
    struct reactor *reactors[REACTORS_MAX];

    /* Written by reactor 0 before it mails OPEN; others read them after that. */
    struct member member; /* ourselves */
    struct arena epoch_arena;
    struct epoch epoch; /* that this life began with; reactor_epoch() is the one in force */
    uint16_t self;      /* index in every epoch; RING_NO_MEMBER before */
    char address[RING_ADDRESS_MAX + 1]; /* where our peers reach us */
    bool founded;
    _Atomic uint32_t *shapes;      /* by member, RING_MEMBERS_MAX: shards << 16 | stores */
    struct address_book addresses; /* any thread */

    /* Reactor 0 alone. */
    struct listeners listeners;
    struct datagrams datagrams;
    struct birth birth;
    struct server_auto_join auto_join;
    uv_signal_t signals[SERVER_SIGNALS];
    uint16_t opened_count, started_count, drained_count;
    bool serving, stopping;
    int exit_code;

    /* Any reactor. */
    atomic_uint client_count;
    atomic_uint_fast64_t clients_refused, clients_slow;
    atomic_bool unclean; /* a store could not be synced: no clean mark */
    atomic_bool disk_full;
    atomic_uint_fast64_t epoch_number, member_count; /* of reactor 0's epoch, for statistics */
    struct server_waiting {
        atomic_int stage; /* enum waiting_stage */
        atomic_uint present, wanted;
    } waiting;
};

enum waiting_stage { WAITING_FOUNDERS, WAITING_JOIN, WAITING_STORES, WAITING_STOP };

/** "waiting for founders: 3 of 5 are here". */
void server_waiting_text(const struct server *server, char *ret_text, size_t size);
/** Answers of a node that does not serve yet (waiting.c). */
extern const struct protocol_ops protocol_waiting_resp, protocol_waiting_http;

/** The epoch is in force: create what hangs on it and start all shards.  Reactor 0. */
void server_begin(struct server *server);
/** The epoch is another one; on every reactor, from inside of its node. */
void server_epoch_changed(struct reactor *reactor);
/** `id` says that its peers reach it at `address`: if the cluster knows another, have it changed.
 *  Reactor 0. */
void server_readdress(struct server *server, const struct node_id *id, const char *address);
/** A shard has its stores, takes operations, or failed to.  Reactor 0. */
void server_shard_opened(struct server *server, uint16_t shard, kvorum_status status);
void server_shard_started(struct server *server, uint16_t shard, kvorum_status status);
void server_shard_drained(struct server *server);
/** Stop in order, with this code in the end.  Reactor 0. */
void server_stop(struct server *server, int exit_code);
/** A disk lost what we wrote: nothing more may be acknowledged.  Does not return. */
_Noreturn void server_die_of_disk(struct server *server, const char *what);

struct server_shape server_shape(const struct server *server, uint16_t member);
void server_learn_shape(struct server *server, uint16_t member, uint32_t shard_count,
                        uint32_t store_count);
/** "127.0.0.1:40000" of the other side of a socket. */
void server_describe_remote(int descriptor, char *ret_text, size_t size);

/* --- peers ---------------------------------------------------------------------------------- */

/** Decode into the peers' arena, until the next message.  NULL: malformed. */
void *peer_unpack(struct peers *peers, const ProtobufCMessageDescriptor *descriptor,
                  struct bytes body);
/** A HELLO that speaks for `reactor`. */
void peer_hello(struct reactor *reactor, Peer__Hello *ret);
void peer_send(struct frame_stream *stream, enum message_kind kind, uint64_t epoch,
               const ProtobufCMessage *body, struct bytes tail);

/* --- stores --------------------------------------------------------------------------------- */

/** Open the stores of `reactor` in jobs, then mail OPENED. */
void stores_open(struct reactor *reactor);
/** Create the shard of the node over them. */
KVORUM_CHECKED kvorum_status stores_create_node(struct reactor *reactor);
/** Ask the stores how they are, if the node met disk errors. */
void stores_check(struct reactor *reactor);
/** End the node, sync and close the stores. */
void stores_close(struct reactor *reactor);
/** Of those that are open: identity_seal_store, added up. */
uint64_t stores_seal(const struct reactor *reactor);

#endif
