/* SPDX-License-Identifier: Apache-2.0 */
/** From one set of tables to the next: while the store is open (install.c: with the mutex, let go
 *  while it works), and when it is opened (adopt.c, orphans.c). */
#ifndef ENGINE_LSM_INSTALL_H
#define ENGINE_LSM_INSTALL_H

#include "engine/lsm/internal.h"

/** What a flush or compaction leads to.  The references of added tables and blob files are taken
 *  over in any case. */
struct lsm_install {
    struct lsm_edit edit;
    struct lsm_memtable *flushed;       /* which is in tables now, or NULL */
    struct lsm_blob_file *const *blobs; /* new */
    size_t blob_count;
};

/** Write the manifest that `install` leads to, then let readers see it.  IO after the manifest was
 *  written poisons the engine, for nobody knows which one is on the disk. */
KVORUM_CHECKED kvorum_status lsm_install(struct lsm *lsm, const struct lsm_install *install);
/** Fill in what is known of the whole store, and encode.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status lsm_manifest_bytes(const struct lsm *lsm,
                                                struct lsm_manifest *manifest,
                                                const struct lsm_levels *levels,
                                                const struct lsm_blobs *blobs,
                                                struct buffer *ret_bytes);
/** Remove log segments before `first_segment`. */
void lsm_remove_segments(struct lsm *lsm);

/* adopt.c, orphans.c */

/** Read the manifest, and open what it names.  Before the engine is shared. */
KVORUM_CHECKED kvorum_status lsm_manifest_load(struct lsm *lsm);
/** Its bytes, as they are.  CORRUPT: there is none. */
KVORUM_CHECKED kvorum_status lsm_manifest_read(struct lsm *lsm, struct buffer *ret_bytes);
/** The first manifest of a store. */
KVORUM_CHECKED kvorum_status lsm_manifest_begin(struct lsm *lsm);
/** Remove tables and temporary files that no manifest names. */
void lsm_remove_orphans(struct lsm *lsm);

#endif
