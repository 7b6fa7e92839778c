# SPDX-License-Identifier: Apache-2.0
"""Faults that change what the cluster is made of, through `kvorum cluster`, while others go on.

One at a time.  What holds on to a disk that goes for good (of a node that is lost, wiped, or leaves with
hints for others) counts as the disk in danger: the next one is touched only after everything was read.
The number of members stays between one less and one more than there were at first.
"""
import contextlib
import json
import subprocess
import time

import kvorum_e2e as e2e
from faults import repair, serves

CALM_AFTER = 60  # seconds; then no other fault begins until the change is over
CHANGE_SECONDS = 300  # until a change that was asked for must be over
JOIN_SECONDS = 150  # until a newcomer must be listed
REFUSE_SECONDS = 20
INTERNAL = 70  # exit code that is never right


@contextlib.contextmanager
def reshaping(field, what):
    field.shape, begin = what, time.monotonic()
    try:
        yield
        field.notes.append(f"{what}: over after {time.monotonic() - begin:.0f} s")
    finally:
        field.shape = None


@contextlib.contextmanager
def disk_in_danger(field):
    field.disk_fault = True
    try:
        yield
    finally:
        field.disk_fault = False


# --- asking ----------------------------------------------------------------------------------------

def well(field):
    """Nodes that should answer."""
    return [node for node in field.nodes if node.name not in field.away]


def look(field):
    """/kvorum/cluster of some node, or None.  What goes by an older epoch than was seen before says
    nothing: a node that was paused would call moves over that have not begun for it."""
    with contextlib.suppress(OSError, e2e.http.client.HTTPException, ValueError, IndexError):
        node = field.chance.choice(well(field))
        answer = e2e.http_request(node.http_port, "GET", "/kvorum/cluster", timeout=2 / e2e.SLOW)
        if answer.status == 200:
            shape = json.loads(answer.body)
            field.epoch = max(field.epoch, shape["epoch"])
            return shape if shape["epoch"] == field.epoch else None
    return None


def memberships(shape):
    return {node["name"]: node["membership"] for node in shape["nodes"]}


def ask(field, *words):
    """Steps: `kvorum cluster WORDS` at some node, however it answers."""
    if not (nodes := well(field)):
        return
    node = field.chance.choice(nodes)
    asked = subprocess.Popen(
        [e2e.binary(), "cluster", *words, "--node", f"127.0.0.1:{node.http_port}", "-o", "json"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + 30 * e2e.SLOW
        while asked.poll() is None and time.monotonic() < end:
            yield 0.05
        if asked.poll() not in (None, 0):
            field.refusal = f"kvorum cluster {' '.join(words)}: exit {asked.returncode}: " + \
                asked.stderr.read().decode(errors="replace")
        if asked.poll() == INTERNAL:
            raise AssertionError(field.refusal)
    finally:
        asked.kill()
        asked.wait()
        asked.stderr.close()


def until(field, what, condition, change=None):
    """Steps: look until condition(shape); change(shape) returns what to ask for as long as it is not.
    Late, nothing else begins any more."""
    begin = time.monotonic()
    with contextlib.ExitStack() as late:
        while (shape := look(field)) is None or not condition(shape):
            took = time.monotonic() - begin
            if took > CHANGE_SECONDS * e2e.SLOW:
                raise AssertionError(f"{what}: not over after {took:.0f} s; last refused: "
                                     f"{field.refusal or 'nothing'}; {shape}")
            if took > CALM_AFTER * e2e.SLOW:
                late.close()
                late.enter_context(field.calming())
            if shape is not None and change is not None:
                yield from ask(field, *change(shape))
            yield 0.3


def commit(field, words, staged, committed):
    """Steps: stage it and commit it, again as often as it takes.  A request that was lost is harmless
    to repeat."""
    yield from until(field, staged, lambda shape: committed(memberships(shape)),
                     lambda shape: ["commit"] if staged in shape["staged"] else words)


def moved(field, what, gone=None):
    yield from until(field, what, lambda shape: shape["moving"] == 0 and gone not in memberships(shape))


# --- newcomers -------------------------------------------------------------------------------------

def begin_new(field, instead_of=None):
    """Steps: a new node begins and is listed as joining; it is returned."""
    field.names += 1
    node = field.make(f"n{field.names}", instead_of, field.chance.choice(well(field) or field.nodes))
    field.launch(node)
    end = time.monotonic() + JOIN_SECONDS * e2e.SLOW
    while not serves(node):
        if not node.alive() or time.monotonic() > end:
            raise AssertionError(f"{node.name} does not join:\n{node.log_tail()}")
        yield 0.1
    return node


def join(field):
    """a node joins"""
    if field.shape or len(field.nodes) > field.founders:
        return
    with reshaping(field, "join"):
        node = yield from begin_new(field)
        yield from commit(field, ["join", node.name], f"join {node.name}",
                          lambda members: members.get(node.name) == "active")
        field.nodes.append(node)
        yield from moved(field, "join")


def leave(field):
    """a node leaves"""
    if field.shape or field.disk_fault or len(field.nodes) < max(5, field.founders):
        return
    node = field.chance.choice([node for node in field.nodes if node.disk is None])
    with disk_in_danger(field):
        with reshaping(field, "leave"):
            yield from commit(field, ["leave", node.name], f"leave {node.name}",
                              lambda members: members.get(node.name) != "active")
            yield from moved(field, "leave", gone=node.name)
            field.nodes.remove(node)
        while node.name in field.away:
            yield 0.1
        field.end(node)
        yield from repair(field)


def replaced(field, old, same_machine):
    """Steps: `old` is down and its disk is lost: another takes its place."""
    node = yield from begin_new(field, old if same_machine else None)
    yield from commit(
        field, ["replace", old.name, node.name], f"replace {old.name} by {node.name}",
        lambda members: old.name not in members and members.get(node.name) == "active")
    field.nodes[field.nodes.index(old)] = node
    field.end(old)


def replace(field):
    """a node lost for good, another takes its place"""
    yield from lose(field, "replace", False)


def wipe(field):
    """disk wiped: refused under the old name, then takes its own place"""
    yield from lose(field, "wipe", True)


def lose(field, what, same_machine):
    if field.shape or field.disk_fault:
        return
    chosen = field.choose()
    if chosen is None or chosen[0].disk is not None:
        return
    old, = chosen
    with disk_in_danger(field):
        with reshaping(field, what):
            with field.taken(chosen):
                old.kill()
                if same_machine:
                    yield from begin_empty(field, old)
                yield from replaced(field, old, same_machine)
            yield from moved(field, what)
        yield from repair(field)


def begin_empty(field, node):
    """Steps: started on an empty disk under its name, it must not be taken for what it was."""
    node.wipe()
    node.join, node.founders = field.chance.choice(well(field)).advertised_address(), None
    field.launch(node)
    end = time.monotonic() + REFUSE_SECONDS * e2e.SLOW
    while node.alive() and not serves(node) and time.monotonic() < end:
        yield 0.1
    if node.alive() and serves(node):
        field.findings.append(f"wiped, {node.name} serves under its old name")
    elif not node.alive():
        field.count("(wiped, refused under its old name)")
    node.kill()
