# SPDX-License-Identifier: Apache-2.0
"""Clients that remember what they were told.  Each is a thread that turns: writes, sometimes reads
back, through one node for a while, and through another when it loses that one or gets bored.

| client | protocol | bucket | what |
|---|---|---|---|
| Plain | RESP, pipelines | db1 | SET and DEL, sloppy quorums |
| Strict | RESP, pipelines | db2 | the same with strict quorums, and each read must see the last write |
| Web | HTTP | db3 | PUT and DELETE |
| Family | HTTP | family | keys shared by all of its kind: siblings, merges and deletes with a context |
"""
import http.client
import random
import threading
import time

import kvorum_e2e as e2e
from history import Register, Shared

KEYS = 40  # that a client writes at a time; it comes back to them
DELETES = 0.15  # share of the writes
TIMEOUT = 12.0  # seconds; more than a node takes to say "unknown"
TEXT = {"Content-Type": "text/plain"}
LOST = (OSError, http.client.HTTPException, e2e.RespError)
LATEST_FIRST = 60  # turns until a client changes its node, on average

OK, UNAVAILABLE, UNKNOWN = "ok", "unavailable", "unknown"


class Http:
    """A connection that is kept; whatever goes wrong leaves it closed."""

    def __init__(self, port, timeout=TIMEOUT):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def request(self, method, path, body=None, headers=None):
        try:
            self.connection.request(method, path, body, headers or {})
            answer = self.connection.getresponse()
            return e2e.Response(answer.status, answer.headers, answer.read())
        except BaseException:
            self.connection.close()
            raise

    def close(self):
        self.connection.close()


class Client(threading.Thread):
    def __init__(self, name, world, seed, rate):
        super().__init__(name=name, daemon=True)
        self.world, self.random, self.pause = world, random.Random(seed), 1 / rate
        self.connection, self.node, self.failure = None, None, None
        self.keys, self.current = [], []
        self.saw = {OK: 0, UNAVAILABLE: 0, UNKNOWN: 0}
        self.acknowledged = {"put": 0, "delete": 0}
        self.reads, self.findings = 0, []

    def run(self):
        try:
            while not self.world.halt.is_set():
                self.turn()
        except Exception as error:  # told by whoever waits for this thread
            self.failure = error
        finally:
            self.leave()

    def turn(self):
        try:
            if self.connection is None:
                self.node = self.random.choice(self.world.nodes())
                self.connection = self.connect(self.node)
            self.write()
            self.world.halt.wait(self.pause)
            if self.random.random() < 1 / LATEST_FIRST:
                self.leave()
        except LOST:
            if self.connection is None:
                self.saw[UNAVAILABLE] += 1
            self.leave()
            self.world.halt.wait(0.02)

    def leave(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def count(self, outcome, kind):
        self.saw[outcome] += 1
        if outcome == OK:
            self.acknowledged[kind] += 1

    def registers(self, count):
        """Some of the keys in use, others in place of those of which too little is known."""
        self.current = [r for r in self.current if not r.spent()]
        while len(self.current) < KEYS:
            made = Register(self.bucket, f"{self.name}-{len(self.keys)}")
            self.keys.append(made)
            self.current.append(made)
        return self.random.sample(self.current, count)


# --- Redis protocol --------------------------------------------------------------------------------

def outcome_of_reply(reply, fine):
    if isinstance(reply, e2e.RespError):
        return UNKNOWN if str(reply).startswith("TIMEOUT") else UNAVAILABLE
    return OK if fine(reply) else UNKNOWN


class Plain(Client):
    database, bucket = 1, "db1"

    def connect(self, node):
        connection = e2e.Resp(node.resp_port, timeout=TIMEOUT / e2e.SLOW)
        try:
            connection.call("PING")  # refused by a node that is still starting
            connection.call("SELECT", self.database)
        except BaseException:
            connection.close()
            raise
        return connection

    def write(self):
        batch = [(register, None if self.random.random() < DELETES and register.sent
                  else register.next_value(self.random))
                 for register in self.registers(self.random.randint(1, 8))]
        replies = []
        try:
            for register, value in batch:
                self.connection.send(*(("DEL", register.key) if value is None else
                                       ("SET", register.key, value)))
            for _ in batch:
                replies.append(self.connection.read())
        finally:
            self.note(batch, replies)

    def note(self, batch, replies):
        for index, (register, value) in enumerate(batch):
            outcome = UNKNOWN  # DEL that found nothing may not have seen what is there
            if index < len(replies):
                outcome = outcome_of_reply(replies[index],
                                           lambda reply: reply == (1 if value is None else "OK"))
                if value is None and replies[index] == 0 and register.acknowledged is None:
                    outcome = OK  # nothing was there, and nothing should be
            self.count(outcome, "delete" if value is None else "put")
            register.note(value, outcome == OK)


class Strict(Plain):
    database, bucket = 2, "db2"

    def write(self):
        super().write()
        register = self.random.choice(self.current)
        node = self.random.choice(self.world.nodes())
        began = self.world.disks_whole
        other = self.connect(node)
        try:
            found = other.call("GET", register.key)  # refused or timed out is no wrong answer
        finally:
            other.close()
        self.reads += 1
        finding = register.finding(found)
        if finding is not None and (finding.kind == "alien" or began and self.world.disks_whole):
            self.findings.append(f"a strict read through {node.name}, {finding}")


# --- HTTP ------------------------------------------------------------------------------------------

def outcome_of_status(answer):
    if answer.status in (200, 204, 300):
        return OK
    if answer.status == 503 and b"timed out" in answer.body:
        return UNKNOWN
    return UNAVAILABLE


class Web(Client):
    bucket = "db3"

    def connect(self, node):
        connection = Http(node.http_port)
        if connection.request("GET", "/ping").status != 200:
            connection.close()
            raise ConnectionError("it is still starting")
        return connection

    def write(self):
        register, = self.registers(1)
        delete = self.random.random() < DELETES and register.sent > 0
        value = None if delete else register.next_value(self.random)
        outcome = UNKNOWN
        try:
            answer = self.connection.request("DELETE" if delete else "PUT",
                                             path_of(register), value, TEXT)
            outcome = outcome_of_status(answer)
            if delete and answer.status == 404:
                outcome = OK if register.acknowledged is None else UNKNOWN
        finally:
            self.count(outcome, "delete" if delete else "put")
            register.note(value, outcome == OK)


def path_of(key, query=""):
    return f"/buckets/{key.bucket}/keys/{key.key}{query}"


class Family(Web):
    bucket = "family"

    def write(self):
        key = self.world.shared_key(self.random)
        seen, headers, value = set(), dict(TEXT), None
        if self.random.random() < 0.5:
            answer, seen = read_siblings(self.connection, key)
            if seen is None:
                return
            if answer.headers["X-Riak-Vclock"]:
                headers["X-Riak-Vclock"] = answer.headers["X-Riak-Vclock"]
        delete = bool(seen) and self.random.random() < 0.3
        with self.world.shared_lock:
            value = None if delete else key.next_value(self.name)
            key.begin(seen)
        outcome = UNKNOWN
        try:
            outcome = outcome_of_status(self.connection.request(
                "DELETE" if delete else "PUT", path_of(key), value, headers))
        finally:
            self.count(outcome, "delete" if delete else "put")
            with self.world.shared_lock:
                key.note(value, seen, outcome == OK)


def read_siblings(connection, key, query=""):
    """(answer, set of values), or None in place of the set when the read was refused."""
    answer = connection.request("GET", path_of(key, query), None, {"Accept": "multipart/mixed"})
    if answer.status == 404:
        return answer, set()
    if answer.status == 200:
        return answer, {answer.body}
    if answer.status != 300:
        return answer, None
    boundary = answer.headers["Content-Type"].partition("boundary=")[2].encode()
    values = set()
    for part in answer.body.split(b"\r\n--" + boundary)[1:-1]:
        head, _, body = part.partition(b"\r\n\r\n")
        if b"x-riak-deleted" not in head.lower():
            values.add(body)
    return answer, values


# --- all of them -----------------------------------------------------------------------------------

KINDS = (("plain-a", Plain, 20), ("plain-b", Plain, 20), ("strict", Strict, 20), ("web-a", Web, 50),
         ("web-b", Web, 50), ("family-a", Family, 25), ("family-b", Family, 25))


class World:
    """What clients share.  nodes(): those that may be talked to now, dead or alive."""

    def __init__(self, nodes, seed):
        self.nodes, self.halt = nodes, threading.Event()
        self.disks_whole = True  # False while an acknowledged write may be on one disk only
        self.shared, self.shared_lock = [], threading.Lock()
        self.clients = [kind(name, self, f"{seed} {name}", rate) for name, kind, rate in KINDS]

    def shared_key(self, chance):
        with self.shared_lock:
            if not self.shared or chance.random() < 0.01:
                self.shared.append(Shared("family", f"k{len(self.shared)}"))
            return self.shared[-1] if chance.random() < 0.3 else chance.choice(self.shared)

    def start(self):
        for client in self.clients:
            client.start()

    def check(self):
        for client in self.clients:
            if client.failure is not None:
                raise client.failure

    def stop(self):
        self.halt.set()
        end = time.monotonic() + 3 * TIMEOUT
        for client in self.clients:
            client.join(max(0.0, end - time.monotonic()))
            assert not client.is_alive(), f"{client.name} hangs"
        self.check()

    def registers(self):
        """(database, keys) of each bucket where the last write wins."""
        found = {}
        for client in self.clients:
            if client.bucket.startswith("db"):
                found.setdefault(int(client.bucket[2:]), []).extend(client.keys)
        return found

    def total(self, name):
        """Sum of a dictionary that every client keeps."""
        result = {}
        for client in self.clients:
            for key, number in getattr(client, name).items():
                result[key] = result.get(key, 0) + number
        return result
