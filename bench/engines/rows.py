# SPDX-License-Identifier: Apache-2.0
"""The rows of `make bench-engines`: what is run for each, what of it counts, and what is to be reached.

A plan is a store's life in one process: its base is always run, of the other groups of phases those
that a chosen row needs, in this order.  A result is found as GROUP/PHASE, GROUP being the first
phase of its group.
"""
import dataclasses
import re

MIB = 1 << 20
# Bytes for blocks that were read and for writes not in tables yet.
BUDGET, TIGHT_BUDGET = (512 * MIB, 64 * MIB), (24 * MIB, 8 * MIB)
KEY_SIZE = 16
OURS = {"lsm": "Kvorum lsm", "memory": "Kvorum memory"}
RIVALS = ["rocksdb", "leveldb"]     # the better of them is what a ratio is of
WITNESSES = ["lmdb", "wiredtiger"]  # other designs: for proportion, not for the verdict
TITLES = {**OURS, "rocksdb": "RocksDB", "leveldb": "LevelDB", "lmdb": "LMDB",
          "wiredtiger": "WiredTiger"}


@dataclasses.dataclass(frozen=True)
class Plan:
    records: int
    value_size: int
    groups: tuple             # of tuples of phases; the first is the base
    budget: tuple = BUDGET
    durable: bool = False
    witnessed: bool = False   # whether LMDB and WiredTiger run it

    def user_size(self, records):
        return records * (KEY_SIZE + self.value_size)


PLANS = {
    "sequential": Plan(5_000_000, 100, (("fillseq",),), witnessed=True),
    "random": Plan(5_000_000, 100, (
        ("fillrandom", "settle", "warm"), ("scan",), ("readrandom",), ("readzipf",), ("readmissing",),
        ("read2",), ("multiget",), ("seek10",), ("overwrite", "settle", "verify"), ("readwrite",),
        ("evict", "readcold")), witnessed=True),
    "batches": Plan(2_500_000, 100, (("fillbatch",),)),
    "durable": Plan(200_000, 100, ((), ("sync",), ("syncbatch",), ("sync8",)), durable=True,
                    witnessed=True),
    "large": Plan(1_000_000, 1000, (
        ("fillrandom", "settle", "warm"), ("scan",), ("readrandom",), ("readzipf",), ("seek10",))),
    "tight": Plan(4 * sum(TIGHT_BUDGET) // (KEY_SIZE + 100), 100, (
        ("fillrandom", "settle", "warm"), ("readrandom",)), TIGHT_BUDGET),
}


# --- what counts ---------------------------------------------------------------------------------
# A metric gets the results of one process, {GROUP/PHASE: its line}, and the bytes of its records.

def rate(place):
    return lambda results, _: results[place]["operations"] / results[place]["seconds"]


def write_rate(place):
    return lambda results, _: results[place]["writes"] / results[place]["seconds"]


def p999(place):
    return lambda results, _: results[place]["p999_us"]


def write_amplification(results, user_size):
    return (results["fillrandom/fillrandom"]["written"]
            + results["fillrandom/settle"]["written"]) / user_size


def space_amplification(results, user_size):
    return results["overwrite/settle"]["files_size"] / user_size


def peak_memory(results, _):
    return max(line["memory_peak"] for line in results.values()) / MIB


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    plan: str
    place: str                # GROUP/PHASE that must have run
    metric: object
    reach: float              # of ours / the better rival; at most that when less is better
    aim: float
    unit: str = "op/s"
    less: bool = False        # less is better

    def better(self, values):
        return min(values) if self.less else max(values)

    def reached(self, ratio):
        return ratio <= self.reach if self.less else ratio >= self.reach


def speed(name, plan, place, reach, aim, metric=rate):
    if "/" not in place:
        place = f"{place}/{place}"
    return Row(name, plan, place, metric(place), reach, aim)


ROWS = [
    speed("fillseq", "sequential", "fillseq", 1.2, 2.0),
    speed("fillrandom", "random", "fillrandom", 1.2, 2.0),
    speed("fillrandom, batches of 100", "batches", "fillbatch", 1.2, 2.0),
    speed("overwrite", "random", "overwrite", 1.2, 2.0),
    speed("readrandom", "random", "readrandom", 1.5, 3.0),
    speed("read zipf", "random", "readzipf", 1.5, 3.0),
    speed("readrandom, 2 threads", "random", "read2", 1.5, 3.0),
    speed("read missing", "random", "readmissing", 1.2, 2.5),
    speed("multi-get of 16", "random", "multiget", 1.5, 4.0),
    speed("seek + 10", "random", "seek10", 1.0, 1.5),
    speed("scan", "random", "scan", 1.0, 1.5),
    speed("reads beside a writer", "random", "readwrite", 1.2, 2.0),
    speed("writes beside a reader", "random", "readwrite", 1.2, 2.0, write_rate),
    speed("sync each", "durable", "sync", 1.0, 1.1),
    speed("sync per batch of 100", "durable", "syncbatch", 1.2, 1.5),
    speed("8 threads, sync each", "durable", "sync8", 1.2, 2.0),
    speed("readrandom, nothing cached", "random", "evict/readcold", 1.0, 1.5),
    speed("fillrandom, data 4x memory", "tight", "fillrandom", 1.0, 1.5),
    speed("readrandom, data 4x memory", "tight", "readrandom", 1.0, 1.5),
    speed("fillrandom, 1 KB", "large", "fillrandom", 1.2, 2.0),
    speed("readrandom, 1 KB", "large", "readrandom", 1.5, 3.0),
    speed("read zipf, 1 KB", "large", "readzipf", 1.5, 3.0),
    speed("seek + 10, 1 KB", "large", "seek10", 1.0, 1.5),
    speed("scan, 1 KB", "large", "scan", 1.0, 1.5),
    Row("p99.9 of fillrandom", "random", "fillrandom/fillrandom", p999("fillrandom/fillrandom"),
        1.0, 0.33, "us", True),
    Row("p99.9 of reads beside a writer", "random", "readwrite/readwrite",
        p999("readwrite/readwrite"), 1.0, 0.33, "us", True),
    Row("write amplification", "random", "fillrandom/settle", write_amplification, 1.0, 0.8, "x",
        True),
    Row("space amplification", "random", "overwrite/settle", space_amplification, 1.0, 0.8, "x",
        True),
    Row("peak memory", "random", "readwrite/readwrite", peak_memory, 1.0, 0.8, "MiB", True),
]


def choose(regex):
    return [row for row in ROWS if re.search(regex, row.name)]


def groups_for(plan, rows):
    """The groups of `plan` that `rows` need, in order."""
    base, *others = PLANS[plan].groups
    wanted = {row.place.split("/")[0] for row in rows if row.plan == plan}
    return [base] + [group for group in others if group[0] in wanted]
