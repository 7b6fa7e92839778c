/* SPDX-License-Identifier: Apache-2.0 */
#include "server/scrub_view.h"

#include "server/internal.h"

uint64_t scrub_view_last_s(const struct server_view *view)
{
    uint64_t oldest_ms = UINT64_MAX;
    for (uint16_t i = 0; i < view->reactor_count; i++) {
        uint64_t last_ms = snapshot_scrub_last_ms(&view->reactors[i]->snapshot);
        oldest_ms = last_ms < oldest_ms ? last_ms : oldest_ms;
    }
    return view->reactor_count == 0 ? 0 : oldest_ms / 1000;
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

json_t *scrub_view_json(const struct server_view *view, const struct node_counters *now)
{
    const struct config *config = &view->server->config;
    uint64_t last_s = scrub_view_last_s(view), now_s = clock_wall_ms(view->clock) / 1000;
    json_t *scrub = json_object();
    json_object_set_new(scrub, "period_s", number(config->scrub_period_ms / 1000));
    json_object_set_new(scrub, "rate", number(config->scrub_rate));
    json_object_set_new(scrub, "running", json_boolean(now->scrub_running > 0));
    json_object_set_new(scrub, "last_pass_s",
                        last_s == 0 ? json_null() : number(now_s > last_s ? now_s - last_s : 0));
    json_object_set_new(scrub, "passes", number(now->scrub_passes));
    json_object_set_new(scrub, "read", number(now->scrub_size));
    json_object_set_new(scrub, "damaged", number(now->scrub_damaged));
    json_object_set_new(scrub, "mended", number(now->scrub_mended));
    json_object_set_new(scrub, "unmended", number(now->scrub_unmended));
    json_object_set_new(scrub, "in_doubt", number(now->scrub_losses - now->scrub_lost));
    json_object_set_new(scrub, "lost", number(now->scrub_lost));
    return scrub;
}
