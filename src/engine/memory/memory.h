/* SPDX-License-Identifier: Apache-2.0 */
/** The `memory` engine: an ordered map that lives and dies with the process, with byte and count
 *  limits.  Durability asked of it is answered at once: there is none to give. */
#ifndef ENGINE_MEMORY_H
#define ENGINE_MEMORY_H

#include "engine/engine.h"

struct memory_options {
    uint64_t size_limit;  /* bytes of keys, values and overhead; 0: none.  Beyond it: STORE_FULL */
    uint64_t count_limit; /* entries; 0: none */
};

/** Own: the caller ends it with engine_close.  `options` NULL means defaults.  NO_MEMORY. */
KVORUM_CHECKED kvorum_status memory_open(const struct memory_options *options,
                                         struct engine **ret_engine);

#endif
