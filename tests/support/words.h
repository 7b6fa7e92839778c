/* SPDX-License-Identifier: Apache-2.0 */
/** Narrative rows are words with blanks between: "start ack:0 ack:1" gives "send:012 -
 *  reply:OK". */
#ifndef TESTS_SUPPORT_WORDS_H
#define TESTS_SUPPORT_WORDS_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { WORD_SIZE = 64, WORDS_SIZE = 512 };

/** The next word of *at into `ret_word` (WORD_SIZE bytes); false at the end. */
static inline bool words_next(const char **at, char *ret_word)
{
    *at += strspn(*at, " ");
    size_t size = strcspn(*at, " ");
    assert(size < WORD_SIZE);
    memcpy(ret_word, *at, size);
    ret_word[size] = 0;
    *at += size;
    return size > 0;
}

/** Append a word, with a blank between (WORDS_SIZE bytes). */
static inline void words_add(char *words, const char *word)
{
    size_t size = strlen(words);
    int added = snprintf(words + size, WORDS_SIZE - size, "%s%s", size > 0 ? " " : "", word);
    assert(added >= 0 && (size_t)added < WORDS_SIZE - size);
}

/** Append `part` to the word that is being made, with a comma between. */
static inline void word_add(char *word, const char *part)
{
    size_t size = strlen(word);
    int added = snprintf(word + size, WORD_SIZE - size, "%s%s", size > 0 ? "," : "", part);
    assert(added >= 0 && (size_t)added < WORD_SIZE - size);
}

/** "name:024" for the bits of a set, nothing for the empty set. */
static inline void word_add_set(char *word, const char *name, uint32_t set)
{
    char part[WORD_SIZE];
    int size = snprintf(part, sizeof(part), "%s:", name);
    for (unsigned i = 0; i < 32; i++)
        if (set & (UINT32_C(1) << i))
            size += snprintf(part + size, sizeof(part) - (size_t)size, "%x", i);
    if (set != 0)
        word_add(word, part);
}

/** The bits of "024". */
static inline uint32_t word_set(const char *digits)
{
    uint32_t set = 0;
    for (; *digits != 0; digits++)
        set |= UINT32_C(1) << (*digits <= '9' ? *digits - '0' : *digits - 'a' + 10);
    return set;
}

#endif
