/* SPDX-License-Identifier: Apache-2.0 */
/** The planted bugs (base/planted.h) by name.  A simulator that catches none of them proves
 *  nothing. */
#ifndef SIM_BUGS_H
#define SIM_BUGS_H

#include "base/planted.h"

/** "ack-before-sync"; "none" for PLANTED_NONE. */
const char *bug_name(enum planted_bug bug);
/** One line for people. */
const char *bug_text(enum planted_bug bug);
/** PLANTED_NONE when there is no such bug. */
enum planted_bug bug_of_name(const char *name);
/** Switch one on, or all off. */
void bug_plant(enum planted_bug bug);

#endif
