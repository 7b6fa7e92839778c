#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random faults on five real nodes under load (tests/chaos), in short; and what is wrong on purpose is found.

Environment: KVORUM_CHAOS, seconds of faults (20; 3,600 with KVORUM_PROOF), KVORUM_SEED."""
# timeout: 7200
# waits mostly
import contextlib
import os
import random
import socket
import sys
import threading
import time

from kvorum_e2e import PROOF, ROOT, SLOW, Skip, case, equal, free_ports, rows, run, wait_until

sys.path.insert(0, os.path.join(ROOT, "tests/chaos"))
import history
import report
import schedule
import story
from links import Links, both, one_way

SECONDS = float(os.environ.get("KVORUM_CHAOS") or (3600 if PROOF else 20))
SEED = int(os.environ.get("KVORUM_SEED") or random.SystemRandom().randrange(1 << 31))


def comment(text):
    print("".join(f"# {line}\n" for line in text.splitlines()), end="", flush=True)


# --- what is known of a key ------------------------------------------------------------------------

def register_of(writes):
    """writes: 'a' and a number: acknowledged; '?': of unknown outcome; a number 0 is a delete."""
    register = history.Register("db1", "k")
    for word in writes.split():
        register.note(value_of(word[1:]), word[0] == "a")
    return register


def value_of(number):
    return None if number == "0" else f"db1/k #{number} x".encode()


def check_register(writes, found, expected):
    finding = register_of(writes).finding(found if isinstance(found, bytes) else value_of(found))
    equal(finding.kind if finding is not None else None, expected)


rows([
    ("a register holds what was acknowledged last", "a1 a2", "2", None),
    ("a register may hold what is unknown, before or after what was acknowledged", "a1 ?2 a3", "2", None),
    ("an earlier acknowledged value is a loss", "a1 a2", "1", "lost"),
    ("nothing in place of an acknowledged value is a loss", "a1", "0", "lost"),
    ("nothing after an unknown delete is none", "a1 ?0", "0", None),
    ("nothing after a delete is none", "a1 a0", "0", None),
    ("a value after its delete is a resurrection", "a1 a0", "1", "resurrected"),
    ("a value that was unknown before the delete is none", "?1 a0", "1", None),
    ("what nobody wrote there is alien", "a1", b"db1/other #1 x", "alien"),
], check_register)


def check_shared(found, expected):
    """One and two are acknowledged; three replaces one and is acknowledged; four is unknown."""
    key = history.Shared("family", "k")
    one, two, three, four = [key.next_value("a") for _ in range(4)]
    key.note(one, set(), True)
    key.note(two, set(), True)
    key.begin({one})
    key.note(three, {one}, True)
    key.note(four, set(), False)
    names = {"1": one, "2": two, "3": three, "4": four, "x": b"x"}
    finding = key.finding({names[word] for word in found})
    equal(finding.kind if finding is not None else None, expected)


rows([
    ("siblings: all that nobody replaced are there", "23", None),
    ("siblings: an unknown one may be there", "234", None),
    ("siblings: one that nobody replaced is missing", "3", "lost"),
    ("siblings: one that was replaced is there", "123", "resurrected"),
    ("siblings: one that nobody wrote is there", "23x", "alien"),
], check_shared)


# --- the network that can be cut -------------------------------------------------------------------

@contextlib.contextmanager
def wire():
    """(links, dial, datagrams): from member a, which is this process, to member b, an echo."""
    ports = free_ports(4)
    with contextlib.ExitStack() as stack:
        links = Links()
        stack.callback(links.close)
        echo = stack.enter_context(socket.create_server(("127.0.0.1", ports[3])))
        ends = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in "ab"]
        for end, port in zip(ends, (ports[1], ports[3])):
            end.bind(("127.0.0.1", port))
            end.settimeout(5 * SLOW)
        links.place("a", ports[0], ports[1], os.getpid())
        links.place("b", ports[2], ports[3])
        threading.Thread(target=echo_forever, args=(echo,), daemon=True).start()

        def dial():
            made = stack.enter_context(socket.create_connection(("127.0.0.1", ports[2]), 5 * SLOW))
            made.settimeout(5 * SLOW)
            return made
        yield links, dial, (*ends, ("127.0.0.1", ports[2]))


def echo_forever(server):
    def serve(connection):
        with contextlib.suppress(OSError):
            while data := connection.recv(4096):
                connection.sendall(data)
    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()


def arrives(connection, data, seconds):
    connection.settimeout(seconds)
    try:
        return connection.recv(len(data)) == data
    except TimeoutError:
        return False


@case("network: what is held back in one direction arrives after healing, and not before")
def _():
    with wire() as (links, dial, _):
        connection = dial()
        connection.sendall(b"before")
        assert arrives(connection, b"before", 5 * SLOW)
        for rules in (one_way("a", "b", "hold"), one_way("b", "a", "hold"), both("a", "b", "hold")):
            links.set("cut", rules)
            connection.sendall(b"during")
            assert not arrives(connection, b"during", 0.3), rules
            links.set("cut", [])
            assert arrives(connection, b"during", 5 * SLOW), rules


@case("network: who connects over a cut link waits, and is served after healing")
def _():
    with wire() as (links, dial, _):
        links.set("cut", one_way("b", "a", "hold"))
        connection = dial()
        connection.sendall(b"hello")
        assert not arrives(connection, b"hello", 0.3)
        links.heal()
        assert arrives(connection, b"hello", 5 * SLOW)


@case("network: a broken link resets connections and lets none through")
def _():
    with wire() as (links, dial, _):
        connection = dial()
        connection.sendall(b"hello")
        assert arrives(connection, b"hello", 5 * SLOW)
        links.set("cut", both("a", "b", "break"))
        for broken in (connection, dial()):
            with contextlib.suppress(ConnectionError):
                broken.sendall(b"hello")
                equal(broken.recv(10), b"")
        links.heal()
        connection = dial()
        connection.sendall(b"hello")
        assert arrives(connection, b"hello", 5 * SLOW)


@case("network: a slow link delays each way, and the longer of two faults counts")
def _():
    with wire() as (links, dial, _):
        connection = dial()
        links.set("slow", both("a", "b", "open", 0.1))
        links.set("slower", both("a", "b", "open", 0.3))
        begin = time.monotonic()
        connection.sendall(b"hello")
        assert arrives(connection, b"hello", 5 * SLOW)
        assert time.monotonic() - begin >= 0.6


@case("network: datagrams come from the advertised port of their sender; a cut one drops them")
def _():
    with wire() as (links, _, (a, b, address_of_b)):
        a.sendto(b"ping", address_of_b)
        data, address_of_a = b.recvfrom(100)
        equal(data, b"ping")
        b.sendto(b"pong", address_of_a)
        equal(a.recvfrom(100), (b"pong", address_of_b))
        links.set("cut", one_way("a", "b", "hold"))
        a.sendto(b"lost", address_of_b)
        b.sendto(b"heard", address_of_a)
        equal(a.recvfrom(100)[0], b"heard")
        wait_until(lambda: links.counts()["datagrams_dropped"] == 1, 5, "it is dropped")


# --- the story -------------------------------------------------------------------------------------

@case(f"five nodes under load and faults for {SECONDS:.0f} s: nothing is lost, nothing comes back, "
      "replicas are byte-identical")
def _():
    verdict = story.run(story.Options(seconds=SECONDS, seed=SEED), comment)
    comment(report.table(verdict))
    assert not verdict.findings(), "see above"
    assert verdict.acknowledged["put"] > 10 * SECONDS / SLOW, "next to nothing was written"
    assert verdict.acknowledged["delete"] > 0 and verdict.strict_reads > 0, verdict.acknowledged
    assert sum(verdict.faults.values()) >= SECONDS / 10, "next to nothing was broken"
    assert verdict.replicas == story.REPLICAS * verdict.objects > 0, "replicas are missing"


@case("each fault alone does what it says, and is survived")
def _():
    if not PROOF:
        raise Skip("takes minutes: KVORUM_PROOF=1")
    for fault, _ in schedule.FAULTS:
        verdict = story.run(story.Options(seconds=60, seed=SEED, faults=f"^{fault.__name__}$"), comment)
        comment(report.table(verdict))
        assert not verdict.findings(), fault.__doc__
        assert verdict.faults or verdict.skipped, f"never: {fault.__doc__}"


@case("planted: nodes that forget are found out by what is lost")
def _():
    verdict = story.run(story.Options(seconds=6 * SLOW, seed=SEED, bench=False, plants={"forget"}))
    comment(f"{len(verdict.lost)} losses found")
    assert verdict.lost, "nothing is missed"


@case("planted: a deleted key that is back, a replica with other bytes and a missing one are found")
def _():
    verdict = story.run(story.Options(seconds=4 * SLOW, seed=SEED, bench=False, faults="^(kill|cut_pair)$",
                                      plants={"undelete", "differ", "missing"}))
    comment("\n".join(verdict.findings()))
    equal((len(verdict.lost), len(verdict.wrong)), (0, 0), "losses and wrong answers")
    equal(len(verdict.resurrected), 1, "resurrected")
    equal(len(verdict.differing), 2, "replicas that differ")
    assert any("other bytes on" in text for text in verdict.differing), verdict.differing


run()
