# SPDX-License-Identifier: Apache-2.0
"""The process around a node: starting, stopping, refusing, founding, limits."""
# waits mostly
import contextlib
import http.client
import json
import os
import socket
import struct
import subprocess
import threading
import time

import kvorum_e2e
from kvorum_e2e import (Cluster, Node, SmallDiskNode, binary, case, equal, free_ports, one_node, rows, run,
                        temporary_folder, wait_until)

UNSAFE, USAGE = 8, 2


def put(node, key, value, **options):
    return node.http("PUT", f"/buckets/b/keys/{key}", value, {"Content-Type": "text/plain"},
                     **options)


def get(node, key):
    return node.http("GET", f"/buckets/b/keys/{key}")


def expect_end(node, code, *texts):
    """The node ends by itself, with this code and these texts in its log."""
    node.launch()
    equal(node.wait_end(), code, "exit code; log: " + node.log_tail())
    for text in texts:
        assert text in node.log(), f"{text!r} is not in:\n{node.log_tail()}"


# --- starting and stopping -------------------------------------------------------------------

@case("a node says in one line where it listens, stops in order on SIGTERM and keeps its data")
def _():
    with one_node() as node:
        ready = [line for line in node.log().splitlines() if " ready " in line]
        equal(len(ready), 1)
        for word in (f"http=127.0.0.1:{node.http_port}", f"resp=127.0.0.1:{node.resp_port}",
                     f"peer=127.0.0.1:{node.peer_port}", "node=n1"):
            assert word in ready[0], ready[0]
        assert "nothing listens on the protocol buffers port" in node.log()
        equal(put(node, "k", b"v").status, 204)
        equal(node.stop(), 0)
        assert "stopped clean=yes" in node.log()
        node.start()
        equal(get(node, "k").body, b"v")


@case("kill -9 loses nothing that was acknowledged")
def _():
    with one_node() as node:
        for life in range(3):
            with node.resp() as client:
                for i in range(200):
                    equal(client.call("SET", f"{life}-{i}", f"value {i}"), "OK")
            node.restart()
        with node.resp() as client:
            for life in range(3):
                for i in range(200):
                    equal(client.call("GET", f"{life}-{i}"), b"value %d" % i)


@case("SIGTERM answers what is in flight")
def _():
    with one_node() as node, node.resp() as client:
        for i in range(500):
            client.send("SET", f"k{i}", "v" * 100)
        client.read()  # the server is in the middle of them
        equal(node.stop(), 0)
        answered = 1
        with contextlib.suppress(ConnectionError):
            while client.read() == "OK":
                answered += 1
        node.start()
        with node.resp() as again:
            for i in range(answered):
                equal(again.call("GET", f"k{i}"), b"v" * 100, f"k{i} of {answered}")


@case("the memory engine forgets, and says so by being empty")
def _():
    with one_node("[storage]\nengine = memory\n") as node:
        put(node, "k", b"v")
        equal(get(node, "k").body, b"v")
        equal(node.stop(), 0)
        node.start()
        equal(get(node, "k").status, 404)


# --- refusing to start -------------------------------------------------------------------------

@case("a port in use is named, and the node exits")
def _():
    with one_node() as node, temporary_folder() as folder:
        other = Node("n2", os.path.join(folder, "n2"))
        other.http_port = node.http_port
        expect_end(other, UNSAFE, "cannot listen", f"port={node.http_port}", "the port is in use")


@case("a data directory in use is refused")
def _():
    with one_node() as node, temporary_folder() as folder:
        other = Node("n2", os.path.join(folder, "n2"), flags=["--data-dir", node.data])
        expect_end(other, UNSAFE, "cannot use the data directory", "LOCKED", "another process", "stop that process")


def foreign(data):
    with open(os.path.join(data, "ibdata1"), "wb") as file:
        file.write(b"something else")


def damaged(data, change):
    path = os.path.join(data, "identity")
    with open(path, "rb") as file:
        content = change(bytearray(file.read()))
    with open(path, "wb") as file:
        file.write(content)


def truncated(data):
    damaged(data, lambda content: content[:40])


def rotten(data):
    damaged(data, lambda content: content[:20] + bytes([content[20] ^ 1]) + content[21:])


def newer(data):
    damaged(data, lambda content: content[:8] + b"\x09" + content[9:])


def without_identity(data):
    os.remove(os.path.join(data, "identity"))


def without_epoch(data):
    os.remove(os.path.join(data, "epoch"))


def without_store(data):
    subprocess.run(["rm", "-r", os.path.join(data, "store-0")], check=True)


def other_epoch(data):
    """The cluster record of another cluster."""
    with one_node() as stranger:
        stranger.stop()
        with open(os.path.join(stranger.data, "epoch"), "rb") as file:
            content = file.read()
    with open(os.path.join(data, "epoch"), "wb") as file:
        file.write(content)


def check_directory(made_before, change, *texts):
    with one_node(start=made_before) as node:
        if made_before:
            put(node, "k", b"v")
            node.stop()
        os.makedirs(node.data, exist_ok=True)
        change(node.data)
        with open(node.log_path, "wb"):
            pass
        expect_end(node, UNSAFE, *texts)


rows([
    ("a directory of someone else is refused", False, foreign, "FOREIGN", "no `identity`"),
    ("a truncated identity is refused", True, truncated, "CORRUPT", "truncated"),
    ("a damaged identity is refused", True, rotten, "CORRUPT", "checksum"),
    ("a directory of a newer release is refused", True, newer, "NEWER_FORMAT", "newer release"),
    ("stores whose identity was lost are refused", True, without_identity, "FOREIGN", "lost"),
    ("a member without its cluster record is refused", True, without_epoch, "CORRUPT", "epoch"),
    ("a store that vanished is not made anew", True, without_store, "cannot open store",
     "NOT_FOUND", "store-0"),
    ("the cluster record of another cluster is refused", True, other_epoch, "WRONG_CLUSTER",
     "two clusters"),
], check_directory)


@case("another engine than the directory was made with is refused")
def _():
    with one_node() as node:
        node.stop()
        node.flags = ["--engine", "memory"]
        expect_end(node, UNSAFE, "INVALID", "another engine")


@case("every problem of a configuration is told at once, with its place; nothing is started")
def _():
    config = "[node]\nweight = 0\n[storage]\nsinc = never\nengine = rocks\n"
    with one_node(config, flags=["--nmae", "x"], start=False) as node:
        path = os.path.join(node.folder, "kvorum.conf")
        expect_end(node, USAGE, "4 problems",
                   f"{path}:2: [node] weight: 0 is not a number from 1 to 10000",
                   f"{path}:4: [storage] sinc is no option; the nearest is [storage] sync",
                   f"{path}:5: [storage] engine: rocks is not one of lsm|memory",
                   "--nmae: no such flag; the nearest is --name")
        assert not os.path.exists(node.data)


@case("listening beyond loopback needs an explicit insecure = yes")
def _():
    with one_node(flags=["--http", "0.0.0.0:0"], start=False) as node:
        expect_end(node, USAGE, "not loopback", "insecure = yes")


# --- founding and joining ----------------------------------------------------------------------

@case("three nodes found a cluster; until all are here, each says how many are missing")
def _():
    cluster = Cluster(3)
    try:
        first, second, third = cluster
        first.launch()
        answer = wait_until(lambda: first.http("GET", "/ping"), what="the founder answers")
        equal(answer.status, 503)
        equal(answer.body, b"waiting for founders: 1 of 3 are here\n")
        with first.resp() as client:
            client.send("PING")
            equal(str(client.read()), "NOT_READY waiting for founders: 1 of 3 are here")
        second.launch()
        text = b"waiting for founders: 2 of 3 are here\n"
        for node in (first, second):
            wait_until(lambda node=node: node.http("GET", "/ping").body == text, what=node.name)
        second.kill()  # a joiner may come and go before the founding
        second.launch()
        third.launch()
        for node in cluster:
            node.wait_serving()
        put(first, "k", b"v")
        equal(get(third, "k").body, b"v")
    finally:
        cluster.end()


@case("a founder that is killed while it waits begins again")
def _():
    cluster = Cluster(2)
    try:
        cluster[0].launch()
        wait_until(lambda: cluster[0].http("GET", "/ping").status == 503, what="it waits")
        cluster[0].kill()
        cluster.start()
        put(cluster[1], "k", b"v")
        wait_until(lambda: get(cluster[0], "k").body == b"v", what="the first node reads through its links")
    finally:
        cluster.end()


def shape(node):
    return json.loads(node.http("GET", "/kvorum/cluster").body)


def change(asked, what, **body):
    # An answer that nobody knows takes as long as a request may, which is 10 s.
    return asked.http("POST", f"/kvorum/cluster/{what}", json.dumps(body).encode(),
                      {"Content-Type": "application/json"}, timeout=30.0)


@case("a node that comes after the founding joins by any member, and owns nothing until it is planned")
def _():
    with Cluster(3) as cluster, temporary_folder() as folder:
        put(cluster[0], "k", b"v")
        late = Node("late", os.path.join(folder, "late"), join=cluster[1].peer_address())
        late.start()
        equal(get(late, "k").body, b"v")
        equal(put(late, "l", b"w").status, 204)
        for node in [*cluster, late]:
            wait_until(lambda: shape(node)["epoch"] == 2, what="everybody goes by epoch 2")
            seen = {one["name"]: one for one in shape(node)["nodes"]}
            equal(seen["late"]["membership"], "joining")
            equal(seen["late"]["partitions"], 0)
            equal(shape(node)["staged"], ["join late"])
        late.stop()
        late.join = None
        late.start()
        equal(get(late, "l").body, b"w")
        for node in cluster:
            node.stop()
        cluster.start()
        wait_until(lambda: all(shape(node)["epoch"] == 2 for node in cluster), what="they remember it")


@case("a node of a taken name is refused by a founded cluster, with the reason")
def _():
    with Cluster(2) as cluster, temporary_folder() as folder:
        late = Node("n2", os.path.join(folder, "late"), join=cluster[0].peer_address())
        expect_end(late, UNSAFE, "the founder refused this node", "another node has this name")
        assert "joiner refused" in cluster[0].log()


@case("who was refused for its name, and did not hear it, may come again under another one")
def _():
    with Cluster(2) as cluster, temporary_folder() as folder:
        late = Node("n2", os.path.join(folder, "late"), join=cluster[0].peer_address())
        late.launch()
        wait_until(lambda: "a node asks to join" in cluster[0].log(), what="it asks")
        late.kill()
        time.sleep(0.5)  # the voters answer; the next who asks with its id would be told so
        late.name = "late"
        late.start()


@case("changes are staged by any node, shown everywhere, and refused with the reason where they would move data")
def _():
    with Cluster(3) as cluster:
        equal(change(cluster[1], "stage", change="leave", node="n9").status, 404)
        equal(change(cluster[1], "stage", change="dance", node="n1").status, 400)
        equal(change(cluster[1], "stage", change="leave", node="n1").status, 200)
        wait_until(lambda: shape(cluster[2])["staged"] == ["leave n1"], what="it is known")
        plan = json.loads(cluster[2].http("GET", "/kvorum/cluster/plan").body)
        equal((plan["possible"], plan["status"]), (False, "NOT_ALLOWED"))
        answer = change(cluster[0], "commit")
        equal(answer.status, 409)
        assert b"copies" in answer.body, answer.body
        equal(change(cluster[0], "clear").status, 200)
        equal(change(cluster[0], "stage", change="weight", node="n1", weight=101).status, 200)
        number = shape(cluster[0])["epoch"]
        equal(change(cluster[0], "commit", epoch=number - 1).status, 409)
        equal(change(cluster[0], "commit", epoch=number).status, 200)
        wait_until(lambda: all(node["weight"] == (101 if node["name"] == "n1" else 100)
                               for node in shape(cluster[2])["nodes"]), what="the weight is known")
        put(cluster[0], "k", b"v")
        equal(get(cluster[1], "k").body, b"v")


@case("without a majority of the voters nothing changes, and the answer says that it is unknown")
def _():
    with Cluster(3) as cluster:
        cluster[1].kill()
        cluster[2].kill()
        answer = change(cluster[0], "stage", change="weight", node="n1", weight=7)
        equal(answer.status, 504)
        assert b"outcome unknown" in answer.body and b"voters" in answer.body, answer.body
        cluster[1].start()
        equal(change(cluster[0], "stage", change="weight", node="n1", weight=7).status, 200)


@case("two joiners of one name: the second is refused")
def _():
    cluster = Cluster(3)
    try:
        first, second, third = cluster
        third.name = second.name
        first.launch()
        second.launch()
        text = b"waiting for founders: 2 of 3 are here\n"
        wait_until(lambda: first.http("GET", "/ping").body == text, what="the second is here")
        expect_end(third, UNSAFE, "another founder has this name")
    finally:
        cluster.end()


@case("a restarted node needs no --join; a changed weight warns, a changed peer address is told to all")
def _():
    with Cluster(2) as cluster:
        node = cluster[1]
        node.stop()
        node.join, node.flags = None, ["--weight", "7"]
        node.start()
        assert "option=weight cluster=100 configured=7" in node.log()
        node.stop()
        node.peer_port = free_ports(1)[0]
        node.start()
        assert "this node has moved" in node.log()
        for one in cluster:
            wait_until(lambda: node.peer_address() in [n["address"] for n in shape(one)["nodes"]],
                       what="everybody knows where it is")
        put(cluster[0], "k", b"v")
        wait_until(lambda: get(node, "k").body == b"v", what="they talk to each other")


@case("a node that moved, the only voter too, reads with a quorum at once")
def _():
    with Cluster(2) as cluster:
        put(cluster[0], "k", b"v")
        for node in cluster:
            node.stop()
            node.peer_port = free_ports(1)[0]
            node.launch()
            wait_until(lambda: node.http("GET", "/ping").status == 200, what="it answers")
            begun = time.monotonic()
            equal(node.http("GET", "/buckets/b/keys/k?r=2").status, 200)
            took = time.monotonic() - begun
            assert took < 3 * kvorum_e2e.SLOW, f"the first read took {took:.1f} s"
            for one in cluster:
                wait_until(lambda: sorted(n["address"] for n in shape(one)["nodes"]) ==
                           sorted(n.peer_address() for n in cluster),
                           what="an epoch has its address")


class Detour:
    """Everything that is sent to one port arrives at another."""

    def __init__(self, port, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                for a, b in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        self.listener.close()


@case("a node of another cluster at a member's address is refused, and both logs say so")
def _():
    with Cluster(2) as ours, Cluster(2) as theirs:
        ours[1].kill()
        detour = Detour(ours[1].peer_port, theirs[1].peer_port)
        try:
            wait_until(lambda: "status=WRONG_CLUSTER" in ours[0].log(), what="the dialer's log")
            wait_until(lambda: "status=WRONG_CLUSTER" in theirs[1].log(), what="the other's log")
            assert "peer refused our link member=n2" in ours[0].log()
            equal(put(theirs[0], "k", b"v").status, 204)
        finally:
            detour.close()


# --- hostile and slow ----------------------------------------------------------------------------

def is_closed(client, within=5.0):
    """The server closes this socket in time; what it said before."""
    client.settimeout(within * kvorum_e2e.SLOW)
    said = b""
    try:
        while data := client.recv(65536):
            said += data
    except ConnectionError:
        pass
    return said


FRAME_ERRORS = [
    ("HTTP on the peer port ends that link alone", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "FOREIGN"),
    ("a later version of the peer protocol", b"KVF9" + bytes(36), "NEWER_FORMAT"),
    ("a peer frame with a body above its limit", b"KVF1\x01\0\0\0" + b"\xff" * 4 + bytes(28),
     "TOO_LARGE"),
    ("a peer frame of no known kind", b"KVF1\xc8\0\0\0" + bytes(32), "CORRUPT"),
    ("a peer frame with a wrong checksum", b"KVF1\x01\0\0\0" + bytes(32), "CORRUPT"),
]


def check_frame(data, status):
    with one_node() as node:
        with socket.create_connection(("127.0.0.1", node.peer_port)) as client:
            client.sendall(data)
            equal(is_closed(client), b"")
        wait_until(lambda: f"status={status}" in node.log(), what=f"{status} in the log")
        equal(node.http("GET", "/ping").status, 200)


rows(FRAME_ERRORS, check_frame)


@case("a request that does not come on is cut at the header deadline; an idle client is not")
def _():
    with one_node("[limits]\nheader_deadline_ms = 300\n") as node, node.resp() as idle:
        equal(idle.call("PING"), "PONG")
        for port, start in ((node.resp_port, b"*2\r\n$3\r\nGE"),
                            (node.http_port, b"GET /ping HTTP/1.1\r\nHo")):
            with socket.create_connection(("127.0.0.1", port)) as slow:
                slow.sendall(start)
                begun = time.monotonic()
                is_closed(slow)
                assert time.monotonic() - begun > 0.25, "cut too early"
        assert "its request was not whole in time" in node.log()
        equal(idle.call("PING"), "PONG")


@case("a large value that keeps coming may take longer than the header deadline")
def _():
    with one_node("[limits]\nheader_deadline_ms = 300\n") as node, node.resp() as client:
        piece, count = b"x" * 20000, 10
        client.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (len(piece) * count))
        for _ in range(count):
            client.send_raw(piece)
            time.sleep(0.1)
        client.send_raw(b"\r\n")
        equal(client.read(), "OK")
        equal(client.call("GET", "k"), piece * count)


@case("connections beyond the limit are told so and closed; room is used again")
def _():
    with one_node("[limits]\nconnections = 5\n") as node:
        wait_until(lambda: len(open_clients(node)) == 5, what="five clients are in")
        clients = open_clients.held
        with socket.create_connection(("127.0.0.1", node.resp_port)) as sixth:
            assert is_closed(sixth).startswith(b"-ERR max number of clients"), "RESP refusal"
        with socket.create_connection(("127.0.0.1", node.http_port)) as seventh:
            assert b" 503 " in is_closed(seventh), "HTTP refusal"
        for client in clients:
            equal(client.call("PING"), "PONG")
        clients.pop().close()
        wait_until(lambda: pings(node), what="room for one more")
        for client in clients:
            client.close()


def open_clients(node):
    """Connections of the test before may still be closing: try until all are in."""
    for client in getattr(open_clients, "held", []):
        client.close()
    open_clients.held = []
    for _ in range(5):
        client = node.resp()
        open_clients.held.append(client)
        client.call("PING")
    return open_clients.held


def pings(node):
    with node.resp() as client:
        client.send("PING")
        return client.read() == "PONG"


@case("a client that asks for much and reads nothing does not make the node grow without bound")
def _():
    with one_node() as node, node.resp(timeout=60) as greedy:
        equal(greedy.call("SET", "big", b"x" * 1000000), "OK")
        before = memory_of(node)
        count = 400
        for _ in range(count):
            greedy.send("GET", "big")
        time.sleep(1)
        grown = memory_of(node) - before
        bound = (100 << 20) * kvorum_e2e.SLOW  # sanitizers, which are slow, also take memory
        assert grown < bound, f"grew by {grown >> 20} MB"
        equal(node.http("GET", "/ping").status, 200)
        for _ in range(count):
            equal(len(greedy.read()), 1000000)


def memory_of(node):
    with open(f"/proc/{node.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@case("a client that vanishes in the middle of its requests harms nobody")
def _():
    with one_node() as node:
        for i in range(50):
            client = socket.create_connection(("127.0.0.1", node.resp_port))
            client.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n" * 20)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()  # a reset
        equal(node.http("GET", "/ping").status, 200)
        equal(node.stop(), 0)


# --- disks ---------------------------------------------------------------------------------------

@case("a full disk refuses writes with its name; reads go on and the process stays up")
def _():
    with temporary_folder() as folder:
        node = SmallDiskNode(100, "n1", os.path.join(folder, "n1"), founders=1, flags=["--stores", "1"])
        try:
            node.start()
            put(node, "first", b"kept")
            answers = [put(node, f"k{i}", b"x" * 1000000) for i in range(150)]
            refused = [answer for answer in answers if answer.status != 204]
            assert refused, "100 MB took 150 MB"
            assert refused[-1].status in (500, 503, 507), refused[-1]
            assert b"disk" in refused[-1].body or b"NO_SPACE" in refused[-1].body, refused[-1]
            wait_until(lambda: "the disk is full" in node.log(), what="the log says it: " + node.log_tail())
            equal(get(node, "first").body, b"kept")
            last = answers.index(refused[0]) - 1
            equal(len(get(node, f"k{last}").body), 1000000)
            assert node.alive()
        finally:
            node.kill()


FAILING_SYNC = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
static int broken(void) { return access(getenv("BROKEN_DISK"), F_OK) == 0; }
int fdatasync(int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (!broken()) return real(fd);
    errno = EIO;
    return -1;
}
"""


class FragileDiskNode(Node):
    """A node whose disk fails every sync while the file `broken` is there."""

    def broken(self):
        return os.path.join(self.folder, "broken")

    def launch(self):
        source, library = (os.path.join(self.folder, name) for name in ("sync.c", "sync.so"))
        with open(source, "w", encoding="ascii") as file:
            file.write(FAILING_SYNC)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        environment = {**os.environ, "LD_PRELOAD": library, "BROKEN_DISK": self.broken()}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [binary(), *self.arguments()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment, preexec_fn=kvorum_e2e._die_with_parent)
        return self


@case("a failed sync is never acknowledged: the node ends with 70, and keeps what it acknowledged")
def _():
    with temporary_folder() as folder:
        node = FragileDiskNode("n1", os.path.join(folder, "n1"), founders=1)
        try:
            node.start()
            equal(put(node, "before", b"kept").status, 204)
            with open(node.broken(), "wb"):
                pass
            try:
                assert put(node, "after", b"lost").status >= 500
            except (ConnectionError, http.client.HTTPException):
                pass  # it ended before it could answer
            equal(node.wait_end(), 70)
            assert "a disk lost what was written" in node.log()
            os.remove(node.broken())
            node.start()
            equal(get(node, "before").body, b"kept")
        finally:
            node.kill()


run()
