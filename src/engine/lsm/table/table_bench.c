/* SPDX-License-Identifier: Apache-2.0 */
/* What writing, point reads and scans of tables cost.  Not a test: prints figures.
 *
 *      table_bench [MILLIONS OF KEYS] [TABLES] [RESTART INTERVAL] [BLOCK SIZE] [COMPRESSION]
 *                  [CACHE MiB]
 *
 * Times are the processor's, since others may be at work on the machine; "one read of memory" says
 * what a cache miss costs beside them. */
#include "engine/lsm/table/table.h"

#include "base/random.h"
#include "os/disk.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { TABLES_MAX = 64, VALUE_SIZE = 100, KEY_SIZE = 16, MANY = 16 };

struct bench {
    struct disk *disk;
    struct epoch epoch;
    struct lsm_cache *cache;
    struct lsm_table *tables[TABLES_MAX];
    size_t table_count;
    uint64_t keys;
    struct lsm_table_options options;
    struct random random;
};

static const struct lsm_id store = { 1, 2 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void check(kvorum_status status, const char *what)
{
    if (status == KVORUM_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, kvorum_status_text(status));
    exit(1);
}

static void key_of(uint64_t number, char *ret_key)
{
    for (int i = KEY_SIZE - 1; i >= 0; i--, number /= 10)
        ret_key[i] = (char)('0' + number % 10);
}

static void report(const char *what, uint64_t count, double seconds)
{
    printf("%-24s %8.1f ns each, %7.2f M a second\n", what, seconds * 1e9 / (double)count,
           (double)count / seconds / 1e6);
}

/* Even numbers are there. */
static void write_table(struct bench *b, size_t number, uint64_t begin, uint64_t end)
{
    static uint8_t values[1 << 20];
    char path[32], key[KEY_SIZE];
    struct lsm_id file = { 3, number };
    struct lsm_table_writer *writer;
    struct lsm_table_meta meta;
    for (size_t i = 0; i < sizeof(values); i++)
        values[i] = (uint8_t)(random_next(&b->random) & (i % 2 == 0 ? 255 : 3));
    snprintf(path, sizeof(path), "bench-%zu.tbl", number);
    (void)!b->disk->ops->remove(b->disk, path);
    double start = now();
    check(lsm_table_writer_create(b->disk, path, &store, &file, number, &b->options, &writer),
          "create");
    for (uint64_t i = begin; i < end; i++) {
        key_of(i * 2, key);
        struct lsm_entry entry = {
            bytes_make(key, KEY_SIZE),
            bytes_make(values + i * 97 % (sizeof(values) - VALUE_SIZE), VALUE_SIZE), 0, LSM_PUT
        };
        check(lsm_table_writer_add(writer, &entry), "add");
    }
    double added = now();
    check(lsm_table_writer_finish(writer, &meta), "finish");
    if (number == 0) {
        report("write", end - begin, added - start);
        printf("%-24s %8.1f ms\n", "finish and sync", (now() - added) * 1e3);
        printf("%-24s %8.1f bytes an entry\n", "file", (double)meta.size / (double)(end - begin));
    }
    check(lsm_table_create(b->disk, path, &store, &meta, b->cache, &b->tables[number]), "table");
}

static void search_for(struct lsm_search *search, char *key, uint64_t number)
{
    key_of(number, key);
    *search = (struct lsm_search){ .key = bytes_make(key, KEY_SIZE), .sequence = 1 };
    search->hash = lsm_key_hash(search->key);
}

/* Returns the table that has it. */
static uint64_t random_key(struct bench *b, bool there, struct lsm_search *search, char *key)
{
    uint64_t number = random_below(&b->random, b->keys);
    search_for(search, key, number * 2 + !there);
    return number * b->table_count / b->keys;
}

static void bench_get(struct bench *b, const char *what, bool there, uint64_t count)
{
    char key[KEY_SIZE];
    struct lsm_search search;
    uint64_t found = 0;
    double start = now();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t table = random_key(b, there, &search, key);
        epoch_guard guard = epoch_enter(&b->epoch);
        found += lsm_table_get(b->tables[table], &search) == KVORUM_OK;
        epoch_leave(guard);
    }
    report(what, count, now() - start);
    if (found != (there ? count : 0))
        printf("found %llu of %llu\n", (unsigned long long)found, (unsigned long long)count);
}

static void bench_make_keys(struct bench *b, uint64_t count)
{
    char key[KEY_SIZE];
    struct lsm_search search;
    uint64_t sum = 0;
    double start = now();
    for (uint64_t i = 0; i < count; i++)
        sum += random_key(b, true, &search, key) + search.hash;
    report(sum == 1 ? "" : "(making keys, inside)", count, now() - start);
}

static void bench_get_many(struct bench *b, uint64_t count)
{
    char keys[MANY][KEY_SIZE];
    struct lsm_search searches[MANY], *pointers[MANY];
    kvorum_status statuses[MANY];
    uint64_t found = 0;
    double start = now();
    for (uint64_t i = 0; i < count; i += MANY) {
        uint64_t first = random_below(&b->random, b->table_count);
        uint64_t begin = b->keys * first / b->table_count;
        for (int j = 0; j < MANY; j++) {
            pointers[j] = &searches[j];
            search_for(&searches[j], keys[j],
                       2 * (begin + random_below(&b->random, b->keys / b->table_count)));
        }
        epoch_guard guard = epoch_enter(&b->epoch);
        lsm_table_get_many(b->tables[first], pointers, MANY, statuses);
        epoch_leave(guard);
        for (int j = 0; j < MANY; j++)
            found += statuses[j] == KVORUM_OK;
    }
    report("get_many of 16", count, now() - start);
    if (found != count)
        printf("found %llu of %llu\n", (unsigned long long)found, (unsigned long long)count);
}

static void bench_scan(struct bench *b, const char *what, struct lsm_table_scan scan, bool backward)
{
    struct lsm_source *source;
    uint64_t count = 0, sum = 0;
    double start = now();
    for (size_t i = 0; i < b->table_count; i++) {
        epoch_guard guard = epoch_enter(&b->epoch);
        check(lsm_table_source(b->tables[i], &scan, &source), "source");
        if (backward)
            source->ops->last(source);
        else
            source->ops->first(source);
        epoch_leave(guard);
        while (source->valid) {
            guard = epoch_enter(&b->epoch);
            for (int j = 0; j < 64 && source->valid; j++, count++) {
                sum += source->entry.key.size + source->entry.value.data[0];
                if (backward)
                    source->ops->previous(source);
                else
                    source->ops->next(source);
            }
            epoch_leave(guard);
        }
        check(source->status, "scan");
        source->ops->close(source);
    }
    report(sum == 0 ? "" : what, count, now() - start);
}

static void bench_seek(struct bench *b, uint64_t count)
{
    char key[KEY_SIZE];
    struct lsm_search search;
    struct lsm_source *source;
    const struct lsm_table_scan scan = { 0 };
    double start = now();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t table = random_key(b, true, &search, key);
        epoch_guard guard = epoch_enter(&b->epoch);
        check(lsm_table_source(b->tables[table], &scan, &source), "source");
        source->ops->seek(source, search.key, LSM_SEQUENCE_MAX);
        for (int j = 0; j < 10 && source->valid; j++)
            source->ops->next(source);
        source->ops->close(source);
        epoch_leave(guard);
    }
    report("seek + 10 next", count, now() - start);
}

/* What the machine gives at this moment: reads of memory where each waits for the one before. */
static void bench_memory(uint64_t count)
{
    size_t size = (size_t)512 << 20;
    uint64_t *memory = aligned_alloc(2 << 20, size), at = 1;
    if (memory == NULL || madvise(memory, size, MADV_HUGEPAGE) != 0)
        exit(1);
    for (size_t i = 0; i < size / sizeof(*memory); i++)
        memory[i] = i * 0x9e3779b97f4a7c15;
    double start = now();
    for (uint64_t i = 0; i < count; i++)
        at = memory[(at ^ i * 0xbf58476d1ce4e5b9) >> 38];
    report(at == 0 ? "" : "(one read of memory)", count, now() - start);
    free(memory);
}

static uint64_t argument(int count, char **arguments, int index, uint64_t otherwise)
{
    return count > index ? strtoull(arguments[index], NULL, 10) : otherwise;
}

/* What is not cached yet. */
static void warm_up(struct bench *b)
{
    char key[KEY_SIZE];
    struct lsm_search search;
    for (uint64_t i = 0; i < b->keys; i += 8) {
        search_for(&search, key, i * 2);
        epoch_guard guard = epoch_enter(&b->epoch);
        check(lsm_table_get(b->tables[i * b->table_count / b->keys], &search), "get");
        epoch_leave(guard);
    }
}

static void run(struct bench *b)
{
    uint64_t reads = 1000 * 1000;
    for (size_t i = 0; i < b->table_count; i++)
        write_table(b, i, b->keys * i / b->table_count, b->keys * (i + 1) / b->table_count);
    bench_memory(reads);
    bench_get(b, "get, nothing cached", true, reads / 4);
    bench_scan(b, "scan, past the cache", (struct lsm_table_scan){ .sequential = true }, false);
    bench_scan(b, "scan", (struct lsm_table_scan){ 0 }, false);
    warm_up(b);
    bench_get(b, "get", true, reads);
    bench_get(b, "get", true, reads);
    bench_memory(reads);
    bench_get(b, "get, refused", false, reads);
    bench_make_keys(b, reads);
    bench_get_many(b, reads);
    bench_scan(b, "scan, cached", (struct lsm_table_scan){ 0 }, false);
    bench_scan(b, "scan backward, cached", (struct lsm_table_scan){ 0 }, true);
    bench_seek(b, reads / 4);
}

int main(int count, char **arguments)
{
    struct bench *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return 1;
    b->keys = argument(count, arguments, 1, 1) * 1000 * 1000;
    b->table_count = argument(count, arguments, 2, 4);
    b->options.restart_interval = (unsigned)argument(count, arguments, 3, 16);
    b->options.block_size = argument(count, arguments, 4, 4096);
    b->options.compression = (enum lsm_compression)argument(count, arguments, 5, 0);
    b->options.filter_bits = 10;
    random_init(&b->random, 1);
    epoch_init(&b->epoch);
    check(os_disk_open("/tmp/kvorum-table-bench", true, &b->disk), "disk");
    check(lsm_cache_create(&b->epoch, argument(count, arguments, 6, 2048) << 20, 0, 0, &b->cache),
          "cache");
    run(b);
    for (size_t i = 0; i < b->table_count; i++) {
        atomic_store(&b->tables[i]->obsolete, true);
        lsm_table_release(b->tables[i]);
    }
    lsm_cache_destroy(b->cache);
    epoch_done(&b->epoch);
    os_disk_close(b->disk);
    free(b);
    return 0;
}
