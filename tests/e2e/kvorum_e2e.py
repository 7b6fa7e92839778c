# SPDX-License-Identifier: Apache-2.0
"""Support of the end-to-end tests: real processes of the real binary, on free loopback ports.

    from kvorum_e2e import Cluster, case, run, wait_until

    @case("a value written through one node is read through another")
    def _():
        with Cluster(3) as cluster:
            cluster[0].http("PUT", "/buckets/b/keys/k", b"v", {"Content-Type": "text/plain"})
            assert cluster[2].http("GET", "/buckets/b/keys/k").body == b"v"

    run()

run() prints TAP, one line a case.  A case fails by raising; what the nodes that are still there
last printed then follows as comments.  Every wait is bounded; $KVORUM_SLOW multiplies the bounds.  Nodes
die with the test, however it ends (the kernel sees to it), and folders are removed unless
$KVORUM_KEEP is set.  $KVORUM names the binary; $KVORUM_PROOF asks for the long form of a test.
"""
import atexit
import collections
import contextlib
import ctypes
import fcntl
import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLOW = float(os.environ.get("KVORUM_SLOW", "1"))
PROOF = bool(os.environ.get("KVORUM_PROOF"))
PR_SET_PDEATHSIG = 1

_cases = []
_nodes = []
_libc = ctypes.CDLL(None, use_errno=True)


# --- cases -------------------------------------------------------------------------------------

class Skip(Exception):
    """Raised by a case that cannot run here; its text says why."""


def case(name):
    """Decorator: the function is one case, its name a sentence."""
    def add(function):
        _cases.append((name, function))
        return function
    return add


def rows(table, check):
    """One case a row: check(*row[1:]); row[0] is the sentence."""
    for row in table:
        _cases.append((row[0], lambda row=row: check(*row[1:])))


def run():
    """Run all cases in order, print TAP, end the process: 0 when none failed."""
    print(f"1..{len(_cases)}", flush=True)
    failed = 0
    for number, (name, function) in enumerate(_cases, 1):
        try:
            function()
            print(f"ok {number} - {name}")
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}")
        except Exception:  # a case may fail in any way
            failed += 1
            print(f"not ok {number} - {name}")
            _comment(traceback.format_exc())
            for node in _nodes:
                _comment(f"{node.name} {'runs' if node.alive() else 'is down'}, last said:\n"
                         + node.log_tail())
        sys.stdout.flush()
    _end_all()
    sys.exit(1 if failed else 0)


def _comment(text):
    for line in text.rstrip().splitlines():
        print("# " + line)


def equal(actual, expected, what=""):
    if actual != expected:
        raise AssertionError(f"{what or 'value'}: {actual!r}, expected {expected!r}")


# --- waiting -----------------------------------------------------------------------------------

def wait_until(condition, timeout=10.0, what="the condition"):
    """Poll until condition() is true and return its value; connection errors count as no."""
    end, pause, error = time.monotonic() + timeout * SLOW, 0.005, None
    while True:
        try:
            value = condition()
            if value:
                return value
        except (OSError, http.client.HTTPException) as problem:
            error = problem
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout * SLOW:.1f} s"
                               + (f" (last error: {error})" if error else ""))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def becomes(read, expected, timeout=10.0, what="it"):
    """Poll until read() == expected: a listing asks one owner of each partition, and an acknowledged
    write may still be on its way to that one (docs/http.md, Lists)."""
    seen = []

    def is_so():
        seen[:] = [read()]
        return seen[0] == expected
    try:
        wait_until(is_so, timeout, what)
    except TimeoutError as error:
        raise AssertionError(f"{error}: {seen!r}, expected {expected!r}") from error


PORTS = range(12000, 32000)  # below the range from which the kernel gives out ports by itself
BLOCK = 250
_block = []  # the lock, and the ports that have not been handed out lately


def _take_block():
    """Ports of this process alone while it lives: other tests run at the same time."""
    starts = list(PORTS[::BLOCK])
    random.SystemRandom().shuffle(starts)
    for start in starts:
        path = os.path.join(tempfile.gettempdir(), f"kvorum-e2e-ports-{start}.lock")
        lock = open(path, "w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        _block[:] = [lock, collections.deque(range(start, start + BLOCK))]
        return
    raise RuntimeError("no block of ports is free: too many tests run at the same time")


def free_ports(count):
    if not _block:
        _take_block()
    held, ports = [], []
    while len(ports) < count:
        port = _block[1][0]
        _block[1].rotate(-1)
        probe = socket.socket()
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.close()
            continue
        held.append(probe)
        ports.append(port)
    for probe in held:
        probe.close()
    return ports


# --- talking -----------------------------------------------------------------------------------

class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"HTTP {self.status} {self.headers.items()} {self.body[:200]!r}"


def http_request(port, method, path, body=None, headers=None, timeout=10.0):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout * SLOW)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Response(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


HTTP_LANES, HTTP_PIPELINE = 16, 16


def http_many(port, requests, timeout=30.0):
    """Many requests over a few connections, in no order; their responses, in the order of the requests.
    A request: (method, path), or with a body, or with that and headers."""
    requests = list(requests)
    answers = [None] * len(requests)
    with contextlib.ExitStack() as stack:
        lanes = []
        for _ in range(min(HTTP_LANES, len(requests))):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout * SLOW))
            lanes.append((connection, stack.enter_context(connection.makefile("rb"))))
        step = len(lanes) * HTTP_PIPELINE or 1
        for begin in range(0, len(requests), step):
            parts = [range(begin, min(begin + step, len(requests)))[i::len(lanes)] for i in range(len(lanes))]
            for (connection, _), part in zip(lanes, parts):
                connection.sendall(b"".join(_http_text(*requests[i]) for i in part))
            for (_, input), part in zip(lanes, parts):
                for i in part:
                    answers[i] = _read_response(input)
    return answers


def _http_text(method, path, body=b"", headers=None):
    body = body.encode() if isinstance(body, str) else body
    fields = {"Host": "127.0.0.1", **(headers or {}), "Content-Length": len(body)}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _read_response(input):
    line = input.readline().split(None, 2)
    if len(line) < 2:
        raise ConnectionError("the server closed the connection")
    headers = http.client.parse_headers(input)
    if headers.get("Transfer-Encoding"):
        raise ValueError("in pieces: ask for it alone")
    return Response(int(line[1]), headers, input.read(int(headers.get("Content-Length", 0))))


class RespError(Exception):
    """An error reply; raised by call(), returned inside arrays and by read()."""


class Resp:
    """A RESP connection.  Bulk strings are bytes, simple strings str, null None."""

    def __init__(self, port, timeout=10.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout * SLOW)
        self.socket.settimeout(timeout * SLOW)
        self.input = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.input.close()
        self.socket.close()

    def send(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.send_raw(b"*%d\r\n" % len(words)
                      + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def send_raw(self, data):
        self.socket.sendall(data)

    def call(self, *words):
        self.send(*words)
        reply = self.read()
        if isinstance(reply, RespError):
            raise reply
        return reply

    def pipeline(self, commands):
        for command in commands:
            self.send(*command)
        return [self.read() for _ in commands]

    def _line(self):
        line = self.input.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        return line[:1], line[1:-2]

    def _exactly(self, size):
        data = self.input.read(size + 2)
        if len(data) != size + 2:
            raise ConnectionError("the server closed the connection")
        return data[:size]

    def read(self):
        kind, rest = self._line()
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RespError(rest.decode())
        if kind in b":(":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._exactly(int(rest))
        if kind in b"*~>":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        if kind == b"%":
            return {self.read(): self.read() for _ in range(int(rest))}
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        raise ValueError(f"no RESP reply: {kind + rest!r}")


# --- nodes -------------------------------------------------------------------------------------

def binary():
    path = os.path.abspath(os.environ.get("KVORUM", os.path.join(ROOT, "build/release/kvorum")))
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"no binary {path}; make build, or set KVORUM")
    return path


def _environment():
    """Settings of the person who runs the tests do not reach the nodes."""
    return {k: v for k, v in os.environ.items() if not k.startswith("KVORUM_")}


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def command(*words, input=None, timeout=30.0, check=False):
    """Run `kvorum WORDS`; the finished process, with stdout and stderr as bytes."""
    done = subprocess.run([binary(), *map(str, words)], input=input, timeout=timeout * SLOW,
                          stdin=None if input is not None else subprocess.DEVNULL,
                          capture_output=True, env=_environment(), preexec_fn=_die_with_parent)
    if check and done.returncode != 0:
        raise AssertionError(f"kvorum {' '.join(map(str, words))}: exit {done.returncode}\n"
                             + done.stderr.decode(errors="replace"))
    return done


class Node:
    """One `kvorum server`.  Its ports, name and folder stay the same over restarts."""

    def __init__(self, name, folder, join=None, founders=None, config=None, flags=()):
        self.name, self.folder, self.join, self.founders = name, folder, join, founders
        self.config, self.flags = config, list(flags)
        self.data = os.path.join(folder, "data")
        self.log_path = os.path.join(folder, "log")
        self.http_port, self.pb_port, self.resp_port, self.peer_port = free_ports(4)
        self.process = None
        os.makedirs(folder, exist_ok=True)
        _nodes.append(self)

    def arguments(self):
        words = ["server", "--name", self.name, "--data-dir", self.data]
        for flag, port in (("--http", self.http_port), ("--pb", self.pb_port),
                           ("--resp", self.resp_port), ("--peer", self.peer_port)):
            words += [flag, f"127.0.0.1:{port}"]
        if self.founders:
            words += ["--founders", str(self.founders)]
        if self.join:
            words += ["--join", self.join]
        if self.config is not None:
            path = os.path.join(self.folder, "kvorum.conf")
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.config)
            words += ["--config", path]
        return words + self.flags

    def peer_address(self):
        return f"127.0.0.1:{self.peer_port}"

    def launch(self):
        """Start the process; do not wait for it."""
        assert not self.alive(), f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [binary(), *self.arguments()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env=_environment(), preexec_fn=_die_with_parent)
        return self

    def start(self, timeout=20.0):
        """Start the process and wait until it serves."""
        self.launch()
        self.wait_serving(timeout)
        return self

    def _answers(self):
        if not self.alive():
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n"
                                 + self.log_tail())
        return http_request(self.http_port, "GET", "/ping", timeout=2).status == 200

    def _serves(self):
        if not self._answers():
            return False
        path = "/buckets/kvorum-e2e/keys/nothing"
        return http_request(self.http_port, "GET", path, timeout=5).status in (200, 300, 404)

    def wait_serving(self, timeout=20.0):
        """Until a read of a missing key is answered: the cluster is founded and has its quorum."""
        wait_until(self._serves, timeout, f"{self.name} serves")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def wait_end(self, timeout=10.0):
        """Exit code of a process that ends by itself; negative when a signal ended it."""
        return self.process.wait(timeout * SLOW)

    def kill(self):
        """kill -9."""
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def stop(self, timeout=10.0):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end(timeout)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def restart(self):
        """kill -9 and start again on the same data."""
        self.kill()
        return self.start()

    def wipe(self):
        """The disk is replaced by an empty one."""
        assert not self.alive()
        shutil.rmtree(self.data, ignore_errors=True)

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=15):
        return "\n".join(self.log().splitlines()[-lines:])

    def http(self, method, path, body=None, headers=None, timeout=10.0):
        return http_request(self.http_port, method, path, body, headers, timeout)

    def http_many(self, requests, timeout=30.0):
        return http_many(self.http_port, requests, timeout)

    def resp(self, timeout=10.0):
        return Resp(self.resp_port, timeout)


class SmallDiskNode(Node):
    """A node whose data directory is a tmpfs of so many MB, in a mount namespace of its own.  Where
    no such thing can be made the case is skipped."""

    def __init__(self, megabytes, *arguments, **settings):
        probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
        if os.geteuid() != 0 or probe.returncode != 0:
            raise Skip("needs root and mount namespaces")
        super().__init__(*arguments, **settings)
        self.megabytes = megabytes

    def launch(self):
        os.makedirs(self.data, exist_ok=True)
        mount = f'mount -t tmpfs -o size={self.megabytes}m tmpfs "$0" && exec "$@"'
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", mount, self.data, binary(), *self.arguments()],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent)
        return self

    def inside(self, name):
        """A path as this node sees it."""
        return f"/proc/{self.process.pid}/root{self.data}/{name}"


@contextlib.contextmanager
def temporary_folder():
    path = tempfile.mkdtemp(prefix="kvorum-e2e-")
    _folders.append(path)
    try:
        yield path
    finally:
        _remove(path)


@contextlib.contextmanager
def one_node(config=None, flags=(), start=True):
    """A cluster of one, in a folder of its own."""
    with temporary_folder() as folder:
        node = Node("n1", os.path.join(folder, "n1"), founders=1, config=config, flags=flags)
        try:
            yield node.start() if start else node
        finally:
            _end(node)


class Cluster:
    """`count` nodes n1, n2, ...; the first founds the cluster and the others join it.

    zones: a zone for each node; config: one text for all; with-statement or start() and end()."""

    def __init__(self, count, config=None, zones=None, flags=()):
        self.folder = tempfile.mkdtemp(prefix="kvorum-e2e-")
        _folders.append(self.folder)
        self.nodes = []
        for i in range(count):
            first = self.nodes[0] if self.nodes else None
            self.nodes.append(Node(
                f"n{i + 1}", os.path.join(self.folder, f"n{i + 1}"),
                join=first.peer_address() if first else None, founders=None if first else count,
                config=config,
                flags=[*flags, *(["--zone", zones[i]] if zones else [])]))

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            tails = "\n".join(f"{n.name}: {n.log_tail()}" for n in self.nodes)
            self.end()
            raise AssertionError("the cluster did not start:\n" + tails)

    def __exit__(self, *unused):
        self.end()

    def __getitem__(self, index):
        return self.nodes[index]

    def __iter__(self):
        return iter(self.nodes)

    def __len__(self):
        return len(self.nodes)

    def start(self, timeout=30.0):
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait_serving(timeout)
        return self

    def alive(self):
        return [node for node in self.nodes if node.alive()]

    def kill(self):
        for node in self.nodes:
            node.kill()

    def end(self):
        for node in self.nodes:
            _end(node)
        _remove(self.folder)


_folders = []


def _end(node):
    node.kill()
    if node in _nodes:
        _nodes.remove(node)


def _remove(path):
    if not os.environ.get("KVORUM_KEEP"):
        shutil.rmtree(path, ignore_errors=True)
    if path in _folders:
        _folders.remove(path)


@atexit.register
def _end_all():
    for node in list(_nodes):
        _end(node)
    for path in list(_folders):
        _remove(path)


def _stopped(number, _frame):
    sys.exit(128 + number)


for _number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(_number, _stopped)
