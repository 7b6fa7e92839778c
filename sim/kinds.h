/* SPDX-License-Identifier: Apache-2.0 */
/** The kinds of runs.  A row of this list is all that makes one: its option of kvorum-sim, its line
 *  of --help, the code on its tapes, what is played, and so the place of its probes (probes.c) and
 *  of its planted bugs (bugs_test.c). */
#ifndef SIM_KINDS_H
#define SIM_KINDS_H

#include <stdbool.h>
#include <stdint.h>

struct plan;
struct run_result;
struct world;

/* Name; option; code on tapes, which is never used again for another kind; how many steps by
 * default (--ops); what is played instead of a cluster; or how the plan of a cluster is changed,
 * after it was drawn; for people. */
#define KIND_LIST(X)                                                                               \
    X(CLUSTERS, "", 0, 150, NULL, NULL, "whole clusters, under everything")                        \
    X(STORES, "--store", 1, 250, store_play, NULL,                                                 \
      "play with one lsm store alone instead of clusters (--ops: steps, default 250)")             \
    X(GOSSIP, "--gossip", 4, 0, gossip_play, NULL,                                                 \
      "play with gossip alone, without stores (--ops has no meaning)")                             \
    X(LIVENESS, "--liveness", 2, 150, NULL, plan_lone_core,                                        \
      "in each run a core with a quorum must serve alone, the rest stays broken")                  \
    X(HANDOFF, "--handoff", 8, 24, handoff_play, NULL,                                             \
      "play with hinted handoff alone (--ops: keys, default 24)")                                  \
    X(YESTERDAY, "--yesterday", 16, 150, NULL, plan_put_back,                                      \
      "in each run one member's disk is put back to older states of itself")                       \
    X(COLLECT, "--collect", 64, 150, NULL, plan_collect,                                           \
      "in each run tombstones are collected while everything goes wrong")                          \
    X(DECAY, "--decay", 128, 150, NULL, plan_decay,                                                \
      "in each run disks are damaged, of a minority of the replicas at a time")                    \
    X(DROPS, "--drops", 32, 150, NULL, plan_drops,                                                 \
      "in each run a bucket is dropped again and again while it is used")                          \
    X(VOTERS, "--voters", 3, 24, voters_play, NULL,                                                \
      "play with the recovery from a lost majority of voters alone (--ops: keys, default 24)")

enum kind {
#define X(name, option, code, steps, play, plan, text) KIND_##name,
    KIND_LIST(X)
#undef X
        KIND_COUNT
};

struct kind_row {
    const char *option; /* "" is no option: these are played by default */
    const char *text;
    uint8_t tape_code;
    uint32_t steps;
    /** Play so many steps.  Violations go to the world, and to the result with what else there is.
     *  NULL: a cluster. */
    void (*play)(struct world *world, uint32_t steps, struct run_result *ret_result);
    void (*plan)(struct world *world, struct plan *plan); /* or NULL: as it was drawn */
};

extern const struct kind_row run_kinds[KIND_COUNT];

/** False: there is none with this option. */
bool kind_of_option(const char *option, enum kind *ret_kind);
bool kind_of_tape(uint8_t code, enum kind *ret_kind);

#endif
