#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node whose data is much larger than its memory: written several times over, restarted, killed."""
import hashlib
import json
import re

import kvorum_e2e
from kvorum_e2e import RespError, case, command, equal, one_node, run, wait_until

MB = 1 << 20
CONFIG = """
[storage]
stores = 2
sync = never
memtable_size = 1MB
cache_size = 4MB
"""
KEYS, VALUE_SIZE, PASSES, BATCH = 24000, 2000, 4, 400
# 4 MB of cache, two stores with up to five memtables of 1 MB each, and what the process is without data
MEMORY_MAX = 64 * MB if kvorum_e2e.SLOW == 1 else 640 * MB  # sanitizers keep what was freed for a while


def memory(node, field):
    """VmRSS or VmHWM (its peak), in bytes."""
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as file:
        return int(re.search(rf"{field}:\s+(\d+) kB", file.read()).group(1)) * 1024


def value(key, number):
    seed = hashlib.sha256(f"{key} {number}".encode()).digest()
    return (seed * (VALUE_SIZE // len(seed) + 1))[:VALUE_SIZE]


def write_all(resp, number):
    """Every key once; what is refused as overload is written again."""
    left = list(range(KEYS))
    while left:
        batch, left = left[:BATCH], left[BATCH:]
        replies = resp.pipeline([("SET", f"key{i}", value(i, number)) for i in batch])
        for i, reply in zip(batch, replies):
            if isinstance(reply, RespError) and str(reply).startswith("TRYAGAIN"):
                left.append(i)
            else:
                equal(reply, "OK")


def read_all(resp, number):
    for start in range(0, KEYS, BATCH):
        keys = range(start, min(start + BATCH, KEYS))
        replies = resp.pipeline([("GET", f"key{i}") for i in keys])
        for i, reply in zip(keys, replies):
            equal(reply == value(i, number), True, f"key{i}")


def stats(node):
    return json.loads(node.http("GET", "/stats", headers={
        "Accept": "application/json"}).body)


@case("a data set many times larger than the memory stays within it, over restarts and a kill")
def _():
    with one_node(config=CONFIG) as node:
        with node.resp() as resp:
            for number in range(PASSES):
                write_all(resp, number)
            read_all(resp, PASSES - 1)
            said = stats(node)
        written = KEYS * VALUE_SIZE * PASSES
        print(f"# {written // MB} MB written, {KEYS * VALUE_SIZE // MB} MB live; peak memory "
              f"{memory(node, 'VmHWM') // MB} MB; {said['kvorum_flushes']} flushes, "
              f"{said['kvorum_compactions']} compactions, {said['kvorum_stalls']} stalls, "
              f"{said['kvorum_store_disk'] // MB} MB on disk")
        assert memory(node, "VmHWM") < MEMORY_MAX, "the peak of memory follows the data"
        assert said["kvorum_flushes"] > 20 and said["kvorum_compactions"] > 0
        assert said["kvorum_disk_reads"] > 0, "no read went to the disk"
        equal(node.stop(timeout=20), 0)
        for how in ("stop", "kill"):
            node.start()
            with node.resp() as resp:
                read_all(resp, PASSES - 1)
            assert memory(node, "VmHWM") < MEMORY_MAX, f"memory before {how}"
            equal(node.stop(timeout=20), 0) if how == "stop" else node.kill()
        node.start()
        with node.resp() as resp:
            read_all(resp, PASSES - 1)


@case("levels, cache and background work are told")
def _():
    with one_node(config=CONFIG) as node:
        with node.resp() as resp:
            write_all(resp, 0)

        def shown():
            return command("status", "--node", f"127.0.0.1:{node.http_port}").stdout.decode()
        wait_until(lambda: "about 24," in shown(), what="figures as of the last write")
        text = shown()
        for part in ("tables: level 0", "cache", "flushes", "stalls"):
            assert part in text, f"{part!r} is not in:\n{text}"


run()
