/* SPDX-License-Identifier: Apache-2.0 */
/** Names of versions for people and ETags: 128 bits as 22 digits of base 62 (62^22 > 2^128).
 *  A dot is written as it is, so two dots never share a name; a clock by a 128-bit hash. */
#include <assert.h>

#include "base/hash.h"
#include "object/object.h"

static_assert(sizeof(struct dot) == 16, "entries of a clock are hashed as they lie in memory");

static void write_base62(unsigned __int128 number, char ret_text[VTAG_SIZE])
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (int i = VTAG_SIZE - 2; i >= 0; i--) {
        ret_text[i] = digits[(unsigned)(number % 62)];
        number /= 62;
    }
    ret_text[VTAG_SIZE - 1] = '\0';
}

void vtag_of_dot(struct dot dot, char ret_text[VTAG_SIZE])
{
    write_base62((unsigned __int128)dot.actor << 64 | dot.counter, ret_text);
}

void vtag_of_clock(const struct clock_vector *clock, char ret_text[VTAG_SIZE])
{
    struct bytes entries = bytes_make(clock->entries, clock->count * sizeof(struct dot));
    write_base62((unsigned __int128)hash64(entries, 1) << 64 | hash64(entries, 2), ret_text);
}
