/* SPDX-License-Identifier: Apache-2.0 */
/** A versioned object: what one key holds, as a pure value.
 *
 *      object = clock                      dotted version vector set: every dot <= clock was seen
 *             + siblings, each = dot       (actor, counter): the write that made it
 *                              + stamp     hybrid logical clock of that write
 *                              + kept flag, tombstone flag, metadata, value
 *             + last               the newest write that was not kept, where it is not there
 *
 *  Each write brings the mode of its bucket with it, so merging asks nobody for a mode, and a
 *  replica that does not know a bucket's newest mode drops nothing:
 *
 *      kept        written where concurrent values stay siblings.  It stays when both sides have
 *                  it, or when one has it and the other's clock does not cover its dot (Preguica
 *                  et al. 2012; Almeida et al. 2014).
 *      not kept    written where the last write wins.  Of all of these the one with the largest
 *                  (stamp, actor, counter) stays, until a kept write replaces it that saw it.
 *
 *  An object has any number of kept siblings and at most one other.  Merge is the product of three
 *  lattices (clock; kept dots; the newest of the others), so it is associative, commutative and
 *  idempotent for all objects.
 *
 *  Everything here is pure: no clock, no randomness, no I/O.  Views point into the decoded bytes,
 *  new arrays live in the arena.  Order of clock entries (by actor) and siblings (by dot) is
 *  canonical, so equal objects encode to equal bytes.
 */
#ifndef OBJECT_OBJECT_H
#define OBJECT_OBJECT_H

#include "base/arena.h"
#include "base/buffer.h"
#include "kvorum/status.h"

enum {
    OBJECT_CLOCK_MAX = 4096,   /* entries accepted by decoders */
    OBJECT_SIBLING_MAX = 1024, /* siblings accepted by decoders; the node's own limit is lower */
    OBJECT_METADATA_MAX = 1024,
};

struct dot {
    uint64_t actor;   /* one data directory in one of its lives; never used again after a loss */
    uint64_t counter; /* 1, 2, 3, ... per key and actor, never used twice */
};

struct clock_vector {
    struct dot *entries; /* sorted by actor, each actor once, counter >= 1 */
    uint32_t count;
};

/* The numbers are on disk and on the wire.  Decoders pass on kinds they do not know; 0 is none. */
enum metadata_kind {
    METADATA_CONTENT_TYPE = 1,
    METADATA_CHARSET = 2,
    METADATA_CONTENT_ENCODING = 3,
    METADATA_USER = 4,  /* name, value */
    METADATA_INDEX = 5, /* name ends in _bin or _int */
    METADATA_LINK = 6,  /* name = sized bucket + sized key, value = tag */
};

struct metadata {
    uint8_t kind;
    struct bytes name, value;
};

struct sibling {
    struct dot dot;
    uint64_t stamp; /* hlc.h; its milliseconds are Last-Modified */
    bool tombstone;
    bool kept; /* made where siblings are kept: only a write that saw it replaces it */
    /* Wall clock, ms; 0: never.  From then on it is a tombstone with the same dot, whether its
     * value is still there or not.  Part of the version: another deadline is another write. */
    uint64_t deadline_ms;
    uint32_t metadata_count;
    struct metadata *metadata;
    struct bytes value;
};

/** The place of a write in the order of last write wins; counter 0: no write. */
struct write_mark {
    uint64_t stamp;
    struct dot dot;
};

struct object {
    struct clock_vector clock;
    struct sibling *siblings; /* sorted by (actor, counter) */
    uint32_t sibling_count;
    /* Where no sibling is without `kept`: the newest such write, which a kept one replaced.  Older
     * ones that arrive later stay out by it. */
    struct write_mark last;
};

/** How a bucket treats concurrent values. */
struct object_mode {
    bool siblings;  /* keep them; false: the last write wins */
    uint64_t since; /* stamp of that decision; 0: it was never another */
};

/** What a client saw: the clock of the object it read, the largest stamp in it, and the newest of
 *  its writes that are not kept. */
struct object_context {
    struct clock_vector clock;
    uint64_t stamp;
    struct write_mark last;
};

/** Read `bytes`; views point into them.  CORRUPT, NEWER_FORMAT, NO_MEMORY. */
KVORUM_CHECKED kvorum_status object_decode(struct bytes bytes, struct arena *arena,
                                           struct object *ret_object);
/** Append the canonical encoding; check buffer->failed. */
void object_encode(const struct object *object, struct buffer *buffer);
/** The same, made where it stays.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status object_encode_in(const struct object *object, struct arena *arena,
                                              struct bytes *ret_encoding);
/** Size of the canonical encoding in bytes, without making it. */
size_t object_encoded_size(const struct object *object);
/** Digest of an encoding: equal objects, equal digests.  Never 0, which stands for "no object".
 *  What has a deadline counts by its dot, stamp and deadline alone: replicas that have and have not
 *  yet dropped an expired value agree. */
uint64_t object_digest(struct bytes encoding);
/** The first deadline of a value that is still there; 0: none.  Costs nothing where there is none.
 *  0 also for bytes that are no object. */
uint64_t object_first_deadline(struct bytes encoding);

/** Least upper bound of `a` and `b`.  The result may share arrays with both, and *ret_object may be
 *  one of them.  NO_MEMORY; TOO_LARGE and TOO_MANY_SIBLINGS beyond what decoders accept. */
KVORUM_CHECKED kvorum_status object_merge(const struct object *a, const struct object *b,
                                          struct arena *arena, struct object *ret_object);
/** True when merging `b` into `a` would change nothing. */
bool object_contains(const struct object *a, const struct object *b);

/** One write by `actor` on top of `local` (NULL: key unknown here): siblings that `context` (NULL:
 *  a blind write) saw go, the others stay; `fresh` gets a new dot above all of this actor in local
 *  and context, and a stamp of at least fresh->stamp, above local's, the context's, and
 *  mode.since.  Its `kept` becomes mode.siblings.
 *
 *  Where the last write wins the write also replaces what is local and not kept, and what was kept
 *  before mode.since: whoever decided then that the last write wins gave those up.  What was kept
 *  later stays, because its coordinator knew of a newer decision than ours.
 *
 *  An actor must never use a dot twice for one key, and its clock says "I saw all of mine below".
 *  So `local` is all that this actor ever wrote there: an earlier put has to be in it before the
 *  next, a key whose tombstone was reaped is passed as a clock without siblings, and who lost or
 *  gave away data he wrote (a disk, a partition) comes back as a new actor.
 *
 *  NO_MEMORY; TOO_MANY_SIBLINGS and TOO_LARGE (clock, metadata) beyond what decoders accept;
 *  INVALID when counter or stamp would overflow, which only a forged context can bring about: hold
 *  a context's stamp against hlc_see before. */
KVORUM_CHECKED kvorum_status object_put(const struct object *local,
                                        const struct object_context *context,
                                        const struct sibling *fresh, uint64_t actor,
                                        struct object_mode mode, struct arena *arena,
                                        struct object *ret_object);

/** What a reader of a bucket in `mode` is shown: all siblings; or, where the last write wins, one
 *  for all that object_put would replace there, and those it would leave.  The clock stays, so the
 *  context of what is shown covers what is not.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status object_show(const struct object *object, struct object_mode mode,
                                         struct arena *arena, struct object *ret_object);

/** `object` as it is at `now_ms`: values whose deadline has come are tombstones.  Shares all that
 *  it can; *ret_object may be `object`.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status object_expire(const struct object *object, uint64_t now_ms,
                                           struct arena *arena, struct object *ret_object);

/** No sibling that is not a tombstone (true for an empty object). */
bool object_is_deleted(const struct object *object);
/** The sibling with the largest (stamp, actor, counter); NULL for an empty object. */
const struct sibling *object_winner(const struct object *object);
uint64_t object_max_stamp(const struct object *object);
/** The newest write that is not kept, there or replaced. */
struct write_mark object_last_mark(const struct object *object);
/** What a client that is shown `object` saw; shares its clock. */
struct object_context object_context_of(const struct object *object);
/** First metadata of `kind`, or NULL. */
const struct metadata *sibling_metadata(const struct sibling *sibling, enum metadata_kind kind);

/** Opaque bytes for clients (base64 of them is X-Riak-Vclock).  CORRUPT on foreign bytes. */
void context_encode(const struct object *object, struct buffer *buffer);
KVORUM_CHECKED kvorum_status context_decode(struct bytes bytes, struct arena *arena,
                                            struct object_context *ret_context);

/** Base62 text that names one version, for ETags: of a dot, of a whole clock.  At most 22 chars. */
enum { VTAG_SIZE = 23 };
void vtag_of_dot(struct dot dot, char ret_text[VTAG_SIZE]);
void vtag_of_clock(const struct clock_vector *clock, char ret_text[VTAG_SIZE]);

uint64_t clock_vector_counter(const struct clock_vector *clock, uint64_t actor); /* 0: absent */
/** a >= b pointwise. */
bool clock_vector_covers(const struct clock_vector *a, const struct clock_vector *b);

#endif
