# SPDX-License-Identifier: Apache-2.0
"""A data directory that is not what its node was stopped with: salvaged, or an older copy of itself.

What it lost is lost there; but what the other replicas hold, and what it acknowledges from then on, must
stay side by side: no write may go under the name of one that was forgotten.
"""
import glob
import os
import re
import shutil

from kvorum_e2e import Cluster, Node, case, command, equal, run, temporary_folder, wait_until

CONFIG = "[quorum]\nn = 3\nr = 2\nw = 2\n[storage]\nstores = 1\nsync = always\n"
KEYS = 60
TEXT = {"Content-Type": "text/plain"}


def allow_siblings(node):
    body = b'{"props": {"allow_mult": true}}'
    answer = node.http("PUT", "/buckets/b/props", body, {"Content-Type": "application/json"})
    equal(answer.status, 204)


def write(node, value):
    """One more sibling of every key, acknowledged by all three."""
    for i in range(KEYS):
        path = f"/buckets/b/keys/k{i}?w=3&returnbody=false"
        wait_until(lambda path=path: node.http("PUT", path, value, TEXT).status == 204, 20,
                   f"{path} is written")


def siblings(node, key):
    answer = node.http("GET", f"/buckets/b/keys/{key}?r=3", headers={"Accept": "multipart/mixed"})
    assert answer.status in (200, 300), answer
    return set(re.findall(rb"value-[0-9]", answer.body))


def expect_all(node, *values):
    """A write that was tried twice may stand there twice: values count, not siblings."""
    lost = [f"k{i}" for i in range(KEYS) if not set(values) <= siblings(node, f"k{i}")]
    assert not lost, f"{len(lost)} of {KEYS} keys lost an acknowledged sibling: {lost[:5]}"


@case("a store salvaged after a clean stop gives no dot again: acknowledged siblings stay")
def _():
    with Cluster(3, config=CONFIG) as cluster:
        allow_siblings(cluster[0])
        write(cluster[0], b"value-1")
        equal(cluster[0].stop(), 0)
        store = os.path.join(cluster[0].data, "store-0")
        for log in glob.glob(os.path.join(store, "log-*")):
            with open(log, "r+b") as file:
                size = os.path.getsize(log)
                file.seek(min(200, size))
                file.write(bytes(max(0, size - 200)))
        command("store", "salvage", store, store + ".new")
        shutil.rmtree(store)
        os.rename(store + ".new", store)
        cluster[0].start()
        assert "not as the last clean stop left them" in cluster[0].log(), cluster[0].log_tail()
        write(cluster[0], b"value-2")
        expect_all(cluster[1], b"value-1", b"value-2")


@case("a copy of the directory, taken after a clean stop and put back later, gives no dot again")
def _():
    with Cluster(3, config=CONFIG) as cluster:
        node = cluster[0]
        allow_siblings(node)
        write(node, b"value-1")
        equal(node.stop(), 0)
        shutil.copytree(node.data, node.data + ".backup")
        known = os.path.join(cluster[1].data, "lives")
        before = os.stat(known).st_ino  # replaced whole
        node.start()
        wait_until(lambda: os.stat(known).st_ino != before, 20, "the new life is remembered")
        write(node, b"value-2")
        node.kill()
        node.wipe()
        os.rename(node.data + ".backup", node.data)
        node.start()
        write(node, b"value-3")
        expect_all(cluster[1], b"value-1", b"value-2", b"value-3")
        wait_until(lambda: "an older copy of itself" in node.log(), 20, "the node finds out")


@case("a data directory whose parent is missing is refused, and the message says what to do")
def _():
    with temporary_folder() as folder:
        node = Node("n1", os.path.join(folder, "n1"), founders=1)
        node.data = os.path.join(folder, "not-mounted", "data")
        node.launch()
        equal(node.wait_end(), 8)
        said = node.log()
        assert "the directory above it is not there" in said and node.data in said, said
        assert not os.path.exists(os.path.dirname(node.data))


run()
