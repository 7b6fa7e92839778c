# SPDX-License-Identifier: Apache-2.0
"""Malformed, hostile and unlucky: every case ends with an ordinary client being served."""
# timeout: 300
import contextlib
import glob
import json
import os
import random
import shutil
import socket
import struct
import threading
import time

from kvorum_e2e import (SLOW, Cluster, RespError, SmallDiskNode, case, equal, free_ports, one_node, rows,
                        run, temporary_folder, wait_until)
from peer_frames import GET, GOSSIP, HELLO, HELLO_ANSWER, KINDS, MERGE, field, frame, hello

MB = 1 << 20
UNSAFE = 8
TEXT = {"Content-Type": "text/plain"}
LIMITS = """[limits]
value_size = 2MB
value_size_warning = 1MB
header_size = 16KB
header_deadline_ms = 700
"""
shared = None  # one node with LIMITS


def served(node):
    """An ordinary client writes and reads by both protocols."""
    value = os.urandom(8).hex().encode()
    answer = node.http("PUT", "/buckets/ordinary/keys/k", value, TEXT)
    equal(answer.status, 204, repr(answer))
    equal(node.http("GET", "/buckets/ordinary/keys/k").body, value)
    with node.resp() as client:
        equal(client.call("SET", "ordinary", value), "OK")
        equal(client.call("GET", "ordinary"), value)


def memory_of(node):
    with open(f"/proc/{node.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def check_growth(node, before, limit, who):
    """Sanitizers keep what was freed for a while, hence the slack."""
    grown = memory_of(node) - before
    assert grown < limit + (SLOW > 1) * 600 * MB, f"{who} cost {grown >> 20} MB"


def connect(port, timeout=10):
    client = socket.create_connection(("127.0.0.1", port), timeout * SLOW)
    client.settimeout(timeout * SLOW)
    return client


def until_closed(client):
    """Everything said until the other side closes; a reset counts as closing."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while data := client.recv(65536):
            said += data
    return said


def say(port, data):
    """Send and read until the server closes, which it must do in time."""
    with connect(port) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(data)
        return until_closed(client)


# --- RESP ------------------------------------------------------------------------------------------

def check_resp(data, text):
    said = say(shared.resp_port, b"*1\r\n$4\r\nPING\r\n" + data)
    assert said.startswith(b"+PONG\r\n"), said  # what came before is answered
    assert said[7:].startswith(b"-ERR Protocol error: " + text), said
    served(shared)


rows([("RESP: " + name, data, text) for name, data, text in (
    ("a negative bulk length ends the connection with its name", b"*2\r\n$3\r\nGET\r\n$-1\r\n",
     b"invalid bulk length"),
    ("a bulk longer than the limit", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$999999999\r\n", b"invalid bulk length"),
    ("a bulk length beyond 64 bits", b"*1\r\n$99999999999999999999999\r\n", b"invalid bulk length"),
    ("a bulk length that is no number", b"*1\r\n$x\r\n", b"invalid bulk length"),
    ("more arguments than there may be", b"*1000000000\r\n", b"invalid multibulk length"),
    ("a count that is no number", b"*abc\r\n", b"invalid multibulk length"),
    ("something else than a bulk", b"*2\r\n:3\r\n", b"expected '$', got ':'"),
    ("a bulk longer than it said", b"*2\r\n$3\r\nGETx\r\n$1\r\nk\r\n", b"bulk is not followed by CRLF"),
    ("a line without an end", b"x" * 100000, b"too big inline request"),
    ("quotes that do not close", b'SET "k v\r\n', b"unbalanced quotes"),
)], check_resp)


@case("RESP: an HTTP request on this port is no command, and its body is not read as commands")
def _():
    said = say(shared.resp_port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nSET smuggled v\r\n")
    equal(said, b"")
    with shared.resp() as client:
        equal(client.call("EXISTS", "smuggled"), 0)
    served(shared)


@case("RESP: 300 connections of random bytes")
def _():
    chance = random.Random(7)
    for i in range(300):
        with connect(shared.resp_port) as client, contextlib.suppress(ConnectionError):
            client.sendall(bytes(chance.choice(b"*$:+-0123456789\r\nGETSET \"'\0\xff") for _ in range(200)))
    served(shared)


@case("RESP: announced lengths cost no memory")
def _():
    before = memory_of(shared)
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            client = stack.enter_context(connect(shared.resp_port))
            client.sendall(b"*1000000\r\n$2000000\r\n")
        time.sleep(0.3)
        served(shared)
        check_growth(shared, before, 30 * MB, "300 announcements")


@case("RESP: a command with 100,000 keys is answered")
def _():
    with shared.resp(timeout=60) as client:
        equal(client.call("MGET", *[b"none"] * 100000), [None] * 100000)
        equal(client.call("EXISTS", *[b"none"] * 100000), 0)
    served(shared)


# --- HTTP ------------------------------------------------------------------------------------------

PUT = b"PUT /buckets/abuse/keys/k HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
SMUGGLED = PUT.replace(b"/k ", b"/smuggled ") + b"Content-Length: 1\r\n\r\nv"


def check_http(data, *codes):
    """Refused with one of the codes, and the connection is closed: nothing behind it is run."""
    said = say(shared.http_port, data + SMUGGLED)
    code = int(said[9:12]) if said.startswith(b"HTTP/1.1 ") else 0
    assert code in codes, said[:300]
    if code:
        assert b"Connection: close" in said and b"Content-Length: " in said, said[:300]
    equal(said.count(b"HTTP/1.1 "), 1 if code else 0)
    gone = shared.http("DELETE", "/buckets/abuse/keys/smuggled").status
    equal(gone, 404, "what stood behind was run: its DELETE")
    served(shared)


rows([("HTTP: " + name, data, *codes) for name, data, *codes in (
    ("two Content-Lengths", PUT + b"Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc", 400),
    ("the same Content-Length twice", PUT + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    ("Content-Length with a list", PUT + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    ("Content-Length beside Transfer-Encoding",
     PUT + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("Transfer-Encoding beside Content-Length",
     PUT + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    ("a Transfer-Encoding that does not end in chunked",
     PUT + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400, 501),
    ("an unknown Transfer-Encoding", PUT + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, 501),
    ("a negative Content-Length", PUT + b"Content-Length: -1\r\n\r\n", 400),
    ("a Content-Length with a sign", PUT + b"Content-Length: +3\r\n\r\nabc", 400),
    ("a Content-Length beyond 64 bits", PUT + b"Content-Length: 99999999999999999999999\r\n\r\n", 400, 413),
    ("a Content-Length above the limit", PUT + b"Content-Length: 99999999\r\n\r\n", 413),
    ("a chunk size that is no number", PUT + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", 400),
    ("a chunk size beyond 64 bits",
     PUT + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n", 400, 413),
    ("a chunk longer than it said", PUT + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
    ("space before the colon of a header", b"GET /ping HTTP/1.1\r\nHost : x\r\n\r\n", 400),
    ("a header without a colon", b"GET /ping HTTP/1.1\r\nHost\r\n\r\n", 400),
    ("a NUL in a header", b"GET /ping HTTP/1.1\r\nHost: a\0b\r\n\r\n", 400),
    ("a bare carriage return in a header", b"GET /ping HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400),
    ("bare line feeds", b"GET /ping HTTP/1.1\nHost: x\n\n", 400),
    ("an unknown method", b"BREW /ping HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("an unknown version", b"GET /ping HTTP/9.9\r\nHost: x\r\n\r\n", 400, 505),
    ("no version, which is HTTP/0.9", b"GET /ping\r\n\r\n", 200, 400),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 501, 505),
    ("a header block above the limit", b"GET /ping HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
    ("a URL above the limit", b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, 414),
    ("a thousand headers", b"GET /ping HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n", 431),
    ("a TLS greeting", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(40), 400),
)], check_http)


@case("HTTP: 300 connections of random bytes and mangled requests")
def _():
    chance = random.Random(8)
    for i in range(300):
        data = bytearray(PUT + b"Content-Length: 3\r\n\r\nabc" + b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with connect(shared.http_port) as client, contextlib.suppress(ConnectionError):
            client.sendall(data)
    served(shared)


@case("HTTP: a control byte in what a client stored cannot become a header of an answer")
def _():
    path = "/buckets/abuse%0d%0aX-Evil:%20yes/keys/k%0d%0aX-Evil:%20yes"
    equal(shared.http("PUT", path, b"v", TEXT).status, 204)
    for answer in (shared.http("GET", path), shared.http("PUT", path + "?returnbody=true", b"v", TEXT),
                   shared.http("POST", path.rpartition("/")[0], b"v", TEXT)):
        assert answer.headers["X-Evil"] is None, answer
        assert answer.status in (200, 201), answer


def drip(port, data, stop):
    """A byte now and then, until cut; returns whether it was."""
    with connect(port) as client:
        client.settimeout(0.1)
        for byte in data:
            if stop.is_set():
                return False
            try:
                client.sendall(bytes([byte]))
                if client.recv(4096) == b"":
                    return True
            except socket.timeout:
                continue
            except ConnectionError:
                return True
    return False


@case("slow senders of headers are all cut at the deadline; meanwhile others are served")
def _():
    stop, cut = threading.Event(), []
    head = b"GET /ping HTTP/1.1\r\n" + b"X: y\r\n" * 1000
    command = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\n" + b"x" * 1000
    threads = [threading.Thread(target=lambda p=p, d=d: cut.append(drip(p, d, stop)), daemon=True)
               for p, d in ((shared.http_port, head), (shared.resp_port, command)) for _ in range(25)]
    for thread in threads:
        thread.start()
    served(shared)
    try:
        wait_until(lambda: len(cut) == len(threads), 10, "all are cut")
    finally:
        stop.set()
    equal(cut, [True] * len(threads))
    served(shared)


@case("HTTP: clients that ask for much and read nothing do not make the node grow without bound")
def _():
    equal(shared.http("PUT", "/buckets/big/keys/k", b"x" * 2 * MB, TEXT).status, 204)
    with shared.resp() as client:
        client.call("SELECT", 9)
        client.pipeline([("SET", f"{'long' * 40}-{i}", "v") for i in range(3000)])
    before = memory_of(shared)
    with contextlib.ExitStack() as stack:
        for i in range(30):
            client = stack.enter_context(connect(shared.http_port))
            path = b"/buckets/big/keys/k" if i % 2 else b"/buckets/db9/keys?keys=stream"
            client.sendall((b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n") * 50)
        time.sleep(1)
        served(shared)
        check_growth(shared, before, 200 * MB, "30 clients that do not read")
    served(shared)


@case("a client that begins a large value and goes away leaves nothing behind")
def _():
    before = memory_of(shared)
    for i in range(100):
        with connect(shared.http_port) as client:
            client.sendall(PUT.replace(b"/k ", b"/half ") + b"Content-Length: 2000000\r\n\r\n" + b"x" * 500000)
    equal(shared.http("GET", "/buckets/abuse/keys/half").status, 404)
    if SLOW == 1:
        wait_until(lambda: memory_of(shared) - before < 40 * MB, 10, "its memory is free again")
    served(shared)


@case("a connection that asks nothing is closed after the idle time, if there is one")
def _():
    with one_node("[limits]\nidle_timeout_ms = 300\n") as node:
        for port in (node.http_port, node.resp_port):
            equal(say(port, b""), b"")
        served(node)


# --- peers -----------------------------------------------------------------------------------------

def check_peer(make, status, why):
    data, before = make(), len(shared.log())
    said = say(shared.peer_port, data)
    wait_until(lambda: any(f"status={status}" in line and why in line
                           for line in shared.log()[before:].splitlines()), 5,
               f"{status}, {why} in the log")
    if data[4] == HELLO and status in ("WRONG_CLUSTER", "NOT_ALLOWED", "INVALID"):
        equal(said[4], HELLO_ANSWER, "the kind of the answer")  # which says why, too
    served(shared)


rows([("peer: " + name, make, status, why) for name, make, status, why in (
    ("random bytes", lambda: random.Random(1).randbytes(5000), "FOREIGN", "does not speak"),
    ("random bytes behind a good beginning",
     lambda: b"KVF1\x01\0\0\0\x10\0\0\0\0\0\0\0" + random.Random(2).randbytes(5000),
     "CORRUPT", "a damaged frame"),
    ("a tail longer than any", lambda: b"KVF1\x01\0\0\0\x10\0\0\0\xff\xff\xff\xff" + bytes(24), "TOO_LARGE",
     "above the size limit"),
    ("a HELLO of another cluster is refused, by name, in the answer too",
     lambda: hello(b"c" * 16, b"n" * 16, b"from-elsewhere"), "WRONG_CLUSTER", "from-elsewhere"),
    ("a HELLO of this cluster from nobody we know",
     lambda: hello(cluster_id(shared), b"n" * 16, b"impostor"), "NOT_ALLOWED", "impostor"),
    ("a HELLO with our own id", lambda: hello(cluster_id(shared), node_id(shared, "n1"), b"twin"),
     "INVALID", "was a data directory copied?"),
    ("a HELLO with a short id", lambda: hello(b"", b"n" * 3), "INVALID", "malformed HELLO"),
    ("a HELLO that is no protobuf", lambda: frame(HELLO, b"\xff" * 50), "CORRUPT", "no good HELLO"),
    ("a GOSSIP before HELLO", lambda: frame(GOSSIP), "CORRUPT", "no good HELLO"),
    ("a MERGE before HELLO", lambda: frame(MERGE, b"", b"x" * 1000), "TOO_LARGE",
     "above the size limit"),
    ("a joiner that asks for something else", lambda: hello(b"", b"n" * 16) + frame(GET), "CORRUPT",
     "something else than JOIN"),
)], check_peer)


def status_of(node):
    return json.loads(node.http("GET", "/kvorum/status").body)


def cluster_id(node):
    return bytes.fromhex(status_of(node)["cluster"])


def node_id(node, name):
    return bytes.fromhex(next(m["id"] for m in status_of(node)["nodes"] if m["name"] == name))


@case("peer: a stranger cannot make the node keep a large frame")
def _():
    before = memory_of(shared)
    head = b"KVF1\x01\0\0\0\x10\0\0\0" + struct.pack("<I", 900 * MB) + bytes(24)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(connect(shared.peer_port))
            with contextlib.suppress(ConnectionError):
                client.sendall(head + bytes(40 * MB))
        time.sleep(0.3)
        check_growth(shared, before, 60 * MB, "3 strangers")
    served(shared)


@case("peer: who says nothing is sent away after the time for a greeting")
def _():
    begun = time.monotonic()
    equal(say(shared.peer_port, b""), b"")
    assert 3 < time.monotonic() - begun < 10 * SLOW
    served(shared)


@case("peer: a member that sends 3,000 mangled messages harms nobody")
def _():
    chance = random.Random(9)
    with Cluster(2) as cluster:
        ours, theirs = cluster
        equal(ours.http("PUT", "/buckets/b/keys/k", b"kept", TEXT).status, 204)
        me, where = node_id(ours, "n2"), cluster_id(ours)
        theirs.kill()
        address = field(1, b"default") + field(2, b"b") + field(3, b"k")
        bodies = [b"", field(1, address), field(1, address) + field(2, 1) + field(3, 1) + field(4, 9),
                  field(1, b"\xff") + field(9, 1), random.Random(3).randbytes(60)]
        for round in range(6):
            with connect(ours.peer_port) as client:
                client.sendall(hello(where, me, b"n2", 0, round % 2))
                assert client.recv(4096)[4] == HELLO_ANSWER
                with contextlib.suppress(ConnectionError):
                    for i in range(500):
                        kind = chance.choice([k for k in KINDS if k > 4])
                        body = bytearray(chance.choice(bodies))
                        if body and chance.random() < 0.5:
                            body[chance.randrange(len(body))] = chance.randrange(256)
                        client.sendall(frame(kind, bytes(body), chance.randbytes(chance.randrange(100)),
                                             chance.randrange(5), chance.randrange(3)))
        assert ours.alive(), ours.log_tail()
        theirs.start()
        wait_until(lambda: ours.http("GET", "/buckets/b/keys/k").body == b"kept", 20, "the value is there")
        for node in cluster:
            served(node)


# --- starting --------------------------------------------------------------------------------------

def expect_end(node, code, *texts):
    with open(node.log_path, "wb"):
        pass
    node.launch()
    equal(node.wait_end(), code, "exit code; log: " + node.log_tail())
    for text in texts:
        assert text in node.log(), f"{text!r} is not in:\n{node.log_tail()}"


def check_port(which):
    with one_node(start=False) as node:
        setattr(node, which, getattr(shared, which))
        expect_end(node, UNSAFE, "the port is in use", f"port={getattr(shared, which)}")
        setattr(node, which, free_ports(1)[0])
        served(node.start())
    served(shared)


rows([(f"a port in use is named and the node does not start: {which}", which)
      for which in ("http_port", "resp_port", "peer_port")], check_port)


@case("a data directory that cannot be written is named")
def _():
    with one_node(start=False) as node:
        os.makedirs(node.folder, exist_ok=True)
        with open(node.data, "wb"):
            pass  # a file
        expect_end(node, UNSAFE, node.data)


# --- the log on disk -------------------------------------------------------------------------------

KEYS = 300


@contextlib.contextmanager
def filled_node(clean):
    """A node with one store and KEYS acknowledged writes, then stopped: in order or by kill -9."""
    with one_node(flags=["--stores", "1"]) as node:
        with node.resp() as client:
            for i in range(KEYS):
                equal(client.call("SET", f"k{i}", f"value {i} " + "x" * 100), "OK")
        if clean:
            equal(node.stop(), 0)
        node.kill()
        yield node


def segments(node):
    return sorted(glob.glob(os.path.join(node.data, "store-0", "log-*.log")))


def content_of(path):
    with open(path, "rb") as file:
        return file.read()


def last_segment(node):
    """Of those with records; its path, content, and where its records end."""
    path = segments(node)[-1]
    data = content_of(path)
    return path, data, (len(data.rstrip(b"\0")) + 7) // 8 * 8


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def kept(node, count):
    with node.resp() as client:
        found = client.call("MGET", *[f"k{i}" for i in range(KEYS)])
    for i in range(count):
        equal(found[i], f"value {i} ".encode() + b"x" * 100, f"k{i}")
    served(node)


def garbage_behind(data, end):
    return data[:end] + random.Random(4).randbytes(1000) + data[end + 1000:]


def garbage_appended(data, end):
    return data + random.Random(5).randbytes(100000)


def half_record_behind(data, end):
    return data[:end] + data[end - 80:end - 40] + data[end + 40:]


def cut_at_end(data, end):
    return data[:end]


def cut_in_last(data, end):
    return data[:end - 20]


def zeros_in_last(data, end):
    return data[:end - 20] + bytes(len(data) - end + 20)


def check_tail(clean, change, lost):
    with filled_node(clean) as node:
        path, data, end = last_segment(node)
        write(path, change(data, end))
        kept(node.start(), KEYS - lost)
        node.restart()
        kept(node, KEYS - lost)


rows([
    ("log: garbage behind the last record is dropped, nothing acknowledged is lost", False, garbage_behind, 0),
    ("log: garbage at the end of the file is dropped", False, garbage_appended, 0),
    ("log: half a record behind the last is dropped", False, half_record_behind, 0),
    ("log: a file that ends with its records is whole", False, cut_at_end, 0),
    ("log: a torn last record costs that record alone", False, cut_in_last, 1),
    ("log: a last record that ends in zeros costs that record alone", False, zeros_in_last, 1),
    ("log: garbage behind a clean end is dropped", True, garbage_appended, 0),
    ("log: a torn mark of a clean end costs nothing", True, cut_in_last, 0),
], check_tail)


def check_damage(clean, change, *texts):
    """Refused by name, with file and offset; nothing was changed, so repaired bytes start again."""
    with filled_node(clean) as node:
        path, data, end = last_segment(node)
        changed, offset = change(data, end)
        write(path, changed)
        files = {name: content_of(name) for name in segments(node)}
        expect_end(node, UNSAFE, "CORRUPT", os.path.basename(path), "offset=", "store-0", *texts)
        told = next(int(line.partition("offset=")[2].split()[0]) for line in node.log().splitlines()
                    if "offset=" in line)
        assert abs(told - offset) < 400, f"told {told}, damaged {offset}: {node.log_tail()}"
        equal({name: content_of(name) == old for name, old in files.items()}, dict.fromkeys(files, True))
        write(path, data)
        kept(node.start(), KEYS)


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1:], at


def record_at(data, place):
    """The last record that begins before `place`, and the size of its payload (docs/formats/log.md)."""
    at, found = 96, None
    while at < place:
        found = at, struct.unpack_from("<I", data, at + 12)[0]
        at += (32 + found[1] + 7) // 8 * 8
    return found


def flipped_inside(data, place):
    """A byte of a payload: the zeros between records mean nothing."""
    at, size = record_at(data, place)
    return flipped(data, at + 32 + size // 2)


rows([
    ("log: a flipped byte in the middle is damage: the node says file and offset and does not start",
     False, lambda data, end: flipped_inside(data, end // 2)),
    ("log: a flipped byte in the middle after a clean end", True,
     lambda data, end: flipped_inside(data, end // 2)),
    ("log: a flipped byte in the first record", True, lambda data, end: flipped(data, 100)),
    ("log: a flipped byte in the last record after a clean end", True,
     lambda data, end: flipped_inside(data, end - 40)),
    ("log: a hole of 4 KB of zeros in the middle", True,
     lambda data, end: (data[:4096] + bytes(4096) + data[8192:], 4096)),
    ("log: a flipped byte in the header of the segment", True, lambda data, end: flipped(data, 20)),
], check_damage)


@case("log: a node with a damaged log stays away, and the others serve")
def _():
    with Cluster(3) as cluster:
        with cluster[0].resp() as client:
            for i in range(100):
                equal(client.call("SET", f"k{i}", i), "OK")
        node = cluster[1]
        equal(node.stop(), 0)
        path, data, end = max(((p, content_of(p), 0) for p in
                               glob.glob(os.path.join(node.data, "store-*", "log-*.log"))),
                              key=lambda item: len(item[1].rstrip(b"\0")))
        end = len(data.rstrip(b"\0"))
        write(path, flipped_inside(data, end // 2)[0])
        expect_end(node, UNSAFE, "CORRUPT", os.path.basename(path))
        for other in (cluster[0], cluster[2]):
            with other.resp() as client:
                equal(client.call("MGET", *[f"k{i}" for i in range(100)]), [b"%d" % i for i in range(100)])
            served(other)


# --- a full disk -----------------------------------------------------------------------------------

def fill(node):
    """Take all the room there is."""
    with open(node.inside("ballast"), "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(MB))
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(512))


@case("a full disk refuses writes by name, by both protocols; reads go on; room ends it without a restart")
def _():
    with temporary_folder() as folder:
        node = SmallDiskNode(300, "n1", os.path.join(folder, "n1"), founders=1, flags=["--stores", "1"])
        try:
            node.start()
            served(node)
            fill(node)
            written, refused = [], None
            for i in range(200):
                answer = node.http("PUT", f"/buckets/b/keys/k{i}", b"x" * MB, TEXT)
                if answer.status != 204:
                    refused = answer
                    break
                written.append(f"k{i}")
            assert refused, "200 MB went to a full disk"
            equal(refused.status, 507, repr(refused))
            assert b"disk is full" in refused.body, refused
            with node.resp() as client:
                try:
                    client.call("SET", "big", "x" * MB)
                    raise AssertionError("RESP wrote to a full disk")
                except RespError as error:
                    assert str(error).startswith("IOERR") and "disk" in str(error), error
            wait_until(lambda: "the disk is full" in node.log(), 10, "the log says it")
            assert status_of(node)["disk_full"] is True
            for key in written:
                equal(len(node.http("GET", f"/buckets/b/keys/{key}").body), MB, key)
            equal(node.http("GET", "/buckets/ordinary/keys/k").status, 200)
            os.remove(node.inside("ballast"))
            wait_until(lambda: node.http("PUT", "/buckets/b/keys/after", b"x" * MB, TEXT).status == 204, 15,
                       "writes are taken again")
            wait_until(lambda: status_of(node)["disk_full"] is False, 15, "the status says so")
            served(node)
            for key in written:
                equal(len(node.http("GET", f"/buckets/b/keys/{key}").body), MB, key)
        finally:
            node.kill()


with one_node(LIMITS) as shared:
    run()
