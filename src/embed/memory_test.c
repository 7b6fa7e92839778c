/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of the caller's thread fails once, one run after another: the call answers
 * NO_MEMORY or does without, nothing leaks, and the store is whole afterwards.
 *
 * The allocator is replaced for this program.  Sanitizers have replaced it already: there each
 * scenario runs once, without failures. */
#include "kvorum/kvorum.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "tests/support/folder.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static _Thread_local long fail_in = -1; /* allocations until one fails; < 0: none will */
static _Thread_local bool failed;
static atomic_long live; /* blocks */

#ifndef SANITIZED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static bool fails(void)
{
    if (fail_in < 0 || fail_in-- > 0)
        return false;
    failed = true;
    errno = ENOMEM;
    return true;
}

static void *counted(void *memory)
{
    if (memory != NULL)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return memory;
}

/* These are exported, so that the C library, too, calls ours. */

KVORUM_API void *malloc(size_t size)
{
    return fails() ? NULL : counted(__libc_malloc(size));
}

KVORUM_API void *calloc(size_t nmemb, size_t size)
{
    return fails() ? NULL : counted(__libc_calloc(nmemb, size));
}

KVORUM_API void *realloc(void *ptr, size_t size)
{
    if (ptr == NULL)
        return malloc(size);
    return fails() ? NULL : __libc_realloc(ptr, size);
}

KVORUM_API void *aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : counted(__libc_memalign(alignment, size));
}

KVORUM_API void free(void *ptr)
{
    if (ptr != NULL)
        atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    __libc_free(ptr);
}
#endif

/* --- scenarios ------------------------------------------------------------------------------- */

static struct folder folder;
static const enum kvorum_durability none = KVORUM_DURABILITY_NONE;
static const kvorum_bytes no_bound = { NULL, 0 };

static kvorum_status write_batch(kvorum_store *store)
{
    char key[16];
    kvorum_status status = KVORUM_OK;
    kvorum_batch *batch = kvorum_batch_create();
    if (batch == NULL)
        return KVORUM_NO_MEMORY;
    for (int i = 0; i < 100 && status == KVORUM_OK; i++) {
        snprintf(key, sizeof(key), "batch%03d", i);
        status = kvorum_batch_put(batch, kvorum_text(key), kvorum_text(key));
    }
    if (status == KVORUM_OK)
        status = kvorum_write(store, batch, none);
    kvorum_batch_destroy(batch);
    return status;
}

static kvorum_status delete_range(kvorum_store *store)
{
    kvorum_batch *batch = kvorum_batch_create();
    if (batch == NULL)
        return KVORUM_NO_MEMORY;
    kvorum_status status = kvorum_batch_delete_range(batch, kvorum_text("x"), kvorum_text("y"));
    if (status == KVORUM_OK)
        status = kvorum_write(store, batch, none);
    kvorum_batch_destroy(batch);
    return status;
}

static kvorum_status put_one(kvorum_store *store)
{
    kvorum_status status = kvorum_put(store, kvorum_text("one"), kvorum_text("1"), none);
    if (status == KVORUM_OK)
        status = kvorum_put(store, kvorum_text("two"), kvorum_text("2"), none);
    return status == KVORUM_OK ? kvorum_delete(store, kvorum_text("two"), none) : status;
}

static kvorum_status get_many(kvorum_store *store)
{
    kvorum_bytes keys[100];
    kvorum_view views[100];
    kvorum_status statuses[100], status;
    for (int i = 0; i < 100; i++)
        keys[i] = kvorum_text("always");
    status = kvorum_get_many(store, keys, 100, NULL, views, statuses);
    for (int i = 0; i < 100 && status == KVORUM_OK; i++) {
        if (statuses[i] == KVORUM_OK)
            kvorum_view_release(&views[i]);
    }
    for (int i = 0; i < 100 && status == KVORUM_OK; i++)
        status = statuses[i];
    return status;
}

static kvorum_status iterate(kvorum_store *store)
{
    const kvorum_scan scan = { .prefix = kvorum_text("al") };
    kvorum_iterator *it;
    int count = 0;
    kvorum_status status = kvorum_iterate(store, &scan, &it);
    if (status != KVORUM_OK)
        return status;
    for (bool more = kvorum_iterator_first(it); more; more = kvorum_iterator_next(it))
        count++;
    status = kvorum_iterator_status(it);
    assert_true(status != KVORUM_OK || count == 1);
    if (status == KVORUM_OK && !kvorum_iterator_last(it))
        status = kvorum_iterator_status(it);
    kvorum_iterator_close(it);
    return status;
}

static kvorum_status snapshot(kvorum_store *store)
{
    kvorum_snapshot *taken;
    kvorum_view view;
    kvorum_status status = kvorum_snapshot_take(store, &taken);
    if (status != KVORUM_OK)
        return status;
    const kvorum_read read = { .snapshot = taken };
    status = kvorum_get_view(store, kvorum_text("always"), &read, &view);
    if (status == KVORUM_OK)
        kvorum_view_release(&view);
    kvorum_snapshot_release(store, taken);
    return status;
}

static kvorum_status merge(kvorum_store *store)
{
    kvorum_view view;
    kvorum_status status = kvorum_merge(store, kvorum_text("sum"), kvorum_text("+"), none);
    if (status == KVORUM_OK)
        status = kvorum_get_view(store, kvorum_text("sum"), NULL, &view);
    if (status == KVORUM_OK)
        kvorum_view_release(&view);
    return status;
}

static kvorum_status flush(kvorum_store *store)
{
    kvorum_status status = put_one(store);
    return status == KVORUM_OK ? kvorum_flush(store) : status;
}

static kvorum_status compact(kvorum_store *store)
{
    kvorum_status status = flush(store);
    return status == KVORUM_OK ? kvorum_compact(store, no_bound, no_bound) : status;
}

static kvorum_status checkpoint(kvorum_store *store)
{
    return kvorum_checkpoint(store, folder_path(&folder, "checkpoint"));
}

static kvorum_status verify(kvorum_store *store)
{
    return kvorum_verify(store, NULL, NULL);
}

static kvorum_status property(kvorum_store *store)
{
    char *text;
    kvorum_status status = kvorum_property(store, "levels", &text);
    if (status == KVORUM_OK)
        kvorum_free(text);
    return status;
}

static kvorum_status nothing(kvorum_store *store)
{
    (void)store;
    return KVORUM_OK;
}

/* --- running them ---------------------------------------------------------------------------- */

struct row {
    const char *name;
    kvorum_status (*act)(kvorum_store *store);
};

static const struct row rows[] = {
    { "opening and closing", nothing },
    { "single writes", put_one },
    { "a batch", write_batch },
    { "a deleted range", delete_range },
    { "many reads at once", get_many },
    { "an iterator", iterate },
    { "a snapshot", snapshot },
    { "a merge", merge },
    { "a flush", flush },
    { "a compaction", compact },
    { "a checkpoint", checkpoint },
    { "a verification", verify },
    { "a property", property },
};

static kvorum_status join(void *context, kvorum_bytes key, const kvorum_bytes *base,
                          const kvorum_bytes *operands, size_t count, kvorum_output *ret_value)
{
    (void)context;
    (void)key;
    if (base != NULL)
        kvorum_output_append(ret_value, *base);
    for (size_t i = 0; i < count; i++)
        kvorum_output_append(ret_value, operands[i]);
    return KVORUM_OK;
}

static const kvorum_options options = { .merge = { "join", join, NULL },
                                        .background_threads = 1,
                                        .log_segment_size = 64 << 10 };

/* Open, act, close, with the n-th allocation failing; whether one did. */
static bool run_failing(const struct row *row, const char *path, long n)
{
    kvorum_store *store = NULL;
    long before = atomic_load(&live);
    failed = false;
    fail_in = n;
    kvorum_status status = kvorum_open(path, &options, &store);
    if (status == KVORUM_OK)
        status = row->act(store);
    fail_in = -1;
    store = kvorum_close(store);
    assert_true(status == KVORUM_OK || (failed && status == KVORUM_NO_MEMORY));
    assert_int_equal(atomic_load(&live), before);
    return failed;
}

static void check_whole(const char *path)
{
    kvorum_store *store = NULL;
    char value[8];
    size_t size = 0;
    assert_int_equal(kvorum_open(path, &options, &store), KVORUM_OK);
    assert_int_equal(kvorum_get(store, kvorum_text("always"), value, sizeof(value), &size),
                     KVORUM_OK);
    assert_memory_equal(value, "here", size);
    kvorum_close(store);
}

static void make_store(const char *path)
{
    kvorum_store *store = NULL;
    assert_int_equal(kvorum_open(path, &options, &store), KVORUM_OK);
    assert_int_equal(
        kvorum_put(store, kvorum_text("always"), kvorum_text("here"), KVORUM_DURABILITY_SYNC),
        KVORUM_OK);
    kvorum_close(store);
}

/* Each run has a store of its own: what one adds to the log, the next would have to replay. */
static void check(const void *context)
{
    const struct row *row = context;
    bool more = true;
    long n = 0;
    for (; more; n++) {
        folder_make(&folder);
        make_store(folder_path(&folder, "store"));
        more = run_failing(row, folder_path(&folder, "store"), n);
        check_whole(folder_path(&folder, "store"));
        folder_remove(&folder);
    }
#ifndef SANITIZED
    assert_true(n > 10);
#endif
}

int main(void)
{
    return RUN_ROWS("memory", rows, check);
}
