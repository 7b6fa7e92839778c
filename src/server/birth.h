/* SPDX-License-Identifier: Apache-2.0 */
/** How this node comes into a cluster: it finds its epoch on disk, founds a cluster, or joins the
 *  founder.  The shell around cluster/membership/founding.h.  Thread: reactor 0. */
#ifndef SERVER_BIRTH_H
#define SERVER_BIRTH_H

#include "cluster/membership/founding.h"
#include "server/frame_stream.h"
#include "server/greeting.h"

enum { JOIN_INTERVAL_MS = 500 };

struct server;

struct birth {
    struct server *server;
    struct founding founding; /* on the founder */
    struct member *members;
    struct buffer record; /* the epoch as told to joiners; empty before it is persisted */
    /* of one who joins a cluster that exists */
    bool adding;
    struct member added;      /* whom we asked the voters for last; no id: nobody */
    kvorum_status add_status; /* what came of it; OK: nothing yet */
    char add_reason[256];

    /* on a joiner */
    struct frame_stream stream;
    struct frame_stream_options options;
    uv_timer_t timer;
    bool streaming, timing, stopped;
    struct greeting greeting;
    bool introduced;        /* the other side may hear what we say */
    struct node_id cluster; /* that we were told this is; zeros: none */
    kvorum_status told;     /* last refusal that was logged */
};

/** Answer to one JOIN. */
struct birth_answer {
    kvorum_status status; /* OK: `epoch` is the record; NOT_READY: wait */
    const char *reason;
    uint16_t present, wanted;
    struct bytes epoch;
};

/** Begin; server_begin() is called when the epoch is there (perhaps from inside). */
void birth_start(struct birth *birth, struct server *server);
/** `cluster`: which one it believes this is; zeros: it was not told yet. */
void birth_on_join(struct server *server, const struct member *member,
                   const struct node_id *cluster, struct birth_answer *ret_answer);
/** End what is under way; before the loop ends. */
void birth_stop(struct birth *birth);
void birth_done(struct birth *birth);

#endif
