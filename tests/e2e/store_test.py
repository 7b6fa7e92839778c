#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`kvorum store`: the files of a store, offline; every command, its exit code, its errors."""
import base64
import fcntl
import json
import os
import re
import subprocess

from kvorum_e2e import binary, case, command, equal, one_node, rows, run, temporary_folder

ALL_BYTES = bytes(range(256))


def store(*words, **more):
    return command("store", *words, **more)


def text(done):
    return (done.stdout + done.stderr).decode(errors="replace")


def expect(done, code, *patterns):
    equal(done.returncode, code, f"exit code, after {text(done)!r}")
    for pattern in patterns:
        assert re.search(pattern, text(done)), f"{pattern!r} is not in {text(done)!r}"
    return done


class Pets:
    """A store with a few keys, in a folder of its own."""

    def __init__(self, **pets):
        self.pets = pets

    def __enter__(self):
        self.folder = temporary_folder()
        self.path = os.path.join(self.folder.__enter__(), "pets")
        store("create", self.path, check=True)
        for key, value in self.pets.items():
            store("put", self.path, key, value, check=True)
        return self.path

    def __exit__(self, *error):
        self.folder.__exit__(*error)


def segments(path):
    """The files of the log, oldest first."""
    return [os.path.join(path, name) for name in sorted(os.listdir(path)) if name.endswith(".log")]


def flip(file, offset):
    with open(file, "r+b") as opened:
        opened.seek(offset)
        byte = opened.read(1)[0]
        opened.seek(offset)
        opened.write(bytes([byte ^ 0x10]))


# --- help and words ------------------------------------------------------------------------------

rows([
    ("store without a command lists them and exits with 2", ["store"], 2, "salvage PATH NEW-PATH"),
    ("store --help shows how to begin", ["store", "--help"], 0, r"kvorum store put pets cat meow"),
    ("a command explains itself", ["store", "scan", "--help"], 0, r"--prefix PREFIX"),
    ("a misspelt command has a hint", ["store", "inspekt", "x"], 2, "did you mean 'store inspect'"),
    ("a missing key is named", ["store", "get", "x"], 2, "needs PATH KEY"),
    ("an engine that is none is refused", ["store", "create", "x", "--engine", "btree"], 2, "lsm"),
    ("a limit of none is refused", ["store", "scan", "x", "--limit", "0"], 2, "limit"),
    ("a bad format lists the good ones", ["store", "scan", "x", "-o", "csv"], 2, r"table\|json\|plain"),
    ("a bad escape is named before anything is opened", ["store", "get", "x", "--escaped", r"a\q"], 2,
     "two hexadecimal digits"),
], lambda words, code, pattern: expect(command(*words), code, pattern))


# --- data ----------------------------------------------------------------------------------------

@case("create, put, get and delete do what they say")
def _():
    with Pets(cat="meow", dog="woof") as path:
        equal(store("get", path, "cat", check=True).stdout, b"meow")
        expect(store("put", path, "cat", "purr"), 0)
        equal(store("get", path, "cat", check=True).stdout, b"purr")
        expect(store("delete", path, "cat"), 0)
        expect(store("delete", path, "cat"), 1, "there is no such key")
        done = expect(store("get", path, "cat"), 1, "there is no such key")
        equal(done.stdout, b"")


@case("a value may be any bytes, from standard input, and comes back as it was")
def _():
    with Pets() as path:
        value = ALL_BYTES * 5000
        expect(store("put", path, "bytes", "-", input=value), 0)
        equal(store("get", path, "bytes", check=True).stdout, value)
        expect(store("put", path, "nothing", ""), 0)
        equal(store("get", path, "nothing", check=True).stdout, b"")
        expect(store("put", path, "dashes", "--", "-x"), 0)
        equal(store("get", path, "dashes", check=True).stdout, b"-x")


def unescape(line):
    letters = {b"\\": b"\\", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
    return re.sub(rb"\\(x[0-9a-f]{2}|.)", lambda m: letters.get(m[1]) or bytes([int(m[1][1:], 16)]), line)


def escape(data):
    return "".join(f"\\x{byte:02x}" for byte in data)


@case("keys and values of any bytes are escaped, and what is printed can be given back")
def _():
    with Pets() as path:
        key, value = b"\x00\xff\n\\k\t", ALL_BYTES
        expect(store("put", path, "--escaped", escape(key), escape(value)), 0)
        line = store("scan", path, "-o", "plain", check=True).stdout
        equal(line.count(b"\n"), 1)
        shown_key, shown_value = line.rstrip(b"\n").split(b"\t")
        equal(unescape(shown_key), key)
        equal(unescape(shown_value), value)
        assert all(0x20 <= byte < 0x7f for byte in shown_key), shown_key
        equal(store("get", path, "--escaped", shown_key.decode(), check=True).stdout, value)
        record = json.loads(store("scan", path, "-o", "json", check=True).stdout)
        equal(base64.b64decode(record["key_base64"]), key)
        equal(base64.b64decode(record["value_base64"]), value)
        expect(store("delete", path, "--escaped", shown_key.decode()), 0)


@case("scan goes in order, within its bounds, both ways")
def _():
    with Pets(a="1", b="2", ba="3", bb="4", c="5") as path:
        def keys(*words):
            return store("scan", path, "--keys", "-o", "plain", *words, check=True).stdout.decode().split()
        equal(keys(), ["a", "b", "ba", "bb", "c"])
        equal(keys("--prefix", "b"), ["b", "ba", "bb"])
        equal(keys("--from", "b", "--to", "bb"), ["b", "ba"])
        equal(keys("--from", "aa", "--prefix", "b", "--limit", "2"), ["b", "ba"])
        equal(keys("--reverse", "--limit", "2"), ["c", "bb"])
        equal(keys("--prefix", "x"), [])
        expect(store("scan", path, "--keys", "--prefix", "a"), 0, r"^key\na\n$")
        expect(store("scan", path, "--prefix", "a"), 0, r"^key  size  value\na       1  1\n$")
        expect(store("scan", path, "--prefix", "x"), 0, r"^key  size  value\n$")


@case("dump prints every record as a line of JSON, to a file too")
def _():
    with Pets(cat="meow", dog="woof") as path:
        done = store("dump", path, check=True)
        equal([json.loads(line) for line in done.stdout.splitlines()],
              [{"key": "cat", "value": "meow"}, {"key": "dog", "value": "woof"}])
        file = os.path.join(os.path.dirname(path), "dump")
        expect(store("dump", path, "--file", file), 0)
        with open(file, "rb") as written:
            equal(written.read(), done.stdout)
        expect(store("dump", path, "--file", "/nowhere/dump"), 2, "/nowhere/dump: No such file")


@case("a pipe that nobody reads to its end is no trouble")
def _():
    with Pets(cat="x" * 50000, dog="y" * 50000) as path:
        line = f"'{binary()}' store dump '{path}' | head -c 10"
        done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
        equal((len(done.stdout), done.stderr), (10, b""))


@case("a full device is told, not ignored")
def _():
    with Pets(cat="meow") as path, open("/dev/full", "wb") as full:
        for words in (["dump", path], ["scan", path], ["get", path, "cat"]):
            done = subprocess.run([binary(), "store", *words], stdout=full, stderr=subprocess.PIPE, check=False)
            equal(done.returncode, 70, f"exit code of {words}")
            assert b"cannot write" in done.stderr, done.stderr


@case("get and inspect print as they are asked to")
def _():
    with Pets(cat="meow") as path:
        equal(json.loads(store("get", path, "cat", "-o", "json", check=True).stdout),
              {"key": "cat", "value": "meow"})
        expect(store("get", path, "cat", "-o", "table"), 0, r"cat +4  meow")
        about = json.loads(store("inspect", path, "-o", "json", check=True).stdout)
        equal((about["path"], about["engine"]), (path, "lsm"))
        equal(about["statistics"]["live_entries"], 1)
        equal(len(about["levels"]), 7)
        expect(store("inspect", path), 0, r"engine +lsm", r"keys +1\n")
        expect(store("inspect", path, "-o", "plain"), 0, r"live_entries +1\n")


@case("the stores of a stopped node are like any other; a table of many rows has one heading")
def _():
    with one_node() as node:
        records = "".join(json.dumps({"id": f"key{i}", "text": "meow " * 20}) + "\n" for i in range(3000))
        expect(command("import", "--bucket", "b", "--key-field", "id", "--node", f"127.0.0.1:{node.http_port}",
                       input=records.encode(), timeout=60), 0)
        stores = [os.path.join(node.data, name) for name in os.listdir(node.data) if name.startswith("store-")]
        expect(store("inspect", stores[0]), 7, "it is open in another process", r"fuser -v .*LOCK")
        equal(node.stop(), 0)
        found = 0
        for path in stores:
            heading, *lines = store("scan", path, check=True).stdout.decode().splitlines()
            assert re.fullmatch(r"key +size  value", heading), heading
            found += sum(bool(re.search(r"key\d+ ", line)) for line in lines)
            assert not any(re.match(r"key +size", line) for line in lines)
        equal(found, 3000)


# --- tables --------------------------------------------------------------------------------------

def tables(path):
    return [os.path.join(path, name) for name in sorted(os.listdir(path)) if name.endswith(".tbl")]


@case("compact puts everything into tables, without what was overwritten or deleted")
def _():
    with Pets(cat="a" * 50000, dog="b" * 50000) as path:
        for i in range(5):
            store("put", path, "cat", f"{i}" * 50000, check=True)
        store("delete", path, "dog", check=True)
        before = json.loads(store("inspect", path, "-o", "json", check=True).stdout)["statistics"]
        done = expect(store("compact", path), 0, r"pets: \d+ kB before, \d+ kB now")
        equal(done.stdout, b"")
        about = json.loads(store("inspect", path, "-o", "json", check=True).stdout)
        assert about["statistics"]["disk_size"] < before["disk_size"] / 2, (about, before)
        equal(sum(level["tables"] for level in about["levels"]), 1)
        expect(store("inspect", path), 0, r"level  tables +size\n +\d+ +1 +\d+ ")
        equal(store("get", path, "cat", check=True).stdout, b"4" * 50000)
        expect(store("get", path, "dog"), 1)


@case("verify reads everything, and says so")
def _():
    with Pets(cat="meow", dog="woof") as path:
        expect(store("verify", path), 0, r"pets is sound: \d+ \w+ read and checked")
        expect(store("compact", path), 0)
        done = expect(store("verify", path), 0, "is sound")
        equal(done.stdout, b"")
        equal(json.loads(store("verify", path, "-o", "json", check=True).stdout), [])


@case("a damaged table is found by verify, with file and offset, wherever it is")
def _():
    with Pets(cat="meow " * 1000, dog="woof " * 1000) as path:
        expect(store("compact", path), 0)
        file, = tables(path)
        size = os.path.getsize(file)
        for offset in range(0, size, max(1, size // 40)):
            flip(file, offset)
            done = store("verify", path)
            assert done.returncode in (1, 70), (offset, done)
            assert os.path.basename(file) in text(done), (offset, done)
            flip(file, offset)
        expect(store("verify", path), 0, "is sound")


@case("commands that only look change no file")
def _():
    with Pets(cat="meow", dog="woof") as path:
        def state():
            return {name: open(os.path.join(path, name), "rb").read() for name in sorted(os.listdir(path))}
        before = state()
        for words in (["get", "cat"], ["scan"], ["inspect"], ["verify"], ["dump"]):
            expect(store(words[0], path, *words[1:]), 0)
        equal(state(), before)


# --- bad places and bad disks --------------------------------------------------------------------

COMMANDS = (["put", "PATH", "k", "v"], ["get", "PATH", "k"], ["delete", "PATH", "k"], ["scan", "PATH"],
            ["inspect", "PATH"], ["verify", "PATH"], ["dump", "PATH"], ["compact", "PATH"])


def every_command(path, code, *patterns):
    for words in COMMANDS:
        done = expect(store(*[path if word == "PATH" else word for word in words]), code, *patterns)
        equal(done.stdout, b"", f"output of {words}")


@case("a path where nothing is: exit 1, and nothing is made there")
def _():
    with temporary_folder() as folder:
        path = os.path.join(folder, "nothing")
        every_command(path, 1, "cannot open the store .*nothing: there is no store", "Next: kvorum store create")
        assert not os.path.exists(path)
        os.mkdir(path)
        every_command(path, 1, "there is no store")
        equal(os.listdir(path), [])
        expect(store("create", os.path.join(folder, "no/parent")), 1, "its parent folder is not there")


@case("a folder of other files: exit 8, and they stay as they are")
def _():
    with temporary_folder() as folder:
        with open(os.path.join(folder, "letter"), "w", encoding="utf-8") as file:
            file.write("dear")
        every_command(folder, 8, "holds files that are no store's; nothing was changed", "Next:")
        expect(store("create", folder), 8, "holds files that are no store's")
        equal(os.listdir(folder), ["letter"])


@case("a file instead of a folder: exit 2")
def _():
    with temporary_folder() as folder:
        path = os.path.join(folder, "file")
        with open(path, "wb"):
            pass
        every_command(path, 2, "it is a file, and a store is a folder")
        expect(store("create", path), 2, "it is a file, and a store is a folder")


@case("a store that is there is not made again: exit 7")
def _():
    with Pets(cat="meow") as path:
        expect(store("create", path), 7, "there is one already", "Next: kvorum store inspect")
        equal(store("get", path, "cat", check=True).stdout, b"meow")


@case("a store that is open elsewhere: exit 7")
def _():
    with Pets(cat="meow") as path:
        with open(os.path.join(path, "LOCK"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            every_command(path, 7, "it is open in another process", "Next: fuser -v")
            expect(store("create", path), 7, "there is one already")
        equal(store("get", path, "cat", check=True).stdout, b"meow")


@case("a damaged log is told with file and offset: exit 70, and nothing is changed")
def _():
    with Pets(cat="meow", dog="woof", eel="none") as path:
        file = max(segments(path)[:-1], key=os.path.getsize)
        flip(file, os.path.getsize(file) - 32 - 20)  # of the last batch; behind it stands "next"
        with open(file, "rb") as before:
            data = before.read()
        done = expect(store("scan", path), 70, "cannot open the store", r"file=log-\S+", r"offset=\d+",
                      "Next: kvorum store salvage")
        equal(done.stdout, b"")
        with open(file, "rb") as after:
            equal(after.read(), data)


@case("salvage copies what is intact of a damaged store: exit 1, and the rest is counted")
def _():
    with Pets(cat="meow", dog="woof") as path:
        flip(os.path.join(path, "MANIFEST"), 20)
        expect(store("get", path, "cat"), 70, "Next: kvorum store salvage")
        expect(store("salvage", path, path + "-saved"), 1, "copied to", r"MANIFEST")
        equal(expect(store("get", path + "-saved", "dog"), 0).stdout, b"woof")
        expect(store("salvage", path, path + "-saved"), 7, "something is there already")


@case("a damaged FORMAT is told: exit 70")
def _():
    with Pets(cat="meow") as path:
        flip(os.path.join(path, "FORMAT"), 20)
        every_command(path, 70, "stored bytes fail their checksum", r"file=\S*FORMAT")


@case("keys and values have a largest size, and an empty key is none: exit 2")
def _():
    with Pets() as path:
        expect(store("put", path, "", "value"), 2, "the key is empty")
        expect(store("get", path, ""), 2, "the key is empty")
        expect(store("get", path, "k" * 65537), 2, "at most 65536 bytes")
        expect(store("scan", path, "--prefix", "k" * 65537), 2, "at most 65536 bytes")
        expect(store("put", path, "k" * 65536, "long"), 0)
        equal(store("get", path, "k" * 65536, check=True).stdout, b"long")


@case("a folder that may not be read: exit 6")
def _():
    with Pets(cat="meow") as path:
        os.chmod(path, 0)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", binary(), "store",
                               "get", path, "cat"] if os.geteuid() == 0 else [binary(), "store", "get", path, "cat"],
                              capture_output=True, check=False)
        os.chmod(path, 0o700)
        # The folder above may be closed to others too: then it is that which is not allowed.
        expect(done, 6, "not allowed", "Next: ls -ld")


@case("what was acknowledged survives a killed writer")
def _():
    with Pets() as path:
        line = f"for i in $(seq 200); do '{binary()}' store put '{path}' k$i v$i || exit; echo $i; done"
        writer = subprocess.Popen(["bash", "-c", line], stdout=subprocess.PIPE, start_new_session=True)
        for _ in range(20):
            writer.stdout.readline()
        os.killpg(writer.pid, 9)
        writer.wait()
        count = len(store("scan", path, "--keys", "-o", "plain", check=True).stdout.split())
        assert count >= 20, count


run()
