# SPDX-License-Identifier: Apache-2.0
"""Are replicas byte-identical?  Asked of the stores of stopped nodes, so no server can answer for them.

In a store an object's key is  'o', partition (2 bytes, big-endian), type, bucket, key  (node/placement/address.c).
Each partition has n owners.  Each of its objects, tombstones too, must be there with the same bytes
on all of these and nowhere else.  Who the owners are follows from the objects themselves: every node
that has one of the partition; so a partition with more or fewer than n of those is a finding as well.
"""
import base64
import glob
import hashlib
import json
import os
import subprocess

import kvorum_e2e as e2e


HINT = 1 + 16  # bytes of its key before the object's: 'h', the member's id


def hints(node):
    """Store keys of objects that still wait there for another member."""
    return {key[HINT:] for key, _ in objects(node, "h")}


def objects(node, prefix="o"):
    """(store key, digest) of every object on a stopped node's disk."""
    folders = sorted(glob.glob(os.path.join(node.data, "store-*")))
    assert folders, f"{node.name} has no stores"
    for folder in folders:
        scan = subprocess.Popen([e2e.binary(), "store", "scan", folder, "-o", "json", "--prefix", prefix],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for line in scan.stdout:
            record = json.loads(line)
            yield field(record, "key"), hashlib.blake2b(field(record, "value"), digest_size=16).digest()
        problem = scan.stderr.read().decode(errors="replace")
        assert scan.wait() == 0, f"{folder} cannot be read: {problem}"


def field(record, name):
    if name in record:
        return record[name].encode()
    return base64.b64decode(record[name + "_base64"])


def compare(nodes, replica_count):
    """(number of objects, number of replicas, findings)."""
    holders, owners = {}, {}
    for node in nodes:
        for key, digest in objects(node):
            holders.setdefault(key, {})[node.name] = digest
            owners.setdefault(key[1:3], set()).add(node.name)
    waiting = {node.name: hints(node) for node in nodes}
    findings = []
    for key, found in sorted(holders.items()):
        wanted = owners[key[1:3]]
        name = f"{key[6 + key[3]:]!r} of partition {int.from_bytes(key[1:3], 'big')}"
        if len(wanted) != replica_count:
            owed = sorted(node for node in found if key in waiting[node])
            findings.append(f"{name}: the partition is on {sorted(wanted)}, not on {replica_count}; "
                            f"this object is on {sorted(found)}, as a hint on {owed}")
        elif missing := wanted - set(found):
            findings.append(f"{name}: missing on {sorted(missing)}, is on {sorted(found)}")
        elif len(set(found.values())) > 1:
            findings.append(f"{name}: other bytes on " + ", ".join(
                f"{node} ({digest.hex()[:8]})" for node, digest in sorted(found.items())))
    return len(holders), sum(map(len, holders.values())), findings
