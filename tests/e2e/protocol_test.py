# SPDX-License-Identifier: Apache-2.0
"""The protocols as programs nobody here wrote speak them: curl, redis-cli, redis-benchmark; and the limits."""
# timeout: 300
import email.utils
import json
import os
import re
import socket
import subprocess
import time

from kvorum_e2e import (SLOW, Cluster, RespError, Response, _die_with_parent, becomes, case, equal,
                        one_node, rows, run, temporary_folder)
from email.message import Message

TEXT = ("-H", "Content-Type: text/plain")
CLOCK = "X-Riak-Vclock"
MB = 1 << 20
shared = None  # the cluster of most cases; each uses a bucket of its own


# --- programs --------------------------------------------------------------------------------------

def program(*words, input=None, timeout=60):
    done = subprocess.run([str(w) for w in words], input=input, capture_output=True,
                          timeout=timeout * SLOW, preexec_fn=_die_with_parent,
                          stdin=None if input is not None else subprocess.DEVNULL)
    assert done.returncode == 0, (words[:8], done.returncode, done.stdout[-500:], done.stderr[-500:])
    return done.stdout


def curl(node, path, *options, input=None):
    """One request; path may hold a query.  The answer, with its final header block."""
    with temporary_folder() as folder:
        head, body = os.path.join(folder, "head"), os.path.join(folder, "body")
        program("curl", "-sS", "--max-time", int(30 * SLOW), "-D", head, "-o", body, *options,
                f"http://127.0.0.1:{node.http_port}{path}", input=input)
        with open(head, encoding="latin-1", newline="") as file:
            blocks = [block for block in re.split(r"\r\n\r\n", file.read()) if block]
        content = b""
        if os.path.exists(body) and "--head" not in options:  # there curl puts the headers
            with open(body, "rb") as file:
                content = file.read()
    first, *lines = blocks[-1].split("\r\n")
    headers = Message()
    for line in lines:
        name, _, value = line.partition(": ")
        headers[name] = value
    return Response(int(first.split()[1]), headers, content)


def put(node, path, value, *options):
    return curl(node, path, "-X", "PUT", *TEXT, *options, "--data-binary", "@-", input=value)


def redis_cli(node, *words, input=None):
    return program("redis-cli", "-p", node.resp_port, *words, input=input).decode().rstrip("\n")


def status(answer, *wanted):
    assert answer.status in wanted, f"{answer!r}, expected {wanted}"
    return answer


def siblings(node, bucket, key, *values):
    """Writes that do not know of one another."""
    status(curl(node, f"/buckets/{bucket}/props", "-X", "PUT", "-H", "Content-Type: application/json",
                "-d", '{"props":{"allow_mult":true}}'), 204)
    for value in values:
        status(put(node, f"/buckets/{bucket}/keys/{key}", value), 204)


# --- HTTP: objects ---------------------------------------------------------------------------------

@case("curl: a value goes in through one node and comes out of another with type, clock, ETag and date")
def _():
    status(put(shared[0], "/buckets/pets/keys/cat", b"meow"), 204)
    answer = status(curl(shared[2], "/buckets/pets/keys/cat"), 200)
    equal(answer.body, b"meow")
    equal(answer.headers["Content-Type"], "text/plain")
    equal(answer.headers["Vary"], "Accept, Accept-Encoding")
    equal(answer.headers["Link"], '</buckets/pets>; rel="up"')
    assert re.fullmatch(r'"[0-9A-Za-z]+"', answer.headers["ETag"]), answer
    assert answer.headers[CLOCK], answer
    written = email.utils.parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp()
    assert abs(written - time.time()) < 60 * SLOW, answer
    again = status(curl(shared[1], "/buckets/pets/keys/cat"), 200)
    for name in ("ETag", CLOCK, "Last-Modified"):
        equal(again.headers[name], answer.headers[name], name)


@case("curl: metadata, links, indexes, charset and encoding come back as they were sent")
def _():
    path = "/buckets/meta/keys/k"
    sent = {"X-Riak-Meta-Colour": "red", "X-Riak-Meta-Empty-Not": "x y  z",
            "X-Riak-Index-age_int": "7, 8", "X-Riak-Index-name_bin": "ada",
            "Link": '</buckets/a%2Fb/keys/c%20d>; riaktag="friend"', "Content-Encoding": "gzip"}
    options = [word for name, value in sent.items() for word in ("-H", f"{name}: {value}")]
    status(curl(shared[0], path, "-X", "PUT", "-H", "Content-Type: text/plain; charset=utf-8",
                *options, "-d", "v"), 204)
    headers = status(curl(shared[1], path), 200).headers
    equal(headers["Content-Type"], "text/plain; charset=utf-8")
    equal(headers["X-Riak-Meta-Colour"], "red")
    equal(headers["X-Riak-Meta-Empty-Not"], "x y  z")
    equal(headers["X-Riak-Index-age_int"], "7, 8")
    equal(headers["X-Riak-Index-name_bin"], "ada")
    equal(headers["Content-Encoding"], "gzip")
    equal(headers["Link"],
          '</buckets/meta>; rel="up", </buckets/a%2Fb/keys/c%20d>; riaktag="friend"')


@case("curl: names with every byte in them are names")
def _():
    name = "%00%01%2F%3F%25%C3%A9%FF+.."
    status(put(shared[0], f"/buckets/{name}/keys/{name}", b"odd"), 204)
    equal(status(curl(shared[1], f"/buckets/{name}/keys/{name}"), 200).body, b"odd")
    becomes(lambda: json.loads(status(curl(shared[2], f"/buckets/{name}/keys?keys=true"), 200).body),
            {"keys": ["\0\x01/?%\u00e9\u00ff+.."]})


@case("curl: HEAD has the headers of GET and no body")
def _():
    put(shared[0], "/buckets/head/keys/k", b"12345")
    got = status(curl(shared[1], "/buckets/head/keys/k"), 200)
    head = status(curl(shared[1], "/buckets/head/keys/k", "--head"), 200)
    equal(head.headers["Content-Length"], "5")
    for name in ("ETag", CLOCK, "Content-Type", "Last-Modified"):
        equal(head.headers[name], got.headers[name], name)
    status(curl(shared[1], "/buckets/head/keys/none", "--head"), 404)
    siblings(shared[0], "heads", "k", b"a", b"b")
    status(curl(shared[1], "/buckets/heads/keys/k", "--head"), 300)


@case("curl: POST makes a key and says where; POST to a key writes it")
def _():
    made = status(curl(shared[0], "/buckets/posts/keys", "-X", "POST", *TEXT, "-d", "one"), 201)
    location = made.headers["Location"]
    assert re.fullmatch(r"/buckets/posts/keys/[0-9A-Za-z]+", location), made
    equal(status(curl(shared[1], location), 200).body, b"one")
    body = status(curl(shared[0], "/buckets/posts/keys?returnbody=true", "-X", "POST", *TEXT, "-d",
                       "two"), 201)
    equal(body.body, b"two")
    assert body.headers["Location"] != location
    status(curl(shared[0], "/buckets/posts/keys/named", "-X", "POST", *TEXT, "-d", "three"), 204)
    equal(status(curl(shared[2], "/buckets/posts/keys/named"), 200).body, b"three")


@case("curl: returnbody gives what a GET would")
def _():
    answer = status(put(shared[0], "/buckets/rb/keys/k?returnbody=true", b"v"), 200)
    equal(answer.body, b"v")
    got = status(curl(shared[1], "/buckets/rb/keys/k"), 200)
    equal(answer.headers[CLOCK], got.headers[CLOCK])
    equal(answer.headers["ETag"], got.headers["ETag"])
    siblings(shared[0], "rbs", "k", b"a")
    status(put(shared[1], "/buckets/rbs/keys/k?returnbody=true", b"b"), 300)


@case("curl: DELETE leaves a tombstone that says so; a deleted and a missing key are 404")
def _():
    path = "/buckets/del/keys/k"
    status(curl(shared[0], path, "-X", "DELETE"), 404)
    put(shared[0], path, b"v")
    status(curl(shared[1], path, "-X", "DELETE"), 204)
    gone = status(curl(shared[2], path), 404)
    equal(gone.body, b"not found\n")
    equal(gone.headers["X-Riak-Deleted"], "true")
    assert gone.headers[CLOCK], gone
    missing = status(curl(shared[2], "/buckets/del/keys/never"), 404)
    equal((missing.headers["X-Riak-Deleted"], missing.headers[CLOCK]), (None, None))
    becomes(lambda: json.loads(curl(shared[0], "/buckets/del/keys?keys=true").body), {"keys": []})
    status(put(shared[0], path, b"back", "-H", f"{CLOCK}: {gone.headers[CLOCK]}"), 204)
    equal(status(curl(shared[2], path), 200).body, b"back")


# --- HTTP: siblings --------------------------------------------------------------------------------

@case("curl: concurrent writes are siblings: 300 and a list of vtags, each of which fetches one")
def _():
    siblings(shared[0], "sib", "k", b"one", b"two", b"three")
    answer = status(curl(shared[1], "/buckets/sib/keys/k"), 300)
    equal(answer.headers["Content-Type"], "text/plain")
    first, *vtags = answer.body.decode().splitlines()
    equal((first, len(vtags)), ("Siblings:", 3))
    bodies = set()
    for vtag in vtags:
        one = status(curl(shared[2], f"/buckets/sib/keys/k?vtag={vtag}"), 200)
        equal(one.headers["ETag"], f'"{vtag}"')
        bodies.add(one.body)
    equal(bodies, {b"one", b"two", b"three"})
    status(curl(shared[2], "/buckets/sib/keys/k?vtag=nosuch"), 300)  # as Riak


@case("curl: siblings as multipart/mixed, parsed by a MIME parser; a write with the clock ends them")
def _():
    siblings(shared[0], "multi", "k", b"one", b"two\r\n--x")
    answer = status(curl(shared[1], "/buckets/multi/keys/k", "-H", "Accept: multipart/mixed"), 300)
    kind = answer.headers["Content-Type"]
    message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + answer.body)
    assert message.is_multipart(), answer
    parts = message.get_payload()
    equal({part.get_payload(decode=True) for part in parts}, {b"one", b"two\r\n--x"})
    for part in parts:
        for name in ("Etag", "Last-Modified", "Link", "Content-Type"):
            assert part[name], (name, part.items())
        assert '"' not in part["Etag"]
    status(put(shared[2], "/buckets/multi/keys/k", b"merged", "-H",
               f"{CLOCK}: {answer.headers[CLOCK]}"), 204)
    equal(status(curl(shared[0], "/buckets/multi/keys/k"), 200).body, b"merged")


@case("curl: a write beside a deletion leaves both: the tombstone is a sibling that says so")
def _():
    siblings(shared[0], "tomb", "k", b"old")
    clock = curl(shared[0], "/buckets/tomb/keys/k").headers[CLOCK]
    status(put(shared[1], "/buckets/tomb/keys/k", b"new"), 204)
    status(curl(shared[0], "/buckets/tomb/keys/k", "-X", "DELETE", "-H", f"{CLOCK}: {clock}"), 204)
    answer = status(curl(shared[2], "/buckets/tomb/keys/k", "-H", "Accept: multipart/mixed"), 300)
    equal(answer.body.count(b"X-Riak-Deleted: true"), 1)
    assert b"\r\n\r\nnew\r\n" in answer.body, answer


# --- HTTP: conditions ------------------------------------------------------------------------------

PAST, FUTURE = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


def check_condition(method, header, wanted):
    path = "/buckets/cond/keys/k"
    put(shared[0], path, b"v")
    etag = curl(shared[0], path).headers["ETag"]
    options = ("-X", "PUT", *TEXT, "-d", "w") if method == "PUT" else ("-X", method)
    if method == "HEAD":
        options = ("--head",)
    status(curl(shared[1], path, *options, "-H", header.replace("ETAG", etag)), wanted)


rows([
    ("curl: GET If-None-Match with the ETag is 304", "GET", "If-None-Match: ETAG", 304),
    ("curl: HEAD If-None-Match with the ETag is 304", "HEAD", "If-None-Match: ETAG", 304),
    ("curl: GET If-None-Match with another ETag is 200", "GET", 'If-None-Match: "x"', 200),
    ("curl: GET If-None-Match with the ETag among others is 304", "GET",
     'If-None-Match: "x", ETAG', 304),
    ("curl: GET If-Match with another ETag is 412", "GET", 'If-Match: "x"', 412),
    ("curl: GET If-Modified-Since the future is 304", "GET", "If-Modified-Since: " + FUTURE, 304),
    ("curl: GET If-Modified-Since the past is 200", "GET", "If-Modified-Since: " + PAST, 200),
    ("curl: GET If-Unmodified-Since the past is 412", "GET", "If-Unmodified-Since: " + PAST, 412),
    ("curl: GET with a date that is none ignores it", "GET", "If-Modified-Since: yesterday", 200),
    ("curl: PUT If-None-Match: * of a key that is there is 412", "PUT", "If-None-Match: *", 412),
    ("curl: PUT If-Match with the ETag is 204", "PUT", "If-Match: ETAG", 204),
    ("curl: PUT If-Match with another ETag is 412", "PUT", 'If-Match: "x"', 412),
    ("curl: PUT If-Unmodified-Since the past is 412", "PUT", "If-Unmodified-Since: " + PAST, 412),
    ("curl: DELETE If-Match with another ETag is 412", "DELETE", 'If-Match: "x"', 412),
    ("curl: DELETE If-Match with the ETag is 204", "DELETE", "If-Match: ETAG", 204),
], check_condition)


@case("curl: PUT If-None-Match: * makes a key once")
def _():
    path = "/buckets/cond/keys/once"
    status(put(shared[0], path, b"a", "-H", "If-None-Match: *"), 204)
    status(put(shared[1], path, b"b", "-H", "If-None-Match: *"), 412)
    equal(curl(shared[2], path).body, b"a")


@case("curl: X-Riak-If-Not-Modified writes only over the clock it names, else 409")
def _():
    path = "/buckets/inm/keys/k"
    put(shared[0], path, b"one")
    clock = curl(shared[0], path).headers[CLOCK]
    header = ("-H", f"{CLOCK}: {clock}", "-H", f"X-Riak-If-Not-Modified: {clock}")
    status(put(shared[1], path, b"two", *header), 204)
    equal(status(put(shared[1], path, b"three", *header), 409).body, b"modified\n")
    equal(curl(shared[2], path).body, b"two")
    status(put(shared[1], "/buckets/inm/keys/none", b"x", *header), 409)


# --- HTTP: quorums and bad requests ----------------------------------------------------------------

WORDS = ("{} query parameter must be an integer or one of the following words: 'one', 'quorum', 'all', "
         "'local_quorum' or 'each_quorum'\n")
INVALID = "Specified w/dw/pw/node_confirms values invalid for bucket n value of 3\n"


def check_bad(method, query, text, *options):
    path = "/buckets/bad/keys/k" + query
    answer = put(shared[0], path, b"v") if method == "PUT" else curl(shared[0], path, "-X", method)
    status(answer, 400)
    assert answer.body.decode().startswith(text), (answer, text)


rows([(f"curl: {method} with {query[1:]} is 400 and names it", method, query, text) for
      method, query, text in (
          ("GET", "?r=many", WORDS.format("r")), ("GET", "?pr=-1", WORDS.format("pr")),
          ("PUT", "?w=1.5", WORDS.format("w")), ("PUT", "?dw=x", WORDS.format("dw")),
          ("PUT", "?pw=", WORDS.format("pw")), ("DELETE", "?w=some", WORDS.format("w")),
          ("GET", "?r=4", "Specified r/pr values invalid for bucket n value of 3\n"),
          ("GET", "?pr=4", "Specified r/pr values invalid for bucket n value of 3\n"),
          ("PUT", "?w=4", INVALID), ("PUT", "?dw=4", INVALID), ("PUT", "?pw=4", INVALID),
          ("PUT", "?node_confirms=4", INVALID),
          ("GET", "?basic_quorum=maybe", "basic_quorum query parameter must be true or false\n"),
          ("GET", "?notfound_ok=1", "notfound_ok query parameter must be true or false\n"),
          ("PUT", "?returnbody=yes", "returnbody query parameter must be true or false\n"),
          ("GET", "?timeout=soon", "Bad timeout value"), ("GET", "?timeout=-1", "Bad timeout value"),
      )], check_bad)

rows([(f"curl: {query[1:]} is a quorum", lambda query: (
        status(put(shared[0], "/buckets/q/keys/k" + query, b"v"), 204),
        status(curl(shared[1], "/buckets/q/keys/k" + query), 200)), query)
      for query in ("?w=all&r=all", "?w=1&r=one", "?w=quorum&dw=all&r=quorum", "?w=default&r=default",
                    "?pw=quorum&pr=all", "?node_confirms=2&timeout=5000", "?w=3&dw=3&pw=3&r=3&pr=3")],
     lambda function, query: function(query))


@case("curl: two of three nodes down: quorums fail with what answered and what was needed, one reads on")
def _():
    with Cluster(3) as cluster:
        put(cluster[0], "/buckets/b/keys/k?w=all", b"v")
        cluster[1].kill()
        cluster[2].kill()
        read = status(curl(cluster[0], "/buckets/b/keys/k?timeout=2000"), 503)
        assert re.match(rb"R-value unsatisfied: [01]/2\n", read.body), read
        assert re.search(rb"cannot read b/k: [01] of 3 replicas answered, 2 needed", read.body), read
        equal(status(curl(cluster[0], "/buckets/b/keys/k?r=1&notfound_ok=true"), 200).body, b"v")
        write = status(put(cluster[0], "/buckets/b/keys/k?timeout=2000", b"w"), 503)
        # known dead: refused; not known yet: the coordinator's own copy makes the outcome unknown
        assert re.match(rb"(D?W-value unsatisfied: [01]/2|request timed out)\n", write.body), write
        status(put(cluster[0], "/buckets/b/keys/k2?w=1&dw=1", b"w"), 204)
        primary = status(curl(cluster[0], "/buckets/b/keys/k?r=1&pr=2&timeout=2000"), 503)
        assert re.match(rb"PR-value unsatisfied: [01]/2\n", primary.body), primary
        primary = status(put(cluster[0], "/buckets/b/keys/k3?w=1&dw=1&pw=2", b"w"), 503)
        assert re.match(rb"PW-value unsatisfied: [01]/2\n", primary.body), primary


@case("curl: PUT without Content-Type is 400")
def _():
    answer = curl(shared[0], "/buckets/b/keys/k", "-X", "PUT", "-H", "Content-Type:", "-d", "v")
    equal(status(answer, 400).body, b"Missing Content-Type request header\n")


def check_refused(path, options, code, text):
    answer = status(curl(shared[0], path, *options), code)
    assert text in answer.body.decode("latin-1"), answer
    return answer


rows([(f"curl: {name}", path, options, code, text) for name, path, options, code, text in (
    ("an unknown resource is 404 and says what there is", "/nothing", (), 404, "no such resource"),
    ("an unknown bucket type is 404", "/types/maps/buckets/b/keys/k", (), 404,
     "Unknown bucket type: maps"),
    ("a method that is not there is 405", "/buckets/b/props", ("-X", "POST", "-d", ""), 405, "not allowed"),
    ("bad percent-encoding is 400", "/buckets/b/keys/%zz", (), 400, "percent-encoding"),
    ("a clock that is no base64 is 400", "/buckets/b/keys/k",
     ("-X", "PUT", *TEXT, "-H", f"{CLOCK}: ***", "-d", "v"), 400, CLOCK.lower()),
    ("a clock that is none is 400", "/buckets/b/keys/k",
     ("-X", "PUT", *TEXT, "-H", f"{CLOCK}: AAAA", "-d", "v"), 400, CLOCK.lower()),
    ("a bad Link is 400", "/buckets/b/keys/k", ("-X", "PUT", *TEXT, "-H", "Link: x", "-d", "v"), 400,
     "Invalid Link header"),
    ("an index without a type is 400", "/buckets/b/keys/k",
     ("-X", "PUT", *TEXT, "-H", "X-Riak-Index-age: 7", "-d", "v"), 400, "_int"),
    ("an index value that is no number is 400", "/buckets/b/keys/k",
     ("-X", "PUT", *TEXT, "-H", "X-Riak-Index-age_int: seven", "-d", "v"), 400, "index"),
    ("listing keys without saying so is 400", "/buckets/b/keys", (), 400, "keys=true"),
    ("listing buckets without saying so is 400", "/buckets", (), 400, "buckets=true"),
    ("MapReduce is 501 for now", "/mapred", ("-X", "POST", "-d", "{}"), 501, "not there yet"),
    ("a secondary index query is 501 for now", "/buckets/b/index/age_int/7", (), 501, "not there yet"),
    ("a drop with a body is 400: it may have meant one key", "/buckets/b/drop", ("-X", "POST", "-d", "k"),
     400, "a drop takes no body"),
    ("a drop that is not POSTed is 405", "/buckets/b/drop", (), 405, "not allowed"),
    ("a DELETE of a bucket is no drop", "/buckets/b", ("-X", "DELETE"), 404, "no such resource"),
    ("a drop in an unknown bucket type is 404", "/types/maps/buckets/b/drop", ("-X", "POST"), 404,
     "Unknown bucket type: maps"),
    ("a counter is 501 for now", "/buckets/b/counters/c", (), 501, "not there yet"),
)], check_refused)


# --- HTTP: properties, lists, the server itself ----------------------------------------------------

@case("curl: properties are set through one node, seen through all, and reset")
def _():
    path = "/buckets/props/props"
    body = '{"props":{"n_val":2,"allow_mult":true,"r":1,"w":"all","last_write_wins":false}}'
    json_type = ("-H", "Content-Type: application/json")
    before = json.loads(curl(shared[0], path).body)["props"]
    equal((before["name"], before["n_val"], before["allow_mult"]), ("props", 3, False))
    status(curl(shared[0], path, "-X", "PUT", *json_type, "-d", body), 204)
    for node in shared:
        props = json.loads(curl(node, path).body)["props"]
        equal((props["n_val"], props["allow_mult"], props["r"], props["w"]), (2, True, 1, "all"))
    status(curl(shared[1], path, "-X", "DELETE"), 204)
    for node in shared:
        equal(json.loads(curl(node, path).body)["props"], before)


@case("curl: a bucket dropped through one node is empty through all, and its properties stay")
def _():
    path = "/buckets/gone"
    status(curl(shared[0], path + "/props", "-X", "PUT", "-H", "Content-Type: application/json", "-d",
                '{"props":{"allow_mult":true}}'), 204)
    for i, node in enumerate(shared):
        status(put(node, f"{path}/keys/k{i}", b"v"), 204)
    before = status(curl(shared[1], path + "/keys/k0"), 200)
    answer = json.loads(status(curl(shared[1], path + "/drop", "-X", "POST"), 200).body)
    equal((answer["bucket"], len(answer["generation"])), ("gone", 16))
    assert email.utils.parsedate_to_datetime(answer["dropped"]) is not None
    for node in shared:
        status(curl(node, path + "/keys/k0"), 404)
        equal(json.loads(curl(node, path + "/keys?keys=true").body)["keys"], [])
        equal(json.loads(curl(node, path + "/props").body)["props"]["allow_mult"], True)
    status(put(shared[2], path + "/keys/k0", b"new", "-H", f"{CLOCK}: {before.headers[CLOCK]}"), 204)
    for node in shared:  # the context of the former life takes nothing away, nor is it in the way
        equal(status(curl(node, path + "/keys/k0"), 200).body, b"new")


rows([(f"curl: properties {body} are refused: {text}", "/buckets/badprops/props",
       ("-X", "PUT", "-d", body), 400, text) for body, text in (
    ("nonsense", "bucket PUT must be a JSON object of the form:"),
    ('{"props":7}', "bucket PUT must be a JSON object of the form:"),
    ('{"props":{"n_val":"x"}}', '{"n_val":"not_integer"}'),
    ('{"props":{"r":"some"}}', '{"r":"not_valid_quorum"}'),
    ('{"props":{"allow_mult":3}}', '{"allow_mult":"not_boolean"}'),
    ('{"props":{"precommit":[{"mod":"m","fun":"f"}]}}', "not supported"),
    ('{"props":{"n_val":0}}', "n_val"),
    ('{"props":{"n_val":3,"w":4}}', "w"),
)], check_refused)


def json_objects(text):
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        found, at = decoder.raw_decode(text, at)
        yield found


@case("curl: all of 2,000 keys are listed, at once and as a stream, through every node")
def _():
    names = {f"key-{i:05}" for i in range(2000)}
    with shared[0].resp() as client:
        client.call("SELECT", 7)
        equal(set(client.pipeline([("SET", name, "v") for name in names])), {"OK"})
    for node in shared:
        becomes(lambda: sorted(json.loads(status(curl(node, "/buckets/db7/keys?keys=true"),
                                                 200).body)["keys"]), sorted(names))
        answer = status(curl(node, "/buckets/db7/keys?keys=stream"), 200)
        equal(answer.headers["Transfer-Encoding"], "chunked")
        pieces = list(json_objects(answer.body.decode()))
        equal(pieces[-1], {"keys": []})
        streamed = [name for piece in pieces for name in piece["keys"]]
        equal((len(streamed), set(streamed)), (2000, names))
    buckets = json.loads(curl(shared[0], "/buckets?buckets=true").body)["buckets"]
    assert "db7" in buckets and len(buckets) == len(set(buckets)), buckets
    stream = json_objects(curl(shared[1], "/buckets?buckets=stream").body.decode())
    equal(sorted(name for piece in stream for name in piece["buckets"]), sorted(buckets))
    old = json.loads(curl(shared[2], "/riak/db7?props=true&keys=true").body)
    equal((set(old["keys"]), old["props"]["name"]), (names, "db7"))
    one = curl(shared[2], "/buckets/db7/keys?keys=true", "--http1.0")
    equal((set(json.loads(one.body)["keys"]), one.headers["Connection"]), (names, "close"))


@case("curl: the old routes below /riak and the typed ones are the same objects")
def _():
    status(put(shared[0], "/riak/old/k", b"v"), 204)
    for path in ("/buckets/old/keys/k", "/types/default/buckets/old/keys/k", "/riak/old/k"):
        equal(status(curl(shared[1], path), 200).body, b"v", path)
    status(curl(shared[0], "/riak/old/k", "-X", "DELETE"), 204)
    status(curl(shared[1], "/types/default/buckets/old/keys/k"), 404)
    made = status(curl(shared[0], "/riak/old", "-X", "POST", *TEXT, "-d", "v"), 201)
    equal(status(curl(shared[1], made.headers["Location"]), 200).body, b"v")


@case("curl: ping, the list of resources, statistics and status")
def _():
    ping = status(curl(shared[0], "/ping"), 200)
    equal((ping.body, ping.headers["Content-Type"]), (b"OK", "text/html"))
    resources = status(curl(shared[0], "/", "-H", "Accept: application/json"), 200)
    equal(json.loads(resources.body)["riak_kv_wm_ping"], "/ping")
    assert '</ping>; rel="riak_kv_wm_ping"' in resources.headers["Link"]
    assert b'<a href="/ping">' in curl(shared[0], "/").body
    equal(json.loads(curl(shared[0], "/stats").body)["nodename"], "n1")
    assert curl(shared[0], "/stats", "-H", "Accept: text/plain").body.startswith(b"{\n    \"")
    equal(len(json.loads(curl(shared[0], "/kvorum/status").body)["nodes"]), 3)


@case("statistics count what a node asks of its own replicas too: a write of three is three vnode_puts")
def _():
    def total(name):
        return sum(json.loads(curl(node, "/stats").body)[name] for node in shared)

    url = "/buckets/counted/keys/k"
    time.sleep(SLOW)  # nothing of earlier cases is still to be counted
    puts, gets = total("vnode_puts_total"), total("vnode_gets_total")
    for _ in range(5):
        status(put(shared[0], url + "?w=all", b"1"), 204)
        status(curl(shared[1], url + "?r=all"), 200)
    becomes(lambda: (total("vnode_puts_total") - puts, total("vnode_gets_total") - gets), (15, 15))


@case("curl: one connection serves many requests; HTTP/1.0 and Connection: close end theirs")
def _():
    host = f"http://127.0.0.1:{shared[0].http_port}"
    out = program("curl", "-sS", "-w", "%{num_connects} ", *[f"{host}/ping"] * 5)
    equal(out, b"OK1 OK0 OK0 OK0 OK0 ")
    equal(curl(shared[0], "/ping", "--http1.0").headers["Connection"], "close")
    equal(curl(shared[0], "/ping", "-H", "Connection: close").headers["Connection"], "close")


@case("pipelined HTTP requests are answered in order, each having seen the ones before")
def _():
    pairs = 50
    requests = b"".join(
        b"PUT /buckets/pipe/keys/k HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
        b"Content-Length: %d\r\n\r\n%d" % (len(str(i)), i)
        + b"HEAD /buckets/pipe/keys/k HTTP/1.1\r\nHost: x\r\n\r\n"  # without a body
        + b"GET /buckets/pipe/keys/k HTTP/1.1\r\nHost: x\r\n\r\n" for i in range(pairs))
    with socket.create_connection(("127.0.0.1", shared[1].http_port), 10 * SLOW) as client:
        client.sendall(requests + b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        said = b""
        while data := client.recv(65536):
            said += data
    bodies = re.findall(rb"HTTP/1.1 200 OK\r\n(?:[^\r]+\r\n)*Content-Length: \d+\r\n\r\n(\d+(?=H)|OK)", said)
    equal(bodies, [str(i).encode() for i in range(pairs)] + [b"OK"])
    equal(said.count(b"HTTP/1.1 204"), pairs)


# --- RESP ------------------------------------------------------------------------------------------

SESSION = [
    ("PING", "PONG"), ("PING hello", "hello"), ("ECHO 'a b'", "a b"), ("SET greeting hello", "OK"),
    ("GET greeting", "hello"), ("GET nothing", ""), ("EXISTS greeting nothing greeting", "2"),
    ("MSET a 1 b 2 c 3", "OK"), ("MGET a nothing c", "1\n\n3"), ("DEL a b nothing", "2"),
    ("GET a", ""), ("SET empty ''", "OK"), ("GET empty", ""), ("EXISTS empty", "1"), ("DBSIZE", "3"),
    ("CONFIG GET databases", "databases\n16"), ("CLIENT SETNAME me", "OK"), ("COMMAND COUNT", "30"),
    ("SET greeting x NX", "ERR the option NX of SET is not supported yet; nothing was written"),
    ("GET greeting", "hello"), ("SET lease x EX 100", "OK"), ("PERSIST lease", "1"), ("TTL lease", "-1"),
    ("TTL nothing", "-2"), ("SET lease x EX soon", "ERR value is not an integer or out of range"),
    ("GET", "ERR wrong number of arguments for 'get' command"),
    ("GTE a", "ERR unknown command 'GTE', did you mean 'get'? with args beginning with: 'a' "),
    ("SELECT 16", "ERR DB index is out of range"), ("SELECT x", "ERR value is not an integer or out of range"),
    ("FLUSHDB now", "ERR syntax error"), ("FLUSHDB SYNC now", "ERR syntax error"), ("DBSIZE", "4"),
    ("FLUSHDB", "OK"), ("DBSIZE", "0"), ("GET greeting", ""), ("SET greeting again", "OK"),
    ("GET greeting", "again"), ("FLUSHDB ASYNC", "OK"), ("EXISTS greeting", "0"), ("SET a 1", "OK"),
    ("FLUSHALL now", "ERR syntax error"), ("FLUSHALL SYNC", "OK"), ("GET a", ""),
    ("CONFIG SET maxmemory 1", "ERR only CONFIG GET is supported: settings are in kvorum.conf, read at start"),
]


@case("redis-cli: a session, word for word")
def _():
    with one_node() as node:
        for line, expected in SESSION:
            said = program("redis-cli", "-p", node.resp_port, input=line.encode() + b"\n").decode()
            equal(said.strip("\n") if expected else said.strip(), expected, line)


@case("redis-cli: a value written by SET is an object of bucket db0 for HTTP, and the other way round")
def _():
    equal(redis_cli(shared[0], "SET", "across", "resp"), "OK")
    equal(curl(shared[1], "/buckets/db0/keys/across").body, b"resp")
    put(shared[2], "/buckets/db3/keys/across", b"http")
    equal(redis_cli(shared[0], "-n", "3", "GET", "across"), "http")
    equal(redis_cli(shared[0], "GET", "across"), "resp")


@case("redis-cli: FLUSHDB empties its database on every node, FLUSHALL all 16, and other buckets stay")
def _():
    with Cluster(3) as cluster:
        for database in ("0", "7", "15"):
            equal(redis_cli(cluster[0], "-n", database, "SET", "k", "v"), "OK")
        put(cluster[0], "/buckets/other/keys/k", b"v")
        equal(redis_cli(cluster[1], "-n", "7", "FLUSHDB"), "OK")
        for node in cluster:
            equal([redis_cli(node, "-n", d, "GET", "k") for d in ("0", "7", "15")], ["v", "", "v"])
        equal(redis_cli(cluster[2], "-n", "3", "FLUSHALL"), "OK")
        for node in cluster:
            equal([redis_cli(node, "-n", d, "GET", "k") for d in ("0", "7", "15")], ["", "", ""])
            equal(curl(node, "/buckets/other/keys/k").body, b"v")


@case("redis-cli: INFO, COMMAND DOCS and HELLO are taken; binary values come from standard input")
def _():
    assert "redis_version" in redis_cli(shared[0], "INFO"), redis_cli(shared[0], "INFO")
    redis_cli(shared[0], "COMMAND", "DOCS")
    value = bytes(range(256)) * 10
    equal(redis_cli(shared[0], "-x", "SET", "binary", input=value), "OK")
    equal(curl(shared[1], "/buckets/db0/keys/binary").body, value)


@case("redis-cli --pipe: mass insertion of 5,000 keys without an error")
def _():
    lines = b"".join(b"*3\r\n$3\r\nSET\r\n$6\r\nm%05d\r\n$5\r\n%05d\r\n" % (i, i) for i in range(5000))
    said = program("redis-cli", "-p", shared[0].resp_port, "-n", "5", "--pipe", input=lines).decode()
    assert "errors: 0, replies: 5000" in said, said
    database = "5" if redis_cli(shared[1], "-n", "5", "GET", "m04999") else "0"  # some releases ignore -n
    equal(redis_cli(shared[1], "-n", database, "MGET", "m00000", "m04999"), "00000\n04999")
    if database == "5":
        becomes(lambda: redis_cli(shared[1], "-n", "5", "DBSIZE"), "5000")


def check_benchmark(*options):
    said = program("redis-benchmark", "-p", shared[0].resp_port, "-q", "-r", "1000", *options).decode()
    last = [line for line in said.replace("\r", "\n").splitlines() if "requests per second" in line]
    assert last and "WARNING" not in said and "rror" not in said, said


rows([
    ("redis-benchmark: SET and GET", "-t", "set,get", "-n", "2000", "-c", "20"),
    ("redis-benchmark: pipelines of 16", "-t", "set,get", "-n", "8000", "-c", "20", "-P", "16"),
    ("redis-benchmark: MSET of 10 keys", "-t", "mset", "-n", "300", "-c", "10"),
    ("redis-benchmark: inline and multibulk PING", "-t", "ping", "-n", "2000"),
    ("redis-benchmark: values of 100 KB", "-t", "set,get", "-n", "200", "-c", "10", "-d", "100000"),
], check_benchmark)


@case("a pipeline reads its own writes, through any node, also of keys it does not hold")
def _():
    for node in shared:
        with node.resp(timeout=30) as client:
            commands = []
            for i in range(300):
                key = f"{node.name}-{i % 7}"
                commands += [("SET", key, i), ("GET", key)]
            answers = client.pipeline(commands)
            equal(answers[0::2], ["OK"] * 300)
            equal(answers[1::2], [b"%d" % i for i in range(300)])


@case("SET, DEL and GET of one key in a pipeline happen in their order")
def _():
    with shared[1].resp(timeout=30) as client:
        commands = []
        for i in range(100):
            commands += [("SET", "k", i), ("DEL", "k"), ("EXISTS", "k"), ("SET", "k", f"again {i}"),
                         ("MGET", "k", "nothing"), ("GET", "k")]
        expected = []
        for i in range(100):
            expected += ["OK", 1, 0, "OK", [b"again %d" % i, None], b"again %d" % i]
        equal(client.pipeline(commands), expected)


@case("a write acknowledged by one node is read through another at once")
def _():
    with shared[0].resp() as a, shared[1].resp() as b, shared[2].resp() as c:
        clients = [a, b, c]
        for i in range(300):
            equal(clients[i % 3].call("SET", f"x{i % 5}", i), "OK")
            equal(clients[(i + 1) % 3].call("GET", f"x{i % 5}"), b"%d" % i)


@case("an endless pipeline of one client does not keep others from being served")
def _():
    with shared[0].resp(timeout=60) as greedy, shared[0].resp() as modest:
        count = 5000
        greedy.socket.setblocking(False)
        data, sent = b"*2\r\n$3\r\nGET\r\n$4\r\nnone\r\n" * count, 0
        while sent < len(data):
            try:
                sent += greedy.socket.send(data[sent:sent + 65536])
            except BlockingIOError:
                break
            begun = time.monotonic()
            equal(modest.call("PING"), "PONG")
            assert time.monotonic() - begun < 2 * SLOW
        greedy.socket.settimeout(60 * SLOW)
        greedy.send_raw(data[sent:])
        for _ in range(count):
            equal(greedy.read(), None)


# --- limits ----------------------------------------------------------------------------------------

@case("the largest value of the default limit, 50 MB, goes in and out by HTTP and RESP; a byte more does not")
def _():
    value = os.urandom(1 << 16) * (50 * 16)
    status(put(shared[0], "/buckets/big/keys/k", value), 204)
    answer = status(curl(shared[1], "/buckets/big/keys/k"), 200)
    assert answer.body == value
    with shared[1].resp(timeout=60) as client:
        equal(client.call("SET", "big", value), "OK")
    with shared[2].resp(timeout=60) as client:
        assert client.call("GET", "big") == value
        assert client.call("MGET", "big", "nothing") == [value, None]
    refused = status(put(shared[0], "/buckets/big/keys/more", value + b"x"), 413)
    assert b"value_size" in refused.body, refused
    status(curl(shared[1], "/buckets/big/keys/more"), 404)
    assert "a large object is written" in shared[0].log(), "no warning"


@case("a smaller limit is kept: by announced length, in chunks, and by RESP; the error names it")
def _():
    with one_node("[limits]\nvalue_size = 100KB\nvalue_size_warning = 50KB\n") as node:
        limit = 100 << 10
        status(put(node, "/buckets/b/keys/k", b"x" * limit), 204)
        status(put(node, "/buckets/b/keys/l", b"x" * (limit + 1)), 413)
        chunked = ("-H", "Transfer-Encoding: chunked")
        status(put(node, "/buckets/b/keys/k", b"y" * limit, *chunked), 204)
        status(put(node, "/buckets/b/keys/l", b"y" * (limit + 1), *chunked), 413)
        equal(len(curl(node, "/buckets/b/keys/k").body), limit)
        with node.resp() as client:
            equal(client.call("SET", "k", "x" * limit), "OK")
            equal(client.call("CONFIG", "GET", "proto-max-bulk-len"), [b"proto-max-bulk-len", b"%d" % limit])
            client.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (limit + 1))
            equal(str(client.read()), "ERR Protocol error: invalid bulk length")
        status(curl(node, "/buckets/b/keys/l"), 404)


@case("keys up to 64 KiB are keys, longer ones are refused by name")
def _():
    with one_node("[limits]\nheader_size = 1MB\n") as node, node.resp() as client:
        for size in (1, 255, 65535, 65536):
            equal(client.call("SET", "k" * size, size), "OK")
            equal(client.call("GET", "k" * size), b"%d" % size)
            equal(node.http("GET", "/buckets/db0/keys/" + "k" * size).body, b"%d" % size)
        for command in (("SET", "k" * 65537, "v"), ("GET", "k" * 65537), ("DEL", "k" * 65537),
                        ("EXISTS", "k" * 65537), ("MGET", "a", "k" * 65537)):
            try:
                client.call(*command)
                raise AssertionError(f"{command[0]} took it")
            except RespError as error:
                assert "key" in str(error) and "65536" in str(error), error
        answer = node.http("PUT", "/buckets/b/keys/" + "k" * 65537, b"v", {"Content-Type": "text/plain"})
        assert answer.status in (400, 413) and b"65536" in answer.body, answer
        equal(client.call("PING"), "PONG")
        listed = json.loads(node.http("GET", "/buckets/db0/keys?keys=true").body)["keys"]
        equal(sorted(map(len, listed)), [1, 255, 65535, 65536])


@case("more siblings than the limit are refused; a write that has seen them is taken")
def _():
    with one_node("[limits]\nsiblings = 5\nsiblings_warning = 3\n") as node:
        siblings(node, "s", "k", *[b"%d" % i for i in range(5)])
        refused = status(put(node, "/buckets/s/keys/k", b"6"), 500)
        assert refused.body.startswith(b"Error:\ntoo_many_siblings\n"), refused
        clock = status(curl(node, "/buckets/s/keys/k"), 300).headers[CLOCK]
        status(put(node, "/buckets/s/keys/k", b"one", "-H", f"{CLOCK}: {clock}"), 204)
        equal(status(curl(node, "/buckets/s/keys/k"), 200).body, b"one")


# A sanitizer makes 50 MB the work of seconds for one reactor, and a silent node is taken for dead.
with Cluster(3, config=f"[gossip]\nprobe_interval_ms = {int(1000 * SLOW)}\n") as shared:
    run()
