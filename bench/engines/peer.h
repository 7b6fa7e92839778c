/* SPDX-License-Identifier: Apache-2.0 */
/** What the harness asks of an engine.  One adapter an engine, each a `static const` table; a
 *  process opens one of them once or a few times, never two.
 *
 *  Errors  a benchmark has nothing to recover: adapters say what failed through bench_fail, which
 *          ends the process with code 3, and the driver shows the message.
 *  Threads a session belongs to one thread at a time; many sessions of a store work side by side.
 *  Fair    every engine copies what it reads into memory of the caller, checks what it stores
 *          with its default checksums, and without `sync` a write has reached the operating
 *          system when it returns (LMDB: the mapped file) as far as the engine offers that.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdnoreturn.h>

#include "base/bytes.h"

enum { KEY_SIZE = 16, MANY = 16 /* keys of one multi-get */ };

struct settings {
    const char *path; /* a directory that is there */
    size_t value_size;
    uint64_t record_count;
    uint64_t cache_size, buffer_size; /* bytes: blocks read, records not yet in tables */
    unsigned filter_bits;             /* a key */
    bool lz4;
    bool durable; /* for engines that settle this at open: some writes will be `sync` */
};

struct peer_ops {
    const char *name;
    const char *title;
    /** One line for people: version and what was set beyond its defaults. */
    void (*describe)(const struct settings *settings, char *text, size_t size);
    void *(*open)(const struct settings *settings);
    void (*close)(void *store);
    void *(*session_open)(void *store);
    void (*session_close)(void *session);
    void (*put)(void *session, struct bytes key, struct bytes value, bool sync);
    void (*batch_begin)(void *session);
    void (*batch_put)(void *session, struct bytes key, struct bytes value);
    void (*batch_commit)(void *session, bool sync);
    /** Copy the value, at most `capacity` bytes of it, and return its size; -1: no such key. */
    long (*get)(void *session, struct bytes key, void *value, size_t capacity);
    /** `count` (at most MANY) gets into values + i * capacity.  NULL: gets in a loop. */
    void (*get_many)(void *session, const struct bytes *keys, size_t count, uint8_t *values,
                     size_t capacity, long *ret_sizes);
    /** The session's one cursor.  seek: to the first key >= `key`, NULL: to the first of all.
     *  seek and next lend key and value until the next move; false: there is none. */
    void (*cursor_open)(void *session);
    bool (*cursor_seek)(void *session, const struct bytes *key, struct bytes *ret_key,
                        struct bytes *ret_value);
    bool (*cursor_next)(void *session, struct bytes *ret_key, struct bytes *ret_value);
    void (*cursor_close)(void *session);
    /** Wait until background work has ended. */
    void (*settle)(void *store);
};

static inline double mebibytes(uint64_t size)
{
    return (double)size / (1 << 20);
}

/** NULL: not built in. */
const struct peer_ops *peer_find(const char *name);
/** The built in ones, NULL behind the last. */
extern const struct peer_ops *const peers[];

noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Zeroed memory, to be freed; there always is some. */
void *bench_new(size_t size);
/** Wait until this process has used no processor for a while: for engines that cannot be asked. */
void bench_wait_idle(void);

#endif
