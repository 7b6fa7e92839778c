/* SPDX-License-Identifier: Apache-2.0 */
#include "server/address_book.h"

#include "server/config.h"

#include <stdlib.h>

struct address_note {
    struct node_id id;
    char was[RING_ADDRESS_MAX + 1]; /* its entry in the epoch when the note was made */
    char now[RING_ADDRESS_MAX + 1];
};

void address_book_init(struct address_book *book)
{
    *book = (struct address_book){ 0 };
    pthread_mutex_init(&book->mutex, NULL);
}

void address_book_done(struct address_book *book)
{
    for (size_t i = 0; i < RING_MEMBERS_MAX; i++)
        free(book->notes[i]);
    pthread_mutex_destroy(&book->mutex);
}

static bool is_valid(const struct address_note *note, const struct member *member)
{
    return note != NULL && memcmp(&note->id, &member->id, sizeof(note->id)) == 0 &&
           strcmp(note->was, member->address) == 0;
}

static bool is_address(const char *address)
{
    char host[RING_ADDRESS_MAX + 1];
    uint16_t port;
    return strlen(address) <= RING_ADDRESS_MAX &&
           config_split_address(address, host, sizeof(host), &port) && port != 0;
}

static void forget(struct address_note **note)
{
    free(*note);
    *note = NULL;
}

static bool write_note(struct address_note **note, const struct member *member, const char *address)
{
    if (*note == NULL)
        *note = malloc(sizeof(**note));
    if (*note == NULL)
        return false;
    (*note)->id = member->id;
    memcpy((*note)->was, member->address, sizeof((*note)->was));
    memcpy((*note)->now, address, strlen(address) + 1);
    return true;
}

static bool learn(struct address_note **note, const struct member *member, const char *address)
{
    bool valid = is_valid(*note, member);
    if (strcmp(member->address, address) == 0) { /* it is (again) where the epoch says */
        forget(note);
        return valid;
    }
    if (valid && strcmp((*note)->now, address) == 0)
        return false;
    return is_address(address) && write_note(note, member, address);
}

bool address_book_learn(struct address_book *book, const struct epoch *epoch, uint16_t slot,
                        const char *address)
{
    pthread_mutex_lock(&book->mutex);
    bool news = learn(&book->notes[slot], &epoch->members[slot], address);
    pthread_mutex_unlock(&book->mutex);
    return news;
}

void address_book_member(struct address_book *book, const struct epoch *epoch, uint16_t slot,
                         struct member *ret_member)
{
    *ret_member = epoch->members[slot];
    pthread_mutex_lock(&book->mutex);
    const struct address_note *note = book->notes[slot];
    if (is_valid(note, ret_member))
        memcpy(ret_member->address, note->now, sizeof(ret_member->address));
    pthread_mutex_unlock(&book->mutex);
}
