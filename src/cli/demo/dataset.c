/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/map.h"
#include "cli/load/records.h"
#include "cli/message.h"

enum { INSTALLED_MAX = 500 };
static const char dpkg_status[] = "/var/lib/dpkg/status";

static void path_in(const struct demo_cluster *cluster, const char *name,
                    char ret_path[DEMO_PATH_MAX])
{
    snprintf(ret_path, DEMO_PATH_MAX, "%s/%s", cluster->dir, name);
}

/* --- copying records with unique keys --------------------------------------------------------- */

struct copying {
    struct record_reader reader;
    struct map keys;
    FILE *file;
    uint64_t records, limit;
};

/* True when the key is new.  A collision of 64-bit hashes would leave a record out: with a million
 * keys once in 30 million runs. */
static bool is_new(struct copying *copying, struct bytes key, bool *ret_failed)
{
    uint64_t hash = hash64(key, 0);
    if (map_find(&copying->keys, hash) != NULL)
        return false;
    struct map_item *item = malloc(sizeof(*item));
    *ret_failed = item == NULL || !map_insert(&copying->keys, item, hash);
    if (*ret_failed)
        free(item);
    return !*ret_failed;
}

static bool copy_one(struct copying *copying, struct bytes key, struct bytes record)
{
    bool failed = false;
    if (!is_new(copying, key, &failed))
        return !failed;
    copying->records++;
    return fwrite(record.data, 1, record.size, copying->file) == record.size &&
           (record.data[record.size - 1] == '\n' || fputc('\n', copying->file) != EOF) &&
           fputc('\n', copying->file) != EOF;
}

/* False with *ret_reason when the source cannot be read or the copy not be written. */
static bool copy_all(struct copying *copying, const char **ret_reason)
{
    struct buffer key;
    struct bytes record;
    enum record_outcome outcome = RECORD_FOUND;
    bool good = true;
    buffer_init(&key, 1 << 20);
    while (good && outcome != RECORD_END && copying->records < copying->limit) {
        buffer_reset(&key);
        outcome = record_reader_next(&copying->reader, &key, &record, ret_reason);
        if (outcome == RECORD_FOUND)
            good = copy_one(copying, buffer_bytes(&key), record);
        if (!good)
            *ret_reason = errno_text(errno);
        good = good && outcome != RECORD_FAILED;
    }
    buffer_done(&key);
    return good;
}

static void free_keys(struct map *keys)
{
    for (struct map_item *item = map_any(keys); item != NULL; item = map_any(keys)) {
        map_remove(keys, item->key);
        free(item);
    }
    map_done(keys);
}

/* Copy the records of `from` to `to`, the first of each key.  Returns an exit code. */
static int copy_records(const char *from, const char *to, uint64_t limit, uint64_t *ret_records)
{
    char temporary[DEMO_PATH_MAX + 8];
    struct copying copying = { .limit = limit };
    const char *reason = NULL;
    snprintf(temporary, sizeof(temporary), "%s.new", to);
    int descriptor = open(from, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return fail(EXIT_USAGE, "cannot open %s: %s", from, errno_text(errno));
    copying.file = fopen(temporary, "we");
    bool good = copying.file != NULL;
    if (good) {
        map_init(&copying.keys);
        record_reader_init(&copying.reader, &record_format_deb822, record_format_deb822.key_field,
                           descriptor);
        good = copy_all(&copying, &reason);
        record_reader_done(&copying.reader);
        free_keys(&copying.keys);
        if (fclose(copying.file) != 0)
            good = false;
    }
    close(descriptor);
    if (!good || rename(temporary, to) != 0)
        return fail(EXIT_INTERNAL, "cannot copy the records of %s to %s: %s", from, to,
                    reason != NULL ? reason : errno_text(errno));
    *ret_records = copying.records;
    return EXIT_DONE;
}

static uint64_t file_size(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode) ? (uint64_t)about.st_size : 0;
}

/* --- the package index ------------------------------------------------------------------------ */

/* Run apt-cache dumpavail into `path`.  False when there is no apt-cache, or it fails. */
static bool dump_available(const char *path)
{
    static char program[] = "apt-cache", command[] = "dumpavail";
    char *arguments[] = { program, command, NULL };
    posix_spawn_file_actions_t files;
    pid_t pid;
    int outcome = -1;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    int problem = posix_spawnp(&pid, program, &files, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    if (problem != 0)
        return false;
    while (waitpid(pid, &outcome, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(outcome) && WEXITSTATUS(outcome) == 0 && file_size(path) > 0;
}

static int make_packages(const struct demo_cluster *cluster, const char *source,
                         struct dataset *dataset)
{
    char dump[DEMO_PATH_MAX];
    path_in(cluster, "dumpavail.new", dump);
    const char *from = source;
    if (source != NULL) {
        snprintf(dataset->origin, sizeof(dataset->origin), "%s", source);
    } else if (dump_available(dump)) {
        from = dump;
        snprintf(dataset->origin, sizeof(dataset->origin), "apt-cache dumpavail");
    } else if (file_size(dpkg_status) > 0) {
        from = dpkg_status;
        snprintf(dataset->origin, sizeof(dataset->origin),
                 "%s, for apt has no package lists (apt-get update fetches them)", dpkg_status);
    } else {
        return fail(EXIT_USAGE,
                    "there are no package records on this machine: apt-cache dumpavail "
                    "gives none, and there is no %s\n  Next: name a file of Debian "
                    "control records with --source FILE",
                    dpkg_status);
    }
    int code = copy_records(from, dataset->path, UINT64_MAX, &dataset->records);
    unlink(dump);
    if (code == EXIT_DONE && dataset->records == 0)
        code = fail(EXIT_USAGE, "there is no record with a field %s in %s",
                    record_format_deb822.key_field, dataset->origin);
    return code;
}

static json_t *read_marks(const struct demo_cluster *cluster)
{
    char path[DEMO_PATH_MAX];
    json_error_t error;
    path_in(cluster, "loaded.json", path);
    return json_load_file(path, 0, &error);
}

int dataset_packages(const struct demo_cluster *cluster, const char *source, bool fresh,
                     struct dataset *ret_dataset)
{
    struct dataset *dataset = ret_dataset;
    *dataset = (struct dataset){ 0 };
    path_in(cluster, "packages.deb822", dataset->path);
    json_t *marks = read_marks(cluster);
    json_int_t records = json_integer_value(json_object_get(marks, "records"));
    const char *origin = json_string_value(json_object_get(marks, "origin"));
    bool usable = records > 0 && origin != NULL && file_size(dataset->path) > 0;
    int code = EXIT_DONE;
    if (usable && !fresh && source == NULL) {
        dataset->records = (uint64_t)records;
        snprintf(dataset->origin, sizeof(dataset->origin), "%s", origin);
    } else {
        code = make_packages(cluster, source, dataset);
    }
    json_decref(marks);
    dataset->size = file_size(dataset->path);
    return code;
}

int dataset_installed(const struct demo_cluster *cluster, const struct dataset *packages,
                      struct dataset *ret_dataset)
{
    struct dataset *dataset = ret_dataset;
    *dataset = (struct dataset){ 0 };
    bool listed = file_size(dpkg_status) > 0;
    path_in(cluster, "installed.deb822", dataset->path);
    snprintf(dataset->origin, sizeof(dataset->origin), "%s",
             listed ? dpkg_status : packages->origin);
    int code = copy_records(listed ? dpkg_status : packages->path, dataset->path,
                            listed ? UINT64_MAX : INSTALLED_MAX, &dataset->records);
    dataset->size = file_size(dataset->path);
    return code;
}

static bool needs_no_quoting(struct bytes key)
{
    for (size_t i = 0; i < key.size; i++) {
        uint8_t c = key.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
    }
    return key.size > 0 && key.size < DATASET_KEY_MAX;
}

void dataset_sample_key(const struct dataset *dataset, char ret_key[DATASET_KEY_MAX])
{
    struct record_reader reader;
    struct buffer key;
    struct bytes record;
    const char *reason;
    bool chosen = false, bash = false;
    snprintf(ret_key, DATASET_KEY_MAX, "bash");
    int descriptor = open(dataset->path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return;
    record_reader_init(&reader, &record_format_deb822, record_format_deb822.key_field, descriptor);
    buffer_init(&key, 1 << 20);
    while (!bash && record_reader_next(&reader, &key, &record, &reason) == RECORD_FOUND) {
        bash = bytes_equal(buffer_bytes(&key), BYTES_LITERAL("bash"));
        if (bash || (!chosen && needs_no_quoting(buffer_bytes(&key)))) {
            snprintf(ret_key, DATASET_KEY_MAX, "%.*s", (int)key.size, (const char *)key.data);
            chosen = true;
        }
        buffer_reset(&key);
    }
    record_reader_done(&reader);
    buffer_done(&key);
    close(descriptor);
}

/* --- what was loaded ----------------------------------------------------------------------- */

bool dataset_is_loaded(const struct demo_cluster *cluster, const struct dataset *dataset)
{
    json_t *marks = read_marks(cluster);
    bool loaded =
        json_is_true(json_object_get(marks, "loaded")) &&
        (uint64_t)json_integer_value(json_object_get(marks, "size")) == dataset->size &&
        (uint64_t)json_integer_value(json_object_get(marks, "records")) == dataset->records;
    json_decref(marks);
    return loaded;
}

bool dataset_mark_loaded(const struct demo_cluster *cluster, const struct dataset *dataset,
                         bool loaded)
{
    char path[DEMO_PATH_MAX];
    path_in(cluster, "loaded.json", path);
    json_t *marks =
        json_pack("{s:b, s:I, s:I, s:o}", "loaded", loaded, "records", (json_int_t)dataset->records,
                  "size", (json_int_t)dataset->size, "origin", json_string(dataset->origin));
    bool written = marks != NULL && json_dump_file(marks, path, JSON_INDENT(2)) == 0;
    json_decref(marks);
    if (!written)
        say_error("cannot write %s: %s", path, errno_text(errno));
    return written;
}
