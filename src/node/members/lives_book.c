/* SPDX-License-Identifier: Apache-2.0 */
#include "node/members/lives_book.h"

#include "base/hash.h"
#include "base/planted.h"
#include "cluster/ring/node_id.h"
#include "codec/varint.h"
#include "node/epochs/epochs.h"
#include "node/internal.h"
#include "node/small_file.h"

static const char lives_file[] = "lives", lives_temporary[] = "lives.new";
static const uint8_t magic[4] = { 'K', 'V', 'L', '1' };

enum {
    HEADER_SIZE = 8,
    ENTRY_SIZE = 32,
    BOOK_SIZE_MAX = HEADER_SIZE + LIVES_BOOK_MAX * ENTRY_SIZE + 8
};

/* --- bytes ---------------------------------------------------------------------------------- */

void lives_book_encode(const struct lives_entry *entries, uint16_t count, struct buffer *buffer)
{
    buffer_append(buffer, magic, sizeof(magic));
    write_u32(buffer, count);
    for (uint16_t i = 0; i < count; i++) {
        node_id_write(buffer, &entries[i].node);
        write_u64(buffer, entries[i].mark.number);
        write_u64(buffer, entries[i].mark.id);
    }
    if (!buffer->failed)
        write_u64(buffer, hash64(buffer_bytes(buffer), 0));
}

static kvorum_status check_frame(struct bytes bytes)
{
    if (bytes.size < HEADER_SIZE + 8 || memcmp(bytes.data, magic, 3) != 0)
        return KVORUM_CORRUPT;
    if (bytes.data[3] != magic[3])
        return bytes.data[3] > magic[3] ? KVORUM_NEWER_FORMAT : KVORUM_CORRUPT;
    struct reader sum = reader_of(bytes_from(bytes, bytes.size - 8));
    return read_u64(&sum) == hash64(bytes_make(bytes.data, bytes.size - 8), 0) ? KVORUM_OK
                                                                               : KVORUM_CORRUPT;
}

kvorum_status lives_book_decode(struct bytes bytes, struct lives_entry ret_entries[LIVES_BOOK_MAX],
                                uint16_t *ret_count)
{
    kvorum_status status = check_frame(bytes);
    if (status != KVORUM_OK)
        return status;
    struct reader reader = reader_of(bytes_from(bytes, sizeof(magic)));
    uint32_t count = read_u32(&reader);
    if (count > LIVES_BOOK_MAX || bytes.size != HEADER_SIZE + (size_t)count * ENTRY_SIZE + 8)
        return KVORUM_CORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        struct lives_entry *entry = &ret_entries[i];
        entry->node = node_id_read(&reader);
        entry->mark.number = read_u64(&reader);
        entry->mark.id = read_u64(&reader);
        if (entry->mark.number == 0)
            return KVORUM_CORRUPT;
    }
    *ret_count = (uint16_t)count;
    return KVORUM_OK;
}

/* --- entries -------------------------------------------------------------------------------- */

static uint16_t find(const struct lives_book *book, const struct node_id *id)
{
    for (uint16_t i = 0; i < book->count; i++)
        if (node_id_equal(&book->entries[i].node, id))
            return i;
    return book->count;
}

/* Where a newcomer's goes: members are at most as many as entries, so one of them is nobody's. */
static uint16_t place_for(const struct node *node, const struct lives_book *book)
{
    uint16_t place = 0;
    if (book->count < LIVES_BOOK_MAX)
        return book->count;
    while (place + 1 < book->count &&
           ring_member_index(node->config.epoch, &book->entries[place].node) != RING_NO_MEMBER)
        place++;
    return place;
}

/* --- answering ------------------------------------------------------------------------------ */

static void answer(struct node *node, struct net_address to, struct life_mark asked, bool follows,
                   bool remembered, struct life_mark known)
{
    Peer__LifeAnswer answer = PEER__LIFE_ANSWER__INIT;
    answer.number = asked.number;
    answer.id = asked.id;
    answer.follows = follows;
    answer.remembered = remembered;
    answer.known_number = known.number;
    answer.known_id = known.id;
    node_send(node, to, MESSAGE_LIFE_ANSWER, 0, node_pack(node, &answer.base), (struct bytes){ 0 });
}

/* A disk that takes nothing any more is no reason not to tell what we know. */
static void on_saved(struct node *node, kvorum_status status)
{
    struct lives_book *book = lives_book_of(node);
    bool remembered = status == KVORUM_OK;
    if (remembered) {
        book->entries[book->place] = book->next;
        book->count += book->place == book->count;
    }
    answer(node, book->asker, book->next.mark, true, remembered, book->next.mark);
}

static void remember(struct node *node, struct lives_book *book)
{
    struct lives_entry *last = &book->entries[book->place], former = *last;
    uint16_t count = book->count + (book->place == book->count);
    buffer_reset(&book->save->bytes);
    *last = book->next; /* in the bytes only, until they are on disk */
    lives_book_encode(book->entries, count, &book->save->bytes);
    *last = former;
    if (book->save->bytes.failed)
        on_saved(node, KVORUM_NO_MEMORY);
    else
        epochs_save(node, book->save);
}

void lives_book_ask(struct node *node, struct lives_book *book, struct net_address from,
                    const struct node_id *id, const struct node_life *life)
{
    struct life_mark asked = { life->number, life->history[0] }, known = { 0 };
    uint16_t at = find(book, id);
    if (at < book->count)
        known = book->entries[at].mark;
    if (!life_follows(life, known)) {
        PROBE("lives: a life was found not to follow");
        answer(node, from, asked, false, false, known);
        return;
    }
    if (known.number == asked.number) {
        answer(node, from, asked, true, true, known);
        return;
    }
    if (book->save->busy)
        return;
    book->next = (struct lives_entry){ *id, asked };
    book->place = at < book->count ? at : place_for(node, book);
    book->asker = from;
    remember(node, book);
}

uint64_t lives_book_number(const struct lives_book *book, const struct node_id *id)
{
    uint16_t at = find(book, id);
    return at < book->count ? book->entries[at].mark.number : 0;
}

/* --- the file ------------------------------------------------------------------------------- */

static kvorum_status write_file(struct disk *disk, struct bytes bytes)
{
    return small_file_replace(disk, lives_file, lives_temporary, bytes);
}

static kvorum_status load(struct node *node, struct lives_book *book)
{
    struct buffer buffer;
    buffer_init(&buffer, BOOK_SIZE_MAX);
    kvorum_status status = small_file_read(node->config.disk, lives_file, &buffer);
    if (status == KVORUM_OK)
        status = lives_book_decode(buffer_bytes(&buffer), book->entries, &book->count);
    buffer_done(&buffer);
    if (status == KVORUM_NOT_FOUND)
        return KVORUM_OK;
    if (status == KVORUM_TOO_LARGE)
        status = KVORUM_CORRUPT;
    if (status != KVORUM_OK)
        log_error(node->config.log,
                  "the file `lives` in the data directory cannot be read, so this node no longer "
                  "knows who was put back to an older state",
                  LOG_STATUS(status),
                  LOG_TEXT("next", "check the disk; where no node of this cluster was restored "
                                   "from a copy, remove the file and start again"));
    return status;
}

kvorum_status lives_book_open(struct node *node, struct lives_book *book)
{
    book->entries = calloc(LIVES_BOOK_MAX, sizeof(*book->entries));
    book->save = epochs_save_open(write_file, on_saved);
    if (book->entries == NULL || book->save == NULL)
        return KVORUM_NO_MEMORY;
    return load(node, book);
}

void lives_book_close(struct lives_book *book)
{
    epochs_save_leave(book->save);
    free(book->entries);
    *book = (struct lives_book){ 0 };
}
