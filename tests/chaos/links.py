# SPDX-License-Identifier: Apache-2.0
"""The cutting network (cutter.py), from the side of who gives the orders."""
import json
import os
import subprocess
import sys
import threading

CUTTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cutter.py")


class Links:
    """Faults of the network have a name and rules; several may be in force at once, and the worst rule of
    a direction holds.  Safe to use from several threads."""

    RANK = {"open": 0, "hold": 1, "break": 2}

    def __init__(self):
        self.lock, self.faults, self.members = threading.Lock(), {}, {}
        self.process = subprocess.Popen([sys.executable, CUTTER], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def _order(self, **command):
        with self.lock:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline() or '{"error": "it ended"}')
        if "error" in answer:
            raise OSError("the cutting network: " + answer["error"])
        return answer

    def place(self, name, listen, target, pid=None):
        """A member advertises port `listen` and listens on `target`; pid: of its process now."""
        self.members[name] = {"listen": listen, "target": target, "pid": pid}
        self._order(members={name: self.members[name]})

    def set(self, fault, rules):
        """rules: (from, to, mode, delay); an empty list ends the fault."""
        if rules:
            self.faults[fault] = rules
        else:
            self.faults.pop(fault, None)
        worst = {}
        for source, to, mode, delay in (rule for each in self.faults.values() for rule in each):
            old = worst.get((source, to), ("open", 0.0))
            worst[source, to] = (max(old[0], mode, key=self.RANK.get), max(old[1], delay))
        self._order(rules=[[*pair, *rule] for pair, rule in worst.items()])

    def heal(self):
        self.faults.clear()
        self._order(rules=[])

    def counts(self):
        return self._order()

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def both(left, right, mode, delay=0.0):
    """Rules for all links between two groups, in both directions."""
    return one_way(left, right, mode, delay) + one_way(right, left, mode, delay)


def one_way(left, right, mode, delay=0.0):
    return [(a, b, mode, delay) for a in left for b in right if a != b]
