/* SPDX-License-Identifier: Apache-2.0 */
/** What the files of a salvage share. */
#ifndef ENGINE_LSM_SALVAGE_INSIDE_H
#define ENGINE_LSM_SALVAGE_INSIDE_H

#include "engine/lsm/internal.h"
#include "engine/lsm/salvage/salvage.h"

struct salvage_numbers {
    uint64_t *list;
    size_t count, capacity;
};

struct salvage {
    struct lsm *source; /* never opened: stands in for names, the store's id and blobs */
    struct engine *target;
    const struct lsm_options *to;
    struct engine_batch *batch;
    void (*report)(void *context, const struct engine_damage *damage);
    void *context;
    struct lsm_salvage_report *result;

    struct salvage_numbers tables, segments; /* that are to be saved, ascending */
    struct arena arena;
    struct buffer manifest_bytes;
    struct lsm_manifest manifest;
    bool has_manifest;

    /* Where tables may have held something newer than what was found: a merge of such a key would
     * make up a value that never was. */
    struct lsm_range *doubts;
    size_t doubt_count, doubt_capacity;
    bool all_doubtful;
};

/** False: no memory. */
bool salvage_doubt(struct salvage *s, struct bytes lower, struct bytes upper);
bool salvage_is_doubtful(const struct salvage *s, struct bytes key);
/** `lost_size` bytes at `offset`.  `file` below the directory; or by its number. */
void salvage_damage_in(struct salvage *s, const char *file, uint64_t offset, uint64_t lost_size,
                       kvorum_status status, const char *what);

void salvage_damage(struct salvage *s, enum lsm_file kind, uint64_t number, uint64_t offset,
                    uint64_t lost_size, kvorum_status status, const char *what);
/** Give the batch to the new store, if it is large enough or `all`; it is empty then. */
KVORUM_CHECKED kvorum_status salvage_write(struct salvage *s, bool all);
/** False: no memory. */
bool salvage_numbers_add(struct salvage_numbers *numbers, uint64_t number);

/* salvage_tables.c, salvage_log.c: in this order */
KVORUM_CHECKED kvorum_status salvage_tables(struct salvage *s);
KVORUM_CHECKED kvorum_status salvage_log(struct salvage *s);

#endif
