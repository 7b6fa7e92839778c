/* SPDX-License-Identifier: Apache-2.0 */
/* Times to live, as Redis has them: options of SET, commands that change a key's deadline, and
 * those that tell it.  A deadline is part of a version, so changing it writes the value anew; a
 * deadline in the past is a deletion. */
#include "server/protocol/resp/internal.h"

#include <stdio.h>

/* --- numbers --------------------------------------------------------------------------------- */

/* Decimal, with a sign; as Redis, nothing else. */
static bool read_integer(struct bytes text, int64_t *ret)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX, value = 0;
    size_t i = negative;
    if (text.size == i || text.size - i > 19)
        return false;
    for (; i < text.size; i++) {
        uint64_t digit = (uint64_t)text.data[i] - '0';
        if (digit > 9 || value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static void refuse_time(struct resp_call *call)
{
    char text[96];
    snprintf(text, sizeof(text), "invalid expire time in '%s' command", call->command->name);
    resp_reply_error(call->connection, "ERR", text);
}

/* In the past: the first moment there is, since 0 is no deadline. */
static bool read_deadline(struct resp_call *call, struct bytes text, enum resp_time time,
                          bool positive, uint64_t *ret_ms)
{
    int64_t value, now_ms = 0;
    if (!read_integer(text, &value)) {
        resp_reply_error(call->connection, "ERR", "value is not an integer or out of range");
        return false;
    }
    bool seconds = time == RESP_TIME_SECONDS || time == RESP_TIME_UNIX_SECONDS;
    if (time == RESP_TIME_SECONDS || time == RESP_TIME_MS)
        now_ms = (int64_t)node_wall_ms(call->connection->environment->node);
    bool fits = !(positive && value <= 0) &&
                !(seconds && __builtin_mul_overflow(value, 1000, &value)) &&
                !__builtin_add_overflow(value, now_ms, &value);
    if (!fits) {
        refuse_time(call);
        return false;
    }
    *ret_ms = value < 1 ? 1 : (uint64_t)value;
    return true;
}

bool resp_read_deadline(struct resp_call *call, struct bytes text, enum resp_time time,
                        uint64_t *ret_ms)
{
    return read_deadline(call, text, time, true, ret_ms);
}

/* --- changing -------------------------------------------------------------------------------- */

static void on_touched(void *context, const struct answer *answer)
{
    struct resp_reply *reply = context;
    struct buffer *out = resp_reply_out(reply);
    bool refused = answer->status == KVORUM_NOT_FOUND || answer->status == KVORUM_CONFLICT;
    if (answer->status != KVORUM_OK && !refused)
        resp_write_answer(out, answer);
    else
        resp_write_integer(out, answer->status == KVORUM_OK);
    resp_reply_end(reply);
}

static void touch(struct resp_call *call, uint64_t deadline_ms, uint32_t conditions)
{
    struct operation operation = call->connection->operation;
    operation.kind = OPERATION_PUT;
    operation.flags = OPERATION_TOUCH | OPERATION_OVERWRITE | conditions;
    operation.deadline_ms = deadline_ms;
    resp_submit(call, &operation, RESP_USE_DELETE, on_touched);
}

static bool read_conditions(struct resp_call *call, uint32_t *ret_flags)
{
    static const struct {
        const char *name;
        uint32_t flag;
    } known[] = { { "NX", OPERATION_IF_LASTS },
                  { "XX", OPERATION_IF_EXPIRES },
                  { "GT", OPERATION_IF_EARLIER },
                  { "LT", OPERATION_IF_LATER } };
    uint32_t flags = 0;
    for (uint32_t i = 3; i < call->count; i++) {
        struct bytes option = resp_call_argument(call, i);
        uint32_t flag = 0;
        for (size_t j = 0; j < 4; j++)
            if (resp_is(option, known[j].name))
                flag = known[j].flag;
        if (flag == 0) {
            char text[80];
            snprintf(text, sizeof(text), "Unsupported option %.*s",
                     (int)(option.size < 40 ? option.size : 40), (const char *)option.data);
            resp_reply_error(call->connection, "ERR", text);
            return false;
        }
        flags |= flag;
    }
    const uint32_t both = OPERATION_IF_EARLIER | OPERATION_IF_LATER;
    bool lasts = (flags & OPERATION_IF_LASTS) != 0 && flags != OPERATION_IF_LASTS;
    if (lasts || (flags & both) == both) {
        resp_reply_error(call->connection, "ERR",
                         lasts ? "NX and XX, GT or LT options at the same time are not compatible"
                               : "GT and LT options at the same time are not compatible");
        return false;
    }
    *ret_flags = flags;
    return true;
}

static void expire(struct resp_call *call, enum resp_time time)
{
    uint64_t deadline_ms;
    uint32_t conditions;
    if (read_deadline(call, resp_call_argument(call, 2), time, false, &deadline_ms) &&
        read_conditions(call, &conditions))
        touch(call, deadline_ms, conditions);
}

void resp_run_expire(struct resp_call *call)
{
    expire(call, RESP_TIME_SECONDS);
}

void resp_run_pexpire(struct resp_call *call)
{
    expire(call, RESP_TIME_MS);
}

void resp_run_expireat(struct resp_call *call)
{
    expire(call, RESP_TIME_UNIX_SECONDS);
}

void resp_run_pexpireat(struct resp_call *call)
{
    expire(call, RESP_TIME_UNIX_MS);
}

void resp_run_persist(struct resp_call *call)
{
    touch(call, NODE_NEVER, OPERATION_IF_EXPIRES);
}

/* --- telling --------------------------------------------------------------------------------- */

/* -2: no such key; -1: it does not expire. */
static int64_t find_deadline(const struct answer *answer)
{
    struct bytes unused;
    if (!resp_value_of(answer, &unused))
        return -2;
    uint64_t deadline_ms = object_winner(answer->object)->deadline_ms;
    return deadline_ms == 0 ? -1 : (int64_t)deadline_ms;
}

static void tell(struct resp_reply *reply, const struct answer *answer, bool left, bool seconds)
{
    struct buffer *out = resp_reply_out(reply);
    int64_t value = find_deadline(answer);
    int64_t now_ms = left ? (int64_t)node_wall_ms(reply->owner->environment->node) : 0;
    if (value >= 0)
        value = value > now_ms ? value - now_ms : 0;
    if (value > 0 && seconds)
        value = (value + 500) / 1000;
    if (answer->status != KVORUM_OK && answer->status != KVORUM_NOT_FOUND)
        resp_write_answer(out, answer);
    else
        resp_write_integer(out, value);
    resp_reply_end(reply);
}

static void on_ttl(void *context, const struct answer *answer)
{
    tell(context, answer, true, true);
}

static void on_pttl(void *context, const struct answer *answer)
{
    tell(context, answer, true, false);
}

static void on_expiretime(void *context, const struct answer *answer)
{
    tell(context, answer, false, true);
}

static void on_pexpiretime(void *context, const struct answer *answer)
{
    tell(context, answer, false, false);
}

static void ask(struct resp_call *call, node_answer_fn on_answer)
{
    struct operation operation = call->connection->operation;
    operation.kind = OPERATION_GET;
    resp_submit(call, &operation, RESP_USE_READ, on_answer);
}

void resp_run_ttl(struct resp_call *call)
{
    ask(call, on_ttl);
}

void resp_run_pttl(struct resp_call *call)
{
    ask(call, on_pttl);
}

void resp_run_expiretime(struct resp_call *call)
{
    ask(call, on_expiretime);
}

void resp_run_pexpiretime(struct resp_call *call)
{
    ask(call, on_pexpiretime);
}
