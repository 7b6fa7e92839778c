/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/cluster/yesterday.h"

#include <stdlib.h>
#include <string.h>

#include "base/planted.h"
#include "node/members/identity.h"
#include "node/members/lives_book.h"
#include "node/small_file.h"

enum { FILE_SIZE_MAX = 1 << 20 };

static void drop_copy(struct cluster *cluster)
{
    if (cluster->yesterday_of != NULL)
        sim_disk_done(&cluster->yesterday);
    cluster->yesterday_of = NULL;
}

static void take_copy(struct cluster *cluster, struct process *process, uint64_t duration_us)
{
    bool clean = choose(cluster->world, 2) == 0 && process->running;
    drop_copy(cluster);
    if (clean) {
        process_stop(process);
        process_start_after(process, duration_us);
    }
    if (process->disk.dead)
        sim_disk_restart(&process->disk);
    world_tell(cluster->world, -1, "n%u: its disk is copied%s", process->member,
               clean ? " after a clean stop" : "");
    sim_disk_copy_synced(&process->disk, &cluster->yesterday);
    cluster->yesterday_of = process;
}

/* --- what nobody can tell apart -------------------------------------------------------------- */

/* Empty where there is no such file. */
static void read_file(struct sim_disk *disk, const char *path, struct buffer *ret)
{
    buffer_init(ret, FILE_SIZE_MAX);
    if (small_file_read(&disk->base, path, ret) != KVORUM_OK)
        buffer_reset(ret);
}

static bool differs(struct sim_disk *now, struct sim_disk *then, const char *file)
{
    struct buffer votes, copied;
    read_file(now, file, &votes);
    read_file(then, file, &copied);
    bool differ = !bytes_equal(buffer_bytes(&votes), buffer_bytes(&copied));
    buffer_done(&votes);
    buffer_done(&copied);
    return differ;
}

static bool read_identity(struct sim_disk *disk, struct identity *ret)
{
    struct buffer buffer;
    const char *why;
    read_file(disk, "identity", &buffer);
    bool read = identity_decode(buffer_bytes(&buffer), ret, &why) == KVORUM_OK;
    buffer_done(&buffer);
    return read;
}

/* The life of `id` that a start on this disk would remember; 0: none. */
static uint64_t life_remembered(struct sim_disk *disk, const struct node_id *id)
{
    struct lives_entry *entries = calloc(LIVES_BOOK_MAX, sizeof(*entries));
    struct buffer buffer;
    uint16_t count = 0;
    uint64_t number = 0;
    if (entries == NULL)
        abort();
    read_file(disk, "lives", &buffer);
    if (lives_book_decode(buffer_bytes(&buffer), entries, &count) != KVORUM_OK)
        count = 0;
    for (uint16_t i = 0; i < count; i++)
        if (memcmp(entries[i].node.bytes, id->bytes, NODE_ID_SIZE) == 0)
            number = entries[i].mark.number;
    buffer_done(&buffer);
    free(entries);
    return number;
}

struct forgotten {
    bool votes, recovery;
};

static struct forgotten what_is_forgotten(struct process *victim, struct sim_disk *copy)
{
    struct sim_disk now;
    sim_disk_copy_synced(&victim->disk, &now);
    struct forgotten ret = { differs(&now, copy, "votes"), differs(&now, copy, "recovery") };
    sim_disk_done(&now);
    return ret;
}

/* Who must remember a later life than the copy's, as bits, lest promises be forgotten untold.  Of
 * the next epoch: everybody, since any majority may decide it.  Of the next line: who takes part in
 * every recovery, since nobody promises anything there before all have told it. */
static uint32_t who_must_know(const struct cluster *cluster, struct forgotten forgotten)
{
    if (forgotten.votes)
        return UINT32_MAX;
    return forgotten.recovery ? cluster->never_lost : 0;
}

/* What an epoch's only voter decides is decided before anybody else has heard of it, and nobody can
 * vote in its place while it waits: where its votes are forgotten, a majority of the voters forgot
 * (docs/decisions/0009).  By the voters of the epochs that there were, so also in a line that
 * few are left in. */
static bool was_alone(const struct cluster *cluster, const struct process *victim,
                      struct forgotten forgotten)
{
    bool alone = forgotten.votes && (cluster->book.alone >> victim->member & 1) != 0;
    if (alone)
        PROBE("yesterday: the disk of an only voter, which had voted since, was not put back");
    return alone;
}

/* A copy that was made in the life which goes on is what a power failure at that moment would have
 * left, byte for byte: a start on it follows that life, as a start after the power failure does.
 * Votes that were given since then are forgotten and nobody can know, unless others remember a
 * later life than the copy's (docs/decisions/0009). */
static bool is_told_apart(struct cluster *cluster, struct process *victim, struct sim_disk *copy)
{
    struct forgotten forgotten = what_is_forgotten(victim, copy);
    uint32_t must_know = who_must_know(cluster, forgotten);
    struct identity copied;
    if (was_alone(cluster, victim, forgotten))
        return false;
    bool told = must_know == 0 || read_identity(copy, &copied);
    for (uint16_t i = 0; told && i < cluster->count; i++) {
        struct process *other = &cluster->processes[i];
        struct sim_disk now;
        if ((must_know >> i & 1) == 0 || other == victim || epoch_book_gone(&cluster->book, i))
            continue;
        sim_disk_copy_synced(&other->disk, &now);
        told = life_remembered(&now, &copied.node) > copied.life.number;
        sim_disk_done(&now);
    }
    return told;
}

/* --- the fault ------------------------------------------------------------------------------- */

static void put_back(struct cluster *cluster, struct process *process, uint64_t duration_us)
{
    struct sim_disk copy;
    PROBE("yesterday: a disk was put back");
    process_crash(process, choose(cluster->world, 3) == 0);
    if (process->disk.dead)
        sim_disk_restart(&process->disk);
    sim_disk_copy_synced(&cluster->yesterday, &copy);
    if (is_told_apart(cluster, process, &copy)) {
        process_put_back(process, &copy);
        cluster->put_back_us = cluster->world->now_us;
    } else {
        PROBE("yesterday: a disk that nobody could tell apart was not put back");
        sim_disk_done(&copy);
    }
    process_start_after(process, duration_us);
}

void yesterday_happens(struct cluster *cluster, struct process *process, uint64_t duration_us)
{
    struct process *victim = cluster->yesterday_of;
    if (victim == NULL)
        take_copy(cluster, process, duration_us);
    else if (choose(cluster->world, 4) == 0)
        take_copy(cluster, victim, duration_us);
    else
        put_back(cluster, victim, duration_us);
}

void yesterday_done(struct cluster *cluster)
{
    drop_copy(cluster);
}
