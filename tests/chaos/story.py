# SPDX-License-Identifier: Apache-2.0
"""From the start of the cluster to the verdict."""
import contextlib
import dataclasses
import json
import os
import random
import re
import signal
import subprocess
import time

import kvorum_e2e as e2e
import replicas
from clients import Http, World, read_siblings
from faults import Field, disk_full, power
from links import Links
from schedule import FAULTS, Schedule

REPLICAS = 3
BENCH_KEYS = 500
CONFIG = ("[quorum]\nn = 3\nr = 2\nw = 2\n"
          "[storage]\nengine = {engine}\nsync = always\nmemtable_size = 1MB\ncache_size = 16MB\n"
          "[limits]\nrequest_timeout_ms = 8000\n")
BUCKETS = (("db2", {"sloppy_quorum": False}), ("family", {"allow_mult": True}))
PASSES_MAX = 10
HINT_SECONDS = 6.5  # more than a delivery without an answer lasts, and the next look for hints


@dataclasses.dataclass
class Options:
    seconds: float = 600.0
    seed: int = 0
    nodes: int = 5
    faults: str = ""  # a regular expression; empty: all
    bench: bool = True
    plants: set = dataclasses.field(default_factory=set)  # mistakes that must be found
    converge: str = "reads"  # or "wait": replicas become equal by themselves


# What is wrong on purpose, to see that it is found.
PLANTS = {
    "forget": "nodes keep nothing on disk, and power fails",
    "undelete": "somebody writes back what was deleted",
    "differ": "a byte of one replica is changed on the disk of a stopped node",
    "missing": "one replica of an object is removed from the disk of a stopped node",
}


@dataclasses.dataclass
class Verdict:
    options: Options
    seconds: float = 0.0  # under faults
    faults: dict = dataclasses.field(default_factory=dict)
    skipped: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    saw: dict = dataclasses.field(default_factory=dict)
    acknowledged: dict = dataclasses.field(default_factory=dict)
    strict_reads: int = 0
    bench: dict = dataclasses.field(default_factory=dict)
    network: dict = dataclasses.field(default_factory=dict)
    keys: int = 0
    deleted_keys: int = 0
    read_back: int = 0
    converged_s: float = 0.0
    objects: int = 0
    replicas: int = 0
    lost: dict = dataclasses.field(default_factory=dict)  # sentence: the nodes that say so
    resurrected: dict = dataclasses.field(default_factory=dict)
    wrong: dict = dataclasses.field(default_factory=dict)  # everything else clients should not see
    differing: list = dataclasses.field(default_factory=list)

    def findings(self):
        read = [f"{text} (through {', '.join(nodes)})" if nodes else text
                for each in (self.lost, self.resurrected, self.wrong) for text, nodes in each.items()]
        return read + self.differing

    def add(self, finding, node):
        into = {"lost": self.lost, "resurrected": self.resurrected}.get(finding.kind, self.wrong)
        into.setdefault(finding, []).append(node.name)


# --- the cluster -----------------------------------------------------------------------------------

class Member(e2e.Node):
    """A node whose peers reach it through the network that can be cut."""

    disk = None  # a file system of its own, where one could be made

    def __init__(self, name, folder, **more):
        super().__init__(name, folder, **more)
        self.advertised_port, = e2e.free_ports(1)
        self.flags += ["--advertise", self.advertised_address()]

    def advertised_address(self):
        return f"127.0.0.1:{self.advertised_port}"

    def take_over(self, old):
        """The machine of a node that is no more: its folder, and where its clients look for it."""
        self.data, self.disk = old.data, old.disk
        self.http_port, self.resp_port = old.http_port, old.resp_port


@contextlib.contextmanager
def small_disk(node):
    """A file system of its own for a node, so that it can be full; nothing where that is not allowed."""
    path = os.path.join(node.folder, "disk")
    os.makedirs(path)
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256m", "kvorum-chaos", path], stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL).returncode == 0
    if mounted:
        node.disk, node.data = path, os.path.join(path, "data")
    try:
        yield
    finally:
        if mounted:
            node.kill()
            subprocess.run(["umount", "-l", path], stdin=subprocess.DEVNULL, check=False)


@contextlib.contextmanager
def cluster(options):
    """(nodes, links), all serving; everything ends with it."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(e2e.temporary_folder())
        links = Links()
        stack.callback(links.close)
        config = CONFIG.format(engine="memory" if "forget" in options.plants else "lsm")
        nodes = []
        for i in range(options.nodes):
            more = {"join": nodes[0].advertised_address()} if nodes else {"founders": options.nodes}
            nodes.append(Member(f"n{i + 1}", os.path.join(folder, f"n{i + 1}"), config=config, **more))
        stack.callback(lambda: [e2e._end(node) for node in list(e2e._nodes)
                                if node.folder.startswith(folder)])  # those that joined later, too
        stack.enter_context(small_disk(nodes[-1]))
        for node in nodes:
            node.launch()
            links.place(node.name, node.advertised_port, node.peer_port, node.process.pid)
        for node in nodes:
            node.wait_serving(60)
        for bucket, props in BUCKETS:
            e2e.equal(nodes[0].http("PUT", f"/buckets/{bucket}/props",
                                    json.dumps({"props": props})).status, 204, bucket)
        yield nodes, links


@contextlib.contextmanager
def generator(options, nodes, seconds):
    """The built-in load generator beside the clients; its figures as a dictionary at the end."""
    figures = {}
    if not options.bench:
        yield figures
        return
    process = subprocess.Popen(
        [e2e.binary(), "bench", "--node", ",".join(f"127.0.0.1:{n.resp_port}" for n in nodes),
         "--seconds", str(int(seconds)), "--clients", "2", "--keys", str(BENCH_KEYS), "--mix", "50:50",
         "--seed", str(options.seed % 1000 + 1), "-o", "json"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield figures
        try:
            output = process.communicate(timeout=30 * e2e.SLOW)[0]
        except subprocess.TimeoutExpired:  # one of its connections waits for an answer that was lost
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=10 * e2e.SLOW)[0]
        figures.update({row["operation"]: row["count"] for row in json.loads(output)})
    finally:
        process.kill()
        process.wait()


# --- quiet again -----------------------------------------------------------------------------------

def stats(node):
    return json.loads(node.http("GET", "/stats").body)


def total(nodes, name):
    return sum(stats(node).get(name, 0) for node in nodes)


def all_alive(nodes):
    for node in nodes:
        seen = json.loads(node.http("GET", "/kvorum/status").body)["nodes"]
        if [entry["state"] for entry in seen] != ["alive"] * len(nodes):
            return False
    return True


def hints_are_home(nodes):
    """None is delivered or sent elsewhere for longer than a delivery may last."""
    names = ("kvorum_hints_delivered", "kvorum_hints_rerouted")
    before = [total(nodes, name) for name in names]
    time.sleep(HINT_SECONDS)
    return all_alive(nodes) and before == [total(nodes, name) for name in names]


def read_registers(node, keys):
    with e2e.Resp(node.resp_port, timeout=30) as client:
        for database, registers in keys.items():
            client.call("SELECT", database)
            for i in range(0, len(registers), 100):
                part = registers[i:i + 100]
                yield from zip(part, retried(lambda: client.call(
                    "MGET", *[r.key if hasattr(r, "key") else r for r in part])))


def read_shared(node, keys, query=""):
    client = Http(node.http_port, 30)
    try:
        for key in keys:
            _, found = retried(lambda: refused_as_error(read_siblings(client, key, query)))
            yield key, found
    finally:
        client.close()


def refused_as_error(result):
    if result[1] is None:
        raise e2e.RespError(f"{result[0]}")
    return result


def retried(call, times=5):
    """A node that was overloaded a moment ago may say so once more."""
    for left in reversed(range(times)):
        try:
            return call()
        except e2e.RespError:
            if left == 0:
                raise
            time.sleep(0.5)


def read_everything(nodes, world, bench):
    """Each key once, through the nodes in turn: read repair then makes replicas equal."""
    for database, registers in world.registers().items():
        for i, node in enumerate(nodes):
            for _ in read_registers(node, {database: list(registers)[i::len(nodes)]}):
                pass
    for i, node in enumerate(nodes):
        for _ in read_shared(node, list(world.shared)[i::len(nodes)]):
            pass
    if bench:
        for _ in read_registers(nodes[0], {0: [b"key:%012d" % k for k in range(BENCH_KEYS + 1)]}):
            pass


def read_until_nothing_is_repaired(nodes, world, bench):
    for _ in range(PASSES_MAX):
        before = total(nodes, "read_repairs_total")
        read_everything(nodes, world, bench)
        time.sleep(0.5)
        if total(nodes, "read_repairs_total") == before:
            return
    raise AssertionError(f"reading everything {PASSES_MAX} times still finds replicas to repair")


def settle(options, nodes, links, world):
    """Heal, and wait until everybody sees everybody, hints are delivered and replicas are equal."""
    begin = time.monotonic()
    links.heal()
    e2e.wait_until(lambda: all_alive(nodes), 90, "everybody sees everybody alive")
    e2e.wait_until(lambda: hints_are_home(nodes), 180, "hints are delivered")
    e2e.wait_until(lambda: total(nodes, "kvorum_handoff_left") == 0, 180,
                   "what partitions left behind where they were is removed")
    if options.converge == "reads":
        read_until_nothing_is_repaired(nodes, world, options.bench)
    return time.monotonic() - begin


# --- the verdict -----------------------------------------------------------------------------------

def read_back(nodes, world, verdict):
    """Every key through every node."""
    for node in nodes:
        for register, found in read_registers(node, world.registers()):
            verdict.read_back += 1
            if (finding := register.finding(found)) is not None:
                verdict.add(finding, node)
        for key, found in read_shared(node, world.shared):
            verdict.read_back += 1
            if (finding := key.finding(found)) is not None:
                verdict.add(finding, node)


def plant_undelete(nodes, world):
    deleted = next((r for registers in world.registers().values() for r in registers
                    if r.deletes and r.acknowledged is None and not r.possible), None)
    assert deleted is not None, "nothing was deleted"
    with nodes[0].resp() as client:
        client.call("SELECT", int(deleted.bucket[2:]))
        client.call("SET", deleted.key, f"{deleted.bucket}/{deleted.key} #1 again")


def plant_on_disk(node, what):
    """All are stopped.  One changes the first object, the other the last, so they are not the same."""
    path = os.path.join(node.data, "store-0")
    order = ["--reverse"] if what == "missing" else []
    key = e2e.command("store", "scan", path, "--prefix", "o", "--keys", "-o", "plain", "--limit", "1",
                      *order, check=True).stdout.decode().rstrip("\n")
    assert key, f"{node.name} holds nothing"
    words = ["put", path, key, "x"] if what == "differ" else ["delete", path, key]
    e2e.command("store", words[0], "--escaped", *words[1:], check=True)


def compare_disks(options, nodes, verdict):
    for node in nodes:
        e2e.equal(node.stop(30), 0, f"exit code of {node.name}")
    for what, node in (("differ", nodes[0]), ("missing", nodes[1])):
        if what in options.plants:
            plant_on_disk(node, what)
    verdict.objects, verdict.replicas, verdict.differing = replicas.compare(nodes, REPLICAS)


def chosen_faults(options, nodes, verdict):
    faults = [(f, weight) for f, weight in FAULTS if re.search(options.faults, f.__name__)]
    if all(node.disk is None for node in nodes):
        verdict.skipped.append("disk full: no file system of its own can be mounted here (not root)")
        faults = [pair for pair in faults if pair[0] is not disk_full]
    assert faults, f"no fault is called {options.faults!r}"
    return faults


def run(options, say=lambda text: None):
    verdict = Verdict(options)
    chance = random.Random(options.seed)
    with cluster(options) as (nodes, links):
        world = World(lambda: list(nodes), options.seed)
        field = Field(nodes, links, chance, max(2.0, min(60.0, options.seconds / 4)), world)
        field.read_all = lambda: after_a_disk_fault(options, nodes, links, world)
        field.make, field.end = maker(nodes[0]), e2e._end
        faults = chosen_faults(options, nodes, verdict)
        say(f"{len(nodes)} nodes serve; faults for {options.seconds:.0f} s (seed {options.seed})")
        with generator(options, nodes, options.seconds) as verdict.bench:
            world.start()
            begin = time.monotonic()
            try:
                if "forget" in options.plants:
                    forget_all(field, options.seconds, world)
                else:
                    Schedule(field, faults).run(options.seconds, world.check)
            except (AssertionError, TimeoutError):
                say_what_they_do(field.nodes, say)
                raise
            finally:
                world.stop()
            verdict.seconds = time.monotonic() - begin
        say("the network is healed; hints go home, everything is read back")
        note(verdict, field, world)
        verdict.converged_s = settle(options, nodes, links, world)
        verdict.network = links.counts()
        if "undelete" in options.plants:
            plant_undelete(nodes, world)
        read_back(nodes, world, verdict)
        if "forget" not in options.plants:  # which leaves nothing on disk
            compare_disks(options, nodes, verdict)
    return verdict


def say_what_they_do(nodes, say):
    """While all still runs: the background work of each, as each sees it."""
    for node in nodes:
        tasks = e2e.command("tasks", "list", "--node", f"127.0.0.1:{node.http_port}")
        say(f"{node.name}: {(tasks.stdout or tasks.stderr).decode(errors='replace').rstrip()}")


def maker(like):
    """How nodes are made that join later: like that one."""
    def make(name, old, member):
        node = Member(name, os.path.join(os.path.dirname(like.folder), name), config=like.config,
                      join=member.advertised_address())
        if old is not None:
            node.take_over(old)
        return node
    return make


def after_a_disk_fault(options, nodes, links, world):
    e2e.wait_until(lambda: all_alive(nodes), 90, "everybody sees everybody alive")
    read_everything(nodes, world, options.bench)
    read_everything(nodes, world, options.bench)


def forget_all(field, seconds, world):
    """Planted: what was acknowledged was nowhere."""
    time.sleep(seconds / 2)
    Schedule(field, [(power, 1)], gap=(seconds, seconds)).run(seconds / 2, world.check)


def note(verdict, field, world):
    verdict.faults, verdict.notes = field.counts, field.notes
    verdict.saw, verdict.acknowledged = world.total("saw"), world.total("acknowledged")
    verdict.strict_reads = sum(client.reads for client in world.clients)
    during = field.findings + [text for client in world.clients for text in client.findings]
    verdict.wrong.update({text: [] for text in during})
    registers = [r for each in world.registers().values() for r in each]
    verdict.keys = len(registers) + len(world.shared)
    verdict.deleted_keys = sum(r.acknowledged is None and r.deletes > 0 for r in registers)
