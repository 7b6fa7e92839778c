#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Most voters are lost for good: the rest goes on in a new line, and who comes back is told."""
# waits mostly
import concurrent.futures
import json
import random
import time

from kvorum_e2e import Cluster, case, command, equal, run, wait_until

KEYS = 150
TEXT = {"Content-Type": "text/plain"}
LINE = 1000000000


def path(key):
    return f"/buckets/b/keys/k{key}"


def kvorum(node, *words):
    return command(*words, "--node", f"127.0.0.1:{node.http_port}")


def recover(node, lost, *flags):
    names = ["--lost", ",".join(n.name for n in lost)] if lost else []
    return kvorum(node, "cluster", "recover", *names, *flags)


def shape(node):
    return json.loads(node.http("GET", "/kvorum/cluster").body)


def write_all(node):
    for key in range(KEYS):
        equal(node.http("PUT", path(key), b"v%d" % key, TEXT).status, 204)


def held(nodes):
    """Keys of which some of the nodes that are left holds the value."""
    found = set()
    for key in range(KEYS):
        for node in nodes:
            answer = node.http("GET", path(key) + "?r=1&pr=0&notfound_ok=false&timeout=700")
            if answer.status == 200:
                found.add(key)
                break
    return found


def expect_held(nodes, keys):
    for node in nodes:
        for key in sorted(keys):
            answer = node.http("GET", path(key))
            equal(answer.body, b"v%d" % key, f"k{key} through {node.name}")


def is_dead(node, *others):
    names = {n.name for n in others}
    status = {n["name"]: n["state"] for n in shape(node)["nodes"]}
    return all(status[name] == "dead" for name in names)


def lose(nodes, *which):
    for i in which:
        nodes[i].kill()
    left = [n for n in nodes if n.alive()]
    for node in left:
        wait_until(lambda node=node: is_dead(node, *[nodes[i] for i in which]), 40, "they are dead")
    return left, [nodes[i] for i in which]


def refused(done, *words):
    equal(done.returncode, 8, done.stderr.decode())
    for word in words:
        assert word.encode() in done.stderr, done.stderr.decode()


def set_properties(node, bucket, **properties):
    answer = node.http("PUT", f"/buckets/{bucket}/props", json.dumps({"props": properties}),
                       {"Content-Type": "application/json"})
    equal(answer.status, 204, answer.body)


def warnings(plan):
    """Of a plan in JSON: a list of (kind, buckets, text)."""
    return [(w["kind"], w["buckets"], w["text"]) for w in json.loads(plan.stdout)["warnings"]]


def says_it_left(node):
    answer = node.http("GET", path(0))
    return answer.status == 503 and b"this node left the cluster, or was removed" in answer.body


def settled(node):
    return shape(node)["moving"] == 0


@case("three of five voters are lost: refused until that is certain, then recovered; nothing that is "
      "left is lost, and the three are told, wiped or not")
def _():
    with Cluster(5) as nodes:
        write_all(nodes[0])
        left, lost = lose(nodes, 0, 1, 2)
        n4, n5 = left
        stuck = kvorum(n4, "cluster", "weight", "n4", "50")
        equal(stuck.returncode, 5, stuck.stderr.decode())
        assert b"no majority of the 5 voters" in stuck.stderr, stuck.stderr.decode()
        refused(recover(n4, []), "no answer from", "n1", "n2", "n3")
        refused(recover(n4, lost[:2]), "no answer from n3")
        refused(recover(n4, lost), "only 2 of the 5 nodes", "--switched-off")
        refused(recover(n4, [*lost, n5], "--switched-off"), "named as lost, and alive: n5")
        equal(recover(n4, lost, "--switched-off", "--yes", "--epoch", "77").returncode, 8)
        keys = held(left)
        assert keys, "some keys are left"
        before = shape(n4)["epoch"]
        plan = recover(n4, lost, "--switched-off")
        equal(plan.returncode, 0, plan.stderr.decode())
        assert b"voters: 2 of 5 answer" in plan.stdout, plan.stdout.decode()
        assert b"no copy is left (n=3)" in plan.stdout, plan.stdout.decode()
        equal(shape(n4)["epoch"], before, "a plan changes nothing")
        done = recover(n4, lost, "--switched-off", "--yes")
        equal(done.returncode, 0, done.stderr.decode())
        assert b"recovered: epoch 10000000" in done.stdout, done.stdout.decode()
        for node in left:
            wait_until(lambda node=node: shape(node)["epoch"] >= LINE and settled(node), 30,
                       "the new line is in force, and all has moved")
            equal(sorted(n["name"] for n in shape(node)["nodes"]), ["n4", "n5"])
        expect_held(left, keys)
        write_all(n5)
        expect_held(left, range(KEYS))
        nodes[0].launch()
        nodes[2].launch()
        for node in (nodes[0], nodes[2]):
            wait_until(lambda node=node: says_it_left(node), 20, f"{node.name} is told")
            assert kvorum(node, "cluster", "clear").returncode != 0
            equal(node.stop(), 0)
            node.launch()
            equal(node.wait_end(), 8, node.log_tail())
        nodes[1].wipe()
        nodes[1].join = n4.peer_address()
        nodes[1].start()
        equal(kvorum(n5, "cluster", "commit").returncode, 0)
        wait_until(lambda: settled(n5) and len(shape(n5)["nodes"]) == 3, 30, "a new n2 has its share")
        equal(sum(n["voter"] for n in shape(n5)["nodes"]), 3)
        expect_held([n4, n5, nodes[1]], range(KEYS))


@case("refused while a majority of the voters answers, and when the lost or the asked one is not")
def _():
    with Cluster(5, flags=["--n", "1"]) as nodes:
        set_properties(nodes[0], "wide", n_val=3)
        refused(recover(nodes[0], []), "5 of the 5 voters answer, which is a majority",
                "cluster remove")
        left, lost = lose(nodes, 3, 4)
        shown = recover(left[0], lost)
        refused(shown, "3 of the 5 voters answer, which is a majority")
        assert b"warning: wide: n=3 is above the 1 column of the table" in shown.stdout, shown.stdout
        refused(recover(left[0], lost, "--switched-off", "--yes"), "which is a majority")
        refused(recover(left[0], [left[0]]), "this node is named as lost")
        unknown = kvorum(left[0], "cluster", "recover", "--lost", "n9")
        equal(unknown.returncode, 1, unknown.stderr.decode())
        assert b"no node of this cluster is named n9" in unknown.stderr
        equal(shape(left[0])["epoch"], 1)


@case("the plan warns of all that will not work afterwards, in JSON and in text")
def _():
    with Cluster(5, zones=["a", "c", "a", "b", "b"]) as nodes:
        set_properties(nodes[0], "all", w=3, sloppy_quorum=False)
        set_properties(nodes[0], "most", w=2, pr=2, sloppy_quorum=False)
        set_properties(nodes[0], "near", r="local_quorum")
        set_properties(nodes[0], "zones", w="each_quorum")
        set_properties(nodes[0], "one", n_val=1)
        left, lost = lose(nodes, 0, 1, 3)
        shown = recover(left[0], lost, "--switched-off", "-o", "json")
        equal(shown.returncode, 0, shown.stderr.decode())
        found = warnings(shown)
        for kind, bucket, text in (
                ("lost", "(default)", "no copy is left (n=3) of "),
                ("lost", "one", "no copy is left (n=1) of "),
                ("doubtful", "all", "less than a majority of the copies is left (n=3)"),
                ("copies", "(default)", "n=3, and 2 nodes are left to own anything: each key has 2"),
                ("level", "all", "w=3 needs 3 owners, and 1024 of 1024 partitions have fewer"),
                ("moving", "most", "w=2 needs 2 owners"),
                ("moving", "most", "pr=2 needs 2 owners"),
                ("moving", "near", "r=local_quorum cannot be met in zone "),
                ("zone", "zones", "w=each_quorum goes without zone c, of which no node is left")):
            assert any(k == kind and bucket in b and text in t for k, b, t in found), (text, found)
        told = recover(left[0], lost, "--switched-off").stdout.decode()
        for _, buckets, text in found:
            assert f"warning: {buckets}: {text}\n" in told, told
        equal(recover(left[0], lost, "--switched-off", "--yes").returncode, 0)
        wait_until(lambda: settled(left[0]), 30, "all has moved")
        refused_put = left[0].http("PUT", "/buckets/all/keys/k", b"v", TEXT)
        assert refused_put.status >= 400, "what was said to be refused is"
        for bucket in ("most", "zones", "near", "one", "b"):
            equal(left[0].http("PUT", f"/buckets/{bucket}/keys/k", b"v", TEXT).status, 204, bucket)


@case("of seven nodes four are lost, two operators recover the rest at once: one line")
def _():
    with Cluster(7) as nodes:
        write_all(nodes[3])
        left, lost = lose(nodes, 0, 2, 4, 6)
        keys = held(left)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            done = list(pool.map(lambda node: recover(node, lost, "--switched-off", "--yes"), left))
        codes = sorted(d.returncode for d in done)
        assert codes[0] == 0 and set(codes) <= {0, 4, 5, 8}, [d.stderr for d in done]
        for node in left:
            wait_until(lambda node=node: shape(node)["epoch"] >= LINE and settled(node), 30,
                       "the new line is in force, and all has moved")
        equal({shape(node)["epoch"] // LINE for node in left}, {1})
        equal(len({json.dumps(sorted(n["name"] for n in shape(node)["nodes"])) for node in left}), 1)
        expect_held(left, keys)


@case("nodes are killed in the middle of a recovery and started again: the same command ends it")
def _():
    chance = random.Random(7)
    with Cluster(5) as nodes:
        write_all(nodes[0])
        left, lost = lose(nodes, 1, 2, 3)
        keys = held(left)
        for _ in range(4):
            with concurrent.futures.ThreadPoolExecutor() as pool:
                asked = pool.submit(recover, left[0], lost, "--switched-off", "--yes")
                time.sleep(1 + chance.random() / 5)
                victim = chance.choice(left)
                victim.kill()
                asked.result()
            victim.launch()
            wait_until(lambda victim=victim: victim.http("GET", "/ping").status == 200, 20,
                       "it is back")
            if shape(left[0])["epoch"] >= LINE:
                break
        if shape(left[0])["epoch"] < LINE:
            done = recover(left[0], lost, "--switched-off", "--yes")
            equal(done.returncode, 0, done.stderr.decode())
        for node in left:
            wait_until(lambda node=node: shape(node)["epoch"] >= LINE and settled(node), 40,
                       "the new line is in force, and all has moved")
        expect_held(left, keys)


run()
