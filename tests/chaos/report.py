# SPDX-License-Identifier: Apache-2.0
"""What was done, what clients saw, what was found: as a table or as JSON."""
import dataclasses
import json

SHOWN_MAX = 20


def table(verdict):
    rows = [("done under load", "", None)]
    rows += [("", name, count) for name, count in sorted(verdict.faults.items(),
                                                         key=lambda pair: -pair[1])]
    rows += [("seen by clients", "", None),
             ("", "requests answered", verdict.saw.get("ok", 0)),
             ("", "requests refused: not available", verdict.saw.get("unavailable", 0)),
             ("", "requests of unknown outcome", verdict.saw.get("unknown", 0)),
             ("", "strict reads in between", verdict.strict_reads)]
    if verdict.bench:
        rows.append(("", "operations of `kvorum bench` beside them", verdict.bench["all"]))
    rows += [("survived", "", None),
             ("", "writes acknowledged", verdict.acknowledged.get("put", 0)),
             ("", "deletes acknowledged", verdict.acknowledged.get("delete", 0)),
             ("", "keys, each read back through every node", verdict.keys),
             ("", "of them deleted at the end", verdict.deleted_keys),
             ("", "replicas compared on disk", verdict.replicas),
             ("", "acknowledged writes lost", len(verdict.lost)),
             ("", "deletes resurrected", len(verdict.resurrected)),
             ("", "wrong answers", len(verdict.wrong)),
             ("", "replicas that differ", len(verdict.differing))]
    lines = []
    for head, name, count in rows:
        lines.append(head if count is None else f"  {name:58} {count:>10,}")
    lines.append(f"{verdict.seconds:.0f} s of faults on {verdict.options.nodes} nodes; "
                 f"whole again {verdict.converged_s:.1f} s after the last (seed {verdict.options.seed})")
    lines += [f"left out: {text}" for text in verdict.skipped]
    lines += [f"note: {text}" for text in verdict.notes]
    findings = verdict.findings()
    lines += [f"FOUND {text}" for text in findings[:SHOWN_MAX]]
    if len(findings) > SHOWN_MAX:
        lines.append(f"... and {len(findings) - SHOWN_MAX} more")
    return "\n".join(lines)


def as_json(verdict):
    return json.dumps(dataclasses.asdict(verdict), indent=2, default=sorted)
