/* SPDX-License-Identifier: Apache-2.0 */
/* Integers only, so that a simulated run is the same run with every compiler. */
#include "cluster/membership/suspicion.h"

#include <string.h>

enum { LOG10_OF_2_Q16 = 19728 /* 65536 * 0.30103 */, ONE_Q16 = 1 << 16 };

/* Digit by digit: the square of the mantissa passes 2 where the next bit of its logarithm is 1. */
uint32_t log2_q16(uint64_t value)
{
    if (value == 0)
        return 0;
    unsigned whole = 63 - (unsigned)__builtin_clzll(value);
    uint64_t mantissa = whole >= 31 ? value >> (whole - 31) : value << (31 - whole);
    uint32_t result = whole;
    for (int i = 0; i < 16; i++) {
        mantissa = mantissa * mantissa >> 31;
        unsigned bit = (unsigned)(mantissa >> 32) & 1;
        mantissa >>= bit;
        result = result << 1 | bit;
    }
    return result;
}

uint64_t suspicion_minimum_us(uint64_t probe_interval_us, uint8_t multiplier, uint16_t members)
{
    uint64_t scale = (uint64_t)log2_q16(members) * LOG10_OF_2_Q16 >> 16;
    if (scale < ONE_Q16)
        scale = ONE_Q16;
    return multiplier * probe_interval_us * scale >> 16;
}

void suspicion_begin(struct suspicion *suspicion, const struct node_id *accuser,
                     uint64_t minimum_us, uint64_t maximum_us, unsigned wanted, uint64_t now_us)
{
    if (wanted > SUSPICION_CONFIRMATIONS_MAX)
        wanted = SUSPICION_CONFIRMATIONS_MAX;
    *suspicion = (struct suspicion){ .start_us = now_us,
                                     .minimum_us = minimum_us,
                                     .maximum_us = maximum_us,
                                     .wanted = (uint8_t)wanted,
                                     .accusers = { *accuser } };
}

bool suspicion_confirm(struct suspicion *suspicion, const struct node_id *accuser)
{
    if (suspicion->confirmed >= suspicion->wanted)
        return false;
    for (unsigned i = 0; i <= suspicion->confirmed; i++)
        if (memcmp(&suspicion->accusers[i], accuser, sizeof(*accuser)) == 0)
            return false;
    suspicion->accusers[++suspicion->confirmed] = *accuser;
    return true;
}

uint64_t suspicion_end_us(const struct suspicion *suspicion)
{
    if (suspicion->wanted == 0)
        return suspicion->start_us + suspicion->minimum_us;
    uint64_t span_us = suspicion->maximum_us - suspicion->minimum_us;
    uint64_t part = log2_q16(suspicion->confirmed + 1u), whole = log2_q16(suspicion->wanted + 1u);
    return suspicion->start_us + suspicion->maximum_us - span_us * part / whole;
}

void suspicion_forgive(struct suspicion *suspicion, uint64_t away_us)
{
    suspicion->start_us += away_us;
}
