#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`kvorum demo`: a local cluster of real processes, and the story of `make run` in small."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kvorum_e2e import (SLOW, binary, case, command, equal, http_request, run, temporary_folder,
                        wait_until)

PORTS = (8098, 8087, 6379, 9098)
RECORDS = [f"Package: p{i}\nVersion: 1.{i}\nDescription: package {i}\n more {'x' * (i % 700)}\n"
           for i in range(3000)]


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_offset(nodes):
    """A port offset with which no port of the cluster is taken."""
    for offset in range(3000, 23000, 700):
        if all(port_is_free(port + offset + 100 * k) for port in PORTS for k in range(nodes)):
            return offset
    raise OSError("no free ports")


def processes(folder):
    """pid of each node by its pid file; these nodes outlive the command that started them."""
    found = {}
    for name in sorted(os.listdir(folder)):
        with contextlib.suppress(OSError, ValueError):
            with open(os.path.join(folder, name, "pid"), encoding="ascii") as file:
                found[name] = int(file.read().split()[0])
    return found


class Demo:
    def __init__(self, folder, nodes):
        self.folder, self.nodes, self.offset = folder, nodes, free_offset(nodes)

    def __call__(self, *words, code=0, timeout=60):
        done = command("demo", *words, "--dir", self.folder, timeout=timeout)
        text = (done.stdout + done.stderr).decode()
        equal(done.returncode, code, f"exit code of demo {words}: {text}")
        return text

    def size(self):
        return ["--nodes", self.nodes, "--port-offset", self.offset]

    def http(self, node):
        return PORTS[0] + self.offset + 100 * (node - 1)


@contextlib.contextmanager
def demo(nodes=3):
    with temporary_folder() as folder:
        one = Demo(os.path.join(folder, "demo"), nodes)
        try:
            yield one
        finally:
            command("demo", "stop", "--dir", one.folder, timeout=60)
            for node, pid in processes(one.folder).items() if os.path.isdir(one.folder) else ():
                assert not is_ours(pid, one.folder), f"{node} still runs"


def is_ours(pid, folder):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return folder.encode() in file.read()
    except OSError:
        return False


@case("a cluster starts, survives a kill, comes back and stops; its data stays")
def _():
    with demo() as d:
        assert "3 nodes started" in d("start", *d.size())
        for node in (1, 2, 3):
            equal(http_request(d.http(node), "GET", "/ping").status, 200)
        d("start")  # running already
        node1 = f"127.0.0.1:{d.http(1)}"
        command("put", "b/k", "v", "--w", "all", "--node", node1, check=True)
        assert "n3 is killed" in d("kill", "3")
        assert "not running" in d("status", code=1)
        d("kill", "n3", code=1)
        wait_until(lambda: command("status", "--node", node1).returncode == 1, 20, "it is noticed")
        equal(command("get", "b/k", "--node", f"127.0.0.1:{d.http(2)}", check=True).stdout, b"v")
        assert "n3 serves again" in d("start", "3")
        wait_until(lambda: command("status", "--node", node1).returncode == 0, 20, "all are alive")
        assert "3 nodes stopped" in d("stop")
        d("start")
        equal(command("get", "b/k", "--node", f"127.0.0.1:{d.http(3)}", check=True).stdout, b"v")


@case("a paused node is seen as such, and goes on")
def _():
    with demo() as d:
        d("start", *d.size())
        assert "n2 is paused" in d("pause", "2")
        assert "paused" in d("status", code=1)
        assert "n2 goes on" in d("resume", "2")
        wait_until(lambda: command("demo", "status", "--dir", d.folder).returncode == 0, 20,
                   "health")
        d("pause", "2")
        assert "stopped" in d("stop")  # a paused one, too


@case("a taken port is named before anything is started")
def _():
    with demo() as d:
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port = PORTS[2] + d.offset + 100
            other.bind(("127.0.0.1", port))
            other.listen()
            text = d("start", *d.size(), code=2)
            assert re.search(rf"cannot start n2: port {port} \(resp\) is taken", text), text
            assert "--port-offset" in text
        equal(processes(d.folder), {})


@case("what a cluster was founded with cannot be changed by a later start")
def _():
    with demo() as d:
        d("start", *d.size())
        assert "cannot be changed" in d("start", "--nodes", "5", code=8)
        assert "its nodes are 1 to 3" in d("kill", "4", code=2)


@case("without a cluster, commands say so")
def _():
    with temporary_folder() as folder:
        for words in (["kill", "1"], ["stop"], ["status"], ["pause", "1"]):
            done = command("demo", *words, "--dir", os.path.join(folder, "none"))
            equal(done.returncode, 1, str(words))
            assert b"there is no cluster" in done.stderr


@case("a pid file of another process harms nobody")
def _():
    with demo(nodes=1) as d:
        d("start", *d.size())
        d("stop")
        bystander = subprocess.Popen(["sleep", "60"])
        try:
            path = os.path.join(d.folder, "n1", "pid")
            with open(path, encoding="ascii") as file:
                _, start, boot = file.read().split()
            with open(path, "w", encoding="ascii") as file:
                file.write(f"{bystander.pid} {start} {boot}\n")
            assert "not running" in d("kill", "1", code=1)
            d("stop")
            equal(bystander.poll(), None, "the bystander's exit code")
        finally:
            bystander.kill()
            bystander.wait()


@case("a node that cannot start is told with the end of its log")
def _():
    with demo(nodes=1) as d:
        d("start", *d.size())
        d("stop")
        with open(os.path.join(d.folder, "demo.conf"), "a", encoding="utf-8") as file:
            file.write("[storage]\nsnyc = never\n")
        text = d("start", code=70)
        assert "n1 ended by itself" in text and "snyc" in text, text


def write_source(folder, records):
    path = os.path.join(folder, "source")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(records))
    return path


@case("demo run tells the whole story: load, failure, read back, repair; the second run is quick")
def _():
    with demo(nodes=5) as d, temporary_folder() as other:
        source = write_source(other, RECORDS + RECORDS[:10])  # keys that come twice count once
        text = d("run", *d.size(), "--source", source, "--exit-after-report", timeout=180)
        for pattern in (r"3,000 package records", r"3,000 records written",
                        r"n3 is killed \(SIGKILL\); noticed after .*4 of 5 nodes are alive",
                        r"3,000 of 3,000 records read .* every byte as in the source",
                        r"written without n3", r"n3 serves again", r"[1-9][\d,]* read repairs",
                        r"found nothing left to repair", r"all 5 nodes are alive",
                        r"curl http://127.0.0.1:\d+/buckets/packages/keys/",
                        r"redis-cli -p \d+ get", r"5 nodes stopped"):
            assert re.search(pattern, text), f"{pattern!r} is not in:\n{text}"
        begin = time.monotonic()
        text = d("run", "--exit-after-report")
        assert "done by an earlier run" in text and "all identical" in text, text
        assert time.monotonic() - begin < 10 * SLOW


@case("demo run finds a value that differs from the source")
def _():
    with demo(nodes=3) as d, temporary_folder() as other:
        source = write_source(other, RECORDS[:200])
        d("run", *d.size(), "--source", source, "--exit-after-report", timeout=180)
        d("start")
        command("put", "packages/p7", "changed", "--node", f"127.0.0.1:{d.http(1)}", check=True)
        text = d("run", "--exit-after-report", code=1)
        assert "'p7'" in text and "another value than the source" in text, text


@case("Ctrl-C ends demo run with all nodes stopped")
def _():
    with demo(nodes=3) as d, temporary_folder() as other:
        source = write_source(other, RECORDS[:100])
        child = subprocess.Popen([binary(), "demo", "run", "--dir", d.folder, "--source", source,
                                  *map(str, d.size())], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
        try:
            text = b""
            while b"until Ctrl-C" not in text:
                line = child.stdout.readline()
                assert line, text.decode()
                text += line
            child.send_signal(signal.SIGINT)
            rest = child.communicate(timeout=30 * SLOW)[0]
            equal(child.returncode, 0, rest.decode())
            assert b"3 nodes stopped" in rest, rest
        finally:
            child.kill()


@case("the commands that demo run shows work as they stand")
def _():
    with demo(nodes=3) as d, temporary_folder() as other:
        source = write_source(other, RECORDS[:100])
        text = d("run", *d.size(), "--source", source, "--exit-after-report", timeout=180)
        d("start")
        os.symlink(binary(), os.path.join(other, "kvorum"))
        environment = {**os.environ, "PATH": other + ":" + os.environ["PATH"]}
        shown = re.findall(r"^  ((?:curl|redis-cli|\./kvorum|kvorum) .*?)(?: {6}.*)?$", text, re.M)
        assert len(shown) >= 9, shown
        for line in shown:
            done = subprocess.run(line, shell=True, env=environment, capture_output=True, text=True,
                                  timeout=60 * SLOW, cwd=other)
            equal(done.returncode, 0, f"{line}: {done.stdout}{done.stderr}")
        for line, expected in ((shown[0], "Package: "), (shown[2], "meow"), (shown[4], "hello")):
            done = subprocess.run(line, shell=True, capture_output=True, text=True)
            assert expected in done.stdout, f"{line}: {done.stdout}"


run()
