/* SPDX-License-Identifier: Apache-2.0 */
/** What bench/cross-check puts into the harness it is given.  Keys and values are pointers to bytes
 *  whose sizes are settled at open; a failure ends the process with code 3.  One store a process.
 *  Calls that take a thread's `context` may run side by side, each thread with its own. */
#ifndef BENCH_ADAPTER_KVORUM_H
#define BENCH_ADAPTER_KVORUM_H

#include <stddef.h>
#include <stdint.h>

struct adapter_settings {
    size_t key_size, value_size;
    uint64_t cache_size, memtable_size; /* bytes */
    unsigned filter_bits;
    int lz4;
};

void adapter_open(const char *path, const struct adapter_settings *settings);
void adapter_close(void);
void *adapter_thread_create(void);
void adapter_thread_destroy(void *context);
int adapter_put(void *context, const char *key, const char *value, int sync);
void adapter_batch_begin(void *context);
int adapter_batch_put(void *context, const char *key, const char *value);
int adapter_batch_commit(void *context, int sync);
/** Size of the value now in `buffer`; -1: no such key. */
int adapter_get(void *context, const char *key, char *buffer);
int adapter_delete(void *context, const char *key);
/** How many of at most 64 keys were found. */
int adapter_get_many(void *context, int count, char (*keys)[16], char *buffer);
void *adapter_iterator_open(void *context);
/** To the first key >= `key`, NULL: to the first of all.  0: there is none. */
int adapter_iterator_seek(void *iterator, const char *key, const char **ret_key,
                          const char **ret_value);
int adapter_iterator_next(void *iterator, const char **ret_key, const char **ret_value);
void adapter_iterator_close(void *iterator);
void adapter_settle(void);

#endif
