#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plans of real nodes that would leave the cluster weaker: refused, said why, and forced."""
import json
import os

from kvorum_e2e import Cluster, Node, case, command, equal, run, wait_until

PARTITIONS = 64
FLAGS = ["--partitions", str(PARTITIONS), "--gossip", "local"]


def cluster(node, *words):
    return command("cluster", *words, "--node", f"127.0.0.1:{node.http_port}", timeout=120)


def done(node, *words):
    answer = cluster(node, *words)
    equal(answer.returncode, 0, answer.stderr)
    return answer


def shape(node):
    return json.loads(done(node, "status", "-o", "json").stdout)


def states(node):
    return {m["name"]: m["state"] for m in shape(node)["nodes"]}


def everybody_answers(nodes):
    wait_until(lambda: all(set(states(n).values()) == {"alive"} for n in nodes), 30,
               "everybody is alive")


def agree(nodes):
    """The others hear of an epoch a moment later than who made it."""
    wait_until(lambda: len({shape(n)["epoch"] for n in nodes if n.alive()}) == 1, 30,
               "all go by one epoch")


def dies(nodes, name, seen_by):
    next(n for n in nodes if n.name == name).kill()
    wait_until(lambda: states(seen_by)[name] == "dead", 30, f"{name} is dead")


@case("the last node of a needed zone leaves only where that is accepted by name")
def _():
    with Cluster(4, flags=FLAGS, zones=["a", "b", "c", "c"]) as nodes:
        everybody_answers(nodes)
        done(nodes[0], "zone", "n4", "a")
        agree(nodes)
        plan = done(nodes[1], "plan")
        assert b"copies of a partition: in at least 3 zones before, 3 after" in plan.stdout, \
            plan.stdout
        done(nodes[0], "clear")

        done(nodes[0], "leave", "n2")
        agree(nodes)
        plan = cluster(nodes[2], "plan")
        equal(plan.returncode, 8)
        assert b"refused: each partition has copies in 3 zones or more" in plan.stderr, plan.stderr
        assert b"--allow-zone-loss" in plan.stderr, plan.stderr
        assert (b"survives before: any 1 node, any 1 zone; during: any 1 node, no zone; "
                b"after: any 1 node, no zone") in plan.stdout, plan.stdout
        assert b"in at least 3 zones before, 2 after" in plan.stdout, plan.stdout
        assert b"Next:" not in plan.stdout, plan.stdout
        told = json.loads(cluster(nodes[2], "plan", "-o", "json").stdout)
        equal((told["possible"], told["status"]), (False, "NOT_ALLOWED"))
        equal(told["zones_of_a_partition"], {"before": 3, "after": 2})

        refused = cluster(nodes[0], "commit", "--no-wait")
        equal(refused.returncode, 8)
        equal(shape(nodes[0])["moving"], 0)
        done(nodes[3], "commit", "--allow-zone-loss", "-o", "json")  # through another reactor too
        wait_until(lambda: "n2" not in states(nodes[0]), 60, "n2 has gone")


@case("a node is not moved out of a zone that the copies need")
def _():
    with Cluster(3, flags=FLAGS, zones=["a", "b", "c"]) as nodes:
        everybody_answers(nodes)
        done(nodes[0], "zone", "n3", "b")
        agree(nodes)
        refused = cluster(nodes[1], "commit")
        equal(refused.returncode, 8)
        assert b"and some would have them in 2 only" in refused.stderr, refused.stderr
        answer = nodes[0].http("POST", "/kvorum/cluster/commit", b'{"allow_zone_loss": 1}',
                               {"Content-Type": "application/json"})
        equal(answer.status, 400, answer.body)
        done(nodes[0], "commit", "--allow-zone-loss")
        agree(nodes)
        equal({m["name"]: m["zone"] for m in shape(nodes[2])["nodes"]},
              {"n1": "a", "n2": "b", "n3": "b"})


@case("fewer nodes than copies, or than a majority of voters, are refused")
def _():
    with Cluster(3, flags=FLAGS) as nodes:
        everybody_answers(nodes)
        done(nodes[0], "leave", "n3")
        refused = cluster(nodes[0], "commit")
        equal(refused.returncode, 8)
        assert b"only 2 nodes would own anything, and every key has 3 copies" in refused.stderr, \
            refused.stderr


@case("who is dead cannot leave, and voters that are dead stop a plan")
def _():
    with Cluster(5, flags=FLAGS) as nodes:
        everybody_answers(nodes)
        dies(nodes, "n5", nodes[0])
        done(nodes[0], "leave", "n5")
        refused = cluster(nodes[0], "commit")
        equal(refused.returncode, 8)
        assert b"n5 does not answer" in refused.stderr, refused.stderr
        assert b"kvorum cluster remove n5" in refused.stderr, refused.stderr
        done(nodes[0], "clear")

        # n1, n2 and n5 would be left to vote.
        dies(nodes, "n2", nodes[0])
        done(nodes[0], "leave", "n4")
        done(nodes[0], "leave", "n3")
        refused = cluster(nodes[0], "plan")
        equal(refused.returncode, 8)
        assert b"2 of the 3 nodes that would vote do not answer (n" in refused.stderr, \
            refused.stderr
        done(nodes[0], "clear")
        done(nodes[0], "remove", "n5")
        done(nodes[0], "commit", "--no-wait")
        wait_until(lambda: "n5" not in states(nodes[0]), 30, "n5 is gone")


@case("a newcomer brings back the zone that was lost")
def _():
    with Cluster(3, flags=FLAGS, zones=["a", "b", "c"]) as nodes:
        everybody_answers(nodes)
        done(nodes[0], "zone", "n3", "b")
        done(nodes[0], "commit", "--allow-zone-loss")
        node = Node("n9", os.path.join(nodes.folder, "n9"), join=nodes[0].peer_address(),
                    flags=[*FLAGS, "--zone", "c"]).launch()
        wait_until(lambda: "n9" in states(nodes[0]), 30, "n9 is listed")
        node.wait_serving()
        plan = done(nodes[0], "plan")
        assert b"in at least 2 zones before, 3 after" in plan.stdout, plan.stdout
        done(nodes[0], "commit")


if __name__ == "__main__":
    run()
