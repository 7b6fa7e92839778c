#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Background work of real nodes, watched and steered: `kvorum tasks`."""
# waits mostly
import json
import os
import time

from kvorum_e2e import Cluster, Node, case, command, equal, run, wait_until

KEYS, SIZE, PARTITIONS = 600, 4000, 64
SLOWLY = 64 << 10


def load(node):
    with node.resp() as redis:
        for start in range(0, KEYS, 100):
            for reply in redis.pipeline([("SET", f"key-{i}", os.urandom(SIZE))
                                         for i in range(start, start + 100)]):
                equal(reply, "OK")


def tasks(node, *words):
    return command("tasks", *words, "--node", f"127.0.0.1:{node.http_port}", timeout=120)


def listed(node, *words):
    return json.loads(tasks(node, *words, "-o", "json").stdout)


def task(node, name):
    return listed(node, "status", name)["tasks"][0]


def cluster(node, *words):
    words = (*words, "--no-wait") if words[0] == "commit" else words
    return command("cluster", *words, "--node", f"127.0.0.1:{node.http_port}", check=True)


def shape(node):
    """What the cluster is made of, as `node` sees it, by name."""
    told = json.loads(cluster(node, "status", "-o", "json").stdout)
    return {member["name"]: member for member in told["nodes"]}


def newcomer(nodes, *flags):
    node = Node("n9", os.path.join(nodes.folder, "n9"), join=nodes[0].peer_address(),
                flags=["--partitions", str(PARTITIONS), *flags])
    node.launch()
    wait_until(lambda: b"n9" in cluster(nodes[0], "status").stdout, what="n9 is listed")
    node.wait_serving()
    return node


@case("a node that joins takes in what the configuration allows, and its task says so")
def _():
    with Cluster(3, flags=["--partitions", str(PARTITIONS), "--reactors", "2"]) as nodes:
        load(nodes[0])
        listing = tasks(nodes[1], "list").stdout
        assert listing.startswith(b"nothing is under way\n"), listing
        node = newcomer(nodes, "--handoff-rate", f"{SLOWLY}", "--reactors", "2")
        cluster(nodes[0], "commit")
        begin = time.monotonic()
        wait_until(lambda: task(nodes[1], "n9/move")["state"] == "running", what="it runs")
        moving = wait_until(lambda: (lambda t: t["size"] > 2 * SLOWLY and t)(
            task(nodes[1], "n9/move")), what="something has come")
        equal(moving["limit"], SLOWLY)
        equal(moving["unit"], "partitions")
        assert 0 < moving["total"] <= PARTITIONS, moving
        assert moving["rate"] < 8 * SLOWLY, moving

        refused = tasks(nodes[2], "cancel", "n9/move")
        equal(refused.returncode, 8)
        assert b"a committed move is not given up" in refused.stderr, refused.stderr

        equal(tasks(nodes[2], "pause", "n9/move").returncode, 0)
        wait_until(lambda: task(node, "n9/move")["state"] == "paused", what="it is paused")
        time.sleep(1.5)  # what was under way has come
        before = task(node, "n9/move")
        time.sleep(2)
        after = task(node, "n9/move")
        equal(after["size"], before["size"])
        equal(after["stalled"], False)
        waited = tasks(node, "wait", "n9/move", "--seconds", "1")
        equal(waited.returncode, 5)
        assert b"n9/move is paused" in waited.stderr, waited.stderr

        equal(tasks(node, "resume", "move").returncode, 0)
        equal(tasks(node, "limit", "n9/move", "1GB").returncode, 0)
        wait_until(lambda: (task(node, "n9/move")["limit"] or 0) >= 1 << 30, what="it may go")
        done = tasks(nodes[0], "wait", "n9/move", "--seconds", "60")
        equal(done.returncode, 0, done.stderr)
        end = task(nodes[0], "n9/move")
        equal((end["state"], end["done"]), ("done", end["total"]))
        passed = time.monotonic() - begin
        assert end["size"] > KEYS * SIZE // 2, (end, passed)
        with node.resp() as redis:
            for i in range(0, KEYS, 50):
                equal(len(redis.call("GET", f"key-{i}")), SIZE)


@case("a newcomer with auto_join takes its share by itself")
def _():
    with Cluster(3, flags=["--partitions", str(PARTITIONS)]) as nodes:
        load(nodes[0])
        node = Node("n9", os.path.join(nodes.folder, "n9"), join=nodes[1].peer_address(),
                    flags=["--auto-join"]).launch()
        wait_until(lambda: shape(nodes[0]).get("n9", {}).get("membership") == "active",
                   what="n9 has joined")
        equal(tasks(nodes[0], "wait", "n9/move", "--seconds", "60").returncode, 0)
        wait_until(lambda: shape(nodes[0])["n9"]["partitions"] > PARTITIONS // 2,
                   what="n9 holds its share")
        assert "the join is committed" in node.log(), node.log_tail()


@case("it leaves alone what an operator has staged, and says so")
def _():
    with Cluster(3, flags=["--partitions", str(PARTITIONS)]) as nodes:
        cluster(nodes[0], "weight", "n1", "200")
        node = Node("n9", os.path.join(nodes.folder, "n9"), join=nodes[1].peer_address(),
                    flags=["--auto-join"]).launch()
        wait_until(lambda: "other changes are staged too" in node.log(), what="it says why not")
        equal(shape(nodes[0])["n9"]["membership"], "joining")
        cluster(nodes[0], "commit")
        wait_until(lambda: shape(nodes[0])["n9"]["membership"] == "active", what="n9 has joined")
        assert "the join is committed" not in node.log(), node.log_tail()


@case("a repair is a task too: listed, limited, cancelled")
def _():
    with Cluster(3, flags=["--partitions", str(PARTITIONS)]) as nodes:
        load(nodes[0])
        equal(tasks(nodes[1], "pause", "n2/repair").returncode, 0)
        equal(nodes[1].http("POST", "/kvorum/repair").status, 202)
        paused = wait_until(lambda: (lambda t: t["state"] == "paused" and t)(
            task(nodes[0], "n2/repair")), what="it is paused")
        equal(paused["unit"], "pairs")
        assert paused["done"] < paused["total"], paused
        equal(tasks(nodes[0], "cancel", "n2/repair").returncode, 0)
        wait_until(lambda: task(nodes[0], "n2/repair")["state"] == "cancelled", what="it is over")
        equal(tasks(nodes[0], "status", "n2/repair").returncode, 1)
        equal(tasks(nodes[0], "resume", "n2/repair").returncode, 0)
        equal(nodes[1].http("POST", "/kvorum/repair").status, 202)
        equal(tasks(nodes[0], "wait", "n2/repair", "--seconds", "60").returncode, 0)
        equal(task(nodes[0], "n2/repair")["failed"], 0)


def hinted(nodes, away, keys=200):
    """n1 owes `away` writes."""
    away.kill()
    wait_until(lambda: shape(nodes[0])[away.name]["state"] == "dead", what="it is dead")
    for i in range(keys):
        answer = nodes[0].http("PUT", f"/buckets/b/keys/k{i}", os.urandom(2000),
                               {"Content-Type": "text/plain"})
        equal(answer.status, 204, answer.body)


@case("hints are a task: kept, paused, limited, delivered, over restarts")
def _():
    with Cluster(3, flags=["--partitions", str(PARTITIONS), "--gossip", "local",
                           "--reactors", "2"]) as nodes:
        hinted(nodes, nodes[2])
        kept = task(nodes[0], "n1/hints")
        equal(kept["note"], "keeps hints for n3, which is away")
        equal(kept["nature"], "asked")
        equal(tasks(nodes[0], "pause", "n1/hints").returncode, 0)
        equal(tasks(nodes[0], "limit", "n1/hints", "20KB").returncode, 0)
        path = os.path.join(nodes[0].data, "tasks")
        wait_until(lambda: os.path.exists(path), what="the order is on disk")
        time.sleep(0.5)
        nodes[0].kill()
        nodes[0].launch()
        nodes[0].wait_serving()
        nodes[2].launch()
        nodes[2].wait_serving()
        paused = wait_until(lambda: (lambda t: t["state"] == "paused" and t["total"] == 200 and t)(
            task(nodes[0], "n1/hints")), what="both reactors know that it was paused")
        equal(paused["done"], 0)
        assert 20 << 10 <= paused["limit"] <= (20 << 10) + 1, paused
        time.sleep(2)
        after = task(nodes[0], "n1/hints")
        equal((after["state"], after["done"], after["size"]), ("paused", 0, 0))
        waited = tasks(nodes[0], "wait", "n1/hints", "--seconds", "1")
        equal(waited.returncode, 5)

        equal(tasks(nodes[1], "resume", "n1/hints").returncode, 0)
        slow = wait_until(lambda: (lambda t: t["done"] > 20 and t)(task(nodes[0], "n1/hints")),
                          what="some are delivered")
        assert slow["rate"] < 100000 and not slow["stalled"], slow
        assert slow["left_ms"] is not None, slow
        refused = tasks(nodes[0], "cancel", "n1/hints")
        equal(refused.returncode, 8)
        equal(tasks(nodes[0], "limit", "n1/hints", "none").returncode, 0)
        waited = tasks(nodes[0], "wait", "n1/hints", "--seconds", "60")
        equal(waited.returncode, 0, waited.stderr)
        end = task(nodes[0], "n1/hints")
        equal((end["state"], end["done"]), ("done", end["total"]))
        assert end["size"] >= 200 * 2000, end


@case("comparisons and scrubs go on in the background, and can be paused for good")
def _():
    with Cluster(3, flags=["--partitions", str(PARTITIONS), "--reactors", "2"]) as nodes:
        wait_until(lambda: task(nodes[0], "n1/compare")["state"] == "running", what="it compares")
        compare = task(nodes[0], "n1/compare")
        equal((compare["unit"], compare["nature"], compare["failed"]), ("pairs", "endless", 0))
        assert compare["total"] > 0 and compare["left_ms"] > 60000, compare
        equal(tasks(nodes[0], "wait").returncode, 0)  # nobody waits for it
        waited = tasks(nodes[0], "wait", "n1/compare")
        equal(waited.returncode, 2)
        assert b"there is nothing to wait for" in waited.stderr, waited.stderr
        assert tasks(nodes[0], "limit", "n1/compare", "1MB").returncode != 0
        for kind in ("compare", "scrub"):
            equal(tasks(nodes[1], "pause", f"n1/{kind}").returncode, 0)
        listing = tasks(nodes[2], "list").stdout
        assert b"n1/compare  paused" in listing, listing
        behind = listing[listing.index(b"in the background: "):]
        assert b"n2/compare" in behind and b"n3/compare" in behind, listing
        assert b"n1/compare" not in behind, listing

        load(nodes[0])
        nodes[0].stop()  # what is in memory goes to tables, which can be scrubbed
        nodes[0].launch()
        nodes[0].wait_serving()
        wait_until(lambda: task(nodes[0], "n1/compare")["state"] == "paused", what="it is paused")
        equal(command("scrub", "--node", f"127.0.0.1:{nodes[0].http_port}").returncode, 0)
        scrub = wait_until(lambda: (lambda t: t["state"] == "paused" and t)(
            task(nodes[0], "n1/scrub")), what="the scrub is paused")
        equal(scrub["nature"], "background")
        equal(tasks(nodes[0], "resume", "n1/scrub").returncode, 0)
        waited = tasks(nodes[0], "wait", "n1/scrub", "--seconds", "60")
        equal(waited.returncode, 0, waited.stderr)
        end = task(nodes[0], "n1/scrub")
        equal((end["state"], end["done"], end["failed"]), ("done", end["total"], 0))


@case("a damaged file of orders is said, and forgotten")
def _():
    with Cluster(1) as nodes:
        equal(tasks(nodes[0], "pause", "n1/scrub").returncode, 0)
        path = os.path.join(nodes[0].data, "tasks")
        wait_until(lambda: os.path.exists(path), what="the order is on disk")
        nodes[0].stop()
        with open(path, "r+b") as file:
            file.seek(9)
            file.write(b"X")
        nodes[0].launch()
        nodes[0].wait_serving()
        assert "pauses and limits of background work are forgotten" in nodes[0].log(), \
            nodes[0].log_tail()
        equal(task(nodes[0], "n1/scrub")["state"], "idle")


@case("a node that is down is named, and what is misspelt too")
def _():
    with Cluster(3, flags=["--partitions", str(PARTITIONS), "--gossip", "local"]) as nodes:
        equal(tasks(nodes[0], "status", "n7/move").returncode, 1)
        equal(tasks(nodes[0], "pause", "n1/sleep").returncode, 1)
        equal(tasks(nodes[0], "limit", "n1/move", "fast").returncode, 2)
        nodes[2].kill()
        wait_until(lambda: [s["node"] for s in listed(nodes[0], "list")["silent"]] == ["n3"],
                   what="n3 is called silent")
        wait_until(lambda: b'"dead"' in nodes[0].http("GET", "/kvorum/status").body,
                   what="n3 is known to be dead")
        gone = tasks(nodes[0], "status", "n3/move")
        equal(gone.returncode, 4)
        assert b"n3: it is " in gone.stderr, gone.stderr


if __name__ == "__main__":
    run()
