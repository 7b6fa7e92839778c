# SPDX-License-Identifier: Apache-2.0
"""Run the plans: a process for each engine and run, A B C, A B C, ..., whoever goes first changing."""
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

from rows import PLANS, WITNESSES, groups_for

FOREIGN_MAX = 0.15  # processors that others may use before a figure is marked
TIMEOUT_S = 1800
WARM_SIZE = 4 << 30


class BenchError(Exception):
    pass


@dataclasses.dataclass
class Choice:
    program: str          # kvorum-engines
    folder: str           # where stores are made
    ours: str
    others: list
    rows: list
    runs: int
    scale: float
    compression: str
    quiet_seconds: float

    @property
    def seconds_factor(self):
        return min(1.0, self.scale ** 0.75)  # short windows say little


@dataclasses.dataclass
class Cell:
    """What one engine did in one row."""
    samples: list = dataclasses.field(default_factory=list)
    foreign: list = dataclasses.field(default_factory=list)
    failure: str = ""     # why there is no figure

    @property
    def value(self):
        return statistics.median(self.samples) if self.samples and not self.failure else None

    @property
    def disturbed(self):
        return bool(self.foreign) and statistics.median(self.foreign) > FOREIGN_MAX


@dataclasses.dataclass
class Results:
    cells: dict = dataclasses.field(default_factory=dict)      # {(row name, engine): Cell}
    settings: dict = dataclasses.field(default_factory=dict)   # {(plan, engine): text}
    wrong: list = dataclasses.field(default_factory=list)      # messages

    def cell(self, row, engine):
        return self.cells.setdefault((row.name, engine), Cell())


def built_in(program):
    done = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def warm(choice):
    size = int(WARM_SIZE * min(1.0, choice.scale))
    subprocess.run([choice.program, "--warm", str(size)], check=True)


def record_count(plan, scale):
    return max(1000, int(PLANS[plan].records * scale))


def command(choice, engine, plan, path):
    cache, buffer = (max(256 << 10, int(size * min(1.0, choice.scale))) for size in PLANS[plan].budget)
    words = [choice.program, "--peer", engine, "--path", path,
             "--records", str(record_count(plan, choice.scale)),
             "--value-size", str(PLANS[plan].value_size), "--cache", str(cache),
             "--buffer", str(buffer), "--seconds-factor", str(choice.seconds_factor),
             "--quiet", str(choice.quiet_seconds)]
    words += ["--lz4"] if choice.compression == "lz4" else []
    words += ["--durable"] if PLANS[plan].durable else []
    return words


def run_process(choice, engine, plan, results):
    """{GROUP/PHASE: line} of one engine's life in `plan`; None when it failed."""
    path = os.path.join(choice.folder, f"{engine}-{plan}")
    shutil.rmtree(path, ignore_errors=True)
    groups = groups_for(plan, choice.rows)
    phases = [phase for group in groups for phase in group]
    try:
        done = subprocess.run(command(choice, engine, plan, path) + phases, capture_output=True,
                              text=True, timeout=TIMEOUT_S)
    finally:
        shutil.rmtree(path, ignore_errors=True)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.endswith("}")]
    if done.returncode not in (0, 1, 3) or (done.returncode == 0 and len(lines) != len(phases) + 2):
        raise BenchError(f"{engine} {plan}: ended with {done.returncode}\n{done.stderr.strip()}")
    if lines:
        results.settings[plan, engine] = lines[0]["settings"]
        if lines[0]["foreign"] >= FOREIGN_MAX:
            choice.quiet_seconds /= 2  # waited in vain: a busy machine must not take hours
    if done.returncode != 0:
        return None, done.stderr.strip().splitlines()[-1], done.returncode == 1
    places = [f"{group[0]}/{phase}" for group in groups for phase in group]
    return dict(zip(places, lines[1:])), "", False


def measure_once(choice, engine, plan, results):
    lines, failure, wrong = run_process(choice, engine, plan, results)
    if wrong:
        results.wrong.append(failure)
    user_size = PLANS[plan].user_size(record_count(plan, choice.scale))
    for row in choice.rows:
        if row.plan != plan:
            continue
        cell = results.cell(row, engine)
        if failure:
            cell.failure = "WRONG" if wrong else "failed: " + failure
        else:
            cell.samples.append(row.metric(lines, user_size))
            cell.foreign.append(lines[row.place]["foreign"])


def engines_of(choice, plan, run):
    """Who runs in this round; the first one changes.  Witnesses run once, and not everything."""
    rivals = [choice.ours] + [name for name in choice.others if name not in WITNESSES]
    turn = run % len(rivals)
    rivals = rivals[turn:] + rivals[:turn]
    if run > 0 or not PLANS[plan].witnessed:
        return rivals
    return rivals + [name for name in choice.others if name in WITNESSES]


def measure(choice):
    results = Results()
    plans = [plan for plan in PLANS if any(row.plan == plan for row in choice.rows)]
    warm(choice)
    begin = time.monotonic()
    for plan in plans:
        for run in range(choice.runs):
            for engine in engines_of(choice, plan, run):
                print(f"  {time.monotonic() - begin:5.0f} s  {plan}, run {run + 1} of "
                      f"{choice.runs}: {engine:12}", end="\r" if sys.stderr.isatty() else "\n",
                      file=sys.stderr, flush=True)
                measure_once(choice, engine, plan, results)
    if sys.stderr.isatty():
        print(" " * 70, end="\r", file=sys.stderr)
    return results
