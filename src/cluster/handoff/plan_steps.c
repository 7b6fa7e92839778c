/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/handoff/plan_steps.h"

#include <assert.h>
#include <string.h>

uint8_t handoff_barrier(uint8_t count, uint8_t r)
{
    uint8_t majority = count / 2 + 1;
    uint8_t reads_meet = r < count ? (uint8_t)(count - r + 1) : 1;
    return reads_meet > majority ? reads_meet : majority;
}

bool handoff_barrier_met(const struct handoff_input *input, const uint16_t *row)
{
    uint8_t count = ring_row_size(input->epoch, row), persisted = 0;
    for (uint8_t i = 0; i < count; i++)
        persisted += input->persisted[row[i]] >= input->epoch->number;
    return persisted >= handoff_barrier(count, input->r);
}

/* --- steps of moves under way ---------------------------------------------------------------- */

static bool may_advance(const struct handoff_input *input, const struct move *move)
{
    return handoff_barrier_met(input, ring_row(input->epoch, move->partition)) &&
           handoff_barrier_met(input, move->to);
}

static bool step_of(const struct handoff_input *input, uint32_t index, enum handoff_step_kind *ret)
{
    const struct move *move = &input->epoch->moves[index];
    if (move->phase == MOVE_WRITE_BOTH_READ_NEW) {
        *ret = HANDOFF_END;
        return may_advance(input, move);
    }
    *ret = HANDOFF_ABORT;
    if (input->cancelled != NULL && input->cancelled[index])
        return true;
    *ret = HANDOFF_READ_NEW;
    return input->streamed != NULL && input->streamed[index] && may_advance(input, move);
}

/* --- beginning ------------------------------------------------------------------------------- */

static bool row_holds(const struct epoch *epoch, const uint16_t *row, uint16_t member)
{
    for (uint8_t i = 0; i < epoch->replica_count; i++)
        if (row[i] == member)
            return true;
    return false;
}

/* Adds one to the moves of every member that gives or receives between the rows. */
static void count_move(const struct epoch *epoch, const uint16_t *from, const uint16_t *to,
                       uint16_t *busy)
{
    for (uint8_t i = 0; i < epoch->replica_count; i++) {
        if (from[i] != RING_NO_MEMBER && !row_holds(epoch, to, from[i]))
            busy[from[i]]++;
        if (to[i] != RING_NO_MEMBER && !row_holds(epoch, from, to[i]))
            busy[to[i]]++;
    }
}

static bool has_room(const struct epoch *epoch, const uint16_t *from, const uint16_t *to,
                     const uint16_t *busy, uint16_t limit)
{
    for (uint8_t i = 0; i < epoch->replica_count; i++) {
        bool gives = from[i] != RING_NO_MEMBER && !row_holds(epoch, to, from[i]);
        bool takes = to[i] != RING_NO_MEMBER && !row_holds(epoch, from, to[i]);
        if ((gives && busy[from[i]] >= limit) || (takes && busy[to[i]] >= limit))
            return false;
    }
    return true;
}

static bool may_begin(const struct handoff_input *input, uint32_t partition, const uint16_t *busy)
{
    const struct epoch *epoch = input->epoch;
    const uint16_t *from = ring_row(epoch, partition);
    const uint16_t *to = input->target + (size_t)partition * epoch->replica_count;
    return memcmp(from, to, epoch->replica_count * sizeof(*to)) != 0 &&
           ring_move_of(epoch, partition) == NULL && handoff_barrier_met(input, from) &&
           has_room(epoch, from, to, busy, input->moves_per_member);
}

/* Moves that end now still count: they are under way until the next epoch. */
static uint32_t begin(const struct handoff_input *input, struct handoff_step *ret_steps,
                      uint32_t limit)
{
    const struct epoch *epoch = input->epoch;
    uint16_t busy[RING_MEMBERS_MAX] = { 0 };
    uint32_t count = 0;
    for (uint32_t i = 0; i < epoch->move_count; i++)
        count_move(epoch, ring_row(epoch, epoch->moves[i].partition), epoch->moves[i].to, busy);
    for (uint32_t p = 0; p < epoch->partition_count && count < limit; p++) {
        if (!may_begin(input, p, busy))
            continue;
        ret_steps[count++] = (struct handoff_step){ HANDOFF_BEGIN, p };
        count_move(epoch, ring_row(epoch, p), input->target + (size_t)p * epoch->replica_count,
                   busy);
    }
    return count;
}

static void sort_in(struct handoff_step *steps, uint32_t count, struct handoff_step step)
{
    for (; count > 0 && steps[count - 1].partition > step.partition; count--)
        steps[count] = steps[count - 1];
    steps[count] = step;
}

/* Two ascending runs, of `ended` steps and of those behind them, into one.  In place and quadratic,
 * since what begins at a time is little. */
static void merge_runs(struct handoff_step *steps, uint32_t ended, uint32_t count)
{
    for (uint32_t i = ended; i < count; i++)
        sort_in(steps, i, steps[i]);
}

uint32_t handoff_steps(const struct handoff_input *input, struct handoff_step *ret_steps,
                       uint32_t limit)
{
    assert(input->r >= 1 && input->moves_per_member >= 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < input->epoch->move_count && count < limit; i++) {
        enum handoff_step_kind kind;
        if (step_of(input, i, &kind))
            ret_steps[count++] = (struct handoff_step){ kind, input->epoch->moves[i].partition };
    }
    if (input->target == NULL)
        return count;
    uint32_t begun = begin(input, ret_steps + count, limit - count);
    merge_runs(ret_steps, count, count + begun);
    return count + begun;
}

/* --- the next epoch --------------------------------------------------------------------------- */

/* The moves of both epochs ascend, and so do the steps: one pass over all three. */
struct transition {
    const struct epoch *before;
    const uint16_t *target;
    struct epoch *after;
};

static void put_row(struct transition *change, uint32_t partition, const uint16_t *row)
{
    uint8_t columns = change->after->replica_count;
    memcpy(change->after->table + (size_t)partition * columns, row, columns * sizeof(*row));
}

static void begin_move(struct transition *change, uint32_t partition)
{
    struct epoch *after = change->after;
    struct move *move = &after->moves[after->move_count++];
    *move = (struct move){ .partition = partition,
                           .phase = MOVE_WRITE_BOTH_READ_OLD,
                           .session = after->number };
    memcpy(move->to, change->target + (size_t)partition * after->replica_count,
           after->replica_count * sizeof(*move->to));
}

static void change_move(struct transition *change, const struct move *before,
                        enum handoff_step_kind kind)
{
    struct epoch *after = change->after;
    if (kind == HANDOFF_END)
        put_row(change, before->partition, before->to);
    if (kind != HANDOFF_READ_NEW)
        return;
    after->moves[after->move_count] = *before;
    after->moves[after->move_count++].phase = MOVE_WRITE_BOTH_READ_NEW;
}

static void take_steps(struct transition *change, const struct handoff_step *steps, uint32_t count)
{
    const struct epoch *before = change->before;
    uint32_t at = 0;
    for (uint32_t i = 0; i < before->move_count || at < count;) {
        const struct move *move = i < before->move_count ? &before->moves[i] : NULL;
        bool is_step = at < count && (move == NULL || steps[at].partition <= move->partition);
        if (!is_step) {
            change->after->moves[change->after->move_count++] = *move;
            i++;
        } else if (steps[at].kind == HANDOFF_BEGIN) {
            assert(move == NULL || move->partition != steps[at].partition);
            begin_move(change, steps[at++].partition);
        } else {
            assert(move != NULL && move->partition == steps[at].partition);
            change_move(change, move, steps[at++].kind);
            i++;
        }
    }
}

/* --- when all has moved ----------------------------------------------------------------------- */

static bool is_owner(const struct epoch *epoch, uint16_t member)
{
    size_t places = (size_t)epoch->partition_count * epoch->replica_count;
    for (size_t i = 0; i < places; i++)
        if (epoch->table[i] == member)
            return true;
    return false;
}

static bool let_leavers_go(struct epoch *epoch, struct arena *arena)
{
    size_t size = epoch->member_count * sizeof(*epoch->members);
    struct member *members = arena_allocate(arena, size);
    if (members == NULL)
        return false;
    memcpy(members, epoch->members, size);
    for (uint16_t i = 0; i < epoch->member_count; i++)
        if (members[i].state == MEMBER_LEAVING && !is_owner(epoch, i))
            members[i].state = MEMBER_GONE;
    epoch->members = members;
    return true;
}

/* The table was as wide as the wider of the old and the new. */
static void narrow(struct epoch *epoch)
{
    uint8_t wide = epoch->replica_count, used = 1;
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        uint8_t size = ring_row_size(epoch, ring_row(epoch, p));
        used = size > used ? size : used;
    }
    for (uint32_t p = 0; p < epoch->partition_count; p++)
        memmove(epoch->table + (size_t)p * used, epoch->table + (size_t)p * wide,
                used * sizeof(*epoch->table));
    epoch->replica_count = used;
}

kvorum_status handoff_finish(struct epoch *epoch, struct arena *arena)
{
    narrow(epoch);
    return let_leavers_go(epoch, arena) ? KVORUM_OK : KVORUM_NO_MEMORY;
}

kvorum_status handoff_apply(const struct epoch *epoch, const uint16_t *target,
                            const struct handoff_step *steps, uint32_t count, struct arena *arena,
                            struct epoch *ret_epoch)
{
    struct epoch after = *epoch;
    size_t size = (size_t)epoch->partition_count * epoch->replica_count * sizeof(*after.table);
    after.number++;
    after.move_count = 0;
    after.table = arena_allocate(arena, size);
    after.moves = arena_allocate(arena, (epoch->move_count + count + 1) * sizeof(*after.moves));
    if (after.table == NULL || after.moves == NULL)
        return KVORUM_NO_MEMORY;
    memcpy(after.table, epoch->table, size);
    struct transition change = { epoch, target, &after };
    take_steps(&change, steps, count);
    kvorum_status status = after.move_count == 0 ? handoff_finish(&after, arena) : KVORUM_OK;
    if (status == KVORUM_OK)
        *ret_epoch = after;
    return status;
}
