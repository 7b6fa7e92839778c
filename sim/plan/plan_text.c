/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan says of itself. */
#include <stdio.h>

#include "sim/plan/plan.h"

const char *action_name(enum action action)
{
    static const char *const names[] = {
#define X(name, text) text,
        ACTION_LIST(X)
#undef X
    };
    return names[action];
}

const char *fault_name(enum fault fault)
{
    static const char *const names[] = {
#define X(name, text) text,
        FAULT_LIST(X)
#undef X
    };
    return names[fault];
}

static void describe_features(const struct plan *plan, struct buffer *buffer)
{
    buffer_printf(buffer, "; faults:");
    for (int i = 0; i < FAULT_COUNT; i++) {
        if (plan->faults[i] > 0)
            buffer_printf(buffer, " %s %u,", fault_name((enum fault)i), plan->faults[i]);
    }
    buffer_printf(buffer, " operations:");
    for (int i = 0; i < ACTION_COUNT; i++) {
        if (plan->weights[i] > 0)
            buffer_printf(buffer, " %s %u,", action_name((enum action)i), plan->weights[i]);
    }
}

enum { LEVEL_TEXT_SIZE = 16 };

static const char *level_text(uint32_t level, char ret_text[LEVEL_TEXT_SIZE])
{
    const char *word = quorum_level_word(level);
    if (word != NULL)
        return word;
    snprintf(ret_text, LEVEL_TEXT_SIZE, "%u", level);
    return ret_text;
}

void plan_describe(const struct plan *plan, struct buffer *buffer)
{
    const struct quorum_levels *levels = &plan->levels;
    char texts[3][LEVEL_TEXT_SIZE];
    static const char *const syncs[] = { "always", "interval", "never" };
    if (plan->epoch_us != 0)
        buffer_printf(buffer, "epochs every %llu ms with %u joiners, ",
                      (unsigned long long)(plan->epoch_us / 1000), plan->joiner_count);
    if (plan->decays)
        buffer_printf(buffer, "disks decay%s, scrubbed every %llu s, ",
                      plan->only_detected ? " beyond repair" : "",
                      (unsigned long long)(plan->scrub.period_us / SIM_SECOND));
    if (plan->departures)
        buffer_printf(buffer, "members leave, %u are lost, ", plan->losses_max);
    buffer_printf(buffer,
                  "%u nodes, %s%s, sync %s, n=%u r=%s w=%s dw=%s pr=%u pw=%u %s, %s%s%s%s, ",
                  plan->member_count, plan->memory ? "memory" : "lsm",
                  plan->mapped && !plan->memory ? " mapped" : "", syncs[plan->sync], levels->n,
                  level_text(levels->r, texts[0]), level_text(levels->w, texts[1]),
                  level_text(levels->dw, texts[2]), levels->pr, levels->pw,
                  plan->varied_levels ? "varied"
                  : levels->sloppy    ? "sloppy"
                                      : "strict",
                  plan->siblings ? "siblings" : "last write wins",
                  !plan->mode_changes        ? ""
                  : plan->mode_changes_first ? " (changed before)"
                                             : " (changed under way)",
                  plan->durable ? ", durable" : "", plan->strong ? ", strong" : "");
    buffer_printf(buffer, "handoff %s, ", handoff_strategy_name(plan->strategy));
    if (!plan->memory)
        sizes_describe(&plan->sizes, buffer);
    buffer_printf(buffer, ", %u clients, %u keys, timeout %u ms", plan->client_count,
                  plan->key_count, plan->timeout_ms);
    buffer_printf(buffer, ", delay %llu us, loss %u, duplication %u, corruption %u%s",
                  (unsigned long long)plan->network.delay_us, plan->network.loss,
                  plan->network.duplication, plan->network.corruption,
                  plan->network.reordering ? ", reordering" : "");
    buffer_printf(buffer, ", repair %llu s%s%s",
                  (unsigned long long)(plan->repair.pass_us / SIM_SECOND),
                  plan->unread ? ", unread" : "", plan->loses_object ? ", loses an object" : "");
    if (plan->collect.age_ms > 0)
        buffer_printf(buffer, ", collects after %llu ms", (unsigned long long)plan->collect.age_ms);
    describe_features(plan, buffer);
}
