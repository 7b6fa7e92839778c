#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Five real nodes under load, random faults, and then: is everything still there?

    tests/chaos/run.py [--seconds 600] [--seed N] [--nodes 5] [--faults REGEX] [-o table|json]

Exit: 0 nothing was lost, nothing came back, replicas are identical; 1 something was found, or the run
could not be finished; 2 usage.  docs/chaos.md explains it."""
import argparse
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "e2e"))
import report  # needs nothing of the two below
import story
import kvorum_e2e as e2e


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="of faults under load")
    parser.add_argument("--seed", type=int, help="of the schedule and of the clients")
    parser.add_argument("--nodes", type=int, default=5, choices=range(4, 10), metavar="4..9")
    parser.add_argument("--faults", default="", metavar="REGEX", help="only those with such a name")
    parser.add_argument("--no-bench", action="store_true", help="without `kvorum bench` beside")
    parser.add_argument("--converge", choices=["reads", "wait"], default="reads",
                        help="replicas become equal because all is read, or by themselves")
    parser.add_argument("--plant", action="append", default=[], choices=sorted(story.PLANTS),
                        help="do something wrong, which must be found")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    return parser.parse_args()


def main():
    given = arguments()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 31)
    options = story.Options(given.seconds, seed, given.nodes, given.faults, not given.no_bench,
                            set(given.plant), given.converge)
    try:
        verdict = story.run(options, lambda text: print(text, file=sys.stderr, flush=True))
    except (AssertionError, TimeoutError, OSError, e2e.RespError) as problem:
        print(f"chaos: {problem} (seed {seed})", file=sys.stderr)
        return 1
    print(report.as_json(verdict) if given.output == "json" else report.table(verdict))
    return 1 if verdict.findings() else 0


if __name__ == "__main__":
    sys.exit(main())
