/* SPDX-License-Identifier: Apache-2.0 */
/* What a scrub reads beside tables and values: sealed segments of the log, headers of blob files,
 * MANIFEST and FORMAT.  All that stands in them is in memory too, so what is damaged is written
 * anew at once, and nothing is lost with it:
 *
 *      log segment    its batches go to tables, and it is not needed any more
 *      blob header    written once more in its place (no read depends on it, a salvage does)
 *      MANIFEST       written once more, as for a change of nothing
 *      FORMAT         written once more
 *
 * The segment that is written to is not sealed, and not read. */
#include "base/planted.h"
#include "engine/lsm/background/background.h"
#include "engine/lsm/internal.h"
#include "engine/lsm/levels/install.h"
#include "engine/lsm/log/log_reader.h"
#include "engine/lsm/log/segment.h"
#include "engine/lsm/scrub.h"

enum { ARENA_LIMIT = 1 << 30 };

struct scrubbing {
    struct lsm *lsm;
    struct engine_scrub *scrub;
    void (*report)(void *context, const struct engine_loss *loss);
    void *context;
};

static void tell(const struct scrubbing *s, const char *file, uint64_t offset, kvorum_status status,
                 const char *what, bool mended)
{
    const struct engine_loss loss = { .damage = { file, offset, what, status },
                                      .other = true,
                                      .mended = mended };
    PROBE("lsm: a scrub met damage beside the tables");
    s->report(s->context, &loss);
}

/* --- the log --------------------------------------------------------------------------------- */

/* The first sealed one from `number` on; false: there is none. */
static bool next_segment(struct lsm *lsm, uint64_t number, struct lsm_segment_note *ret_note)
{
    bool found = false;
    pthread_mutex_lock(&lsm->mutex);
    for (size_t i = 0; i < lsm->note_count && !found; i++) {
        found = lsm->notes[i].number >= number;
        *ret_note = lsm->notes[i];
    }
    pthread_mutex_unlock(&lsm->mutex);
    return found;
}

static uint64_t newest_segment(struct lsm *lsm)
{
    pthread_mutex_lock(&lsm->mutex);
    uint64_t number = lsm->note_count == 0 ? 0 : lsm->notes[lsm->note_count - 1].number;
    pthread_mutex_unlock(&lsm->mutex);
    return number;
}

static bool is_ours(const struct lsm *lsm, const struct lsm_segment_note *note,
                    const struct lsm_log_header *header)
{
    return header->store.low == lsm->store.low && header->store.high == lsm->store.high &&
           header->number == note->number;
}

/* From where the scrub stands until its budget is spent.  CORRUPT: the record at reader->offset. */
static kvorum_status read_records(const struct scrubbing *s, const struct lsm_segment_note *note,
                                  struct lsm_log_reader *reader)
{
    struct engine_scrub *scrub = s->scrub;
    struct lsm_log_record record;
    kvorum_status status = KVORUM_OK;
    while (reader->offset < note->size && scrub->size < scrub->budget && status == KVORUM_OK) {
        uint64_t before = reader->offset;
        status = lsm_log_reader_next(reader, &record);
        scrub->size += reader->offset - before;
        scrub->blocks += status == KVORUM_OK;
    }
    if (status == KVORUM_NOT_FOUND || reader->offset > note->size)
        return KVORUM_CORRUPT;
    return status;
}

static kvorum_status read_segment(const struct scrubbing *s, const struct lsm_segment_note *note,
                                  struct disk_file *file)
{
    struct engine_scrub *scrub = s->scrub;
    struct lsm_log_reader reader;
    kvorum_status status = lsm_log_reader_init(&reader, file);
    if (status == KVORUM_OK && !is_ours(s->lsm, note, &reader.header))
        status = KVORUM_CORRUPT;
    if (scrub->place == 0)
        scrub->size += LSM_LOG_HEADER_SIZE;
    else {
        reader.offset = scrub->place;
        reader.sequence = scrub->record;
    }
    if (status == KVORUM_OK)
        status = read_records(s, note, &reader);
    scrub->place = reader.offset;
    scrub->record = reader.sequence;
    lsm_log_reader_done(&reader);
    return status;
}

/* A segment that was removed meanwhile is none to look at. */
static void mend_segment(const struct scrubbing *s, const struct lsm_segment_note *note,
                         kvorum_status status)
{
    char name[LSM_NAME_SIZE];
    struct lsm_segment_note now;
    if (!next_segment(s->lsm, note->number, &now) || now.number != note->number)
        return;
    bool mended = lsm_flush_all(&s->lsm->engine) == KVORUM_OK;
    lsm_file_name(LSM_FILE_LOG, note->number, name);
    tell(s, name, s->scrub->place, status, "a sealed segment of the log is damaged", mended);
}

static kvorum_status step_segment(const struct scrubbing *s, const struct lsm_segment_note *note)
{
    struct lsm *lsm = s->lsm;
    struct engine_scrub *scrub = s->scrub;
    char path[LSM_PATH_SIZE];
    struct disk_file *file;
    if (scrub->file != note->number)
        scrub->place = 0;
    scrub->file = note->number;
    kvorum_status status = lsm_file_path(lsm, LSM_FILE_LOG, note->number, path);
    if (status == KVORUM_OK)
        status = lsm->disk->ops->open(lsm->disk, path, DISK_READ, &file);
    if (status == KVORUM_OK) {
        status = read_segment(s, note, file);
        file->ops->close(file);
    }
    if (status == KVORUM_NO_MEMORY)
        return status;
    if (status != KVORUM_OK)
        mend_segment(s, note, status);
    if (status != KVORUM_OK || scrub->place >= note->size) {
        scrub->file++;
        scrub->place = 0;
    }
    return KVORUM_OK;
}

static kvorum_status step_log(const struct scrubbing *s)
{
    struct engine_scrub *scrub = s->scrub;
    struct lsm_segment_note note;
    if (next_segment(s->lsm, scrub->file, &note) && note.number <= scrub->end &&
        !PLANTED(SCRUB_SKIPS_THE_LOG))
        return step_segment(s, &note);
    scrub->part = LSM_SCRUB_REST;
    return KVORUM_OK;
}

/* --- headers of blob files ------------------------------------------------------------------- */

static kvorum_status rewrite_header(struct lsm *lsm, const struct lsm_blob_file *blob)
{
    uint8_t header[LSM_BLOB_HEADER_SIZE];
    struct disk_file *file;
    kvorum_status status = lsm->disk->ops->open(lsm->disk, blob->path, DISK_WRITE, &file);
    if (status != KVORUM_OK)
        return status;
    lsm_blob_header_encode(&lsm->store, blob->number, header);
    status = file->ops->pwrite(file, header, sizeof(header), 0);
    if (status == KVORUM_OK)
        status = file->ops->sync(file);
    file->ops->close(file);
    return status;
}

static void check_headers(const struct scrubbing *s, const struct lsm_blobs *blobs)
{
    for (size_t i = 0; blobs != NULL && i < blobs->count; i++) {
        const struct lsm_blob_file *file = blobs->uses[i].file;
        char name[LSM_NAME_SIZE];
        kvorum_status status = lsm_blob_header_check(s->lsm, file);
        s->scrub->size += LSM_BLOB_HEADER_SIZE;
        if (status == KVORUM_OK || status == KVORUM_NO_MEMORY)
            continue;
        bool mended = !s->lsm->options.read_only && status != KVORUM_IO &&
                      rewrite_header(s->lsm, file) == KVORUM_OK;
        lsm_file_name(LSM_FILE_BLOB, file->number, name);
        tell(s, name, 0, status, "the header of a file of values is damaged", mended);
    }
}

/* --- manifest and format --------------------------------------------------------------------- */

static bool is_listed(const struct lsm_levels *levels, const struct lsm_manifest_table *listed)
{
    const struct lsm_level *level = &levels->level[listed->level];
    for (size_t i = 0; i < level->count; i++) {
        const struct lsm_table_meta *meta = &level->tables[i]->meta;
        if (meta->number == listed->meta.number)
            return meta->file.low == listed->meta.file.low &&
                   meta->file.high == listed->meta.file.high && meta->size == listed->meta.size;
    }
    return false;
}

/* An older one that came back, because the disk forgot a rename, is as bad as a damaged one. */
static bool says_what_is(const struct lsm *lsm, const struct lsm_state *state,
                         const struct lsm_manifest *manifest)
{
    size_t tables = 0, blobs = state->blobs == NULL ? 0 : state->blobs->count;
    for (int i = 0; i < ENGINE_LEVELS; i++)
        tables += state->levels->level[i].count;
    bool same = manifest->store.low == lsm->store.low && manifest->store.high == lsm->store.high &&
                manifest->table_count == tables && manifest->blob_count == blobs &&
                manifest->flushed_batch == lsm->flushed_batch &&
                manifest->first_segment == lsm->first_segment;
    for (size_t i = 0; same && i < manifest->table_count; i++)
        same = is_listed(state->levels, &manifest->tables[i]);
    return same;
}

static kvorum_status read_manifest(const struct scrubbing *s, const struct lsm_state *state)
{
    struct lsm_manifest manifest;
    struct buffer bytes;
    struct arena arena;
    buffer_init(&bytes, LSM_MANIFEST_SIZE_MAX + 16);
    arena_init(&arena, ARENA_LIMIT);
    kvorum_status status = lsm_manifest_read(s->lsm, &bytes);
    if (status == KVORUM_OK)
        status = lsm_manifest_decode(buffer_bytes(&bytes), &arena, &manifest);
    if (status == KVORUM_OK && !says_what_is(s->lsm, state, &manifest))
        status = KVORUM_CORRUPT;
    s->scrub->size += bytes.size;
    arena_done(&arena);
    buffer_done(&bytes);
    return status;
}

/* Nobody writes another one while it is looked at. */
static void check_manifest(const struct scrubbing *s)
{
    struct lsm *lsm = s->lsm;
    kvorum_status status = KVORUM_OK;
    bool mended = false;
    pthread_mutex_lock(&lsm->mutex);
    while (lsm->installing)
        pthread_cond_wait(&lsm->changed, &lsm->mutex);
    if (lsm->failure == KVORUM_OK && !lsm->closing) { /* else nobody knows which one is there */
        struct lsm_state *state = lsm_state_now(lsm);
        lsm->installing = true;
        lsm_state_reference(state);
        pthread_mutex_unlock(&lsm->mutex);
        status = read_manifest(s, state);
        lsm_state_release(state);
        pthread_mutex_lock(&lsm->mutex);
        lsm->installing = false;
        pthread_cond_broadcast(&lsm->changed);
    }
    bool damaged = status != KVORUM_OK && status != KVORUM_NO_MEMORY;
    if (damaged && !lsm->options.read_only)
        mended = lsm_install(lsm, &(struct lsm_install){ 0 }) == KVORUM_OK;
    pthread_mutex_unlock(&lsm->mutex);
    if (damaged)
        tell(s, "MANIFEST", 0, status, "the list of tables is damaged", mended);
}

static void check_format(const struct scrubbing *s)
{
    struct lsm *lsm = s->lsm;
    kvorum_status status = lsm_format_check(lsm, &s->scrub->size);
    if (status == KVORUM_OK || status == KVORUM_NO_MEMORY)
        return;
    bool mended = !lsm->options.read_only && lsm_format_write(lsm, lsm->path) == KVORUM_OK;
    tell(s, "FORMAT", 0, status, "the file that says what the directory is is damaged", mended);
}

/* --- all of it ------------------------------------------------------------------------------- */

void lsm_scrub_files_begin(struct lsm *lsm, struct engine_scrub *scrub)
{
    scrub->part = LSM_SCRUB_LOG;
    scrub->file = scrub->place = scrub->record = 0;
    scrub->end = newest_segment(lsm);
}

kvorum_status lsm_scrub_files(struct lsm *lsm, struct lsm_state *state, struct engine_scrub *scrub,
                              void (*report)(void *context, const struct engine_loss *loss),
                              void *context)
{
    const struct scrubbing s = { lsm, scrub, report, context };
    if (scrub->part == LSM_SCRUB_LOG)
        return step_log(&s);
    check_headers(&s, state->blobs);
    check_manifest(&s);
    check_format(&s);
    scrub->finished = true;
    return KVORUM_OK;
}
