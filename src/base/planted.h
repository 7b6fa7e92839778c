/* SPDX-License-Identifier: Apache-2.0 */
/** Hooks that exist in the simulator's own build of the layers (KVORUM_PLANTED_BUGS) and are
 *  nothing in the server's:
 *
 *      if (PLANTED(ACK_BEFORE_SYNC))       a mistake that the simulator must catch: sim/bugs/bugs.h
 *          durable = true;
 *      PROBE("hint delivered after a restart");     counts how often a rare path was taken
 *
 *  A planted bug is one line beside the rule it breaks.  Never more than one is on at a time. */
#ifndef BASE_PLANTED_H
#define BASE_PLANTED_H

#include <stdbool.h>
#include <stdint.h>

#define PLANTED_BUG_LIST(X)                                                                        \
    X(ACK_BEFORE_SYNC, "a write is acknowledged as durable before its log is synced")              \
    X(DOT_REUSED_AFTER_RESTART, "a restarted node goes on under its old actor")                    \
    X(MERGE_DROPS_SIBLING, "merging concurrent values keeps one side only")                        \
    X(REPAIR_WITHOUT_VERSION_CHECK, "a repair replaces what the replica holds")                    \
    X(ACKNOWLEDGE_AND_FORGET, "a replica acknowledges a write and does not store it")              \
    X(WRONG_QUORUM_COUNT, "a write is answered one acknowledgement early")                         \
    X(STALE_LWW_CLOCK, "a write's stamp does not rise above the stamps it saw")                    \
    X(TOMBSTONE_IGNORED, "a merge leaves tombstones out")                                          \
    X(BARRIER_MISSING, "a needless merge is acknowledged though its twin is not yet durable")      \
    X(HINT_DROPPED, "a stand-in acknowledges a hint and drops it")                                 \
    X(REPLICA_COUNTED_TWICE, "a doubled acknowledgement counts twice")                             \
    X(LOG_TAIL_UNCHECKED, "a torn record at the end of the log is accepted without checksum")      \
    X(MAPPED_NOT_SYNCED, "what was stored into a mapped log is acknowledged without a sync")       \
    X(NEXT_SAID_EARLY, "a log segment says that there is a next one before there is")              \
    X(MODE_OF_THE_MEMBER, "a replica merges in the mode it knows, not in that of the versions")    \
    X(MODE_NOT_FORWARDED, "a forwarded write leaves behind the mode that its member knew")         \
    X(CHANGE_TOLD_TO_NOBODY, "a change of properties is answered once it is stored here")          \
    X(TABLE_NOT_SYNCED, "the manifest names a table before the table is synced")                   \
    X(LOG_REMOVED_EARLY, "a log segment goes before the manifest that replaces it is durable")     \
    X(SNAPSHOT_IGNORED, "a compaction drops the version that a snapshot needs")                    \
    X(TOMBSTONE_DROPPED_EARLY, "a compaction drops a deletion though older values lie below")      \
    X(BLOB_REMOVED_EARLY, "a blob file goes while some of its values are live")                    \
    X(FORWARDED_TO_THE_DEAD, "a write is sent on to an owner that is known to be dead")            \
    X(RANGE_LEFT_BEHIND, "a refused batch leaves its deleted ranges to the next one")              \
    X(VOTE_BEFORE_DISK, "a voter answers before its vote is on disk")                              \
    X(VOTER_REBORN, "a voter votes at once, also from a copy of its disk that was put back")       \
    X(ACTOR_UNASKED, "a node takes up the actor of its last life without asking")                  \
    X(ACCEPTED_NOT_FINISHED, "a voter leaves what it accepted to whoever proposed it")             \
    X(OWN_VALUE_PROPOSED, "a proposer goes on with its own epoch though a voter accepted another") \
    X(EPOCH_BEFORE_DISK, "an epoch is adopted and never written")                                  \
    X(GOSSIP_MAKES_OWNER, "gossip about an id that the epoch does not list makes it a member")     \
    X(STALE_REFUTATION_ACCEPTED, "an accused member is believed at the incarnation it is accused") \
    X(DEAD_IMPORTED_AS_DEAD, "what another's whole view calls dead is dead, and not asked first")  \
    X(MOVE_NEEDS_ONE_SET, "a write to a moving partition needs a quorum of the old owners only")   \
    X(TREE_NOT_UPDATED, "a merge changes an object and not the hash tree")                         \
    X(REPAIR_OVERWRITES, "anti-entropy stores what it fetched without looking at what is there")   \
    X(EXCHANGE_ONE_WAY, "anti-entropy fetches what it lacks and pushes nothing")                   \
    X(DIRTY_LEAF_COMPARED, "a leaf that a blind write marked is compared as it is")                \
    X(HINT_DROPPED_WITHOUT_MARK, "a hint is dropped and leaves no mark")                           \
    X(MARK_TAKEN_FOR_THERE, "a mark that cannot be seen at once is taken for there")               \
    X(HINT_FORGOTTEN_EARLY, "a hint is removed when it was sent, not when it was acknowledged")    \
    X(HINT_TO_A_STRANGER, "a hint is delivered to a member that is no owner any more")             \
    X(EXPIRY_FROM_INSERT, "a value's time begins anew at each replica that takes it")              \
    X(ZONES_NOT_TOLD_APART, "a quorum of a zone counts answers from any zone")                     \
    X(ZONES_LOST, "a commit leaves copies in fewer zones than before, unasked")                    \
    X(LEAVER_DROPS_HINTS, "a member that leaves takes its undelivered hints along")                \
    X(DAMAGE_DROPPED, "what is lost with a damaged block is dropped and never refilled")           \
    X(EPOCH_REFUSAL_TOLD, "a request that meets a newer epoch fails, though there is time")        \
    X(SCRUB_SKIPS_THE_FOOT, "a scrub reads the blocks of a table, and not what stands behind")     \
    X(SCRUB_SKIPS_THE_LOG, "a scrub does not read the log")                                        \
    X(LOST_RANGE_ANSWERED, "a replica answers about keys that it may have lost")                   \
    X(PROPERTIES_CUT_OUT, "properties of buckets go with the damage that they stood in")           \
    X(REFILLED_FROM_ONE, "a loss is over when one other owner was compared with")                  \
    X(LOSS_FORGOTTEN, "a loss that nobody can refill is over")                                     \
    X(GENERATION_NOT_ASKED, "a replica serves a bucket in the generation it knows itself")         \
    X(HINT_OF_ANY_GENERATION, "a hint of a dropped generation is delivered to the next")           \
    X(RECLAIM_TOO_FAR, "what is reclaimed of a dropped bucket includes its new generation")        \
    X(GENERATION_UNPROVEN, "an object is on disk before the generation of its bucket is")          \
    X(COLLECTED_BY_CLOCK, "a tombstone goes when it is old enough, whoever lacks it")              \
    X(COLLECT_ASKS_OWNERS, "only the owners of a tombstone are asked before it is collected")      \
    X(FENCE_OF_SENDING, "an object travels under the fence of its sending, not of its reading")    \
    X(COLLECT_NO_FLOOR, "a collected key begins its counters and stamps anew")                     \
    X(STAND_IN_BY_STAMP,                                                                           \
      "what tells writes of a stand-in apart is the stamp, which may be a floor")                  \
    X(HINT_AFTER_COLLECTION, "a hint is no obstacle to collecting, and is applied afterwards")     \
    X(BEHIND_NOT_REFILLED, "who is behind what was collected goes on with what it has")            \
    X(BEHIND_WAITS_FOR_A_MOVE, "who is behind drops nothing while its partition leaves it")        \
    X(DOUBT_WAITS_FOR_A_MOVE, "a doubt about a round is not settled while its partition moves")    \
    X(DOUBT_WAITS_FOR_A_REFILL, "a doubt about a round is not settled while a member refills")     \
    X(UNCOVERED_HINT_STAYS, "a hint that damage brought back stays until the next start")          \
    X(RECOVERY_UNFENCED, "who accepted a new line of epochs still votes in the old one")           \
    X(RECOVERY_IGNORES_VOTES, "a recovery leaves out an epoch that a voter accepted")              \
    X(RECOVERY_CHOOSES_AGAIN, "a recovery that may be decided is not ended, but made anew")        \
    X(RECOVERY_WAITS_FOR_THE_AHEAD, "nobody who is behind another ends what was begun")            \
    X(RECOVERY_TRUSTS_THE_FORGETFUL, "who was put back and has accepted nothing never did")

enum planted_bug {
    PLANTED_NONE,
#define X(name, text) PLANTED_##name,
    PLANTED_BUG_LIST(X)
#undef X
        PLANTED_COUNT
};

#ifdef KVORUM_PLANTED_BUGS

extern enum planted_bug planted_bug_active;
#define PLANTED(name) (planted_bug_active == PLANTED_##name)

/* Probes stand in a section of their own, so that those which never fired can be listed. */
struct probe {
    const char *name;
    uint64_t count;
};
#define PROBE(text)                                                                                \
    do {                                                                                           \
        static struct probe probe_here_                                                            \
            __attribute__((section("kvorum_probes"), used)) = { text, 0 };                         \
        probe_here_.count++;                                                                       \
    } while (0)

#else

#define PLANTED(name) false
#define PROBE(text)                                                                                \
    do {                                                                                           \
    } while (0)

#endif

#endif
