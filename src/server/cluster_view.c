/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cluster_view.h"

#include "server/view_json.h"

enum { TEXT_MAX = 512 };

static const char *const membership_names[] = { "active", "joining", "leaving", "gone" };
static const char *const liveness_names[] = { "unknown", "alive", "suspect", "dead" };

static uint32_t held_by(const struct epoch *epoch, const uint16_t *table, uint16_t member)
{
    size_t places = (size_t)epoch->partition_count * epoch->replica_count;
    uint32_t held = 0;
    for (size_t i = 0; i < places; i++)
        held += table[i] == member;
    return held;
}

static json_t *json_member(struct node *node, const struct epoch *epoch, uint16_t slot)
{
    const struct member *member = &epoch->members[slot];
    return json_pack("{s:s, s:o, s:s, s:s, s:I, s:s, s:s, s:I, s:b, s:b}", "name", member->name,
                     "id", view_json_id(&member->id), "zone", member->zone, "address",
                     member->address, "weight", (json_int_t)member->weight, "membership",
                     membership_names[member->state], "state",
                     liveness_names[node_liveness(node, slot)], "partitions",
                     (json_int_t)held_by(epoch, epoch->table, slot), "voter",
                     ring_is_voter(epoch, slot), "self", slot == node_self(node));
}

static json_t *json_staged(const struct epoch *epoch)
{
    json_t *staged = json_array();
    struct buffer text;
    buffer_init(&text, TEXT_MAX);
    for (uint16_t i = 0; i < epoch->change_count; i++) {
        buffer_reset(&text);
        change_describe(epoch, &epoch->changes[i], &text);
        json_array_append_new(staged, json_stringn((const char *)text.data, text.size));
    }
    buffer_done(&text);
    return staged;
}

void cluster_view_json(struct node *node, struct buffer *ret_json)
{
    const struct epoch *epoch = node_epoch(node);
    json_t *members = json_array();
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (epoch->members[i].state != MEMBER_GONE)
            json_array_append_new(members, json_member(node, epoch, i));
    view_json_print(json_pack("{s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:I}", "cluster",
                              view_json_id(&epoch->cluster), "epoch", (json_int_t)epoch->number,
                              "partitions", (json_int_t)epoch->partition_count, "columns",
                              (json_int_t)epoch->replica_count, "columns_wanted",
                              (json_int_t)epoch->replicas_wanted, "nodes", members, "staged",
                              json_staged(epoch), "moving", (json_int_t)epoch->move_count),
                    ret_json);
}

/* --- the plan ------------------------------------------------------------------------------- */

static json_t *json_survival(struct change_survival survival)
{
    return json_pack("{s:i, s:i}", "nodes", (int)survival.nodes, "zones", (int)survival.zones);
}

static json_t *json_effects(const struct epoch *epoch, const struct change_plan *plan)
{
    json_t *effects = json_array();
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        const struct member *after = &plan->next.members[i];
        if (epoch->members[i].state == MEMBER_GONE)
            continue;
        json_array_append_new(
            effects,
            json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:I}", "name", after->name,
                      "membership", membership_names[epoch->members[i].state], "becomes",
                      membership_names[after->state], "weight", (json_int_t)after->weight, "zone",
                      after->zone, "partitions", (json_int_t)held_by(epoch, epoch->table, i),
                      "partitions_after", (json_int_t)held_by(&plan->next, plan->table, i), "gains",
                      (json_int_t)plan->gains[i], "losses", (json_int_t)plan->losses[i]));
    }
    return effects;
}

static void add_filled(json_t *json, const struct epoch *epoch, const struct change_plan *plan)
{
    json_object_set_new(json, "nodes", json_effects(epoch, plan));
    json_object_set_new(json, "moves", json_integer((json_int_t)plan->next.move_count));
    json_object_set_new(json, "copies", json_integer((json_int_t)plan->gain_count));
    json_object_set_new(json, "zones_of_a_partition",
                        json_pack("{s:i, s:i}", "before", (int)plan->spread_before, "after",
                                  (int)plan->spread_after));
    json_object_set_new(json, "survives",
                        json_pack("{s:o, s:o, s:o}", "before", json_survival(plan->before),
                                  "during", json_survival(plan->during), "after",
                                  json_survival(plan->after)));
}

void cluster_plan_json(const struct node_plan *plan, struct buffer *ret_json)
{
    const struct epoch *epoch = plan->epoch;
    json_t *json = json_pack(
        "{s:I, s:b, s:s, s:s, s:o}", "epoch", (json_int_t)epoch->number, "possible",
        plan->status == KVORUM_OK, "status", kvorum_status_name(plan->status), "reason",
        plan->status != KVORUM_OK && plan->why[0] == '\0' ? kvorum_status_text(plan->status)
                                                          : plan->why,
        "staged", json_staged(epoch));
    if (plan->filled)
        add_filled(json, epoch, plan->plan);
    view_json_print(json, ret_json);
}
