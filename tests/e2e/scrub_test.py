#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bytes that rot in the table files of a node are found by a scrub, and refilled by the others."""
import json
import pathlib

from kvorum_e2e import Cluster, case, equal, run, wait_until

CONFIG = """
[node]
partitions = 64
[storage]
stores = 1
memtable_size = 1MB
"""
KEYS = 6000
VALUE = "value " * 100


def stats(node):
    return json.loads(node.http("GET", "/stats").body)


def tables(node):
    """The largest table file, which holds objects in most of its blocks."""
    return sorted(pathlib.Path(node.data).rglob("table-*.tbl"), key=lambda path: path.stat().st_size)


def rot(node, places):
    path = tables(node)[-1]
    size = path.stat().st_size
    with open(path, "r+b") as file:
        for i in range(places):
            at = size * (i + 1) // (places + 2)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))


@case("a node whose files rot while it runs finds it, and has everything again")
def _():
    with Cluster(5, config=CONFIG) as cluster:
        for i in range(KEYS):
            answer = cluster[i % 5].http("PUT", f"/buckets/pets/keys/k{i}", f"{VALUE}{i}",
                                         {"Content-Type": "text/plain"})
            equal(answer.status, 204, f"k{i}")
        node = cluster[2]
        wait_until(lambda: len(tables(node)) > 0, what="a table")
        rot(node, 5)
        node.http("POST", "/kvorum/scrub")
        wait_until(lambda: stats(node)["kvorum_scrub_passes"] > 0, what="a pass", timeout=30)
        assert stats(node)["kvorum_scrub_damaged"] >= 5, stats(node)
        wait_until(lambda: stats(node)["kvorum_scrub_losses"] == 0, what="a refill", timeout=90)
        assert stats(node)["kvorum_scrub_mended"] >= 1, stats(node)
        assert stats(node)["kvorum_scrub_refilled"] >= 1, stats(node)
        for i in range(KEYS):
            answer = node.http("GET", f"/buckets/pets/keys/k{i}?r=3")
            equal((answer.status, answer.body), (200, f"{VALUE}{i}".encode()), f"k{i}")
        node.http("POST", "/kvorum/scrub")
        damaged = stats(node)["kvorum_scrub_damaged"]
        wait_until(lambda: stats(node)["kvorum_scrub_passes"] > 1, what="a second pass", timeout=30)
        equal(stats(node)["kvorum_scrub_damaged"], damaged)


if __name__ == "__main__":
    run()
