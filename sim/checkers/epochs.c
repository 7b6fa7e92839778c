/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/checkers/epochs.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "node/small_file.h"
#include "sim/checkers/checkers.h"

enum { RECORD_MAX = 1 << 20, ARENA_LIMIT = 1 << 22, ONE_IN = 4 };

/* As a bit; 0: there are several. */
static uint32_t only_voter(const struct epoch *epoch)
{
    return epoch->voter_count == 1 ? 1u << epoch->voters[0] : 0;
}

void epoch_book_init(struct epoch_book *book, struct world *world, const struct epoch *founding)
{
    *book = (struct epoch_book){ .world = world,
                                 .count = founding->number,
                                 .alone = only_voter(founding) };
    book->digests = calloc(EPOCHS_MAX, sizeof(*book->digests));
    if (book->digests == NULL)
        abort();
}

void epoch_book_done(struct epoch_book *book)
{
    free(book->digests);
}

static uint64_t digest_of(const struct epoch *epoch)
{
    struct buffer record;
    buffer_init(&record, RECORD_MAX);
    epoch_encode(epoch, &record);
    if (record.failed)
        abort();
    uint64_t digest = hash64(buffer_bytes(&record), 0) | 1;
    buffer_done(&record);
    return digest;
}

static void turn_page(struct epoch_book *book, const struct epoch *epoch)
{
    uint32_t gone = 0, leaving = 0;
    for (uint16_t i = 0; i < epoch->member_count; i++) {
        gone |= epoch->members[i].state == MEMBER_GONE ? 1u << i : 0;
        leaving |= epoch->members[i].state == MEMBER_LEAVING ? 1u << i : 0;
    }
    bool last_move_ended = book->moving && epoch->move_count == 0;
    if (last_move_ended && epoch->number == book->count + 1)
        book->parted |= gone & ~book->gone & book->leaving;
    book->count = epoch->number;
    book->gone |= gone;
    book->leaving = leaving;
    book->moving = epoch->move_count > 0;
    book->alone |= only_voter(epoch);
}

/* --- zones ----------------------------------------------------------------------------------- */

/* Zones with copies of a partition, where they are fewest; where it moves, once that is over. */
static uint32_t fewest_zones(const struct epoch *epoch, bool once_moved)
{
    uint32_t fewest = UINT32_MAX;
    for (uint32_t p = 0; p < epoch->partition_count; p++) {
        const struct move *move = once_moved ? ring_move_of(epoch, p) : NULL;
        const uint16_t *row = move == NULL ? ring_row(epoch, p) : move->to;
        uint32_t found = 0;
        for (uint8_t c = 0; c < ring_row_size(epoch, row); c++) {
            bool first = true;
            for (uint8_t d = 0; d < c; d++)
                first &= strcmp(epoch->members[row[c]].zone, epoch->members[row[d]].zone) != 0;
            found += first;
        }
        fewest = found < fewest ? found : fewest;
    }
    return fewest;
}

/* A commit leaves copies in as many zones as there are copies, or as they were in. */
static void check_zones_kept(struct epoch_book *book, const struct epoch *epoch)
{
    bool committed =
        book->zones != 0 && epoch->number == book->zones_number + 1 && epoch->change_count == 0;
    uint32_t active = 0, after = fewest_zones(epoch, true);
    for (uint16_t i = 0; i < epoch->member_count; i++)
        active += epoch->members[i].state == MEMBER_ACTIVE;
    uint32_t wanted = active < epoch->replicas_wanted ? active : epoch->replicas_wanted;
    wanted = wanted < book->zones ? wanted : book->zones;
    if (committed && !book->zone_loss_allowed && after < wanted)
        world_fail(book->world, "zones",
                   "epoch %llu puts copies into %u zones, where they were in %u",
                   (unsigned long long)epoch->number, after, book->zones);
    bool may_be_committed = epoch->move_count == 0 && epoch->change_count > 0;
    book->zones = may_be_committed ? fewest_zones(epoch, false) : 0;
    book->zones_number = epoch->number;
}

/* --- lines ----------------------------------------------------------------------------------- */

/* Where its digest stands; EPOCHS_MAX: nowhere. */
static uint64_t page_of(uint64_t number)
{
    uint64_t line = ring_line(number), count = number % RING_LINE;
    if (line == 0)
        return count < EPOCHS_MAX ? count : EPOCHS_MAX;
    return line < EPOCH_LINES_MAX && count < EPOCHS_OF_A_LINE ? line * EPOCHS_OF_A_LINE + count
                                                              : EPOCHS_MAX;
}

static void check_base(const struct epoch_book *book, const struct epoch *epoch, uint16_t member)
{
    uint64_t base = epoch->number - RING_LINE - 1;
    if (epoch->members[member].state == MEMBER_GONE)
        return;
    if (ring_line(book->highest[member]) == ring_line(base) && book->highest[member] > base)
        world_fail(book->world, "lines", "epoch %llu does not go on from %llu, which n%u went by",
                   (unsigned long long)epoch->number, (unsigned long long)book->highest[member],
                   member);
    if (book->voted[member] > base && ring_line(book->voted[member]) == ring_line(base))
        world_fail(book->world, "lines",
                   "epoch %llu does not go on from %llu, which n%u had accepted as a voter",
                   (unsigned long long)epoch->number, (unsigned long long)book->voted[member],
                   member);
}

/* The first of a line that is seen is its first: others can only be made of it. */
static void check_line(struct epoch_book *book, const struct epoch *epoch, bool adopted)
{
    uint64_t line = ring_line(epoch->number);
    if (line > book->lines) {
        book->lines = line;
        book->base = epoch->number - RING_LINE - 1;
        for (uint16_t i = 0; i < epoch->member_count && i < SIM_MEMBERS_MAX; i++)
            check_base(book, epoch, i);
    } else if (adopted && line < book->lines && epoch->number > book->base) {
        world_fail(book->world, "lines",
                   "epoch %llu is new, and the line of it was left behind epoch %llu",
                   (unsigned long long)epoch->number, (unsigned long long)book->base);
    }
}

static void check_unique(struct process *process, const struct epoch *epoch, bool adopted)
{
    struct epoch_book *book = process->book;
    uint64_t digest = digest_of(epoch), page = page_of(epoch->number);
    if (page == EPOCHS_MAX)
        return;
    uint64_t *known = &book->digests[page];
    if (*known == 0)
        check_line(book, epoch, adopted);
    if (*known != 0 && *known != digest)
        world_fail(book->world, "epochs", "n%u has another epoch %llu than somebody else",
                   process->member, (unsigned long long)epoch->number);
    *known = digest;
    if (epoch->number <= book->count)
        return;
    turn_page(book, epoch);
    check_zones_kept(book, epoch);
}

static void check_not_back(struct process *process, const struct epoch *epoch)
{
    uint64_t *highest = &process->book->highest[process->member];
    if (epoch->number < *highest)
        world_fail(process->book->world, "epochs", "n%u went back from epoch %llu to %llu",
                   process->member, (unsigned long long)*highest,
                   (unsigned long long)epoch->number);
    *highest = epoch->number > *highest ? epoch->number : *highest;
}

/* The disk is copied as it would surely be after a power failure. */
static uint64_t durable_number(struct process *process)
{
    struct sim_disk copy;
    struct identity identity = process->identity;
    struct arena arena;
    struct epoch epoch = { 0 };
    const char *why;
    arena_init(&arena, ARENA_LIMIT);
    sim_disk_copy_synced(&process->disk, &copy);
    if (identity_load_epoch(&copy.base, &identity, &arena, &epoch, &why) != KVORUM_OK)
        epoch.number = 0;
    sim_disk_done(&copy);
    arena_done(&arena);
    return epoch.number;
}

static void check_durable_epoch(struct process *process, const struct epoch *epoch)
{
    if (epoch->number % ONE_IN != 0 || epoch_book_gone(process->book, process->member))
        return; /* copies of disks are expensive, and nobody starts on that of one who is gone */
    uint64_t durable = durable_number(process);
    if (durable < epoch->number)
        world_fail(process->book->world, "epochs",
                   "n%u goes by epoch %llu, and a power failure would leave it with %llu",
                   process->member, (unsigned long long)epoch->number, (unsigned long long)durable);
}

/* Shards of one process follow one after the other: only in its next life may it not go back. */
void check_epoch_adopted(struct process *process, const struct epoch *epoch)
{
    if (process->disk.dead)
        return; /* what it does now has no effect */
    world_trace(process->world, "n%u: epoch %llu", process->member,
                (unsigned long long)epoch->number);
    check_unique(process, epoch, true);
    check_durable_epoch(process, epoch);
    if (epoch->number > process->book->highest[process->member])
        check_not_back(process, epoch);
}

void check_epoch_started(struct process *process, const struct epoch *epoch)
{
    check_unique(process, epoch, false);
    check_not_back(process, epoch);
}

/* As its disk would surely be after a power failure. */
static bool read_synced(struct process *process, struct arena *arena, struct epoch *ret)
{
    struct sim_disk copy;
    struct buffer record;
    buffer_init(&record, RECORD_MAX);
    sim_disk_copy_synced(&process->disk, &copy);
    bool read = small_file_read(&copy.base, "epoch", &record) == KVORUM_OK &&
                epoch_decode(buffer_bytes(&record), arena, ret) == KVORUM_OK;
    sim_disk_done(&copy);
    buffer_done(&record);
    return read;
}

static bool is_without(const struct process *process, const struct epoch *epoch)
{
    const struct identity *identity = &process->identity;
    return memcmp(&epoch->cluster, &identity->cluster, NODE_ID_SIZE) == 0 &&
           ring_member_index(epoch, &identity->node) == RING_NO_MEMBER;
}

/* An epoch that anybody holds is decided: it is in the book from now on, so all who stay must come
 * to it, and to no other of its number.  Its number; 0: there is none on its disk. */
static uint64_t note_left(struct process *process)
{
    struct arena arena;
    struct epoch epoch = { 0 };
    arena_init(&arena, ARENA_LIMIT);
    uint64_t number = 0;
    if (read_synced(process, &arena, &epoch) && is_without(process, &epoch)) {
        number = epoch.number;
        check_unique(process, &epoch, false);
    }
    arena_done(&arena);
    return number;
}

void check_epoch_left(struct process *process, uint64_t number)
{
    if (process->disk.dead)
        return; /* what it does now has no effect */
    uint64_t noted = note_left(process);
    if (noted != number)
        world_fail(process->world, "epochs",
                   "n%u left by epoch %llu, and a power failure would leave it with %llu (0: with "
                   "one in which it is a member)",
                   process->member, (unsigned long long)number, (unsigned long long)noted);
}

bool check_epoch_dismissed(struct process *process)
{
    return note_left(process) != 0 && epoch_book_gone(process->book, process->member);
}

void check_epoch_put_back(struct process *process)
{
    process->book->highest[process->member] = 0;
    process->book->voted[process->member] = 0;
}

/* Who heard that it is no member any more goes by no epoch; all others must have heard it too. */
static bool has_left(struct cluster *cluster, uint16_t member, const struct node *node)
{
    if (node_left_epoch(node) == 0)
        return false;
    if (!epoch_book_gone(&cluster->book, member))
        world_fail(cluster->world, "epochs",
                   "n%u left by epoch %llu, and is a member in a healthy cluster that has %llu",
                   member, (unsigned long long)node_left_epoch(node),
                   (unsigned long long)cluster->book.count);
    return true;
}

void check_epochs_agree(struct cluster *cluster)
{
    for (uint16_t i = 0; i < cluster->count; i++) {
        const struct process *process = &cluster->processes[i];
        for (uint16_t shard = 0; process->running && shard < process->shard_count; shard++) {
            const struct node *node = process->shards[shard].node;
            uint64_t number = node_epoch(node)->number;
            if (!has_left(cluster, i, node) && number != cluster->book.count)
                world_fail(cluster->world, "epochs",
                           "n%u.%u goes by epoch %llu in a healthy cluster that has %llu", i, shard,
                           (unsigned long long)number, (unsigned long long)cluster->book.count);
        }
    }
}
