/* SPDX-License-Identifier: Apache-2.0 */
#include "node/members/life.h"

#include <string.h>

static void push(struct node_life *life, uint64_t id)
{
    uint8_t kept = life->history_count;
    if (kept == LIFE_HISTORY_MAX)
        kept--;
    memmove(&life->history[1], &life->history[0], kept * sizeof(life->history[0]));
    life->history[0] = id;
    life->history_count = (uint8_t)(kept + 1);
}

void life_begin(struct node_life *life, uint64_t id)
{
    life->number++;
    push(life, id);
}

bool life_follows(const struct node_life *life, struct life_mark mark)
{
    if (mark.number > life->number)
        return false;
    uint64_t back = life->number - mark.number;
    return mark.number == 0 || back >= life->history_count || life->history[back] == mark.id;
}

/* What it had before is of the other line, or is not: nobody asks any more. */
void life_renew(struct node_life *life, struct life_mark mark)
{
    uint64_t id = life->history[0];
    life->number = (mark.number > life->number ? mark.number : life->number) + 1;
    life->history_count = 1;
    life->history[0] = id;
    if (life->number != mark.number + 1)
        return;
    life->history[1] = mark.id;
    life->history_count = 2;
}
