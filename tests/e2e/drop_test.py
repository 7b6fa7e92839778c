#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Dropping buckets on real nodes: `kvorum bucket drop`, POST .../drop, FLUSHDB and FLUSHALL."""
import json
import os
import pty
import subprocess
import threading
import time

from kvorum_e2e import Cluster, becomes, binary, case, command, equal, http_request, one_node, run, wait_until

PARTITIONS = 64
FLAGS = ["--partitions", str(PARTITIONS), "--reactors", "2"]
VALUE = 4000


def load(node, count, prefix="key", size=VALUE):
    with node.resp() as redis:
        for start in range(0, count, 100):
            for reply in redis.pipeline([("SET", f"{prefix}-{i}", os.urandom(size))
                                         for i in range(start, min(start + 100, count))]):
                equal(reply, "OK")


def drop(node, bucket="db0", *words):
    return command("bucket", "drop", bucket, "--node", f"127.0.0.1:{node.http_port}", *words,
                   timeout=60)


def keys(node, bucket="db0"):
    answer = node.http("GET", f"/buckets/{bucket}/keys?keys=true")
    equal(answer.status, 200)
    return json.loads(answer.body)["keys"]


def keys_or_none(node, bucket="db0"):
    answer = node.http("GET", f"/buckets/{bucket}/keys?keys=true")
    if answer.status == 503:  # it was told of the drop by the node that it asked
        assert b"dropped meanwhile" in answer.body, answer
        return None
    equal(answer.status, 200)
    return json.loads(answer.body)["keys"]


def stat(node, name):
    return json.loads(node.http("GET", "/stats").body)[name]


def reclaimed(nodes):
    return all(stat(node, "kvorum_reclaims_due") == 0 for node in nodes)


def disk_size(node):
    return sum(os.path.getsize(os.path.join(folder, name))
               for folder, _, names in os.walk(node.folder) for name in names)


@case("what was written before is gone at every node, and the bucket can be used at once")
def _():
    with Cluster(5, flags=FLAGS) as nodes:
        load(nodes[0], 400)
        becomes(lambda: len(keys(nodes[3])), 400, what="n3 lists all that was written")
        done = drop(nodes[1], "db0", "--yes", "-o", "json")
        equal(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        equal(told["bucket"], "db0")
        assert int(told["generation"], 16) > 0, told
        for node in nodes:
            equal(keys(node), [])
            equal(json.loads(node.http("GET", "/buckets?buckets=true").body)["buckets"], [])
            equal(node.http("GET", "/buckets/db0/keys/key-7").status, 404)
        with nodes[2].resp() as redis:
            equal(redis.call("SET", "key-7", "new"), "OK")
        for node in nodes:
            equal(node.http("GET", "/buckets/db0/keys/key-7").body, b"new")
        becomes(lambda: keys(nodes[4]), ["key-7"], what="n4 lists the new key alone")
        wait_until(lambda: reclaimed(nodes), timeout=30, what="all is reclaimed")
        equal(keys(nodes[4]), ["key-7"])


@case("a node that was down while a bucket was dropped shows nothing of it when it is back")
def _():
    with Cluster(5, flags=FLAGS) as nodes:
        load(nodes[0], 200)
        nodes[4].kill()
        wait_until(lambda: drop(nodes[0], "db0", "--yes").returncode == 0, timeout=60,
                   what="it is dropped without n5")
        with nodes[1].resp() as redis:
            equal(redis.call("SET", "key-1", "new"), "OK")
        nodes[4].restart()
        nodes[4].wait_serving()
        wait_until(lambda: keys_or_none(nodes[4]) == ["key-1"], what="n5 lists the new key, and no other")
        for i in range(200):
            answer = nodes[4].http("GET", f"/buckets/db0/keys/key-{i}")
            equal(answer.status, 200 if i == 1 else 404, f"key-{i}")
        wait_until(lambda: reclaimed(nodes), timeout=30, what="all is reclaimed, at n5 too")
        for node in nodes:
            becomes(lambda: keys(node), ["key-1"], what=f"{node.name} lists the new key alone")


@case("what is acknowledged behind a drop stays while others write and drop")
def _():
    with Cluster(5, flags=FLAGS) as nodes:
        stop, refused = threading.Event(), []

        def write(at):
            count = 0
            with nodes[at].resp(timeout=30) as redis:
                while not stop.is_set():
                    count += 1
                    try:
                        redis.call("SET", f"w{at}-{count}", "x" * 100)
                    except Exception as error:  # an error reply: dropped under way
                        refused.append(str(error))

        writers = [threading.Thread(target=write, args=(at,)) for at in range(4)]
        for writer in writers:
            writer.start()
        time.sleep(0.5)
        for at in range(3):
            equal(drop(nodes[at], "db0", "--yes").returncode, 0)
            with nodes[4].resp() as redis:
                equal(redis.call("SET", f"after-{at}", "here"), "OK")
                equal(redis.call("GET", f"after-{at}"), b"here")
                for before in range(at):
                    equal(redis.call("GET", f"after-{before}"), None)
        stop.set()
        for writer in writers:
            writer.join()
        for node in nodes:
            equal(node.http("GET", "/buckets/db0/keys/after-2").body, b"here")
            equal(node.http("GET", "/buckets/db0/keys/after-1").status, 404)


@case("a drop takes the same time for few keys and for many, and their room is given back")
def _():
    with Cluster(3, flags=["--partitions", "8", "--reactors", "2"],
                 config="[storage]\nmemtable_size = 1MB\n") as nodes:
        load(nodes[0], 10, "few")
        begin = time.monotonic()
        equal(nodes[0].http("POST", "/buckets/db0/drop").status, 200)
        few = time.monotonic() - begin
        load(nodes[0], 6000, "many")
        wait_until(lambda: reclaimed(nodes), timeout=30, what="the few are reclaimed")
        before = [disk_size(node) for node in nodes]
        reclaimed_before = [stat(node, "kvorum_reclaimed_size") for node in nodes]
        begin = time.monotonic()
        equal(nodes[0].http("POST", "/buckets/db0/drop").status, 200)
        many = time.monotonic() - begin
        assert many < few + 1, (few, many)
        wait_until(lambda: reclaimed(nodes), timeout=60, what="the many are reclaimed")
        task = json.loads(command("tasks", "list", "--all", "-o", "json", "--node",
                                  f"127.0.0.1:{nodes[0].http_port}").stdout)["tasks"]
        ended = [t for t in task if t["task"].endswith("/reclaim")]
        equal(len(ended), 3, str(task))
        for node, size, counted in zip(nodes, before, reclaimed_before):
            given_up = stat(node, "kvorum_reclaimed_size") - counted
            assert given_up > 4000 * VALUE, given_up
            wait_until(lambda: disk_size(node) < size - 4000 * VALUE, timeout=30,
                       what="the disk has its room back")


@case("without a majority nothing is dropped, and the reason says so")
def _():
    with Cluster(3, flags=FLAGS) as nodes:
        load(nodes[0], 10)
        nodes[1].kill()
        nodes[2].kill()

        def refused():
            answer = nodes[0].http("POST", "/buckets/db0/drop", timeout=30)
            return answer.status == 503 and b"majority" in answer.body
        wait_until(refused, timeout=60, what="the drop is refused")
        nodes[1].restart()
        nodes[2].restart()
        wait_until(lambda: len(keys(nodes[0])) == 10, timeout=30, what="all is there")


@case("nobody drops a bucket by accident")
def _():
    with one_node() as node:
        load(node, 3)
        for method, path, status in (("DELETE", "/buckets/db0", 404), ("DELETE", "/buckets/db0/keys", 405),
                                     ("GET", "/buckets/db0/drop", 405)):
            equal(node.http(method, path).status, status, f"{method} {path}")
        equal(node.http("POST", "/buckets/db0/drop", b"x").status, 400)
        refused = drop(node)
        equal(refused.returncode, 8)
        assert b"--yes" in refused.stderr, refused.stderr
        equal(len(keys(node)), 3)
        for typed, code, left in ((b"y\n", 1, 3), (b"db0\n", 0, 0)):
            leader, follower = pty.openpty()
            process = subprocess.Popen([binary(), "bucket", "drop", "db0", "--node",
                                        f"127.0.0.1:{node.http_port}"], stdin=follower,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            os.write(leader, typed)
            _, said = process.communicate(timeout=20)
            os.close(leader)
            os.close(follower)
            equal(process.returncode, code, said)
            assert b"3 keys" in said, said
            equal(len(keys(node)), left)


@case("FLUSHDB empties one database, FLUSHALL all of them, in the order of the pipeline")
def _():
    with one_node(flags=["--reactors", "2"]) as node:
        with node.resp() as redis, node.resp() as other:
            equal(redis.pipeline([("SET", "a", "1"), ("SELECT", "3"), ("SET", "b", "2")]),
                  ["OK", "OK", "OK"])
            equal(redis.pipeline([("SET", "c", "3"), ("FLUSHDB",), ("GET", "c"), ("SET", "c", "4"),
                                  ("GET", "c"), ("DBSIZE",)]), ["OK", "OK", None, "OK", b"4", 1])
            equal(other.call("GET", "a"), b"1")
            for words in (("FLUSHDB", "ASYNC"), ("FLUSHDB", "sync"), ("FLUSHALL",)):
                equal(redis.call(*words), "OK")
            equal(other.call("GET", "a"), None)
            equal(redis.call("DBSIZE"), 0)
            for round in range(30):
                equal(other.call("SET", "a", str(round)), "OK")
                equal(redis.call("FLUSHALL"), "OK")
                equal(other.call("GET", "a"), None)


if __name__ == "__main__":
    run()
