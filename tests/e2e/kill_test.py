# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load: nothing that was acknowledged is lost.

Writers note the outcome of every write.  A key with a write of unknown outcome is not written again,
so what a key must hold at the end is certain: the last acknowledged value, or the one of unknown
outcome behind it.  Environment: KVORUM_KILLS (50; 500 with KVORUM_PROOF), KVORUM_SINGLE_KILLS (20), KVORUM_SEED.
"""
# timeout: 3600
# waits mostly
import http.client
import json
import os
import random
import threading
import time

from kvorum_e2e import (PROOF, Cluster, Resp, RespError, Response, case, equal, one_node, run,
                        wait_until)

KILLS = int(os.environ.get("KVORUM_KILLS", "500" if PROOF else "50"))
SINGLE_KILLS = int(os.environ.get("KVORUM_SINGLE_KILLS", "200" if PROOF else "20"))
SEED = int(os.environ.get("KVORUM_SEED") or random.SystemRandom().randrange(1 << 32))
CLUSTER = "[quorum]\nn = 3\nr = 2\nw = 2\n[storage]\nsync = always\nmemory_limit = 4GB\n"
SINGLE = "[quorum]\nn = 1\n[storage]\nsync = always\n"
WRITES_OF_A_KEY = 6
TEXT = {"Content-Type": "text/plain"}
LOST = (OSError, http.client.HTTPException, RespError)  # the connection is of no more use


class Http:
    """A connection that is kept; an exception leaves it closed, to be opened by the next request."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)

    def request(self, method, path, body=None, headers=None):
        try:
            self.connection.request(method, path, body, headers or {})
            answer = self.connection.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        except BaseException:
            self.connection.close()
            raise

    def close(self):
        self.connection.close()


# --- what is known of each key ---------------------------------------------------------------------

class Register:
    """A key that is overwritten."""

    def __init__(self, key):
        self.key, self.acknowledged, self.unknown = key, None, None
        self.writes = 0

    def value(self):
        self.writes += 1
        return f"{self.key} value {self.writes} {'x' * (self.writes * 37 % 200)}".encode()

    def note(self, value, acknowledged):
        if acknowledged:
            self.acknowledged = value
        else:
            self.unknown = value

    def spent(self):
        return self.unknown is not None or self.writes >= WRITES_OF_A_KEY

    def problem(self, found):
        if found is not None and found in (self.acknowledged, self.unknown):
            return None
        if found is None and self.acknowledged is None:
            return None
        return f"{self.key}: {found!r}, acknowledged {self.acknowledged!r}, unknown {self.unknown!r}"


class Siblings:
    """A key of a bucket that keeps siblings.  A value may only go when a write that had seen it
    may have happened."""

    def __init__(self, key):
        self.key, self.acknowledged, self.sent, self.covered = key, set(), set(), set()
        self.writes = 0

    def value(self):
        self.writes += 1
        value = f"{self.key} sibling {self.writes}".encode()
        self.sent.add(value)
        return value

    def problem(self, found):
        if self.acknowledged - self.covered <= found <= self.sent:
            return None
        return (f"{self.key}: {found!r}, acknowledged {self.acknowledged!r}, "
                f"covered {self.covered!r}")


# --- writers ---------------------------------------------------------------------------------------

class Writer(threading.Thread):
    """Writes until told to stop, through a node at a time; goes elsewhere when it loses one."""

    def __init__(self, name, nodes, seed, rate):
        super().__init__(name=name, daemon=True)
        self.nodes, self.random, self.pause = nodes, random.Random(seed), 1 / rate
        self.keys, self.current = [], []
        self.acknowledged = self.unknown = self.reads = 0
        self.halt, self.failure, self.client = threading.Event(), None, None

    def run(self):
        try:
            while not self.halt.is_set():
                self.turn()
        except BaseException as error:  # told by the main thread
            self.failure = error

    def turn(self):
        try:
            self.client = self.client or self.connect(self.random.choice(self.nodes))
            self.write()
            self.halt.wait(self.pause)
            if self.random.random() < 0.02:
                raise ConnectionError("time for another node")
        except LOST:
            if self.client is not None:
                self.client.close()
            self.client = None
            self.halt.wait(0.02)

    def count(self, acknowledged):
        self.acknowledged += acknowledged
        self.unknown += not acknowledged

    def new_key(self, kind):
        made = kind(f"{self.name}-{len(self.keys)}")
        self.keys.append(made)
        return made

    def registers(self, count):
        self.current = [r for r in self.current if not r.spent()]
        while len(self.current) < 4 + count:
            self.current.append(self.new_key(Register))
        return self.random.sample(self.current, count)


class RespWriter(Writer):
    """Pipelines of SETs."""
    database = 0

    def connect(self, node):
        client = Resp(node.resp_port, timeout=15)
        client.call("PING")  # refused by a node that is still starting
        client.call("SELECT", self.database)
        return client

    def write(self):
        batch = [(r, r.value()) for r in self.registers(self.random.randint(1, 8))]
        answers = []
        try:
            self.client.send_raw(b"".join(
                b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n"
                % (len(r.key), r.key.encode(), len(value), value) for r, value in batch))
            for _ in batch:
                answers.append(self.client.read() == "OK")
        finally:
            answers += [False] * (len(batch) - len(answers))
            for (register, value), acknowledged in zip(batch, answers):
                register.note(value, acknowledged)
                self.count(acknowledged)


class StrictWriter(RespWriter):
    """Strict quorums: a read, through whatever node and whoever is down, sees the last write."""
    database = 1

    def write(self):
        super().write()
        register = self.random.choice(self.current)
        if register.acknowledged is None or register.unknown is not None:
            return
        with self.connect(self.random.choice(self.nodes)) as other:
            found = other.call("GET", register.key)  # refused or timed out is no wrong answer
        self.reads += 1
        problem = register.problem(found)
        assert problem is None, "a strict read is stale: " + problem


class HttpWriter(Writer):
    """PUTs that overwrite, and in another bucket PUTs that make siblings or merge them."""

    def connect(self, node):
        client = Http(node.http_port)
        if client.request("GET", "/ping").status != 200:
            raise ConnectionError("it is still starting")
        return client

    def put(self, bucket, key, value, headers=TEXT):
        acknowledged = False
        try:
            acknowledged = self.client.request("PUT", f"/buckets/{bucket}/keys/{key}", value,
                                               headers).status == 204
        finally:
            self.count(acknowledged)
            self.noted(acknowledged)

    def write(self):
        register, = self.registers(1)
        value = register.value()
        self.noted = lambda acknowledged: register.note(value, acknowledged)
        self.put("overwritten", register.key, value)


class SiblingWriter(HttpWriter):
    def write(self):
        if not self.current or self.current[-1].writes >= 8:
            self.current = [self.new_key(Siblings)]
        key = self.current[-1]
        headers, seen = dict(TEXT), set()
        if key.writes > 0 and self.random.random() < 0.4:
            answer, seen = read_siblings(self.client, key.key)
            if answer.status not in (200, 300, 404):
                return
            if answer.headers["X-Riak-Vclock"]:
                headers["X-Riak-Vclock"] = answer.headers["X-Riak-Vclock"]
        value = key.value()
        key.covered |= seen  # from now on a write that covers them may have happened

        def noted(acknowledged):
            if acknowledged:
                key.acknowledged.add(value)
        self.noted = noted
        self.put("siblings", key.key, value, headers)


def read_siblings(client, key):
    answer = client.request("GET", f"/buckets/siblings/keys/{key}?r=quorum", None,
                            {"Accept": "multipart/mixed"})
    if answer.status == 404:
        return answer, set()
    if answer.status == 200:
        return answer, {answer.body}
    if answer.status != 300:
        return answer, None
    boundary = answer.headers["Content-Type"].partition("boundary=")[2].encode()
    parts = answer.body.split(b"\r\n--" + boundary)[1:-1]
    return answer, {part.partition(b"\r\n\r\n")[2] for part in parts}


# --- the story -------------------------------------------------------------------------------------

def stop_writers(writers):
    for writer in writers:
        writer.halt.set()
    for writer in writers:
        writer.join(30)
        assert not writer.is_alive(), f"{writer.name} hangs"
        if writer.failure is not None:
            raise writer.failure


def check_alive(writers):
    for writer in writers:
        if writer.failure is not None:
            raise writer.failure


def stat(node, name):
    return json.loads(node.http("GET", "/stats").body)[name]


def read_registers(writer, node):
    with Resp(node.resp_port, timeout=30) as client:
        client.call("SELECT", writer.database)
        found = []
        for i in range(0, len(writer.keys), 100):
            found += client.call("MGET", *[r.key for r in writer.keys[i:i + 100]])
    return found


def read_all(writer, node):
    """What every key of a writer holds now, as a quorum (of n=3: r=2) says."""
    if isinstance(writer, RespWriter):
        return read_registers(writer, node)
    client, found = Http(node.http_port), []
    try:
        for key in writer.keys:
            if isinstance(key, Siblings):
                answer, values = read_siblings(client, key.key)
                assert values is not None, answer
                found.append(values)
                continue
            answer = client.request("GET", f"/buckets/overwritten/keys/{key.key}?r=quorum")
            assert answer.status in (200, 404), answer
            found.append(answer.body if answer.status == 200 else None)
    finally:
        client.close()
    return found


def problems(writers, node):
    return [problem for writer in writers
            for key, found in zip(writer.keys, read_all(writer, node))
            if (problem := key.problem(found)) is not None]


def report(writers, kills, lost, extra=""):
    print(f"# {kills} kills, {sum(w.acknowledged for w in writers)} writes acknowledged, "
          f"{lost} lost, {sum(w.unknown for w in writers)} of unknown outcome, "
          f"{sum(len(w.keys) for w in writers)} keys{extra} (seed {SEED})", flush=True)


def judge(writers, nodes, kills, extra=""):
    lost = problems(writers, random.Random(SEED).choice(nodes))
    report(writers, kills, len(lost), extra)
    assert not lost, f"{len(lost)} lost:\n" + "\n".join(lost[:20])
    assert sum(w.acknowledged for w in writers) > kills * 10, "next to nothing was written"


def kill_loop(nodes, writers, kills, long_every, chance):
    for i in range(kills):
        time.sleep(chance.uniform(0.02, 0.25))
        node = chance.choice(nodes)
        node.kill()
        # Now and then long enough that others stand in for it and hints pile up.
        time.sleep(chance.uniform(1, 3) if i % long_every == long_every - 1
                   else chance.uniform(0, 0.15))
        node.start()
        check_alive(writers)


def hints_are_home(nodes):
    """No hint was delivered for a while, and everybody sees everybody."""
    for node in nodes:
        states = [m["state"] for m in json.loads(node.http("GET", "/kvorum/status").body)["nodes"]]
        if states != ["alive"] * len(nodes):
            return False
    before = [stat(node, "kvorum_hints_delivered") for node in nodes]
    time.sleep(1.5)
    return before == [stat(node, "kvorum_hints_delivered") for node in nodes]


@case(f"five nodes, n=3, w=2: one after another is killed {KILLS} times, no acknowledged write is lost")
def _():
    chance = random.Random(SEED)
    with Cluster(5, CLUSTER) as cluster:
        nodes = list(cluster)
        for bucket, props in (("db1", {"sloppy_quorum": False}), ("siblings", {"allow_mult": True})):
            equal(nodes[0].http("PUT", f"/buckets/{bucket}/props",
                                json.dumps({"props": props})).status, 204)
        kinds = [("resp-a", RespWriter, 25), ("resp-b", RespWriter, 25), ("strict", StrictWriter, 25),
                 ("http", HttpWriter, 60), ("sibling", SiblingWriter, 60)]
        writers = [kind(name, nodes, chance.random(), rate) for name, kind, rate in kinds]
        for writer in writers:
            writer.start()
        try:
            kill_loop(nodes, writers, KILLS, 10, chance)
        finally:
            stop_writers(writers)
        wait_until(lambda: hints_are_home(nodes), 60, "hints are delivered")
        strict = [w for w in writers if isinstance(w, StrictWriter)]
        judge(writers, nodes, KILLS, f", {sum(w.reads for w in strict)} strict reads in between")
        assert sum(w.reads for w in strict) > KILLS
        cluster.kill()  # all at once
        cluster.start()
        judge(writers, nodes, KILLS + 5, ", read again after all nodes were killed")


@case(f"one node, n=1: killed {SINGLE_KILLS} times under load, no acknowledged write is lost")
def _():
    chance = random.Random(SEED + 1)
    with one_node(SINGLE) as node:
        equal(node.http("PUT", "/buckets/siblings/props", b'{"props":{"allow_mult":true}}').status,
              204)
        kinds = [("resp-a", RespWriter, 50), ("resp-b", RespWriter, 50), ("http", HttpWriter, 100)]
        writers = [kind(name, [node], chance.random(), rate) for name, kind, rate in kinds]
        for writer in writers:
            writer.start()
        try:
            kill_loop([node], writers, SINGLE_KILLS, 1000, chance)
        finally:
            stop_writers(writers)
        judge(writers, [node], SINGLE_KILLS)
        node.restart()
        judge(writers, [node], SINGLE_KILLS + 1, ", read again after one more")


@case("the same story with a node that forgets (memory engine) is found out")
def _():
    chance = random.Random(SEED + 2)
    with one_node("[quorum]\nn = 1\n[storage]\nengine = memory\n") as node:
        writers = [RespWriter("resp", [node], chance.random(), 50)]
        writers[0].start()
        try:
            kill_loop([node], writers, 2, 1000, chance)
        finally:
            stop_writers(writers)
        assert problems(writers, node), "nothing is missed"


run()
