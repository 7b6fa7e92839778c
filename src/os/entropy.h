/* SPDX-License-Identifier: Apache-2.0 */
/** The kernel's randomness: seeds of generators, node and cluster identities, salts.
 *  Thread: any.  Blocks: only early in the machine's boot. */
#ifndef OS_ENTROPY_H
#define OS_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

/** Fill `size` bytes, good enough for secrets.  A kernel that has none ends the process. */
void os_entropy(void *data, size_t size);
uint64_t os_entropy_u64(void);

#endif
