/* SPDX-License-Identifier: Apache-2.0 */
/** Exit codes of every command; scripts rely on them, so a number never changes its meaning. */
#ifndef CLI_EXIT_CODE_H
#define CLI_EXIT_CODE_H

enum exit_code {
    EXIT_DONE = 0,
    EXIT_NO = 1, /* not found, not healthy, not equal */
    EXIT_USAGE = 2,
    EXIT_CONNECT = 3,
    EXIT_QUORUM = 4,
    EXIT_TIMEOUT = 5, /* a write's outcome is then unknown */
    EXIT_NOT_ALLOWED = 6,
    EXIT_CONFLICT = 7,
    EXIT_UNSAFE = 8, /* refused because it would do harm */
    EXIT_INTERNAL = 70,
};

#endif
