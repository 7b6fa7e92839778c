/* SPDX-License-Identifier: Apache-2.0 */
/** Paths as people give them, made independent of where the process stands. */
#ifndef OS_PATH_H
#define OS_PATH_H

#include "kvorum/status.h"

/** `path` from the root of the file system, with links resolved; its last part need not be there,
 *  its parent must.  Own: the caller frees *ret_path.  Thread: any.  Blocks: on disk.
 *  Errors: NOT_FOUND, INVALID (empty, or a parent that is no directory), NOT_ALLOWED, NO_MEMORY. */
KVORUM_CHECKED kvorum_status os_path_absolute(const char *path, char **ret_path);

#endif
