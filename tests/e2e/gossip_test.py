#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who is alive, over real sockets: signed datagrams, silent nodes, nodes that come back."""
import json
import os
import socket

from kvorum_e2e import SLOW, Cluster, Node, case, run, temporary_folder, wait_until

LOCAL = (f"[gossip]\npreset = local\nprobe_interval_ms = {int(400 * SLOW)}\n"
         f"probe_timeout_ms = {int(150 * SLOW)}\n")


def status(node):
    return json.loads(node.http("GET", "/kvorum/status").body)


def stats(node):
    return json.loads(node.http("GET", "/stats").body)


def states(node):
    return {n["name"]: n["state"] for n in status(node)["nodes"]}


def all_alive(cluster):
    return all(set(states(node).values()) == {"alive"} for node in cluster)


def write_key(folder, name, content, mode=0o600):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)
    return path


def throw(node, data):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thrower:
        thrower.sendto(data, ("127.0.0.1", node.peer_port))


@case("members hear each other by datagrams, and each is alive for each")
def _():
    with Cluster(4, config=LOCAL) as cluster:
        wait_until(lambda: all_alive(cluster), 10, "everybody is alive")
        assert all(stats(node)["kvorum_datagrams_in"] > 0 for node in cluster)
        assert all(stats(node)["kvorum_datagrams_refused"] == 0 for node in cluster)
        assert status(cluster[0])["gossip"]["signed"] is False
        assert "the cluster has no key" in cluster[0].log()


@case("a node that falls silent is suspect, then dead, and alive again when it goes on")
def _():
    with Cluster(4, config=LOCAL) as cluster:
        wait_until(lambda: all_alive(cluster), 10, "everybody is alive")
        others = cluster.nodes[:3]
        cluster[3].pause()
        wait_until(lambda: states(cluster[0])["n4"] != "alive", 10, "n4 is suspect")
        wait_until(lambda: all(states(n)["n4"] == "dead" for n in others), 20, "n4 is dead for all")
        assert all(states(n)["n2"] == "alive" for n in others)
        cluster[3].resume()
        wait_until(lambda: all_alive(cluster), 20, "everybody is alive again")
        gossip = status(cluster[3])["gossip"]
        assert gossip["refutations"] > 0 and gossip["own_pauses"] > 0, gossip


@case("a killed node is dead within seconds, and alive in its next life, at a higher incarnation")
def _():
    with Cluster(3, config=LOCAL) as cluster:
        wait_until(lambda: all_alive(cluster), 10, "everybody is alive")
        before = status(cluster[2])["gossip"]["incarnation"]
        cluster[2].kill()
        wait_until(lambda: states(cluster[0])["n3"] == "dead", 3, "n3 is dead")
        cluster[2].start()
        wait_until(lambda: all_alive(cluster), 10, "everybody is alive again")
        assert status(cluster[2])["gossip"]["incarnation"] > before


@case("with a key, only datagrams that are signed with it are taken, and the others counted")
def _():
    with temporary_folder() as folder:
        key = write_key(folder, "key", b"a key of some length, 32 bytes..")
        with Cluster(3, config=f"{LOCAL}[cluster]\nkey_file = {key}\n") as cluster:
            wait_until(lambda: all_alive(cluster), 10, "everybody is alive")
            assert status(cluster[0])["gossip"]["signed"] is True
            for data in (b"x", b"KVG1" + bytes(108), bytes(1400), bytes(1401), bytes(9000)):
                throw(cluster[0], data)
            throw(cluster[0], b"")
            wait_until(lambda: status(cluster[0])["gossip"]["refused"] == 6, 5, "six are refused")
            assert all(stats(node)["kvorum_messages_bad"] == 0 for node in cluster)
            assert all_alive(cluster)


@case("while the key is changed, a node with the other one is heard over links alone")
def _():
    with temporary_folder() as folder:
        key = write_key(folder, "key", b"a key of some length, 32 bytes..")
        other = write_key(folder, "other", b"another key, just as long as the")
        cluster = Cluster(3, config=f"{LOCAL}[cluster]\nkey_file = {key}\nother_key_file = {other}\n")
        cluster[2].config = f"{LOCAL}[cluster]\nkey_file = {other}\nother_key_file = {key}\n"
        with cluster:
            wait_until(lambda: all(stats(node)["kvorum_datagrams_refused"] > 0 for node in cluster), 10,
                       "datagrams are refused")
            wait_until(lambda: all_alive(cluster), 10, "everybody is alive")
            assert "all members need the same [cluster] key_file" in cluster[0].log()


@case("a key file that others may read, that is too short, or is not there, is refused")
def _():
    with temporary_folder() as folder:
        for name, content, mode, why in (
                ("open", b"k" * 32, 0o644, "chmod 600"), ("short", b"k" * 15, 0o600, "16 to 4,096"),
                ("none", None, 0, "no such file")):
            path = os.path.join(folder, name)
            if content is not None:
                write_key(folder, name, content, mode)
            node = Node("n1", os.path.join(folder, "n-" + name), founders=1,
                        config=f"[cluster]\nkey_file = {path}\n")
            node.launch()
            assert node.wait_end() == 2, node.log()
            assert why in node.log(), node.log()


run()
