/* SPDX-License-Identifier: Apache-2.0 */
/** Small files that are read whole and replaced whole: identity, epoch record. */
#ifndef NODE_SMALL_FILE_H
#define NODE_SMALL_FILE_H

#include "base/buffer.h"
#include "base/disk.h"

/** Append all of `path` to `buffer`.  NOT_FOUND, IO; TOO_LARGE when it is above buffer's limit. */
KVORUM_CHECKED kvorum_status small_file_read(struct disk *disk, const char *path,
                                             struct buffer *ret_buffer);
/** Make `bytes` the content of `path` (in the root), durably: `temporary` is written and synced,
 *  renamed, the directory synced.  After an error or a crash `path` holds the old content or the
 *  new one, whole.  NO_SPACE, IO. */
KVORUM_CHECKED kvorum_status small_file_replace(struct disk *disk, const char *path,
                                                const char *temporary, struct bytes bytes);

#endif
