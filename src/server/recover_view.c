/* SPDX-License-Identifier: Apache-2.0 */
#include "server/recover_view.h"

#include "server/view_json.h"

#include <jansson.h>
#include <stdlib.h>

static const char *const membership_names[] = { "active", "joining", "leaving", "gone" };
static const char *const liveness_names[] = { "unknown", "alive", "suspect", "dead" };

static const char *name_at(const char *const *names, size_t count, uint32_t at)
{
    return at < count ? names[at] : "?";
}

/* For the table of the command, as the rest. */
static const char *answer_of(const Peer__RecoverMember *member)
{
    if (!member->answered)
        return "none";
    return member->put_back ? "older disk" : "yes";
}

static json_t *json_member(const Peer__RecoverMember *member)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I}", "name",
                     member->name, "membership", name_at(membership_names, 4, member->membership),
                     "state", name_at(liveness_names, 4, member->liveness), "lost", member->lost,
                     "answered", answer_of(member), "voter", member->voter, "accepted",
                     member->accepted, "epoch", (json_int_t)member->epoch, "heard_of",
                     (json_int_t)member->heard, "partitions", (json_int_t)member->partitions,
                     "partitions_after", (json_int_t)member->partitions_after, "gains",
                     (json_int_t)member->gains);
}

static json_t *json_copies(const Peer__RecoverCopies *copies)
{
    return json_pack("{s:I, s:s, s:I, s:I, s:I, s:I}", "n", (json_int_t)copies->n, "buckets",
                     copies->buckets, "whole", (json_int_t)copies->whole, "majority",
                     (json_int_t)copies->majority, "minority", (json_int_t)copies->minority, "none",
                     (json_int_t)copies->none);
}

static json_t *json_warnings(const Peer__RecoverReport *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->n_warnings; i++) {
        const Peer__RecoverWarning *warning = report->warnings[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "kind", warning->kind, "buckets",
                                              warning->buckets, "text", warning->text));
    }
    return list;
}

void recover_view_json(const Peer__RecoverReport *report, struct buffer *ret_json)
{
    json_t *members = json_array(), *copies = json_array(), *voters = json_array();
    for (size_t i = 0; i < report->n_members; i++)
        json_array_append_new(members, json_member(report->members[i]));
    for (size_t i = 0; i < report->n_copies; i++)
        json_array_append_new(copies, json_copies(report->copies[i]));
    for (size_t i = 0; i < report->n_voters_after; i++)
        json_array_append_new(voters, json_string(report->voters_after[i]));
    json_t *json = json_pack(
        "{s:I, s:b, s:s, s:s, s:I, s:b, s:b, s:I, s:I, s:I, s:o, s:o, s:o}", "epoch",
        (json_int_t)report->epoch, "possible", report->status == KVORUM_OK, "status",
        kvorum_status_name((kvorum_status)report->status), "reason", report->reason, "next_epoch",
        (json_int_t)report->next, "begun_before", report->begun, "accepted_only", report->from_vote,
        "voters", (json_int_t)report->voters, "voters_answer", (json_int_t)report->voters_answer,
        "heard_of", (json_int_t)report->heard, "nodes", members, "copies", copies, "voters_after",
        voters);
    json_object_set_new(json, "moves", json_integer((json_int_t)report->moves));
    json_object_set_new(json, "moving_now", json_integer((json_int_t)report->moving));
    json_object_set_new(json, "copies_travel", json_integer((json_int_t)report->travel));
    json_object_set_new(json, "survives_after_nodes", json_integer(report->survives_nodes));
    json_object_set_new(json, "warnings", json_warnings(report));
    json_object_set_new(json, "staged_is_forgotten", json_boolean(report->staged));
    view_json_print(json, ret_json);
}
