/* SPDX-License-Identifier: Apache-2.0 */
/** Seeds that failed once, each for a cause of its own, which the row names: what was wrong then.
 *  After a change of the draws a seed is another run; then the rules have to hold there too, and
 *  the cause is kept by the unit tests of its room. */
#include "sim/run/run.h"

#include "tests/support/rows.h"

struct kept {
    const char *name;
    enum kind kind;
    uint64_t seed;
    uint32_t steps; /* 0: as many as its kind has by default */
};

static const struct kept seeds[] = {
    /* marks and hints */
    { "of two replicas one was left out: the mark's target was the third owner by then",
      KIND_HANDOFF, 10004, 0 },
    { "the same, after another move", KIND_HANDOFF, 10287, 0 },
    { "a full store kept marks, and what was asked again brought more", KIND_HANDOFF, 10727, 0 },
    { "a comparison took marks for there that it could not see at once", KIND_CLUSTERS, 31993, 0 },
    { "the suspicions that came of it kept the store too busy to be seen", KIND_CLUSTERS, 8940, 0 },
    { "the same while tombstones are collected", KIND_COLLECT, 10298, 0 },
    { "the order that a member gave itself counted as a suspicion that was put again", KIND_HANDOFF,
      51061, 0 },
    { "while one owner's store was behind, the others followed the same orders again", KIND_DROPS,
      51798, 0 },

    /* moves */
    { "a move waited for a hint whose target was in doubt about a round of collecting",
      KIND_COLLECT, 51270, 0 },
    { "a move waited for a hint whose target was behind what was collected", KIND_COLLECT, 70180,
      0 },
    { "a move waited for a stream from one who was behind what was collected", KIND_COLLECT, 105199,
      0 },
    { "the same, ten times as long", KIND_COLLECT, 7000027, 1500 },

    { "hints that a leaver had delivered came back with a crash, and counted as its debt",
      KIND_CLUSTERS, 802388, 0 },

    /* epochs */
    { "a disk went back to a copy of the life that went on, and forgot votes", KIND_COLLECT, 7187,
      0 },
    { "the same, and an epoch was decided twice", KIND_YESTERDAY, 61744, 0 },
    { "the same, of another voter", KIND_YESTERDAY, 62335, 0 },
    { "the only voter of a new line decided an epoch, and its disk was put back at once",
      KIND_VOTERS, 408711, 0 },
    { "nobody finished what voters had accepted, when who knew it was decided lost its disk",
      KIND_COLLECT, 63956, 0 },
    { "the same, and its disk was put back", KIND_YESTERDAY, 101706, 0 },
    { "the same, while members leave", KIND_COLLECT, 101934, 0 },
    { "the same, of an early epoch", KIND_COLLECT, 300668, 0 },
    { "a member left when all seemed settled, since who had proposed that was gone", KIND_CLUSTERS,
      70311, 0 },
    { "who decided itself that it goes told nobody, and crashed", KIND_COLLECT, 103662, 0 },
    { "the same, after a join", KIND_COLLECT, 103713, 0 },
    { "the same, after other leavers", KIND_COLLECT, 107970, 0 },

    { "who asked for a lost member's removal turned to that one, and passed over the commit",
      KIND_COLLECT, 2004376, 0 },

    /* drops and tombstones */
    { "a read that began again saw what was written in the new generation", KIND_DROPS, 60615, 0 },
    { "an object was on disk before the generation that it was of, and power failed", KIND_DROPS,
      924, 0 },
    { "an older word on what is on disk came behind a newer one", KIND_DROPS, 63266, 0 },
    { "a delete by a clock that was a minute ahead hid later puts, and was collected", KIND_COLLECT,
      102969, 0 },

    { "a stand-in whose clock was behind a floor gave one dot to two writes", KIND_COLLECT, 200095,
      0 },
    { "damage took a hint's deletion along, and its key's tombstone could not go", KIND_COLLECT,
      200373, 0 },
    { "a copy came anew, and another owner refused what it had for a doubt that waited for it",
      KIND_COLLECT, 2000822, 1500 },

    /* damage */
    { "a bit flipped in a table that was being made when the scrub began", KIND_CLUSTERS, 30044,
      0 },
    { "a disk was full when a scrub found a damaged log, and was taken for whole", KIND_DECAY,
      7200194, 1500 },
    { "that a bucket has one replica was lost with its keys, which were taken for never there",
      KIND_DECAY, 7300017, 1500 },
    { "a minute was too short for what a damaged block had left to be compared, on the slowest "
      "disk",
      KIND_DECAY, 11037, 0 },

    /* requests */
    { "a put that went on at a store that commits at once was closed twice", KIND_CLUSTERS, 7000007,
      1500 },
};

static void runs_well(const void *at)
{
    const struct kept *kept = at;
    const struct run_options options = { .seed = kept->seed,
                                         .kind = kept->kind,
                                         .operation_count = kept->steps };
    struct run_result result;
    run(&options, &result);
    if (result.violation.checker != NULL)
        fail_msg("%s: %s\n%s\nseed %llu %s", result.violation.checker, result.violation.text,
                 result.plan, (unsigned long long)kept->seed, run_kinds[kept->kind].option);
}

int main(void)
{
    return RUN_ROWS("kept seeds", seeds, runs_well);
}
