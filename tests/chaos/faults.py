# SPDX-License-Identifier: Apache-2.0
"""What is done to the cluster while it works.

A fault is a generator: it does something, yields for how many seconds, undoes it.  While it waits others
begin and end.  What may be broken at once is bounded by what n=3, w=2, r=2 survives (`Field`):

* Of N nodes at most N - 3 are away (killed, paused, cut off) at once; a power failure takes all, alone.
* Acknowledged writes are on two disks.  So at most one disk is in danger, and the next one only after
  everything has been read once, which repairs.
"""
import contextlib
import glob
import itertools
import os
import shutil
import time

import kvorum_e2e as e2e
from links import both, one_way

START_SECONDS = 60  # until a node that was started must serve
CUTS_MAX = 2
FOUND_DAMAGE = 1  # exit code of `store verify`
WAIT = "wait"  # returned by a fault that needs more quiet than there is: nothing else begins before it


class Field:
    """The nodes and what is wrong with them now."""

    def __init__(self, nodes, links, chance, longest, world):
        self.nodes, self.links, self.chance, self.world = nodes, links, chance, world
        self.founders = self.names = len(nodes)  # as many at first; names given so far
        self.longest = longest  # seconds a single fault may last
        self.away, self.cuts, self.disk_fault = set(), 0, False
        self.shape = None  # the change of membership under way; shapes.py
        self.epoch = 0     # the newest that any node was seen to go by
        self.refusal = ""  # what was answered to the last command about members that was refused
        self.calm = 0  # how many want that nothing new begins
        self.counts, self.notes, self.findings = {}, [], []
        self.read_all = None  # reads everything, which repairs everything; set by the story
        self.make = self.end = None  # a new node, the end of one; the same

    def count(self, name):
        self.counts[name] = self.counts.get(name, 0) + 1

    def choose(self, count=1):
        """Nodes that are well, or None when no more may be away."""
        well = [node for node in self.nodes if node.name not in self.away]
        if len(self.away) + count > len(self.nodes) - 3:
            return None
        return self.chance.sample(well, count)

    @contextlib.contextmanager
    def taken(self, nodes):
        names = {node.name for node in nodes}
        self.away |= names
        try:
            yield
        finally:
            self.away -= names

    @contextlib.contextmanager
    def calming(self):
        """Nothing new begins meanwhile."""
        self.calm += 1
        try:
            yield
        finally:
            self.calm -= 1

    def launch(self, node):
        node.launch()
        self.links.place(node.name, node.advertised_port, node.peer_port, node.process.pid)

    def short(self):
        """Mostly seconds, now and then as long as is allowed."""
        most = self.longest if self.chance.random() < 0.15 else min(8.0, self.longest)
        return self.chance.uniform(0.3, most)


def serves(node):
    with contextlib.suppress(OSError, e2e.http.client.HTTPException):
        return e2e.http_request(node.http_port, "GET", "/ping", timeout=2 / e2e.SLOW).status == 200
    return False


def begin_again(field, node):
    """Steps: start it and wait until it serves."""
    field.launch(node)
    end = time.monotonic() + START_SECONDS * e2e.SLOW
    while not serves(node):
        if not node.alive() and node not in field.nodes:
            return  # it has left meanwhile
        if not node.alive():
            raise AssertionError(f"{node.name} does not start again, exit "
                                 f"{node.process.returncode}:\n{node.log_tail()}")
        if time.monotonic() > end:
            raise AssertionError(f"{node.name} does not serve after its start:\n{node.log_tail()}")
        yield 0.1


# --- processes -------------------------------------------------------------------------------------

def kill(field):
    """kill -9, start again"""
    chosen = field.choose()
    if chosen is None:
        return
    with field.taken(chosen):
        chosen[0].kill()
        yield field.chance.choice([0.05, field.short()])
        yield from begin_again(field, chosen[0])


def stop(field):
    """stop in order (SIGTERM), start again"""
    chosen = field.choose()
    if chosen is None:
        return
    node, = chosen
    with field.taken(chosen):
        node.process.terminate()
        end = time.monotonic() + 20 * e2e.SLOW
        while node.alive():
            if time.monotonic() > end:
                raise AssertionError(f"{node.name} does not stop:\n{node.log_tail()}")
            yield 0.1
        e2e.equal(node.process.returncode, 0, f"exit code of {node.name} after SIGTERM")
        yield field.short()
        yield from begin_again(field, node)


def pause(field):
    """pause (SIGSTOP), up to 60 s"""
    chosen = field.choose()
    if chosen is None:
        return
    with field.taken(chosen):
        chosen[0].pause()
        try:
            yield field.short()
        finally:
            chosen[0].resume()


def power(field):
    """power failure: kill -9 of all at once"""
    if field.away or field.cuts:
        return WAIT
    with field.taken(field.nodes):
        for node in field.nodes:
            node.process.kill()
        for node in field.nodes:
            node.kill()
        yield field.chance.uniform(0.05, 1.0)
        field.chance.shuffle(order := list(field.nodes))
        for steps in [begin_again(field, node) for node in order]:
            yield from steps


# --- network ---------------------------------------------------------------------------------------

@contextlib.contextmanager
def cut(field, rules, _number=itertools.count()):
    name = f"cut-{next(_number)}"
    field.cuts += 1
    field.links.set(name, rules)
    try:
        yield
    finally:
        field.cuts -= 1
        field.links.set(name, [])


def mode(field):
    return field.chance.choice(["hold", "break"])


def cut_pair(field):
    """link of two nodes cut"""
    if field.cuts >= CUTS_MAX:
        return
    left, right = field.chance.sample([n.name for n in field.nodes], 2)
    with cut(field, both([left], [right], mode(field))):
        yield field.short()


def cut_pair_one_way(field):
    """link of two nodes cut in one direction"""
    if field.cuts >= CUTS_MAX:
        return
    left, right = field.chance.sample([n.name for n in field.nodes], 2)
    with cut(field, one_way([left], [right], "hold")):
        yield field.short()


def cut_off(field, rules=both, how=None):
    """a node cut off from all others"""
    chosen = field.choose()
    if chosen is None:
        return
    names = [n.name for n in field.nodes]
    with field.taken(chosen), cut(field, rules([chosen[0].name], names, how or mode(field))):
        yield field.short()


def cut_off_sending(field):
    """a node that is not heard, but hears"""
    yield from cut_off(field, one_way, "hold")


def cut_halves(field):
    """network cut into two parts"""
    if len(field.nodes) < 5:
        return
    few = field.choose(2)
    if few is None or field.cuts:
        return WAIT
    names = [n.name for n in few]
    rest = [n.name for n in field.nodes if n not in few]
    with field.taken(few), cut(field, both(names, rest, mode(field))):
        yield field.short()


def slow_link(field):
    """link of two nodes slow (50 to 500 ms)"""
    if field.cuts >= CUTS_MAX:
        return
    left, right = field.chance.sample([n.name for n in field.nodes], 2)
    with cut(field, both([left], [right], "open", field.chance.uniform(0.05, 0.5))):
        yield field.short()


# --- disks -----------------------------------------------------------------------------------------

def disk_full(field):
    """disk full"""
    node = next((n for n in field.nodes if n.disk is not None), None)
    if node is None or node.name in field.away or field.choose() is None:
        return
    filler = os.path.join(node.disk, "filler")
    with field.taken([node]):
        try:
            fill(filler)
            yield field.short()
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.remove(filler)
        if not node.alive():
            field.notes.append(f"{node.name} ended with {node.process.returncode} on its full disk")
            node.kill()
            yield from begin_again(field, node)


def fill(path):
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def damage(field):
    """byte of a table flipped; served by the others, salvaged, repaired"""
    chosen = field.choose()
    if chosen is None:
        return WAIT
    if field.disk_fault:
        return
    node, = chosen
    field.disk_fault = True
    try:
        with field.taken(chosen):
            node.kill()  # no clean stop: what is salvaged must not go on under the old actor
            make_tables(node)
            hit = flip_a_byte(field, node)
            check = e2e.command("store", "verify", os.path.dirname(hit))
            if check.returncode != FOUND_DAMAGE or os.path.basename(hit).encode() not in check.stdout:
                field.findings.append(f"damage of {hit} is not found: exit {check.returncode}, "
                                      + check.stdout.decode(errors="replace"))
            yield from serve_damaged(field, node)
            field.world.disks_whole = False
            salvage(node)
            yield from begin_again(field, node)
        yield from repair(field)
    finally:
        field.disk_fault = False


def tables(node):
    return sorted(glob.glob(os.path.join(node.data, "store-*", "table-*.tbl")))


def make_tables(node):
    """What is only in the log yet is written to tables, where there are none."""
    for store in sorted(glob.glob(os.path.join(node.data, "store-*"))):
        if not glob.glob(os.path.join(store, "table-*.tbl")):
            e2e.command("store", "compact", store, check=True)


def flip_a_byte(field, node):
    path = field.chance.choice(tables(node))
    with open(path, "r+b") as file:
        at = field.chance.randrange(os.path.getsize(path))
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << field.chance.randrange(8)]))
    return path


def serve_damaged(field, node):
    """It may refuse to start; if it serves, clients and their checks see that nothing wrong is served."""
    field.launch(node)
    end = time.monotonic() + START_SECONDS * e2e.SLOW
    while node.alive() and not serves(node) and time.monotonic() < end:
        yield 0.1
    if node.alive():
        field.count("(damaged, serves)")
        yield field.chance.uniform(1.0, min(5.0, field.longest))
    else:
        field.count("(damaged, refuses to start)")
    node.kill()


def salvage(node):
    for store in sorted(glob.glob(os.path.join(node.data, "store-*"))):
        done = e2e.command("store", "salvage", store, store + ".salvaged", timeout=60)
        assert done.returncode in (0, 1), f"salvage of {store}: {done.stderr.decode()}"
        shutil.rmtree(store)
        os.rename(store + ".salvaged", store)


def repair(field):
    """What the disk has lost is there again once all is whole and everything has been read."""
    with field.calming():
        while field.away or field.cuts or field.shape:
            yield 0.2
        field.read_all()
    field.world.disks_whole = True
