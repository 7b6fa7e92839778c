/* SPDX-License-Identifier: Apache-2.0 */
/** How much slower than usual a test program is: sanitized ones are told in KVORUM_SLOW. */
#ifndef TESTS_SUPPORT_SLOW_H
#define TESTS_SUPPORT_SLOW_H

#include <stdlib.h>

/** 1 as a rule. */
static inline double slowness(void)
{
    const char *text = getenv("KVORUM_SLOW");
    double factor = text != NULL ? strtod(text, NULL) : 1;
    return factor > 1 ? factor : 1;
}

#endif
