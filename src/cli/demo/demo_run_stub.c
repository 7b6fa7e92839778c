/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/message.h"
int command_demo_run(const struct invocation *invocation)
{
    (void)invocation;
    return EXIT_INTERNAL;
}
