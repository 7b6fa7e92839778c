#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line against real nodes: every command, its exit code, its errors."""
import json
import os
import re
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kvorum_e2e import (Cluster, ROOT, SLOW, binary, case, command, equal, free_ports, one_node,
                        rows, run, temporary_folder, wait_until)

ALLOW_MULT = b'{"props":{"allow_mult":true}}'
JSON = {"Content-Type": "application/json"}


def at(node, *words, **more):
    """`kvorum WORDS --node ...`"""
    return command(*words, "--node", f"127.0.0.1:{node.http_port}", **more)


def text(done):
    return (done.stdout + done.stderr).decode()


def expect(done, code, *patterns):
    equal(done.returncode, code, f"exit code, after {text(done)!r}")
    for pattern in patterns:
        assert re.search(pattern, text(done)), f"{pattern!r} is not in {text(done)!r}"
    return done


def as_json(done, code):
    equal(done.returncode, code, f"exit code, after {text(done)!r}")
    return json.loads(done.stdout)


# --- without a node ----------------------------------------------------------------------------

rows([
    ("without a command the overview is printed and the exit code is 2", [], 2, "Usage: kvorum"),
    ("help lists the commands", ["help"], 0, r"get BUCKET/KEY"),
    ("--help is the same", ["--help"], 0, r"get BUCKET/KEY"),
    ("help explains a command", ["help", "import"], 0, r"--key-field FIELD"),
    ("help explains a subcommand", ["help", "demo", "start"], 0, r"--port-offset"),
    ("a command explains itself", ["bench", "--help"], 0, r"--distribution"),
    ("the server explains its flags", ["server", "--help"], 0, r"--data-dir"),
    ("the version is printed", ["version"], 0, r"^kvorum \d+\.\d+"),
    ("the version is printed as JSON", ["version", "-o", "json"], 0, r'^\{\s*"version": "\d+\.\d+'),
    ("--version is the same", ["--version"], 0, r"^kvorum \d+\.\d+"),
    ("an unknown command has a hint", ["improt"], 2, r"did you mean 'import'\?"),
    ("an unknown subcommand has a hint", ["demo", "stat"], 2, r"did you mean 'demo start'"),
    ("an unknown option has a hint", ["get", "--ndoe", "x", "a/b"], 2, r"did you mean --node\?"),
    ("a missing argument is named", ["get"], 2, r"needs BUCKET/KEY"),
    ("one argument too many is named", ["del", "a", "b", "c"], 2, r"'c' is one argument too many"),
    ("a key without bucket is refused", ["get", "cat"], 2, r"write BUCKET/KEY"),
    ("a bad choice lists the good ones", ["list", "-o", "xml"], 2, r"table\|json\|csv\|plain"),
    ("a bad level is refused", ["get", "a/b", "--r", "most"], 2, r"one, quorum, all"),
    ("a bad address is refused", ["get", "a/b", "--node", "x:y"], 2, r"no address of a node"),
    ("put without a value is refused", ["put", "pets/cat"], 2, r"no value is given"),
    ("import without bucket is refused", ["import", "--key-field", "id"], 2, r"--bucket"),
    ("import without key field is refused", ["import", "--bucket", "b"], 2, r"--key-field"),
    ("import of a missing file is refused",
     ["import", "--bucket", "b", "--key-field", "id", "/nowhere"], 2, r"/nowhere: No such file"),
    ("a bad mix is refused", ["bench", "--mix", "5"], 2, r"READS:WRITES"),
    ("quorums over RESP are refused", ["bench", "--w", "2"], 2, r"need --protocol http"),
    ("completion of an unknown shell is refused", ["completion", "fish"], 2, r"bash and zsh"),
], lambda words, code, pattern: expect(command(*words), code, pattern))


def sorted_line(line):
    """A line of an export with its siblings in an order that does not depend on the write."""
    record = json.loads(line)
    if "siblings" in record:
        record["siblings"].sort(key=lambda sibling: json.dumps(sibling, sort_keys=True))
    return json.dumps(record, sort_keys=True)


@case("a refused connection is told within 100 ms, with what to do next")
def _():
    port = free_ports(1)[0]
    for words in (["get", "a/b"], ["put", "a/b", "c"], ["del", "a/b"], ["list"], ["status"],
                  ["import", "--bucket", "b", "--key-field", "id"], ["export", "b"]):
        begin = time.monotonic()
        done = expect(command(*words, "--node", f"127.0.0.1:{port}", input=b'{"id":"a"}\n'), 3,
                      "Connection refused", "Next:")
        assert time.monotonic() - begin < 0.1 * SLOW + 0.2 * (SLOW > 1), words
        equal(done.stdout, b"")
    expect(command("bench", "--node", f"127.0.0.1:{port}"), 3, "Connection refused")


@case("what answers but is no HTTP is told")
def _():
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = subprocess.Popen([binary(), "status", "--node",
                                  f"127.0.0.1:{server.getsockname()[1]}"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        connection, _ = server.accept()
        connection.recv(1000)
        connection.sendall(b"-ERR unknown command\r\n\r\n")
        out, err = child.communicate(timeout=10 * SLOW)
        connection.close()
    equal(child.returncode, 3)
    assert b"does not speak HTTP" in err, err


@case("a node that does not answer in time exits with 5")
def _():
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = command("put", "a/b", "c", "--timeout", "10", "--node",
                       f"127.0.0.1:{server.getsockname()[1]}")
    expect(done, 5, "not known", "Next:")


@case("bash completion knows commands, options and choices")
def _():
    script = command("completion", "bash", check=True).stdout.decode()

    def complete(*words):
        line = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _kvorum; " \
               "echo ${COMPREPLY[*]}"
        done = subprocess.run(["bash", "-c", script + "\n" + line], capture_output=True, check=True)
        return done.stdout.decode().split()
    equal(complete("kvorum", "ex"), ["export"])
    equal(complete("kvorum", "demo", "st"), ["start", "stop", "status"])
    equal(complete("kvorum", "get", "--pr"), ["--pr"])
    equal(complete("kvorum", "import", "--format", '""'), ["jsonl", "deb822", "export"])
    equal(complete("kvorum", "list", "-o", "j"), ["json"])
    assert "--data-dir" in complete("kvorum", "server", "--da")


@case("docs/cli.md is what --help says")
def _():
    path = os.path.join(ROOT, "docs", "cli.md")
    with open(path, encoding="utf-8") as file:
        document = file.read()
    made = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "cli-reference"), binary()],
                          capture_output=True, check=True).stdout.decode()
    assert document == made, "docs/cli.md is out of date. Next: tools/cli-reference > docs/cli.md"


@case("config check and show read what a server would")
def _():
    with temporary_folder() as folder:
        path = os.path.join(folder, "kvorum.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("[storage]\nsync = interval\n")
        expect(command("config", "check", "--config", path), 0, "valid")
        expect(command("config", "show", "--config", path), 0, r"sync = interval  ; \S+:2\n",
               r"\nengine = lsm\n")
        shown = as_json(command("config", "show", "--config", path, "-o", "json"), 0)["storage"]
        equal(shown["sync"], {"value": "interval", "origin": f"{path}:2"})
        equal(shown["engine"], {"value": "lsm", "origin": "default"})
        equal(as_json(command("config", "check", "--config", path, "-o", "json"), 0),
              {"valid": True, "file": path, "problems": []})
        with open(path, "w", encoding="utf-8") as file:
            file.write("[storage]\nsnyc = interval\n[listen]\nhttp = here\n")
        expect(command("config", "check", "--config", path), 2, "2 problems", r":2:", r":4:")
        found = as_json(command("config", "check", "--config", path, "-o", "json"), 2)
        equal((found["valid"], len(found["problems"])), (False, 2))
        assert found["problems"][1].startswith(f"{path}:4: [listen] http"), found


# --- one node ----------------------------------------------------------------------------------

@case("put, get, list and del do what they say")
def _():
    with one_node() as node:
        expect(at(node, "put", "pets/cat", "meow"), 0, r"^$")
        equal(as_json(at(node, "put", "pets/cat", "meow", "-o", "json"), 0),
              {"bucket": "pets", "key": "cat", "result": "written"})
        equal(at(node, "get", "pets/cat", check=True).stdout, b"meow")
        equal(at(node, "get", "pets", "cat", check=True).stdout, b"meow")
        equal(node.http("GET", "/buckets/pets/keys/cat").headers["Content-Type"], "text/plain")
        expect(at(node, "put", "a bucket", "k/e y", "x"), 0)
        equal(at(node, "get", "a bucket/k/e y", check=True).stdout, b"x")
        equal(sorted(at(node, "list", check=True).stdout.split(b"\n")), [b"", b"a bucket", b"pets"])
        equal(json.loads(at(node, "list", "pets", "-o", "json", check=True).stdout), ["cat"])
        equal(as_json(at(node, "del", "pets/cat", "-o", "json"), 0),
              {"bucket": "pets", "key": "cat", "result": "deleted"})
        expect(at(node, "del", "pets/cat"), 1, "there is no pets/cat")
        expect(at(node, "del", "a bucket", "k/e y"), 0, r"^$")
        done = expect(at(node, "get", "pets/cat"), 1, "there is no pets/cat")
        equal(done.stdout, b"")


@case("values are bytes: standard input, files, output")
def _():
    with one_node() as node, temporary_folder() as folder:
        value = bytes(range(256)) * 40000
        expect(at(node, "put", "b/k", "-", input=value), 0)
        equal(at(node, "get", "b/k", check=True).stdout, value)
        path = os.path.join(folder, "value")
        with open(path, "wb") as file:
            file.write(value[1:])
        expect(at(node, "put", "b/k", "--file", path, "--content-type", "image/png"), 0)
        equal(at(node, "get", "b/k", check=True).stdout, value[1:])
        about = json.loads(at(node, "get", "b/k", "-o", "json", check=True).stdout)
        equal(about["values"][0]["content_type"], "image/png")
        assert "value_base64" in about["values"][0]
        expect(at(node, "put", "b/empty", ""), 0)
        equal(at(node, "get", "b/empty", check=True).stdout, b"")


@case("siblings are all shown, and resolved with their context")
def _():
    with one_node() as node:
        equal(node.http("PUT", "/buckets/s/props", ALLOW_MULT, JSON).status, 204)
        for value in ("one", "two"):
            expect(at(node, "put", "s/k", value), 0)
        done = expect(at(node, "get", "s/k"), 0, "sibling 2 of 2", "kvorum put s/k VALUE --context")
        assert b"one\n" in done.stdout and b"two\n" in done.stdout
        about = json.loads(at(node, "get", "s/k", "-o", "json", check=True).stdout)
        equal(sorted(v["value"] for v in about["values"]), ["one", "two"])
        expect(at(node, "put", "s/k", "three", "--context", about["context"]), 0)
        equal(at(node, "get", "s/k", check=True).stdout, b"three")


@case("errors of a node are passed on with its reason and the right exit code")
def _():
    with one_node() as node:
        expect(at(node, "put", "b/k", "v", "--w", "9"), 2, "cannot write b/k", "HTTP 400")
        expect(at(node, "put", "b/k", "v"), 0)
        expect(at(node, "put", "b/k", "w", "--if-absent"), 7, "it has a value")
        expect(at(node, "put", "b/new", "w", "--if-absent"), 0)
        expect(at(node, "put", "b/k", "v", "--content-type", "a\r\nX: y"), 2, "one line")
        expect(at(node, "put", "b/" + "k" * 70000, "v"), 2, "HTTP 4")


@case("status tells a lone node in words, JSON and rows")
def _():
    with one_node() as node:
        done = expect(at(node, "status"), 0, "the only node is alive", r"n1 +\*", "1,024 part")
        assert b"\x1b" not in done.stdout, "colour without a terminal"
        about = json.loads(at(node, "status", "-o", "json", check=True).stdout)
        equal([n["name"] for n in about["nodes"]], ["n1"])
        expect(at(node, "status", "-o", "csv"), 0, "^name,id,")


@case("import reads JSON lines, names bad ones and leaves none out silently")
def _():
    with one_node() as node:
        lines = b"".join(b'{"id": "k%d", "n": %d}\n' % (i, i) for i in range(3000))
        done = at(node, "import", "--bucket", "j", "--key-field", "id", "--verify", input=lines)
        expect(done, 0, "3,000 records .* read back identical")
        equal(at(node, "get", "j/k7", check=True).stdout, b'{"id": "k7", "n": 7}')
        equal(node.http("GET", "/buckets/j/keys/k7").headers["Content-Type"], "application/json")
        bad = b'{"id": "x"}\nnot json\n{"no": "id"}\n{"id": "y"}\n'
        done = at(node, "import", "--bucket", "j", "--key-field", "id", input=bad)
        expect(done, 1, "2 records", "line 2: this record is left out", "line 3:",
               "2 records are NOT in the store")
        equal(at(node, "get", "j/y", check=True).stdout, b'{"id": "y"}')
        told = as_json(at(node, "import", "--bucket", "j", "--key-field", "id", "-o", "json", input=bad), 1)
        equal([told[name] for name in ("bucket", "records", "bytes", "without_key", "refused", "missing")],
              ["j", 2, 22, 2, 0, 0])


@case("the last record of a key wins, whatever the pipelining")
def _():
    with Cluster(3) as cluster:
        nodes = ",".join(f"127.0.0.1:{node.http_port}" for node in cluster.nodes)
        lines = b"".join(b'{"id": "k%d", "n": %d}\n' % (i % 10, i) for i in range(2000))
        expect(command("import", "--bucket", "j", "--key-field", "id", "--node", nodes,
                       input=lines, timeout=60), 0)
        for i in range(10):
            value = at(cluster.nodes[i % 3], "get", f"j/k{i}", "--r", "all", check=True).stdout
            equal(json.loads(value)["n"], 1990 + i)


@case("import gives up, and says so, when its node does not come back")
def _():
    with one_node() as node:
        lines = b"".join(b'{"id": "k%d"}\n' % i for i in range(30000))
        child = subprocess.Popen([binary(), "import", "--bucket", "j", "--key-field", "id",
                                  "--retry", "1", "--node", f"127.0.0.1:{node.http_port}"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        child.stdin.write(lines[:len(lines) // 2])
        child.stdin.flush()
        node.kill()
        out, err = child.communicate(lines[len(lines) // 2:], timeout=20 * SLOW)
        equal(child.returncode, 3, err.decode())
        assert b"import ended after" in err and b"Next:" in err, err


@case("import reads Debian control records, export gives them back")
def _():
    records = [f"Package: p{i}\nVersion: {i}\nDescription: é {i}\n more\n" for i in range(500)]
    with one_node() as node, temporary_folder() as folder:
        path = os.path.join(folder, "packages")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(records))
        expect(at(node, "import", path, "--bucket", "p", "--format", "deb822"), 0, "500 records")
        expect(at(node, "put", "p/binary", "-", input=b"\xff\x00"), 0)
        done = expect(at(node, "export", "p"), 0, "501 records exported")
        found = {r["key"]: r for r in map(json.loads, done.stdout.decode().splitlines())}
        equal(len(found), 501)
        for i, record in enumerate(records):
            equal(found[f"p{i}"]["value"], record)
        equal(found["binary"]["value_base64"], "/wA=")
        expect(at(node, "export", "p", "--values", "text"), 1, "binary", "1 records are not")


@case("an export is restored byte for byte: odd keys, metadata, siblings")
def _():
    odd = "%FF%80%2F%00k%25"
    with one_node() as node, temporary_folder() as folder:
        for bucket in ("from", "to"):
            equal(node.http("PUT", f"/buckets/{bucket}/props", ALLOW_MULT).status, 204)
        equal(node.http("PUT", f"/buckets/from/keys/{odd}", b"\xfe\x00\r\n--x", headers={
            "Content-Type": "image/png", "Content-Encoding": "gzip", "X-Riak-Meta-Colour": "blue",
            "X-Riak-Meta-Bytes": b"\xff\xfe".decode("latin-1"), "X-Riak-Index-age_int": "7, 8",
            "Link": '</buckets/b/keys/k%2F>; riaktag="t"'}).status, 204)
        for value, kind in ((b"one", "text/plain"), (b"\xfftwo", "text/css"), (b"", "a/b")):
            equal(node.http("PUT", "/buckets/from/keys/several", value,
                            headers={"Content-Type": kind, "X-Riak-Meta-Is": kind}).status, 204)
        expect(at(node, "put", "from/one", "value"), 0)
        first, second = (os.path.join(folder, name) for name in ("first", "second"))
        expect(at(node, "export", "from", "--file", first), 0, "3 records exported")
        for _ in range(2):  # what is there is replaced
            expect(at(node, "import", "--format", "export", "--bucket", "to", "--verify", first),
                   0, "3 records .* read back identical")
        expect(at(node, "export", "to", "--file", second), 0, "3 records exported")
        lines = [sorted(sorted_line(line) for line in open(path, "rb")) for path in (first, second)]
        equal(lines[0], lines[1])
        assert any("key_base64" in line for line in lines[0]), lines[0]
        original, copy = (node.http("GET", f"/buckets/{bucket}/keys/{odd}")
                          for bucket in ("from", "to"))
        equal(copy.body, original.body)
        for name in ("Content-Type", "Content-Encoding", "X-Riak-Meta-colour", "X-Riak-Meta-bytes",
                     "X-Riak-Index-age_int"):
            equal(copy.headers[name], original.headers[name])
        assert 'riaktag="t"' in copy.headers["Link"], copy.headers["Link"]
        expect(at(node, "import", "--format", "export", "--bucket", "single", first), 1,
               "several.*only one of its concurrent values", "2 records .* written",
               "1 records are NOT in the store")
        bad = b'{"key": "a"}\n{"key_base64": "!", "value": ""}\n{"key": "b", "value": "x"}\n'
        expect(at(node, "import", "--format", "export", "--bucket", "to", input=bad), 1,
               "key 'a': it has neither value", "line 2: this record is left out", "1 records .* w")
        names = node.http("GET", "/buckets/to/keys?keys=true&names=encoded").body
        equal(sorted(json.loads(names)["keys"]), sorted([odd, "several", "one", "b"]))


@case("bench counts over both protocols")
def _():
    with one_node() as node:
        for protocol, port in (("resp", node.resp_port), ("http", node.http_port)):
            for options in (["--mix", "0:1"], ["--mix", "1:1", "--pipeline", "8", "--threads", "2"],
                            ["--distribution", "zipf"]):
                done = command("bench", "--protocol", protocol, "--node", f"127.0.0.1:{port}",
                               "--requests", "5000", "--keys", "500", "--clients", "10", "-o",
                               "json", *options, timeout=60)
                expect(done, 0)
                table = {row["operation"]: row for row in json.loads(done.stdout)}
                equal(table["all"]["count"], 5000)
                assert 0 < table["all"]["p50 us"] <= table["all"]["max us"]


@case("bench goes on after its node was killed, and tells the errors")
def _():
    with Cluster(3) as cluster:
        nodes = ",".join(f"127.0.0.1:{node.resp_port}" for node in cluster.nodes)
        child = subprocess.Popen([binary(), "bench", "--node", nodes, "--seconds", "3", "-o",
                                  "json", "--clients", "9"], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        time.sleep(1)
        cluster.nodes[2].kill()
        out, err = child.communicate(timeout=60 * SLOW)
        equal(child.returncode, 1, err.decode())
        assert b"operations failed" in err, err
        assert json.loads(out)[-1]["count"] > 100


# --- a cluster that loses nodes ----------------------------------------------------------------

@case("status and errors tell what a cluster has lost")
def _():
    with Cluster(3) as cluster:
        first, second, third = cluster.nodes
        wait_until(lambda: at(first, "status").returncode == 0, 20, "all are alive")
        expect(at(first, "status"), 0, "all 3 nodes are alive; any 1 of them may fail")
        expect(at(first, "put", "b/k", "v", "--w", "all"), 0)
        third.kill()
        wait_until(lambda: at(first, "status").returncode == 1, 20, "the loss is noticed")
        expect(at(first, "get", "b/k"), 0, "v")
        second.kill()

        def lost():
            done = at(first, "status")
            return b"1,024 of 1,024 partitions have no quorum" in done.stdout and done
        expect(wait_until(lost, 20, "the second loss is noticed"), 1, r"1 of 3 nodes is alive")
        equal(at(first, "get", "b/k", "--r", "1", check=True).stdout, b"v")
        done = at(first, "put", "b/k", "w", "--timeout", "2000")
        assert done.returncode in (4, 5), text(done)
        assert "Next:" in text(done), text(done)


@case("import goes on through the death and return of a node")
def _():
    with Cluster(3) as cluster:
        nodes = ",".join(f"127.0.0.1:{node.http_port}" for node in cluster.nodes)
        lines = b"".join(b'{"id": "k%d", "n": %d}\n' % (i, i) for i in range(20000))
        child = subprocess.Popen([binary(), "import", "--bucket", "j", "--key-field", "id",
                                  "--node", nodes], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        child.stdin.write(lines[:len(lines) // 2])
        child.stdin.flush()
        cluster.nodes[1].kill()
        child.stdin.write(lines[len(lines) // 2:])
        out, err = child.communicate(timeout=120 * SLOW)
        equal(child.returncode, 0, (out + err).decode())
        assert b"20,000 records" in out, out
        cluster.nodes[1].start()
        done = command("export", "j", "--node", nodes, timeout=60, check=True)
        equal(len(done.stdout.splitlines()), 20000)


run()
