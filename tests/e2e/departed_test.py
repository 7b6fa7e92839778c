#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node that is no member any more: it is told, says so, serves nothing, and stops asking."""
# waits mostly
import contextlib
import json
import os
import time

from kvorum_e2e import Cluster, Node, case, command, equal, free_ports, run, wait_until

PATH = "/buckets/b/keys/k"


def kvorum(node, *words):
    return command(*words, "--node", f"127.0.0.1:{node.http_port}")


def commit(node, *change):
    equal(kvorum(node, "cluster", *change).returncode, 0, str(change))
    done = kvorum(node, "cluster", "commit")
    equal(done.returncode, 0, done.stderr.decode())


def members(node):
    return [n["name"] for n in json.loads(node.http("GET", "/kvorum/status").body)["nodes"]]


def says_it_left(node):
    answer = node.http("GET", PATH)
    return answer.status == 503 and b"this node left the cluster, or was removed" in answer.body


def told(node):
    """What it is like to be no member, for whoever asks.  Before that all its data moves away."""
    wait_until(lambda: says_it_left(node), 60, f"{node.name} refuses what it is asked")
    put = node.http("PUT", PATH, b"w", {"Content-Type": "text/plain"})
    equal(put.status, 503)
    assert b"Next: ask another node" in put.body, put.body
    equal(node.http("GET", "/ping").status, 503)
    with node.resp() as resp:
        resp.send("GET", "k")
        assert str(resp.read()).startswith("GONE this node left the cluster"), "RESP"
    status = kvorum(node, "status")
    equal(status.returncode, 1)
    assert b"this node left the cluster, or was removed from it, as epoch" in status.stdout, status.stdout
    equal(kvorum(node, "cluster", "clear").returncode != 0, True)
    equal(node.log().count("this node left the cluster, or was removed"), 1)


def is_quiet(node, others):
    """It dials nobody: no log grows for its sake."""
    time.sleep(1)
    before = [len(n.log()) for n in [node, *others]]
    time.sleep(3)
    equal([len(n.log()) for n in [node, *others]], before, "sizes of the logs")


def comes_back_only_as_another(node, member):
    equal(node.stop(), 0, "a clean end")
    node.launch()
    equal(node.wait_end(), 8, node.log_tail())
    assert "it left the cluster, or was removed from it\"" in node.log_tail()
    assert "start it on an empty data directory" in node.log_tail()
    node.wipe()
    node.name, node.founders, node.join = "again", None, member.peer_address()
    node.start()
    wait_until(lambda: "again" in members(member), what="it joins under another name")


@contextlib.contextmanager
def four():
    with Cluster(4) as cluster:
        cluster[0].http("PUT", PATH, b"v", {"Content-Type": "text/plain"})
        yield cluster


@case("who leaves is told at the end, serves nothing, stops asking, and may join again when it was wiped")
def _():
    with four() as nodes:
        commit(nodes[0], "leave", nodes[3].name)
        told(nodes[3])
        is_quiet(nodes[3], [nodes[0], nodes[1], nodes[2]])
        equal(nodes[1].http("GET", PATH).body, b"v")
        comes_back_only_as_another(nodes[3], nodes[0])


@case("the first voter, which itself decides that it goes, tells the others as it leaves, and may be killed then")
def _():
    with four() as nodes:
        first = members(nodes[0])[0]
        leaver = next(n for n in nodes if n.name == first)
        others = [n for n in nodes if n is not leaver]
        commit(others[0], "leave", first)
        wait_until(lambda: says_it_left(leaver), 60, "it has left")
        wait_until(lambda: all(first not in members(n) for n in others), 3, "the others know")
        leaver.kill()
        leaver.launch()
        equal(leaver.wait_end(), 8, leaver.log_tail())


@case("who was removed while it was stopped is told when it comes back with its old address book")
def _():
    with four() as nodes:
        nodes[3].stop()
        wait_until(lambda: b'"dead"' in nodes[0].http("GET", "/kvorum/status").body, what="it is dead")
        commit(nodes[0], "remove", nodes[3].name)
        nodes[1].stop()
        nodes[1].peer_port = free_ports(1)[0]  # in the old book it has another
        nodes[1].start()
        nodes[3].launch()
        told(nodes[3])
        is_quiet(nodes[3], [nodes[0], nodes[1], nodes[2]])
        comes_back_only_as_another(nodes[3], nodes[0])


@case("who was removed while it was paused is told when it goes on")
def _():
    with four() as nodes:
        nodes[3].pause()
        wait_until(lambda: b'"dead"' in nodes[0].http("GET", "/kvorum/status").body, 30, "it is dead")
        commit(nodes[0], "remove", nodes[3].name)
        nodes[3].resume()
        told(nodes[3])
        is_quiet(nodes[3], [nodes[0], nodes[1], nodes[2]])


@case("who leaves first delivers what it keeps for a node that is away; tasks show for whom it waits")
def _():
    with Cluster(5) as nodes:
        away, leaver = nodes[1], nodes[4]
        away.kill()
        wait_until(lambda: b'"dead"' in nodes[0].http("GET", "/kvorum/status").body, what="it is dead")
        for i in range(200):
            equal(leaver.http("PUT", f"/buckets/b/keys/{i}", b"v", {"Content-Type": "text/plain"}).status,
                  204)
        kept = json.loads(leaver.http("GET", "/stats").body)["kvorum_hints_waiting"]
        assert kept > 0
        for word in ("stage", "commit"):
            equal(leaver.http("POST", f"/kvorum/cluster/{word}",
                              json.dumps({"change": "leave", "node": leaver.name} if word == "stage"
                                         else {})).status, 200)
        row = wait_until(lambda: [line for line in kvorum(nodes[0], "tasks", "list").stdout.splitlines()
                                  if line.startswith(leaver.name.encode() + b"/hints")], what="the task")
        assert b"keeps writes for " + away.name.encode() in row[0], row
        away.start()
        told(leaver)
        for i in range(200):
            equal(away.http("GET", f"/buckets/b/keys/{i}").body, b"v")
        stats = json.loads(leaver.http("GET", "/stats").body)
        equal(stats["kvorum_hints_waiting"], 0)
        assert stats["kvorum_hints_delivered"] + stats["kvorum_hints_rerouted"] > 0, stats


@case("who joins by way of a node that left is told so")
def _():
    with four() as nodes:
        commit(nodes[0], "leave", nodes[3].name)
        told(nodes[3])
        folder = os.path.join(os.path.dirname(nodes[3].folder), "late")
        late = Node("late", folder, join=nodes[3].peer_address())
        late.launch()
        equal(late.wait_end(), 8, late.log_tail())
        assert "is no member of its cluster any more" in late.log(), late.log_tail()


run()
