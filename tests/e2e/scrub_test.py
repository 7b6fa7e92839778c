#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bytes that rot in the table files of a node are found by a scrub, and refilled by the others."""
# waits mostly
import json
import os
import pathlib
import subprocess

from kvorum_e2e import (Cluster, Node, binary, case, command, equal, one_node, rows, run,
                        temporary_folder, wait_until)

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


def put_all(nodes, first, count):
    """Through each of the nodes in turn."""
    for i, node in enumerate(nodes):
        numbers = range(first + i, first + count, len(nodes))
        answers = node.http_many(("PUT", f"/buckets/pets/keys/k{k}", f"{VALUE}{k}",
                                  {"Content-Type": "text/plain"}) for k in numbers)
        for k, answer in zip(numbers, answers):
            equal(answer.status, 204, f"k{k}: {answer.body}")


def read_all(node, count, query):
    return node.http_many(("GET", f"/buckets/pets/keys/k{k}?{query}") for k in range(count))


def expect_all(node, count, query):
    for k, answer in enumerate(read_all(node, count, query)):
        equal((answer.status, answer.body), (200, f"{VALUE}{k}".encode()), f"k{k}")


@case("a node whose files rot while it runs finds it, and has everything again")
def _():
    with Cluster(5, config=CONFIG) as cluster:
        put_all(cluster, 0, KEYS)
        node = cluster[2]
        wait_until(lambda: len(tables(node)) > 0, what="a table")
        rot(node, 5)
        node.http("POST", "/kvorum/scrub")
        wait_until(lambda: stats(node)["kvorum_scrub_passes"] > 0, what="a pass", timeout=30)
        assert stats(node)["kvorum_scrub_damaged"] >= 5, stats(node)
        wait_until(lambda: stats(node)["kvorum_scrub_losses"] == 0, what="a refill", timeout=90)
        assert stats(node)["kvorum_scrub_mended"] >= 1, stats(node)
        assert stats(node)["kvorum_scrub_refilled"] >= 1, stats(node)
        expect_all(node, KEYS, "r=3")
        node.http("POST", "/kvorum/scrub")
        damaged = stats(node)["kvorum_scrub_damaged"]
        wait_until(lambda: stats(node)["kvorum_scrub_passes"] > 1, what="a second pass", timeout=30)
        equal(stats(node)["kvorum_scrub_damaged"], damaged)


@case("a node whose files rot while it is stopped is refilled when somebody asks for a scrub")
def _():
    with Cluster(3, config=CONFIG) as cluster:
        put_all(cluster, 0, KEYS)
        node = cluster[1]
        wait_until(lambda: len(tables(node)) > 0, what="a table")
        node.stop()
        rot(node, 3)
        node.start()
        done = command("scrub", "--node", f"127.0.0.1:{node.http_port}", "--wait", "-o", "json",
                       timeout=90.0)
        equal(done.returncode, 0, (done.stdout + done.stderr).decode())
        outcome = json.loads(done.stdout)
        seen = {name: value for name, value in stats(node).items() if "scrub" in name}
        equal((outcome["in_doubt"], seen["kvorum_scrub_damaged"]), (0, 3), seen)  # by a read or the scrub
        assert seen["kvorum_scrub_mended"] >= 1 and seen["kvorum_scrub_refilled"] >= 1, seen
        for other in (cluster[0], cluster[2]):
            other.kill()
        expect_all(node, KEYS, "r=1&pr=0&notfound_ok=false")


@case("a node of two reactors that starts on damaged records of its own serves, with its buckets as they were")
def _():
    with Cluster(3, config=CONFIG.replace("stores = 1", "stores = 2"), flags=["--reactors", "2"]) as cluster:
        node = cluster[1]
        equal(node.http("PUT", "/buckets/pets/props", b'{"props": {"allow_mult": true}}',
                        {"Content-Type": "application/json"}).status, 204)
        put_all([cluster[0]], 0, KEYS)
        node.stop()
        for path in pathlib.Path(node.data, "store-0").glob("table-*.tbl"):
            content = bytearray(path.read_bytes())
            for at in range(2000, len(content) - 3000, 4000):
                content[at] ^= 1
            with open(path, "r+b") as file:
                file.write(content)
        node.start()
        assert "records of the node itself are damaged" in node.log(), node.log_tail()
        wait_until(lambda: json.loads(node.http("GET", "/buckets/pets/props").body)["props"]["allow_mult"],
                   20, "the bucket is what it was")
        wait_until(lambda: stats(node)["kvorum_scrub_losses"] == 0, what="a refill", timeout=90)


def scrub(node, *words, code):
    done = command("scrub", "--node", f"127.0.0.1:{node.http_port}", *words, timeout=90.0)
    text = (done.stdout + done.stderr).decode()
    equal(done.returncode, code, text)
    return text


def read_alone(node, key):
    return node.http("GET", f"/buckets/pets/keys/{key}?r=1&pr=0")


@case("what no other node owns and rots away is said to be lost, until somebody gives it up")
def _():
    with one_node(CONFIG) as node:
        put_all([node], 0, KEYS)
        wait_until(lambda: len(tables(node)) > 0, what="a table")
        rot(node, 1)
        assert "ranges of keys are lost" in scrub(node, "--wait", code=1)
        answers = read_all(node, KEYS, "r=1&pr=0")
        lost = [i for i in range(KEYS) if answers[i].status != 200]
        assert 0 < len(lost) < KEYS / 50, lost
        for i in lost:
            equal(answers[i].status, 500, answers[i].body)
            assert b"its only replica, on" in answers[i].body, answers[i].body
        assert "ranges lost" in command("status", "--node", f"127.0.0.1:{node.http_port}").stdout.decode()
        node.restart()
        wait_until(lambda: stats(node)["kvorum_scrub_lost"] == 1, what="the loss to be known again")
        equal(read_alone(node, f"k{lost[0]}").status, 500)
        assert "1 ranges of lost keys given up; 0 still in doubt" in scrub(node, "--accept", code=0)
        gone = [i for i in lost if read_alone(node, f"k{i}").status == 404]
        assert len(gone) > 0, lost  # others in the range stood in other tables
        equal(node.http("PUT", f"/buckets/pets/keys/k{gone[0]}", "again",
                        {"Content-Type": "text/plain"}).status, 204)
        equal(read_alone(node, f"k{gone[0]}").body, b"again")
        scrub(node, "--wait", code=0)


@case("a pass that is due is made by itself, and the next start knows of it")
def _():
    with one_node(CONFIG + "[scrub]\nperiod_ms = 10000\nrate = 0\n") as node:
        def last():
            return json.loads(node.http("GET", "/kvorum/status").body)["scrub"]["last_pass_s"]
        equal(node.http("PUT", "/buckets/pets/keys/k", "v", {"Content-Type": "text/plain"}).status, 204)
        equal(last(), None)
        wait_until(lambda: last() is not None, timeout=30, what="a pass")
        node.restart()
        wait_until(lambda: last() is not None, timeout=5, what="the pass to be known")


@case("a manifest and a log that rot while a node runs are written anew, and the node starts again")
def _():
    with one_node(CONFIG) as node:
        put_all([node], 0, KEYS)
        wait_until(lambda: len(tables(node)) > 0, what="a table")
        for name in ("MANIFEST", "FORMAT"):
            path = next(pathlib.Path(node.data).rglob(name))
            content = bytearray(path.read_bytes())
            content[-1] ^= 1
            with open(path, "r+b") as file:
                file.write(content)
        assert "2 damaged places, 2 files mended" in scrub(node, "--wait", code=0)
        node.kill()
        node.start()
        equal(read_alone(node, "k0").body, f"{VALUE}0".encode())


# --- what rots while the node is stopped, and is needed to open a store -----------------------------

def damage(node, pattern):
    """In the middle of what is written of the newest such file."""
    path = sorted(pathlib.Path(node.data).rglob(pattern))[-1]
    content = path.read_bytes()
    at = len(content.rstrip(b"\0")) // 2
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(bytes([content[at] ^ 1]))
    return path.name


def next_step(node):
    """The command between the brackets of the message."""
    line = next(line for line in node.log().splitlines() if "was not opened" in line)
    assert "cluster replace" in line and "status=CORRUPT" in line, line
    return line[line.index("(cd "):line.index(")", line.index("(cd ")) + 1]


def expect_whole(cluster, node, count):
    for other in cluster:
        if other is not node:
            other.kill()
    answers = read_all(node, count, "r=1&pr=0")
    lost = [i for i in range(count) if answers[i].body != f"{VALUE}{i}".encode()]
    assert not lost, f"{len(lost)} of {count} are not there: {lost[:5]}"


def check_salvage(pattern):
    with Cluster(3, config=CONFIG) as cluster:
        node = cluster[1]
        put_all([cluster[0]], 0, 3000)
        node.kill()
        put_all([cluster[0]], 3000, 500)  # and what came while it was down
        name = damage(node, pattern)
        node.launch()
        equal(node.wait_end(), 8, node.log_tail())
        assert name in node.log(), node.log_tail()
        path = os.path.dirname(binary()) + ":" + os.environ["PATH"]
        done = subprocess.run(["sh", "-c", next_step(node)], env={**os.environ, "PATH": path},
                              capture_output=True, timeout=60)
        equal(done.returncode, 0, (done.stdout + done.stderr).decode())
        node.start()
        wait_until(lambda: "a store was salvaged, or put back" in node.log(), 20, "it knows")
        wait_until(lambda: stats(node)["kvorum_repair_demand_total"] > 0
                   and stats(node)["kvorum_repair_demand_done"] == stats(node)["kvorum_repair_demand_total"],
                   90, "it was compared")
        equal(stats(node)["kvorum_repair_demand_failed"], 0)
        expect_whole(cluster, node, 3500)


rows([(f"a node does not start on a damaged {name}, says what to do, and is whole when that was done", pattern)
      for name, pattern in (("manifest", "MANIFEST"), ("log", "log-*.log"))], check_salvage)


@case("a node whose store is damaged is replaced by a new one, as the message says too")
def _():
    with Cluster(3, config=CONFIG) as cluster, temporary_folder() as folder:
        node = cluster[1]
        put_all([cluster[0]], 0, 1000)
        node.kill()
        damage(node, "MANIFEST")
        node.launch()
        equal(node.wait_end(), 8, node.log_tail())
        newcomer = Node("n4", os.path.join(folder, "n4"), join=cluster[0].peer_address(), config=CONFIG)
        newcomer.launch()
        where = ("--node", f"127.0.0.1:{cluster[0].http_port}")
        wait_until(lambda: "n4" in command("cluster", "status", *where).stdout.decode(), 20, "it is known")
        for words in (("cluster", "replace", "n2", "n4"), ("cluster", "commit")):
            done = command(*words, *where, timeout=90)
            equal(done.returncode, 0, (done.stdout + done.stderr).decode())
        wait_until(lambda: json.loads(cluster[0].http("GET", "/kvorum/cluster").body)["moving"] == 0
                   and newcomer.http("GET", "/ping").status == 200, 90, "it has all partitions")
        wait_until(lambda: read_alone(newcomer, "k0").status == 200, 30, "it serves")
        expect_whole([cluster[0], cluster[2], newcomer], newcomer, 1000)
        newcomer.kill()


if __name__ == "__main__":
    run()
