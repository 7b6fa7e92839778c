# SPDX-License-Identifier: Apache-2.0
"""Results as a table, CSV or JSON.  A line a row: row, ours, each peer, ratio, reach, verdict."""
import csv
import dataclasses
import io
import os
import platform
import re

from measure import FOREIGN_MAX, record_count
from rows import PLANS, RIVALS, TITLES, WITNESSES


@dataclasses.dataclass
class Line:
    """One row, judged."""
    row: object
    cells: dict           # {engine: Cell}
    ratio: float          # None: nobody to compare with
    verdict: str


def judge(choice, results, installed):
    """A Line for each chosen row."""
    for row in choice.rows:
        cells = {engine: results.cell(row, engine) for engine in [choice.ours] + choice.others}
        for engine, cell in cells.items():
            if engine not in installed:
                cell.failure = "not installed"
        rivals = [cells[name].value for name in choice.others
                  if name in RIVALS and cells[name].value]
        ours = cells[choice.ours]
        ratio = ours.value / row.better(rivals) if ours.value is not None and rivals else None
        yield Line(row, cells, ratio, verdict(row, ours, ratio))


def verdict(row, ours, ratio):
    if ours.failure:
        return "wrong answers" if ours.failure == "WRONG" else "failed"
    if ratio is None:
        return "not compared"
    return "ok" if row.reached(ratio) else "below reach"


def number(cell, unit):
    if cell.value is None:
        return {"": "-", "WRONG": "WRONG", "not installed": "absent"}.get(cell.failure, "failed")
    digits = 0 if unit in ("op/s", "MiB") and cell.value >= 10 else 2
    return f"{cell.value:,.{digits}f}" + ("~" if cell.disturbed else "")


def table(choice, lines):
    engines = [choice.ours] + choice.others
    rows = [["row", "unit", *(TITLES.get(name, name) for name in engines), "ratio", "reach",
             "verdict"]]
    for line in lines:
        rows.append([line.row.name, line.row.unit,
                     *(number(line.cells[name], line.row.unit) for name in engines),
                     "-" if line.ratio is None else f"{line.ratio:.2f}",
                     ("<= " if line.row.less else "") + str(line.row.reach), line.verdict])
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(rows[0]))]
    left = (0, 1, len(widths) - 1)
    return "\n".join("  ".join(cell.ljust(width) if i in left else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(cells, widths))).rstrip()
                     for cells in rows)


def notes(choice, results, lines):
    """What must stand beside the table for it to be understood."""
    peers = ", ".join(TITLES[name] for name in RIVALS)
    yield (f"ratio: ours / the better of {peers}; medians of {choice.runs} interleaved runs"
           + (f", {' and '.join(TITLES[n] for n in choice.others if n in WITNESSES)} run once"
              if any(name in WITNESSES for name in choice.others) else "")
           + f"; scale {choice.scale:g}, compression {choice.compression}")
    if any(cell.disturbed for line in lines for cell in line.cells.values()):
        yield f"~ other processes used more than {FOREIGN_MAX} processors: not a quiet machine"
    failures = {}
    for line in lines:
        for engine, cell in line.cells.items():
            if cell.failure and cell.failure != "WRONG":
                failures[f"{TITLES.get(engine, engine)}: {cell.failure}"] = None
    yield from failures
    yield from dict.fromkeys(results.wrong)
    plans = list(dict.fromkeys(line.row.plan for line in lines))
    yield "sets: " + "; ".join(
        f"{plan}: {record_count(plan, choice.scale):,} records of 16 + {PLANS[plan].value_size} B"
        for plan in plans)
    for engine in [choice.ours] + choice.others:
        said = {}
        for plan in plans:
            if (plan, engine) in results.settings:
                said.setdefault(results.settings[plan, engine], []).append(plan)
        for settings, where in said.items():
            yield settings + (f" ({', '.join(where)})" if len(said) > 1 else "")


def as_csv(choice, lines):
    engines = [choice.ours] + choice.others
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["row", "unit", *engines, "ratio", "reach", "aim", "verdict"])
    for line in lines:
        values = [line.cells[name].value for name in engines]
        out.writerow([line.row.name, line.row.unit,
                      *("" if value is None else f"{value:.6g}" for value in values),
                      "" if line.ratio is None else f"{line.ratio:.4f}", line.row.reach,
                      line.row.aim, line.verdict])
    return text.getvalue().rstrip("\n")


def as_document(choice, results, lines, date):
    """For json.dump."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        processor = re.search(r"model name\s*: (.*)", file.read())
    return {
        "date": date, "kernel": platform.release(), "processors": os.cpu_count(),
        "processor": processor[1] if processor else platform.machine(),
        "ours": choice.ours, "runs": choice.runs, "scale": choice.scale,
        "compression": choice.compression, "wrong": results.wrong,
        "settings": [{"set": plan, "engine": engine, "settings": text}
                     for (plan, engine), text in results.settings.items()],
        "rows": [{
            "row": line.row.name, "unit": line.row.unit, "set": line.row.plan,
            "less_is_better": line.row.less, "reach": line.row.reach, "aim": line.row.aim,
            "ratio": line.ratio, "verdict": line.verdict,
            "engines": {name: {"median": cell.value, "samples": cell.samples,
                               "foreign": cell.foreign, "failure": cell.failure}
                        for name, cell in line.cells.items()},
        } for line in lines],
    }
