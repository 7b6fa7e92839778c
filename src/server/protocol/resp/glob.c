/* SPDX-License-Identifier: Apache-2.0 */
/* Without recursion: on a mismatch the last star takes one byte more, and only the last star ever
 * needs to be tried again. */
#include "base/text.h"
#include "server/protocol/resp/internal.h"

static bool between(uint8_t c, uint8_t a, uint8_t b)
{
    return a <= b ? c >= a && c <= b : c >= b && c <= a;
}

/* A set behind its '['; returns its size with the ']', which may be missing at the end. */
static size_t match_set(struct bytes pattern, uint8_t c, bool *ret_match)
{
    bool negated = pattern.size > 0 && pattern.data[0] == '^', found = false;
    size_t at = negated;
    while (at < pattern.size && pattern.data[at] != ']') {
        if (pattern.data[at] == '\\' && at + 1 < pattern.size)
            at++;
        uint8_t first = text_lower(pattern.data[at]), last = first;
        if (at + 2 < pattern.size && pattern.data[at + 1] == '-') {
            last = text_lower(pattern.data[at + 2]);
            at += 2;
        }
        found |= between(c, first, last);
        at++;
    }
    *ret_match = found != negated;
    return at < pattern.size ? at + 1 : at;
}

/* One byte of text against what `pattern` begins with; returns how much of it that is. */
static size_t match_one(struct bytes pattern, uint8_t c, bool *ret_match)
{
    uint8_t p = pattern.data[0];
    size_t set = p == '[' ? match_set(bytes_from(pattern, 1), text_lower(c), ret_match) : 0;
    if (p == '[')
        return 1 + set;
    bool escaped = p == '\\' && pattern.size > 1;
    *ret_match = (p == '?') || text_lower(escaped ? pattern.data[1] : p) == text_lower(c);
    return escaped ? 2 : 1;
}

bool resp_glob_match(struct bytes pattern, struct bytes text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, resume = 0;
    while (t < text.size) {
        bool match = false;
        size_t step = 0;
        if (p < pattern.size && pattern.data[p] == '*') {
            star = ++p;
            resume = t;
            continue;
        }
        if (p < pattern.size)
            step = match_one(bytes_from(pattern, p), text.data[t], &match);
        if (!match && star == SIZE_MAX)
            return false;
        p = match ? p + step : star;
        t = match ? t + 1 : ++resume;
    }
    while (p < pattern.size && pattern.data[p] == '*')
        p++;
    return p == pattern.size;
}
