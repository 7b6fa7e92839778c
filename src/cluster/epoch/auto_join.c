/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/epoch/auto_join.h"

static bool is_staged(const struct epoch *epoch, uint16_t member)
{
    for (uint16_t i = 0; i < epoch->change_count; i++)
        if (epoch->changes[i].kind == CHANGE_JOIN && epoch->changes[i].member == member)
            return true;
    return false;
}

static bool are_joins_only(const struct epoch *epoch)
{
    for (uint16_t i = 0; i < epoch->change_count; i++)
        if (epoch->changes[i].kind != CHANGE_JOIN)
            return false;
    return true;
}

/* NULL: nothing. */
static const char *obstacle(const struct epoch *epoch, uint16_t self)
{
    if (epoch->move_count > 0)
        return "partitions are moving; the join is committed when they have arrived";
    if (!is_staged(epoch, self))
        return "its join is not staged any more, somebody cleared it; kvorum cluster join stages "
               "it again";
    if (!are_joins_only(epoch))
        return "other changes are staged too, and are an operator's: see kvorum cluster plan, then "
               "kvorum cluster commit";
    return NULL;
}

static const char *plan_problem(const struct epoch *epoch, const struct change_options *options,
                                struct arena *arena)
{
    struct change_plan plan;
    bool filled;
    const char *why = "";
    kvorum_status status = change_plan(epoch, options, arena, &plan, &filled, &why);
    if (status == KVORUM_OK)
        return NULL;
    return why[0] != '\0' ? why : kvorum_status_text(status);
}

enum auto_join_verdict auto_join_look(struct auto_join *join, const struct epoch *epoch,
                                      uint16_t self, const struct change_options *options,
                                      struct arena *arena, uint64_t now_us, const char **ret_why)
{
    *ret_why = "";
    if (self >= epoch->member_count || epoch->members[self].state != MEMBER_JOINING)
        return AUTO_JOIN_OVER;
    if (join->number != epoch->number) {
        join->number = epoch->number;
        join->due_us = now_us + AUTO_JOIN_QUIET_US;
    }
    if (now_us < join->due_us)
        return AUTO_JOIN_WAIT;
    const char *problem = obstacle(epoch, self);
    if (problem == NULL)
        problem = plan_problem(epoch, options, arena);
    join->due_us = now_us + AUTO_JOIN_AGAIN_US;
    if (problem == NULL)
        return AUTO_JOIN_COMMIT;
    *ret_why = problem;
    return AUTO_JOIN_WAIT;
}
