#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Levels by zone over real sockets: zones that are lost, words in properties, reasons."""
import json

from kvorum_e2e import SLOW, Cluster, case, command, equal, run, wait_until

CONFIG = (f"[gossip]\npreset = local\nprobe_interval_ms = {int(400 * SLOW)}\n"
          f"probe_timeout_ms = {int(150 * SLOW)}\n")
CAT = "/buckets/pets/keys/cat"


def states(node):
    status = json.loads(node.http("GET", "/kvorum/status").body)
    return {n["name"]: n["state"] for n in status["nodes"]}


def all_alive(cluster):
    return all(set(states(node).values()) == {"alive"} for node in cluster)


def put(node, query, value=b"meow"):
    return node.http("PUT", f"{CAT}?{query}", value, {"Content-Type": "text/plain"})


def lose(cluster, *names):
    for node in cluster:
        if node.name in names:
            node.kill()
    left = [node for node in cluster if node.alive()]
    wait_until(lambda: all(states(n)[name] == "dead" for n in left for name in names), 30,
               f"{names} are dead")


@case("with two of three zones lost the third serves itself, and says what the others lack")
def _():
    with Cluster(3, config=CONFIG, zones=["a", "b", "c"]) as cluster:
        wait_until(lambda: all_alive(cluster), 20, "everybody is alive")
        here = cluster[0]
        equal(put(here, "w=each_quorum", b"all").status, 204)
        for node in cluster:
            equal(node.http("GET", f"{CAT}?r=local_quorum").body, b"all", node.name)
        lose(cluster, "n2", "n3")
        equal(put(here, "w=quorum&sloppy_quorum=false").status, 503)
        equal(put(here, "w=local_quorum&sloppy_quorum=false", b"here").status, 204)
        equal(here.http("GET", f"{CAT}?r=local_quorum").body, b"here")
        refused = put(here, "w=each_quorum")
        equal(refused.status, 503)
        for zone in (b"b", b"c"):
            assert b"zone %s lacks 1 answer (0 of 1 replicas answered, 1 needed)" % zone in \
                refused.body, refused.body
        assert b"zone a" not in refused.body, refused.body
        told = command("put", "--node", f"127.0.0.1:{here.http_port}", "--w", "each_quorum",
                       "pets/cat", "hiss")
        equal(told.returncode, 4, told.stderr)
        assert b"(w=each_quorum)" in told.stderr, told.stderr


@case("what was written for each zone is read in any zone alone")
def _():
    with Cluster(5, config=CONFIG, zones=["a", "a", "b", "b", "c"]) as cluster:
        wait_until(lambda: all_alive(cluster), 20, "everybody is alive")
        for i in range(60):
            answer = cluster[i % 5].http("PUT", f"/buckets/pets/keys/k{i}?w=each_quorum",
                                         str(i).encode(), {"Content-Type": "text/plain"})
            equal(answer.status, 204, answer.body)
        lose(cluster, "n3", "n4", "n5")
        for node in cluster.alive():
            for i in range(60):
                answer = node.http("GET", f"/buckets/pets/keys/k{i}?r=local_quorum")
                equal((answer.status, answer.body), (200, str(i).encode()))


@case("a node whose zone has no replica of a key says so")
def _():
    with Cluster(4, config=CONFIG, zones=["a", "b", "c", "d"]) as cluster:
        wait_until(lambda: all_alive(cluster), 20, "everybody is alive")
        answers = [put(node, "w=local_quorum") for node in cluster]
        equal(sorted(a.status for a in answers), [204, 204, 204, 400])
        refused = next(a for a in answers if a.status == 400)
        assert b"w=local_quorum cannot be met: none of the 3 replicas of pets/cat is in zone" in \
            refused.body, refused.body


@case("buckets have levels by zone, and node_confirms has none")
def _():
    config = CONFIG + "[quorum]\nr = local_quorum\n"
    with Cluster(3, config=config, zones=["a", "b", "c"]) as cluster:
        wait_until(lambda: all_alive(cluster), 20, "everybody is alive")
        equal(json.loads(cluster[1].http("GET", "/buckets/pets/props").body)["props"]["r"],
              "local_quorum")
        answer = cluster[0].http("PUT", "/buckets/pets/props",
                                 b'{"props":{"w":"each_quorum","pr":"local_quorum"}}',
                                 {"Content-Type": "application/json"})
        equal(answer.status, 204, answer.body)
        props = json.loads(cluster[2].http("GET", "/buckets/pets/props").body)["props"]
        equal((props["w"], props["pr"], props["dw"]), ("each_quorum", "local_quorum", "quorum"))
        answer = cluster[0].http("PUT", "/buckets/pets/props",
                                 b'{"props":{"node_confirms":"each_quorum"}}',
                                 {"Content-Type": "application/json"})
        equal(answer.status, 400, answer.body)
        lose(cluster, "n3")
        equal(put(cluster[0], "returnbody=false").status, 503)
        equal(put(cluster[0], "w=quorum").status, 204)


run()
