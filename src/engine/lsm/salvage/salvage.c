/* SPDX-License-Identifier: Apache-2.0 */
/* What there is, and which store it belongs to.  FORMAT and MANIFEST are read when they are intact;
 * without FORMAT the id comes from the manifest, without both from a segment of the log. */
#include "engine/lsm/levels/install.h"
#include "engine/lsm/salvage/salvage_inside.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH_SIZE = 256 * 1024 };

/* --- for all ------------------------------------------------------------------------------- */

void salvage_damage_in(struct salvage *s, const char *file, uint64_t offset, uint64_t lost_size,
                       kvorum_status status, const char *what)
{
    struct engine_damage damage = { file, offset, what, status };
    s->result->damages++;
    s->result->lost_size += lost_size;
    if (s->report != NULL)
        s->report(s->context, &damage);
}

void salvage_damage(struct salvage *s, enum lsm_file kind, uint64_t number, uint64_t offset,
                    uint64_t lost_size, kvorum_status status, const char *what)
{
    char name[LSM_NAME_SIZE];
    lsm_file_name(kind, number, name);
    salvage_damage_in(s, name, offset, lost_size, status, what);
}

bool salvage_doubt(struct salvage *s, struct bytes lower, struct bytes upper)
{
    struct lsm_range doubt = { 0 };
    if (s->doubt_count == s->doubt_capacity) {
        size_t capacity = s->doubt_capacity == 0 ? 16 : s->doubt_capacity * 2;
        struct lsm_range *doubts = realloc(s->doubts, capacity * sizeof(*doubts));
        if (doubts == NULL)
            return false;
        s->doubts = doubts;
        s->doubt_capacity = capacity;
    }
    if (!arena_copy(&s->arena, lower, &doubt.lower) || !arena_copy(&s->arena, upper, &doubt.upper))
        return false;
    s->doubts[s->doubt_count++] = doubt;
    return true;
}

bool salvage_is_doubtful(const struct salvage *s, struct bytes key)
{
    for (size_t i = 0; i < s->doubt_count; i++)
        if (lsm_inside(key, s->doubts[i].lower, s->doubts[i].upper))
            return true;
    return s->all_doubtful;
}

kvorum_status salvage_write(struct salvage *s, bool all)
{
    size_t size = engine_batch_bytes(s->batch).size;
    if (size == 0 || (!all && size < BATCH_SIZE))
        return KVORUM_OK;
    kvorum_status status = engine_write(s->target, s->batch, ENGINE_NONE);
    engine_batch_reset(s->batch);
    return status;
}

bool salvage_numbers_add(struct salvage_numbers *numbers, uint64_t number)
{
    if (numbers->count == numbers->capacity) {
        size_t capacity = numbers->capacity == 0 ? 64 : numbers->capacity * 2;
        uint64_t *list = realloc(numbers->list, capacity * sizeof(*list));
        if (list == NULL)
            return false;
        numbers->list = list;
        numbers->capacity = capacity;
    }
    numbers->list[numbers->count++] = number;
    return true;
}

/* --- what is there ------------------------------------------------------------------------- */

struct look {
    struct salvage *salvage;
    bool ours, failed;
};

/* Names come sorted, and so then do the numbers. */
static bool see_name(void *context, const char *name)
{
    struct look *look = context;
    struct salvage *s = look->salvage;
    uint64_t number;
    look->ours |= strcmp(name, "FORMAT") == 0 || strcmp(name, "MANIFEST") == 0;
    if (lsm_file_parse(name, LSM_FILE_TABLE, &number)) {
        look->ours = true;
        look->failed |= !salvage_numbers_add(&s->tables, number);
    } else if (lsm_file_parse(name, LSM_FILE_LOG, &number)) {
        look->ours = true;
        look->failed |= !salvage_numbers_add(&s->segments, number);
    }
    return !look->failed;
}

static kvorum_status find_files(struct salvage *s)
{
    struct look look = { .salvage = s };
    struct disk *disk = s->source->disk;
    kvorum_status status = disk->ops->list(disk, s->source->path, see_name, &look);
    if (status != KVORUM_OK)
        return status;
    if (look.failed)
        return KVORUM_NO_MEMORY;
    return look.ours ? KVORUM_OK : KVORUM_FOREIGN;
}

/* --- whose it is --------------------------------------------------------------------------- */

/* What stops a salvage: all else is damage. */
static bool is_fatal(kvorum_status status)
{
    return status == KVORUM_NEWER_FORMAT || status == KVORUM_NO_MEMORY;
}

static kvorum_status read_manifest(struct salvage *s)
{
    kvorum_status status = lsm_manifest_read(s->source, &s->manifest_bytes);
    struct bytes bytes = buffer_bytes(&s->manifest_bytes);
    if (status == KVORUM_OK)
        status = lsm_manifest_decode(bytes, &s->arena, &s->manifest);
    if (status == KVORUM_OK)
        s->has_manifest = true;
    else if (!is_fatal(status))
        salvage_damage_in(
            s, "MANIFEST", 0, bytes.size, status,
            "the manifest is missing or damaged: all tables are taken, also those that were "
            "about to be removed");
    return is_fatal(status) ? status : KVORUM_OK;
}

static bool store_of_segment(struct salvage *s, uint64_t number)
{
    char path[LSM_PATH_SIZE];
    uint8_t bytes[LSM_LOG_HEADER_SIZE];
    struct disk_file *file;
    struct lsm_log_header header;
    size_t size = 0;
    struct disk *disk = s->source->disk;
    if (lsm_file_path(s->source, LSM_FILE_LOG, number, path) != KVORUM_OK ||
        disk->ops->open(disk, path, DISK_READ, &file) != KVORUM_OK)
        return false;
    kvorum_status status = file->ops->pread(file, bytes, sizeof(bytes), 0, &size);
    file->ops->close(file);
    if (status != KVORUM_OK || lsm_log_header_decode(bytes_make(bytes, size), &header) != KVORUM_OK)
        return false;
    s->source->store = header.store;
    return true;
}

static void store_of_log(struct salvage *s)
{
    for (size_t i = 0; i < s->segments.count; i++)
        if (store_of_segment(s, s->segments.list[i]))
            return;
}

static kvorum_status identify(struct salvage *s)
{
    uint32_t version;
    kvorum_status format = lsm_format_read(s->source, &version);
    if (is_fatal(format))
        return format;
    kvorum_status status = read_manifest(s);
    if (status != KVORUM_OK)
        return status;
    struct lsm_id store = s->source->store;
    bool other = store.low != s->manifest.store.low || store.high != s->manifest.store.high;
    if (format == KVORUM_OK && s->has_manifest && other) {
        salvage_damage_in(s, "MANIFEST", 24, s->manifest_bytes.size, KVORUM_FOREIGN,
                          "the manifest belongs to another store");
        s->has_manifest = false;
    }
    if (format != KVORUM_OK)
        salvage_damage_in(s, "FORMAT", 0, 0, format, "the FORMAT file is missing or damaged");
    if (format != KVORUM_OK && s->has_manifest)
        s->source->store = s->manifest.store;
    else if (format != KVORUM_OK)
        store_of_log(s);
    return KVORUM_OK;
}

/* Tables that the manifest names, and segments that it needs. */
static bool choose(struct salvage *s)
{
    size_t kept = 0;
    if (!s->has_manifest)
        return true;
    s->tables.count = 0;
    for (size_t i = 0; i < s->manifest.table_count; i++)
        if (!salvage_numbers_add(&s->tables, s->manifest.tables[i].meta.number))
            return false;
    for (size_t i = 0; i < s->segments.count; i++)
        if (s->segments.list[i] >= s->manifest.first_segment)
            s->segments.list[kept++] = s->segments.list[i];
    s->segments.count = kept;
    return true;
}

/* --- from and to --------------------------------------------------------------------------- */

static kvorum_status open_target(struct salvage *s)
{
    bool taken = false;
    struct lsm_options options = *s->to;
    kvorum_status status = lsm_directory_taken(options.disk, options.path, &taken);
    if (status == KVORUM_OK && taken)
        return KVORUM_EXISTS;
    if (status != KVORUM_OK && status != KVORUM_NOT_FOUND)
        return status;
    options.create = true;
    options.read_only = false;
    return lsm_open(&options, &s->target);
}

/* A folder that cannot be written to has no process that writes to it. */
static kvorum_status lock(struct salvage *s)
{
    char path[LSM_PATH_SIZE];
    struct disk *disk = s->source->disk;
    kvorum_status status = lsm_path(s->source, "LOCK", path);
    if (status == KVORUM_OK)
        status = disk->ops->lock(disk, path, &s->source->lock_file);
    return status == KVORUM_LOCKED || status == KVORUM_INVALID ? status : KVORUM_OK;
}

static kvorum_status save(struct salvage *s)
{
    kvorum_status status = find_files(s);
    if (status == KVORUM_OK)
        status = lock(s);
    if (status == KVORUM_OK)
        status = identify(s);
    if (status == KVORUM_OK && !choose(s))
        status = KVORUM_NO_MEMORY;
    if (status == KVORUM_OK)
        status = open_target(s);
    if (status == KVORUM_OK)
        status = salvage_tables(s);
    if (status == KVORUM_OK)
        status = salvage_log(s);
    return status == KVORUM_OK ? engine_flush(s->target) : status;
}

static struct lsm *stand_in(const struct lsm_options *from)
{
    struct lsm *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return NULL;
    source->disk = from->disk;
    source->log = from->log;
    snprintf(source->path, sizeof(source->path), "%s", from->path);
    return source;
}

kvorum_status lsm_salvage(const struct lsm_options *from, const struct lsm_options *to,
                          void (*report)(void *context, const struct engine_damage *damage),
                          void *context, struct lsm_salvage_report *ret_report)
{
    struct lsm_salvage_report result = { 0 };
    struct salvage s = { .to = to, .report = report, .context = context, .result = &result };
    if (strlen(from->path) >= LSM_PATH_SIZE)
        return KVORUM_INVALID;
    s.source = stand_in(from);
    s.batch = engine_batch_create();
    arena_init(&s.arena, LSM_MANIFEST_SIZE_MAX);
    buffer_init(&s.manifest_bytes, LSM_MANIFEST_SIZE_MAX + 16);
    kvorum_status status = s.source == NULL || s.batch == NULL ? KVORUM_NO_MEMORY : save(&s);
    engine_close(s.target);
    engine_batch_destroy(s.batch);
    if (s.source != NULL && s.source->lock_file != NULL)
        s.source->lock_file->ops->close(s.source->lock_file);
    free(s.source);
    free(s.tables.list);
    free(s.segments.list);
    free(s.doubts);
    buffer_done(&s.manifest_bytes);
    arena_done(&s.arena);
    if (status == KVORUM_OK)
        *ret_report = result;
    return status;
}
