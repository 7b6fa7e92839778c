/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/bugs/bugs.h"

#include <ctype.h>
#include <string.h>

static const char *const identifiers[] = { "NONE",
#define X(name, text) #name,
                                           PLANTED_BUG_LIST(X)
#undef X
};

static const char *const texts[] = { "no planted bug",
#define X(name, text) text,
                                     PLANTED_BUG_LIST(X)
#undef X
};

enum { NAME_SIZE = 64 };

/* A lower-case name with dashes, as on a command line. */
static void make_name(const char *identifier, char ret_name[NAME_SIZE])
{
    size_t i = 0;
    for (; i < NAME_SIZE - 1 && identifier[i] != '\0'; i++)
        ret_name[i] = (char)(identifier[i] == '_' ? '-' : tolower((unsigned char)identifier[i]));
    ret_name[i] = '\0';
}

const char *bug_name(enum planted_bug bug)
{
    static char names[PLANTED_COUNT][NAME_SIZE];
    make_name(identifiers[bug], names[bug]);
    return names[bug];
}

const char *bug_text(enum planted_bug bug)
{
    return texts[bug];
}

enum planted_bug bug_of_name(const char *name)
{
    for (int i = 1; i < PLANTED_COUNT; i++) {
        if (strcmp(bug_name((enum planted_bug)i), name) == 0)
            return (enum planted_bug)i;
    }
    return PLANTED_NONE;
}

void bug_plant(enum planted_bug bug)
{
    planted_bug_active = bug;
}
