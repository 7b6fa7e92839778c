/* SPDX-License-Identifier: Apache-2.0 */
/* A look at the requests behind the one that runs: the memory of their keys is asked for all at
 * once, and is there when they run.  Only a hint: what looks odd here is judged by the parser,
 * later. */
#include "engine/engine.h"
#include "server/protocol/resp/internal.h"

enum { DIGITS_MAX = 9, ARGUMENTS_AHEAD = 8, ALIKE = 4 };

/* "<marker>NUMBER\r\n" */
static bool take_number(struct bytes *rest, uint8_t marker, size_t *ret_number)
{
    size_t number = 0, at = 1;
    if (rest->size < 4 || rest->data[0] != marker)
        return false;
    while (at < rest->size && at <= DIGITS_MAX && (uint8_t)(rest->data[at] - '0') < 10)
        number = number * 10 + (uint8_t)(rest->data[at++] - '0');
    if (rest->size - at < 2 || rest->data[at] != '\r')
        return false;
    *rest = bytes_from(*rest, at + 2);
    *ret_number = number;
    return true;
}

static bool take_bulk(struct bytes *rest, struct bytes *ret_bulk)
{
    size_t size;
    if (!take_number(rest, '$', &size) || rest->size < size + 2)
        return false;
    *ret_bulk = bytes_make(rest->data, size);
    *rest = bytes_from(*rest, size + 2);
    return true;
}

/* The second argument of the request in front, which is the key in all commands that have one. */
static bool take_key(struct bytes *rest, struct bytes *ret_key)
{
    struct bytes other;
    size_t count;
    if (!take_number(rest, '*', &count) || count < 2 || count > ARGUMENTS_AHEAD ||
        !take_bulk(rest, &other) || !take_bulk(rest, ret_key))
        return false;
    for (size_t i = 2; i < count; i++)
        if (!take_bulk(rest, &other))
            return false;
    return true;
}

/* A pipeline on one key needs no look: when some requests in a row have the same, those behind them
 * are taken to have it too. */
uint32_t resp_look_ahead(struct resp_connection *resp, struct bytes input)
{
    struct bytes keys[ENGINE_PREFETCH_MAX];
    uint32_t requests = 0, count = 0;
    while (requests < ENGINE_PREFETCH_MAX && take_key(&input, &keys[count])) {
        requests++;
        count += count == 0 || !bytes_equal(keys[count], keys[count - 1]);
        if (requests == ALIKE && count == 1)
            return ENGINE_PREFETCH_MAX;
    }
    if (count > 1)
        node_prefetch(resp->environment->node, resp->operation.type, resp->operation.bucket, keys,
                      count);
    return requests > 0 ? requests : 1;
}
