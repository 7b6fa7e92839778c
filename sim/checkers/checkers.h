/* SPDX-License-Identifier: Apache-2.0 */
/** The invariants, one a file.  A checker sees what clients and the network saw, and what the
 *  simulated disks hold; never the inside of the code under test.  It reports by world_fail under
 *  its name. */
#ifndef SIM_CHECKERS_H
#define SIM_CHECKERS_H

#include "sim/clients/history.h"
#include "sim/cluster/cluster.h"

/** When a reading must be complete. */
enum reading_strength {
    READING_WEAK,  /* anything legal may be missing */
    READING_STRONG /* every write acknowledged before it began is in it, or was replaced */
};

/* invented.c: every value seen was written by somebody, under this key, and not by a write of which
 * the client was told that it did not happen. */
void check_invented_value(struct history *history, uint32_t key, const struct sibling *sibling,
                          const struct version *version);
void check_invented_failed(struct history *history, const struct record *read);

/* dots.c: a dot names one version of a key, for ever, and a write has one dot. */
void check_dot(struct history *history, uint32_t key, const struct sibling *sibling,
               const struct version *version);
void dots_done(struct history *history);

/* acknowledged.c: a strong reading holds every write acknowledged before it began, or something
 * that may have replaced it; in last-write-wins buckets something newer. */
void check_acknowledged(struct history *history, const struct record *read);

/* superseded.c: a strong reading holds nothing that an acknowledged write replaced; and no reading
 * holds a value together with what it replaced. */
void check_superseded(struct history *history, const struct record *read,
                      enum reading_strength strength);

/* deletes.c: a strong reading holds nothing that an acknowledged delete removed. */
void check_deletes(struct history *history, const struct record *read);

/* reopened.c: while there is time (a quarter of it is left) no operation fails only because the
 * replicas it asked go by a newer epoch: it is begun again by that one. */
void check_reopened(struct history *history, const struct record *record, bool outdated,
                    uint64_t timeout_us);

/* debts.h: who left by itself owes nothing. */

/* durable.c: at the moment of an acknowledgement at least `dw` disks would still hold the write if
 * power failed everywhere. */
void check_durable(struct cluster *cluster, struct history *history, const struct record *write,
                   uint32_t dw);

bool disk_holds(struct history *history, const struct record *write, struct process *process);

/* zones.c: at the moment of an acknowledgement with dw=`level`, local_quorum or each_quorum, asked
 * at `member`, a majority of the disks of the owners in its zone, or in every zone that has any,
 * would still hold the write.  For clusters whose epoch does not change. */
void check_zones(struct cluster *cluster, struct history *history, const struct record *write,
                 uint32_t level, uint16_t member);

/* modes.c: a change of the bucket's mode that was answered is known to all members that are not
 * known to be dead; after healing, to all; and a write is made in the last mode if the member which
 * took it knew that decision.  To have forgotten all and be in that mode by default is not to know:
 * such a write is made in the mode of whoever knows of any decision. */
void check_told(struct cluster *cluster, const struct process *asked);
void check_all_told(struct cluster *cluster);
void check_birth(struct history *history, const struct record *write,
                 const struct version *version);
bool mode_known(const struct process *process, uint16_t shard);

struct holding {
    bool found;
    uint64_t digest;
};
/** What a running process stores under a key. */
struct holding converged_look(const struct process *process, const char *key);
/* converged.c: after healing all owners of a key hold the same bytes: in some runs by anti-entropy
 * alone, before anything is read; in all after everything was read. */
bool converged(struct cluster *cluster, const struct history *history, uint8_t n);
void check_converged(struct cluster *cluster, struct history *history, uint8_t n);

/* listed.c: after healing a list of the bucket names every key that reads find, and no other. */
void check_listed(struct world *world, uint32_t key_count, const bool *found, const bool *listed);

/* epochs.h: see there; and after healing all members go by the same epoch. */
void check_epochs_agree(struct cluster *cluster);
/* live.c: all owners of `key` in a core that serves alone hold the same bytes. */
struct core;
void check_core_converged(const struct core *core, uint32_t key);

/* bounded.c: after healing nothing is left in flight. */
void check_bounded(struct cluster *cluster);

#endif
