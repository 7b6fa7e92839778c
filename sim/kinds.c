/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/kinds.h"

#include <string.h>

#include "sim/gossip/gossip_run.h"
#include "sim/handoff/handoff.h"
#include "sim/plan/plan.h"
#include "sim/store/store.h"
#include "sim/voters/voters.h"

const struct kind_row run_kinds[KIND_COUNT] = {
#define X(name, option, code, steps, play, plan, text)                                             \
    [KIND_##name] = { option, text, code, steps, play, plan },
    KIND_LIST(X)
#undef X
};

bool kind_of_option(const char *option, enum kind *ret_kind)
{
    for (int i = 0; i < KIND_COUNT; i++) {
        if (*option == '\0' || strcmp(run_kinds[i].option, option) != 0)
            continue;
        *ret_kind = (enum kind)i;
        return true;
    }
    return false;
}

bool kind_of_tape(uint8_t code, enum kind *ret_kind)
{
    for (int i = 0; i < KIND_COUNT; i++) {
        if (run_kinds[i].tape_code != code)
            continue;
        *ret_kind = (enum kind)i;
        return true;
    }
    return false;
}
