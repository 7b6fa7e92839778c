#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Replicas that missed writes, or a whole life, are mended by `kvorum repair`."""
import json
import os
import shutil

from kvorum_e2e import Cluster, case, command, equal, run, wait_until

CONFIG = """
[node]
partitions = 64
[storage]
stores = 2
"""
KEYS = 300


def write_all(node, text):
    for i in range(KEYS):
        answer = node.http("PUT", f"/buckets/pets/keys/k{i}", f"{text} {i}",
                           {"Content-Type": "text/plain"})
        equal(answer.status, 204, f"k{i}")


def stat(node, name):
    return json.loads(node.http("GET", "/stats").body)[f"kvorum_repair_{name}"]


def wait_alive(cluster):
    """Until everybody knows everybody."""
    for node in cluster:
        wait_until(lambda: node.http("GET", "/kvorum/status").body.count(b'"alive"') == len(cluster),
                   what=f"{node.name} to see all")


def repair(node, *words):
    done = command("repair", "--node", f"127.0.0.1:{node.http_port}", "-o", "json", *words,
                   timeout=60.0)
    equal(done.returncode, 0, (done.stdout + done.stderr).decode())
    return json.loads(done.stdout)


def holds_all_alone(cluster, late, text):
    for node in cluster:
        if node is not late:
            node.kill()
    for i in range(KEYS):
        answer = late.http("GET", f"/buckets/pets/keys/k{i}?r=1&pr=0&notfound_ok=false")
        equal((answer.status, answer.body), (200, f"{text} {i}".encode()), f"k{i}")


@case("a node that was away while everything was written holds all of it after a repair")
def _():
    with Cluster(3, config=CONFIG) as cluster:
        write_all(cluster[0], "old")
        late = cluster[2]
        late.kill()
        wait_until(lambda: b'"dead"' in cluster[0].http("GET", "/kvorum/status").body,
                   what="the first node to notice")
        write_all(cluster[0], "new")
        late.start()
        wait_alive(cluster)
        equal(repair(cluster[0])["failed"], 0)  # hints may have been there first
        holds_all_alone(cluster, late, "new")


@case("a node whose disk was put back to an older state holds all of it after a repair")
def _():
    with Cluster(3, config=CONFIG) as cluster:
        write_all(cluster[0], "old")
        late = cluster[2]
        late.stop()
        shutil.copytree(late.data, late.data + ".backup")
        late.start()
        wait_alive(cluster)
        write_all(cluster[0], "new")
        late.stop()  # what the others keep for it is delivered: only its disk lacks anything
        shutil.rmtree(late.data)
        os.rename(late.data + ".backup", late.data)
        late.start()
        wait_alive(cluster)
        outcome = repair(cluster[0])
        equal(outcome["failed"], 0)
        assert outcome["keys_differing"] >= KEYS * 9 // 10, outcome
        equal(repair(cluster[0], "--bucket", "pets")["keys_differing"], 0)
        holds_all_alone(cluster, late, "new")


@case("after a clean stop trees are there at once; after a kill they are computed")
def _():
    with Cluster(3, config=CONFIG) as cluster:
        write_all(cluster[0], "some")
        wait_alive(cluster)
        repair(cluster[0])
        node = cluster[1]
        wait_until(lambda: stat(node, "scans") >= 64, what="every partition to be scanned")
        node.stop()
        node.start()
        wait_alive(cluster)
        repair(cluster[0])
        equal(stat(node, "scans"), 0)
        assert stat(node, "tree_memory") > 0
        node.kill()
        node.start()
        wait_alive(cluster)
        equal(repair(cluster[0])["failed"], 0)
        assert stat(node, "scans") >= 64


if __name__ == "__main__":
    run()
