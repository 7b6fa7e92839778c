# SPDX-License-Identifier: Apache-2.0
"""README.md shows what happens: its ```console sessions are run, and must say what they say there.

One cluster for all of them, that of `make run`: the first session starts it, the others are typed beside it.
Ports are moved out of the way of other programs and moved back in what is compared; times, amounts and
ids may differ; a line `...` stands for any lines.
"""
import os
import random
import re
import signal
import socket
import subprocess
import threading

from kvorum_e2e import (ROOT, SLOW, _die_with_parent, binary, case, equal, http_request, run,
                        temporary_folder, wait_until)

NODES, PORTS = 7, (8098, 8087, 6379, 9098)  # five of `make run`, two that join
KNOWN = {port + 100 * k for port in PORTS for k in range(NODES)}
SESSION = re.compile(r"<!-- session ([\w-]+)[^>]*-->\s*```console\n(.*?)```", re.DOTALL)
STAYS = "The nodes run until Ctrl-C."
RECORDS = 400  # of the data set, so that the test is quick

VARIES = [  # what is replaced before texts are compared
    (r"\b[0-9a-f]{32}\b", "ID"),
    (r"(?m)^(Date|Last-Modified|ETag|X-Riak-Vclock): .*$", r"\1: ..."),
    (r" --node 127\.0\.0\.1:\d+", ""),
    (r"from [^\n]*(apt-cache dumpavail|records)$", "from SOURCE"),
    (r"\b(is|are) (suspect|dead) for", r"\1 down for"), (r"\b(suspect|dead)\b", "down"),
    (r"<?\b\d[\d,.]*( ?(ms|s|min|h|kB|MB|GB|B|/s|%))(?![\w/])", "AMOUNT"),
    (r"\b\d[\d,]*(?= (records|package records|further records|of \d|keys|read repairs|hints))", "COUNT"),
    (r"\bof \d[\d,]* records", "of COUNT records"), (r"\(\d[\d,.]*/s\)", "(RATE)"),
    (r"^n(3|4) is killed", "nX is killed"), (r"\bepoch \d+", "epoch E"), (r"--epoch \d+", "--epoch E"),
    (r"\(n\d is down for AMOUNT, n\d is down for AMOUNT\)", "(two are down)"),
    (r"; \d+ of 1,024", "; SOME of 1,024"),
    (r"\(\d+ % of all\)", "(SOME % of all)"), (r"\b(yes|no)$", "VOTE"), (r"\b10[23]$", "LOSS"),
    (r"\b61[0-9]\b", "SHARE"), (r"\b\d+ reactors?\b", "N reactors"),
    (r"\b[01]\.\d\d x", "ABOUT 1 x"), (r"\(\d started now\)", "(N started now)"),
    (r"\([\d,]+ when", "(COUNT when"), (r"from [\d,]+ to", "from COUNT to"), (r"[ \t]+", " "),
]


def plain(text):
    """A text without what varies; a list of lines without their ends."""
    for pattern, instead in VARIES:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    lines = [line.strip() for line in text.strip().splitlines()]
    return [line for line in lines if not re.match(r"(load|move) .*(left|/s|AMOUNT)$", line)]  # progress


def matches(shown, said):
    """Whether the lines that are shown are those that were said; `...` stands for any."""
    if not shown:
        return not said
    if shown[0] == "...":
        return any(matches(shown[1:], said[i:]) for i in range(len(said) + 1))
    return bool(said) and shown[0] == said[0] and matches(shown[1:], said[1:])


def sessions():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        return dict(SESSION.findall(file.read()))


def steps(session):
    """(command, what is shown behind it); a command goes on behind a backslash."""
    found = []
    for line in session.splitlines():
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif found[-1][0].endswith("\\"):
            found[-1][0] = found[-1][0][:-1] + line.strip()
        else:
            found[-1][1] += line + "\n"
    return found


def free_offset():
    while True:
        offset = random.SystemRandom().randrange(3000, 20000)
        try:
            for port in KNOWN:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
            return offset
        except OSError:
            continue


class Terminal:
    """A folder with ./kvorum in it, and the ports moved."""

    def __init__(self, folder):
        self.folder, self.offset, self.background = folder, free_offset(), None
        self.servers = []
        os.symlink(binary(), os.path.join(folder, "kvorum"))
        # The nodes of a demo outlive who started them: this ends them however the test ends.
        self.guard = subprocess.Popen(
            ["sh", "-c", "cat; cd \"$0\" && ./kvorum demo stop", folder], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("KVORUM_")}
        self.environment |= {"NO_COLOR": "1", "FAKETTY": "1", "HOME": folder,
                             "KVORUM_NODE": f"127.0.0.1:{8098 + self.offset}"}

    def move(self, text):
        return re.sub(r"(?<=localhost:|127\.0\.0\.1:)\d+|(?<=-p )\d+", lambda m: str(
            int(m[0]) + self.offset * (int(m[0]) in KNOWN)), text)

    def move_back(self, text):
        return re.sub(r"\b\d{4,5}\b", lambda m: str(
            int(m[0]) - self.offset * (int(m[0]) - self.offset in KNOWN)), text)

    def start(self, words):
        return subprocess.Popen(words, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                preexec_fn=_die_with_parent)

    def leave_running(self, command):
        """What is typed with & at its end: a server; until it has joined."""
        port, = re.findall(r"--http \S*:(\d+)", self.move(command))
        self.servers.append(self.start(["bash", "-c", "exec " + self.move(command).rstrip(" &")]))
        wait_until(lambda: http_request(int(port), "GET", "/ping").status == 200, 30,
                   f"it serves: {command}")
        return ""

    def type(self, command):
        if command.endswith("&"):
            return self.leave_running(command)
        process = self.start(["bash", "-c", self.move(command).replace("curl ", "curl -sS ")])
        try:
            return self.move_back(process.communicate(timeout=60 * SLOW)[0])
        finally:
            process.kill()

    def make_run(self):
        """`make run` with fewer records; it stays."""
        source = os.path.join(self.folder, "records")
        with open(source, "w", encoding="utf-8") as file:
            file.writelines(f"Package: p{i}\nVersion: {i}\nDescription: {'text ' * 20}\n\n"
                            for i in range(RECORDS))
        self.background = self.start(["./kvorum", "demo", "run", "--port-offset", str(self.offset),
                                      "--source", source])
        lines = []

        def collect():
            for line in self.background.stdout:
                lines.append(line)
        threading.Thread(target=collect, daemon=True).start()
        wait_until(lambda: self.background.poll() is not None or any(STAYS in line for line in lines),
                   60, "make run stays; it said:\n" + "".join(lines))
        return self.move_back("".join(lines))

    def end(self):
        """Ctrl-C; the exit code."""
        for server in self.servers:
            server.kill()
            server.wait()
        if self.background is None:
            return None
        self.background.send_signal(signal.SIGINT)
        return self.background.wait(20 * SLOW)


def compare(command, shown, said):
    if not matches(plain(shown), plain(said)):
        raise AssertionError(f"$ {command}\nREADME.md shows:\n" + "\n".join(plain(shown))
                             + "\nbut it said:\n" + "\n".join(plain(said)) + "\nin full:\n" + said)


@case("a session that is not what happens is found out")
def _():
    shown = "n3 serves again, after 1.1 s: HTTP 127.0.0.1:8298\n"
    compare("x", shown, "n3 serves again, after 210 ms: HTTP 127.0.0.1:8298\n")
    compare("x", "a\n...\nz\n", "a\nb\nc\nz\n")
    for other in ("n4 serves again, after 1.1 s: HTTP 127.0.0.1:8298\n", shown + "more\n", ""):
        try:
            compare("x", shown, other)
        except AssertionError:
            continue
        raise AssertionError(f"{other!r} was taken for {shown!r}")


def check(name):
    found = sessions()
    assert name in found, f"README.md has no session {name}"
    for command, shown in steps(found[name]):
        compare(command, shown, terminal.make_run() if command == "make run" else terminal.type(command))


for session_name in sessions() or ["run"]:
    case(f"README.md shows what happens: session {session_name}")(lambda name=session_name: check(name))


@case("Ctrl-C ends `make run` in order")
def _():
    equal(terminal.end(), 0, "its exit code")
    terminal.guard.stdin.close()
    terminal.guard.wait(20 * SLOW)


with temporary_folder() as place:
    terminal = Terminal(place)
    run()
