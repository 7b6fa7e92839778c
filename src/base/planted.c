/* SPDX-License-Identifier: Apache-2.0 */
#include "base/planted.h"

#ifdef KVORUM_PLANTED_BUGS
enum planted_bug planted_bug_active = PLANTED_NONE;
#endif
