/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the log that are intact, in order, on top of what tables gave.
 *
 *      | record 5 | record 6 | ??????? | record 9 | zeros
 *                             `-- a hole: 7 and 8 are lost, said so, and 9 is taken
 *
 * Without the manifest it is not known which records are in tables too.  Puts and deletions can be
 * done again; a merge can not, unless the log itself says what it is merged with. */
#include "engine/lsm/salvage/salvage_inside.h"

#include "base/hash.h"
#include "engine/common/batch.h"
#include <stdlib.h>

struct replay {
    struct salvage *salvage;
    uint64_t number;              /* of the segment at hand */
    struct lsm_id file;           /* its id */
    uint64_t next;                /* the record due; 0: any */
    bool doubtful;                /* what was before is not known for sure, whatever the key */
    struct salvage_numbers known; /* hashes of keys that the log itself set, open addressing */
    size_t known_count;
    struct lsm_range *deleted; /* ranges that the log deleted; in the arena */
    size_t deleted_count, deleted_capacity;
};

/* --- keys whose value the log tells -------------------------------------------------------- */

static void known_put(struct salvage_numbers *known, uint64_t hash)
{
    size_t at = (size_t)hash & (known->capacity - 1);
    while (known->list[at] != 0 && known->list[at] != hash)
        at = (at + 1) & (known->capacity - 1);
    known->list[at] = hash;
}

static bool known_grow(struct salvage_numbers *known)
{
    struct salvage_numbers more = { .capacity = known->capacity == 0 ? 1024 : known->capacity * 2 };
    more.list = calloc(more.capacity, sizeof(*more.list));
    if (more.list == NULL)
        return false;
    for (size_t i = 0; i < known->capacity; i++)
        if (known->list[i] != 0)
            known_put(&more, known->list[i]);
    free(known->list);
    *known = more;
    return true;
}

static uint64_t hash_of(struct bytes key)
{
    uint64_t hash = hash64(key, 0);
    return hash == 0 ? 1 : hash;
}

static bool know(struct replay *r, struct bytes key)
{
    if (r->known_count * 2 >= r->known.capacity && !known_grow(&r->known))
        return false;
    known_put(&r->known, hash_of(key));
    r->known_count++;
    return true;
}

static bool know_range(struct replay *r, struct bytes lower, struct bytes upper)
{
    struct lsm_range range = { 0 };
    if (r->deleted_count == r->deleted_capacity) {
        size_t capacity = r->deleted_capacity == 0 ? 64 : r->deleted_capacity * 2;
        struct lsm_range *deleted = realloc(r->deleted, capacity * sizeof(*deleted));
        if (deleted == NULL)
            return false;
        r->deleted = deleted;
        r->deleted_capacity = capacity;
    }
    if (!arena_copy(&r->salvage->arena, lower, &range.lower) ||
        !arena_copy(&r->salvage->arena, upper, &range.upper))
        return false;
    r->deleted[r->deleted_count++] = range;
    return true;
}

/* The log said what became of this key, since the last place where it is damaged. */
static bool is_known(const struct replay *r, struct bytes key)
{
    uint64_t hash = hash_of(key);
    size_t at = (size_t)hash;
    for (; r->known.capacity > 0; at++) {
        uint64_t found = r->known.list[at & (r->known.capacity - 1)];
        if (found == hash)
            return true;
        if (found == 0)
            break;
    }
    for (size_t i = 0; i < r->deleted_count; i++)
        if (lsm_inside(key, r->deleted[i].lower, r->deleted[i].upper))
            return true;
    return false;
}

/* --- one record ---------------------------------------------------------------------------- */

static bool may_merge(const struct replay *r, struct bytes key)
{
    if (r->salvage->to->merge == NULL)
        return false;
    return is_known(r, key) || (!r->doubtful && !salvage_is_doubtful(r->salvage, key));
}

static kvorum_status add_change(struct replay *r, const struct batch_change *change,
                                uint64_t offset)
{
    struct engine_batch *batch = r->salvage->batch;
    bool good = true;
    switch (change->kind) {
    case ENGINE_PUT:
        good = know(r, change->key);
        return good ? engine_batch_put(batch, change->key, change->value) : KVORUM_NO_MEMORY;
    case ENGINE_DELETE:
        good = know(r, change->key);
        return good ? engine_batch_delete(batch, change->key) : KVORUM_NO_MEMORY;
    case ENGINE_DELETE_RANGE:
        good = know_range(r, change->key, change->value);
        return good ? engine_batch_delete_range(batch, change->key, change->value)
                    : KVORUM_NO_MEMORY;
    case ENGINE_MERGE:
        if (may_merge(r, change->key))
            return engine_batch_merge(batch, change->key, change->value);
        salvage_damage(r->salvage, LSM_FILE_LOG, r->number, offset, 0, KVORUM_CORRUPT,
                       "a merge is left out: what it belongs on may be lost, it may be in a table "
                       "already, or its operator was not given");
        return KVORUM_OK;
    }
    return KVORUM_CORRUPT;
}

/* A batch stays one: all or none. */
static kvorum_status replay_batch(struct replay *r, struct bytes payload, uint64_t offset)
{
    struct batch_totals totals;
    struct batch_change change;
    struct batch_cursor cursor = batch_cursor_of(payload);
    if (!batch_measure(payload, &totals)) {
        salvage_damage(r->salvage, LSM_FILE_LOG, r->number, offset, payload.size, KVORUM_CORRUPT,
                       "a record of the log holds no batch");
        return KVORUM_OK;
    }
    kvorum_status status = KVORUM_OK;
    while (status == KVORUM_OK && batch_next(&cursor, &change))
        status = add_change(r, &change, offset);
    r->salvage->result->batches++;
    return status == KVORUM_OK ? salvage_write(r->salvage, true) : status;
}

/* What is lost may have set any key. */
static void forget(struct replay *r)
{
    r->doubtful = true;
    r->deleted_count = r->known_count = 0;
    if (r->known.capacity > 0)
        memset(r->known.list, 0, r->known.capacity * sizeof(*r->known.list));
}

/* The segment at hand says that there is another one. */
static void check_next(const struct replay *r)
{
    const struct salvage_numbers *segments = &r->salvage->segments;
    if (r->number == segments->list[segments->count - 1])
        salvage_damage(r->salvage, LSM_FILE_LOG, r->number + 1, 0, 0, KVORUM_NOT_FOUND,
                       "the last segment of the log is missing");
}

static kvorum_status replay_record(struct replay *r, const struct lsm_log_record *record,
                                   uint64_t offset)
{
    if (record->type == LSM_LOG_NEXT) {
        check_next(r);
        return KVORUM_OK;
    }
    if (record->sequence < r->next) /* in tables */
        return KVORUM_OK;
    if (r->next != 0 && record->sequence > r->next) {
        salvage_damage(r->salvage, LSM_FILE_LOG, r->number, offset, 0, KVORUM_CORRUPT,
                       "batches before this place of the log are lost");
        forget(r);
    }
    r->next = record->sequence + 1;
    if (record->type != LSM_LOG_BATCH)
        return KVORUM_OK;
    return replay_batch(r, record->payload, offset);
}

/* --- one segment --------------------------------------------------------------------------- */

static bool all_zeros(struct bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        if (bytes.data[i] != 0)
            return false;
    return true;
}

static void hole(struct replay *r, struct bytes bytes, uint64_t offset)
{
    if (!all_zeros(bytes))
        salvage_damage(r->salvage, LSM_FILE_LOG, r->number, offset, bytes.size, KVORUM_CORRUPT,
                       "a part of the log is damaged, or torn by a crash");
}

static kvorum_status replay_segment(struct replay *r, struct bytes bytes)
{
    uint64_t offset = LSM_LOG_HEADER_SIZE, good = offset; /* up to where all was used */
    kvorum_status status = KVORUM_OK;
    while (offset < bytes.size && status == KVORUM_OK) {
        struct lsm_log_record record;
        uint64_t size = 0;
        struct bytes rest = bytes_make(bytes.data + offset, bytes.size - offset);
        if (lsm_log_record_decode(&r->file, offset, rest, &record, &size) != LSM_LOG_FOUND) {
            offset += LSM_LOG_ALIGNMENT;
            continue;
        }
        hole(r, bytes_make(bytes.data + good, offset - good), good);
        status = replay_record(r, &record, offset);
        good = offset += size;
    }
    if (good < bytes.size && status == KVORUM_OK)
        hole(r, bytes_make(bytes.data + good, bytes.size - good), good);
    return status;
}

static kvorum_status read_segment(const struct salvage *s, uint64_t number, struct bytes *ret_bytes)
{
    char path[LSM_PATH_SIZE];
    struct disk_file *file;
    uint64_t size = 0;
    size_t read_size = 0;
    kvorum_status status = lsm_file_path(s->source, LSM_FILE_LOG, number, path);
    if (status == KVORUM_OK)
        status = s->source->disk->ops->open(s->source->disk, path, DISK_READ, &file);
    if (status != KVORUM_OK)
        return status;
    status = file->ops->size(file, &size);
    uint8_t *bytes = status == KVORUM_OK ? malloc(size + 1) : NULL;
    if (status == KVORUM_OK && bytes == NULL)
        status = KVORUM_NO_MEMORY;
    if (status == KVORUM_OK)
        status = file->ops->pread(file, bytes, size, 0, &read_size);
    file->ops->close(file);
    if (status == KVORUM_OK)
        *ret_bytes = bytes_make(bytes, read_size);
    else
        free(bytes);
    return status;
}

static kvorum_status read_header(const struct salvage *s, struct bytes bytes,
                                 struct lsm_log_header *ret_header)
{
    const struct lsm_id *store = &s->source->store;
    struct lsm_log_header header;
    kvorum_status status = lsm_log_header_decode(bytes, &header);
    if (status != KVORUM_OK)
        return status;
    if (header.store.low != store->low || header.store.high != store->high)
        return KVORUM_FOREIGN;
    *ret_header = header;
    return KVORUM_OK;
}

/* What stands behind the end that the next segment tells was given up by an open: other batches
 * took those numbers since. */
static kvorum_status cut_end(const struct salvage *s, uint64_t next, struct bytes *bytes)
{
    struct bytes other = { 0 };
    struct lsm_log_header header;
    kvorum_status status = read_segment(s, next, &other);
    if (status == KVORUM_OK && read_header(s, other, &header) == KVORUM_OK &&
        header.previous_size > 0 && header.previous_size < bytes->size)
        bytes->size = header.previous_size;
    free((void *)(uintptr_t)other.data);
    return status == KVORUM_NO_MEMORY ? status : KVORUM_OK;
}

static kvorum_status replay_file(struct replay *r, uint64_t number)
{
    struct bytes bytes = { 0 };
    struct lsm_log_header header;
    r->number = number;
    r->salvage->result->segments++;
    kvorum_status status = read_segment(r->salvage, number, &bytes);
    if (status == KVORUM_OK)
        status = read_header(r->salvage, bytes, &header);
    if (status == KVORUM_OK) {
        r->file = header.file;
        status = cut_end(r->salvage, number + 1, &bytes);
        if (status == KVORUM_OK)
            status = replay_segment(r, bytes);
    } else if (status != KVORUM_NO_MEMORY) {
        salvage_damage(r->salvage, LSM_FILE_LOG, number, 0, bytes.size, status,
                       "a segment of the log cannot be read, or is another store's");
        status = KVORUM_OK;
    }
    free((void *)(uintptr_t)bytes.data);
    return status;
}

kvorum_status salvage_log(struct salvage *s)
{
    struct replay r = { .salvage = s };
    kvorum_status status = KVORUM_OK;
    r.doubtful = !s->has_manifest && s->tables.count > 0;
    if (s->has_manifest)
        r.next = s->manifest.flushed_batch + 1;
    else if (s->tables.count == 0)
        r.next = 1;
    uint64_t due = s->has_manifest ? s->manifest.first_segment : 0;
    if (s->has_manifest && !s->manifest.log_begins &&
        (s->segments.count == 0 || s->segments.list[0] != due))
        salvage_damage(s, LSM_FILE_LOG, due, 0, 0, KVORUM_NOT_FOUND,
                       "the first segment of the log is missing");
    for (size_t i = 0; i < s->segments.count && status == KVORUM_OK; i++)
        status = replay_file(&r, s->segments.list[i]);
    free(r.known.list);
    free(r.deleted);
    return status;
}
