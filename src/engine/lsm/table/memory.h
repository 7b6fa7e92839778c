/* SPDX-License-Identifier: Apache-2.0 */
/** Memory that is read at random for long: indexes and filters. */
#ifndef ENGINE_LSM_TABLE_MEMORY_H
#define ENGINE_LSM_TABLE_MEMORY_H

#include <stddef.h>

/** At least *size bytes, aligned to a cache line, in huge pages when that wastes little; *size
 *  becomes what it really takes.  NULL: no memory. */
void *table_memory_create(size_t *size);
void table_memory_destroy(void *memory); /* NULL is fine */

#endif
