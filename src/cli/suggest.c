/* SPDX-License-Identifier: Apache-2.0 */
/* Edit distance with swaps (optimal string alignment), three rows of the usual table. */
#include "cli/suggest.h"

#include <string.h>

enum { LENGTH_MAX = 63 };

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

unsigned suggest_distance(const char *a, const char *b)
{
    size_t a_size = strnlen(a, LENGTH_MAX), b_size = strnlen(b, LENGTH_MAX);
    unsigned rows[3][LENGTH_MAX + 1];
    for (size_t j = 0; j <= b_size; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_size; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_size; j++) {
            unsigned replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(above[j] + 1, row[j - 1] + 1, replaced);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
    }
    return rows[a_size % 3][b_size];
}

void suggestion_offer(struct suggestion *suggestion, const char *name)
{
    size_t size = strlen(suggestion->meant);
    unsigned distance = suggest_distance(suggestion->meant, name);
    if (size >= 2 && strncmp(suggestion->meant, name, size) == 0)
        distance = 1; /* a beginning is always near */
    unsigned limit = size <= 3 ? 1 : size <= 6 ? 2 : 3;
    if (distance > limit || (suggestion->name != NULL && distance >= suggestion->distance))
        return;
    suggestion->name = name;
    suggestion->distance = distance;
}
