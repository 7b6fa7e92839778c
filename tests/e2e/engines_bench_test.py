#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The harness of `make bench-engines`, tiny: what it prints, and that it notices wrong answers.

Nothing is timed here; a figure only has to be there."""
import csv
import io
import json
import os
import subprocess
import sys
import xml.etree.ElementTree

from kvorum_e2e import ROOT, SLOW, case, equal, rows, run, temporary_folder

sys.path.insert(0, os.path.join(ROOT, "bench/engines"))
import measure  # noqa: E402  (the path comes first)
import report  # noqa: E402
import rows as table  # noqa: E402

PROGRAM = os.path.join(os.environ.get("KVORUM_BUILD", f"{ROOT}/build/release"),
                       "bench/kvorum-engines")
VERDICTS = ("ok", "below reach", "not compared")
TINY = ("--scale", "0.0004", "--runs", "1", "--quiet", "0")


def bench(folder, *words, program=PROGRAM):
    """(exit code, standard output, standard error)"""
    done = subprocess.run(
        [f"{ROOT}/bench/engines/run", *TINY, "--dir", f"{folder}/stores", "--save",
         f"{folder}/saved", "--program", os.path.abspath(program), *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240 * SLOW)
    return done.returncode, done.stdout, done.stderr


def choice(**changes):
    values = dict(program="", folder="", ours="lsm", others=["rocksdb", "leveldb", "lmdb"], rows=[],
                  runs=1, scale=1.0, compression="none", quiet_seconds=0)
    return measure.Choice(**{**values, **changes})


@case("a tiny run of our engine beside every peer that is installed fills the whole table")
def _():
    installed = subprocess.run([PROGRAM, "--list"], capture_output=True, text=True,
                               check=True).stdout.split()
    with temporary_folder() as folder:
        code, output, errors = bench(folder, "-o", "json")
        equal(code, 0, errors)
        document = json.loads(output)
        equal([row["row"] for row in document["rows"]], [row.name for row in table.ROWS])
        for row in document["rows"]:
            assert row["verdict"] in VERDICTS, row
            for name, cell in row["engines"].items():
                if name in table.WITNESSES and not table.PLANS[row["set"]].witnessed:
                    equal(cell["samples"], [])
                elif name in installed:
                    assert cell["median"] is not None and cell["median"] >= 0, (row["row"], name)
                else:
                    equal(cell["failure"], "not installed")
        saved = sorted(os.listdir(f"{folder}/saved"))
        equal([name.rpartition(".")[2] for name in saved], ["json", "svg"])
        picture = xml.etree.ElementTree.parse(f"{folder}/saved/{saved[1]}").getroot()
        words = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
        assert all(row.name in words for row in table.ROWS), words


@case("the table has a line a row with ratio, reach and verdict, and the settings below it")
def _():
    with temporary_folder() as folder:
        code, output, errors = bench(folder, "--rows", "^scan$|^write amp", "--peers",
                                     "planted-right", "--compression", "lz4")
        equal(code, 0, errors)
        heading, *lines = output.splitlines()
        equal(heading.split()[:2] + heading.split()[-3:], ["row", "unit", "ratio", "reach",
                                                           "verdict"])
        assert lines[0].startswith("scan ") and "not compared" in lines[0], output
        assert lines[1].startswith("write amplification ") and "<= 1.0" in lines[1], output
        assert "compression lz4" in output and "planted: an array in memory" in output, output


@case("rows can be had as CSV")
def _():
    with temporary_folder() as folder:
        code, output, errors = bench(folder, "--rows", "^fillseq$", "--peers", "", "-o", "csv")
        equal(code, 0, errors)
        lines = list(csv.DictReader(io.StringIO(output)))
        equal([line["row"] for line in lines], ["fillseq"])
        assert float(lines[0]["lsm"]) > 0 and lines[0]["verdict"] == "not compared", lines


@case("an engine without a fault passes all checks")
def _():
    with temporary_folder() as folder:
        code, output, errors = bench(folder, "--engine", "planted-right", "--peers", "")
        equal(code, 0, output + errors)


def check_fault(engine, rows_regex, scale="0.0004"):
    with temporary_folder() as folder:
        code, output, errors = bench(folder, "--engine", engine, "--peers", "planted-right",
                                     "--rows", rows_regex, "--scale", scale)
        equal(code, 1, output + errors)
        assert "wrong answers" in output and "WRONG" in output and "answered wrong" in output, output


rows([
    ("a forgotten record is noticed by a read", "planted-forgets", "^readrandom$"),
    ("a forgotten record is noticed by a scan", "planted-forgets", "^scan$"),
    ("a forgotten record is noticed by threads", "planted-forgets", "^readrandom, 2 threads$"),
    ("another record's value is noticed", "planted-mixes-up", "^readrandom$"),
    ("another record's value is noticed in a multi-get", "planted-mixes-up", "^multi-get"),
    ("another record's value is noticed behind a seek", "planted-mixes-up", "^seek [+] 10$"),
    ("a value that lost its last byte is noticed", "planted-cuts", "^read zipf$"),
    ("an overwritten value that comes back is noticed", "planted-keeps-old", "^overwrite$"),
    ("a value for a key that was never stored is noticed", "planted-invents", "^read missing$"),
    ("an entry that comes twice is noticed by a scan", "planted-repeats", "^scan$"),
    ("what is wrong after the caches were dropped is noticed", "planted-cuts", "nothing cached", "0.02"),
], check_fault)


@case("a wrong answer of a peer fails the run, too")
def _():
    with temporary_folder() as folder:
        code, output, errors = bench(folder, "--peers", "planted-cuts", "--rows", "^readrandom$")
        equal(code, 1, output + errors)
        assert "planted: cuts answered wrong" in output, output


def wrapper(folder, script):
    path = os.path.join(folder, "program")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n{script}\nexec {PROGRAM} \"$@\"\n")
    os.chmod(path, 0o755)
    return path


@case("a peer that is not installed is named in the table and below it")
def _():
    with temporary_folder() as folder:
        program = wrapper(folder, '[ "$1" = --list ] && { echo lsm; exit 0; }')
        code, output, errors = bench(folder, "--rows", "^fillseq$", program=program)
        equal(code, 0, errors)
        equal(output.splitlines()[1].split().count("absent"), 4)
        for title in ("RocksDB", "LevelDB", "LMDB", "WiredTiger"):
            assert f"{title}: not installed" in output, output


@case("an engine that fails has no figure, and its reason stands below the table")
def _():
    with temporary_folder() as folder:
        program = wrapper(folder, '[ "$2" = lsm ] && { echo the disk is full >&2; exit 3; }')
        code, output, _ = bench(folder, "--rows", "^fillseq$", "--peers", "", program=program)
        equal(code, 1)
        assert "failed" in output.splitlines()[1], output
        assert "Kvorum lsm: failed: the disk is full" in output, output


rows([
    ("a row nobody knows is refused", ["--rows", "no such row"], "no row matches"),
    ("a bad expression is refused", ["--rows", "("], "no regular expression"),
    ("an engine nobody has is refused", ["--engine", "nosuch"], "our engines are"),
    ("a peer nobody has is refused", ["--peers", "nosuch"], "no adapter for nosuch"),
    ("a program that is not built is told", ["--program", "/nosuch"], "make bench-engines"),
], lambda words, message: expect_refusal(words, message))


def expect_refusal(words, message):
    with temporary_folder() as folder:
        code, output, errors = bench(folder, *words)
        assert code != 0 and message in errors and not output, (code, output, errors)


# --- judgement ---------------------------------------------------------------------------------

def judged(row_name, **values):
    """The Line of a row whose engines measured `values`."""
    row = table.choose(f"^{row_name}$")[0]
    results = measure.Results()
    for engine, value in values.items():
        results.cell(row, engine).samples = [value]
    return next(report.judge(choice(rows=[row]), results, list(values)))


def check_verdict(row, values, ratio, verdict):
    line = judged(row, **values)
    equal((line.ratio, line.verdict), (ratio, verdict))


rows([
    ("the faster rival counts", "fillseq", dict(lsm=240, rocksdb=100, leveldb=200), 1.2, "ok"),
    ("a witness does not count", "fillseq", dict(lsm=240, rocksdb=200, lmdb=999), 1.2, "ok"),
    ("just short is short", "fillseq", dict(lsm=239, leveldb=200), 1.195, "below reach"),
    ("of latencies the lower one counts", "p99.9 of fillrandom",
     dict(lsm=10, rocksdb=10, leveldb=40), 1.0, "ok"),
    ("more than the lower one is short", "p99.9 of fillrandom",
     dict(lsm=11, rocksdb=10, leveldb=40), 1.1, "below reach"),
    ("without rivals nothing is compared", "scan", dict(lsm=10, lmdb=5), None, "not compared"),
], check_verdict)


@case("runs are interleaved, the first one changes, and witnesses run once")
def _():
    chosen = choice(runs=3)
    equal([measure.engines_of(chosen, "random", k) for k in range(3)], [
        ["lsm", "rocksdb", "leveldb", "lmdb"], ["rocksdb", "leveldb", "lsm"],
        ["leveldb", "lsm", "rocksdb"]])
    equal(measure.engines_of(chosen, "batches", 0), ["lsm", "rocksdb", "leveldb"])


@case("every row finds its result in its plan")
def _():
    for row in table.ROWS:
        places = [f"{group[0]}/{phase}" for group in table.groups_for(row.plan, [row]) if group
                  for phase in group]
        assert row.place in places, row


run()
