#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A cluster with a key: who does not know it hears nothing about it, and does nothing to it."""
import hashlib
import hmac
import json
import os
import socket
import struct

from kvorum_e2e import SLOW, Cluster, Node, case, equal, free_ports, run, temporary_folder, wait_until
from peer_frames import HELLO_ANSWER, JOIN, field, frame, hello

KEY, OTHER = b"a key of some length, 32 bytes..", b"another key, just as long as the"
NONCE = b"0123456789abcdef"


def write_key(folder, name, content):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, 0o600)
    return path


def keyed(folder, key, other=None):
    text = f"[cluster]\nkey_file = {write_key(folder, key.hex(), key)}\n"
    return text + (f"other_key_file = {write_key(folder, other.hex(), other)}\n" if other else "")


def status(node):
    return json.loads(node.http("GET", "/kvorum/status").body)


def served(cluster, name):
    for i, node in enumerate(cluster):
        equal(node.http("PUT", f"/buckets/b/keys/{name}{i}", b"v", {"Content-Type": "text/plain"}).status,
              204, node.log_tail())
        equal(cluster[0].http("GET", f"/buckets/b/keys/{name}{i}?r=3").body, b"v", node.log_tail())


class Stranger:
    def __init__(self, node):
        self.socket = socket.create_connection(("127.0.0.1", node.peer_port), 10 * SLOW)
        self.socket.settimeout(10 * SLOW)
        self.heard = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        self.heard += data
        return data

    def ask(self, data):
        """The answer's kind and fields of its body; None: the node closed the link."""
        try:
            self.socket.sendall(data)
            head = self.exactly(40)
            body_size, tail_size = struct.unpack("<II", head[8:16])
            body = self.exactly(body_size)
            self.exactly(tail_size)
        except ConnectionError:
            return None, {}
        return head[4], fields(body)


def read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def fields(body):
    found, at = {}, 0
    while at < len(body):
        tag, at = read_varint(body, at)
        value, at = read_varint(body, at)
        if tag & 7 == 2:
            value, at = body[at:at + value], at + value
        found[tag >> 3] = value
    return found


def challenge():
    return frame(1, field(12, NONCE))


def proof(side, theirs, key=KEY):
    return hmac.new(key, b"kvorum hello " + side + NONCE + theirs, hashlib.sha256).digest()[:16]


def proved(hello_frame, tag):
    body_size = struct.unpack("<I", hello_frame[8:12])[0]
    return frame(1, hello_frame[40:40 + body_size] + field(13, tag))


def check_silence(cluster, stranger):
    """Nothing that it heard names the cluster, its nodes or their addresses."""
    secrets = [bytes.fromhex(status(cluster[0])["cluster"])]
    for node in status(cluster[0])["nodes"]:
        secrets += [bytes.fromhex(node["id"]), node["address"].encode()]
    for secret in secrets:
        assert secret not in stranger.heard, stranger.heard


@case("nodes with one key are a cluster, and a joiner that knows it comes in")
def _():
    with temporary_folder() as folder, Cluster(3, config=keyed(folder, KEY)) as cluster:
        served(cluster, "k")
        joiner = Node("n4", os.path.join(folder, "n4"), join=cluster[0].peer_address(),
                      config=keyed(folder, KEY))
        with_end(joiner, lambda: wait_until(lambda: "ready" in joiner.log(), 20 * SLOW, "it joined"))


def with_end(node, check):
    node.launch()
    try:
        check()
    finally:
        node.kill()


@case("who knows ids of the cluster and not its key hears nothing, whatever it says")
def _():
    with temporary_folder() as folder, Cluster(3, config=keyed(folder, KEY)) as cluster:
        where = bytes.fromhex(status(cluster[0])["cluster"])
        member = bytes.fromhex(next(m["id"] for m in status(cluster[0])["nodes"] if m["name"] == "n2"))
        said = {
            "a HELLO of a member": hello(where, member, b"n2"),
            "a HELLO of one who was removed": hello(where, b"x" * 16, b"gone"),
            "a HELLO of a joiner": hello(b"", b"j" * 16, b"joiner"),
            "a HELLO with a proof from nowhere": proved(hello(where, member, b"n2"), b"p" * 16),
        }
        for name, data in said.items():
            with Stranger(cluster[0]) as stranger:
                kind, answer = stranger.ask(data)
                equal(kind, HELLO_ANSWER, name)
                assert answer[9] != 0 and b"key" in answer[10], (name, answer)
                check_silence(cluster, stranger)
                equal(stranger.ask(frame(JOIN, field(1, b"j" * 16))), (None, {}), name)
        assert "does not know the key" in cluster[0].log()
        served(cluster, "after")


@case("a challenge is answered with a proof and nothing else, and only the right one is good for more")
def _():
    with temporary_folder() as folder, Cluster(2, config=keyed(folder, KEY)) as cluster:
        where = bytes.fromhex(status(cluster[0])["cluster"])
        asked = hello(where, b"x" * 16, b"gone")
        for key, good in ((KEY, True), (OTHER, False)):
            with Stranger(cluster[0]) as stranger:
                kind, answer = stranger.ask(challenge())
                equal(kind, HELLO_ANSWER)
                equal(set(answer), {12, 13}, "all that it says")
                equal(answer[13], proof(b"a", answer[12]), "the node's proof")
                check_silence(cluster, stranger)
                kind, answer = stranger.ask(proved(asked, proof(b"d", answer[12], key)))
                equal(kind, HELLO_ANSWER)
                equal(where in stranger.heard, good)
        with Stranger(cluster[0]) as stranger:
            _, answer = stranger.ask(challenge())
            stranger.ask(proved(asked, answer[13]))  # its own proof, thrown back
            check_silence(cluster, stranger)
            assert stranger.ask(challenge())[0] is None


@case("a node without the key, or with another one, is no member until it has it")
def _():
    with temporary_folder() as folder:
        cluster = Cluster(3, config=keyed(folder, KEY))
        with cluster:
            served(cluster, "k")
            for config in ("", keyed(folder, OTHER)):
                cluster[2].stop()
                cluster[2].config = config
                cluster[2].launch()
                wait_until(lambda: "[cluster] key_file" in cluster[2].log(), 20 * SLOW, "it says why")
                wait_until(lambda: "does not know the key" in cluster[0].log()
                           or "does not know the cluster's key" in cluster[0].log(), 20 * SLOW,
                           "the others say why")
            cluster[2].kill()
            cluster[2].config = keyed(folder, KEY)
            cluster[2].start()
            wait_until(lambda: status(cluster[0])["nodes"][2]["state"] == "alive", 20 * SLOW, "it is back")
            served(cluster, "back")


@case("a key is changed node by node, with the other one beside it")
def _():
    with temporary_folder() as folder, Cluster(3, config=keyed(folder, KEY)) as cluster:
        for config in (keyed(folder, KEY, OTHER), keyed(folder, OTHER, KEY), keyed(folder, OTHER)):
            for node in cluster:
                node.stop()
                node.config = config
                node.start()
                wait_until(lambda: all(m["state"] == "alive" for m in status(cluster[0])["nodes"]),
                           20 * SLOW, "all are there")
                served(cluster, "k")


run()
