# SPDX-License-Identifier: Apache-2.0
"""What is known of each key from what clients were told, and what it may hold at the end.

A write is *acknowledged*, or its outcome is *unknown*: a timeout, a lost connection, a refusal by a
quorum.  What is unknown may happen at any later time, even after writes that came after it, so
it remains possible for ever.  What is acknowledged must be there until an acknowledged write of the
same key replaces it.
"""
VALUE_SIZE_MAX = 40000  # of the filler; most are short
UNKNOWN_MAX = 3  # of a register; then it is left alone, or hardly anything of it would be certain


class Finding(str):
    """A sentence about a key that is not as it must be; kind: lost, resurrected, stale, alien."""

    def __new__(cls, kind, text):
        made = super().__new__(cls, f"{kind}: {text}")
        made.kind = kind
        return made


class Register:
    """A key where the last write wins; one client at a time writes it, one write after another."""

    def __init__(self, bucket, key):
        self.bucket, self.key = bucket, key
        self.acknowledged, self.possible, self.sent = None, [], 0
        self.deletes = 0

    def next_value(self, random):
        self.sent += 1
        size = int(min(VALUE_SIZE_MAX, random.paretovariate(1.0) * 20))
        return f"{self.bucket}/{self.key} #{self.sent} {'x' * size}".encode()

    def note(self, value, acknowledged):
        """value: None for a delete."""
        if acknowledged:
            self.acknowledged = value
            self.deletes += value is None
        else:
            self.possible.append(value)

    def spent(self):
        return len(self.possible) >= UNKNOWN_MAX

    def finding(self, found):
        if found == self.acknowledged or found in self.possible:
            return None
        name = f"{self.bucket}/{self.key}"
        if found is None:
            return Finding("lost", f"{name} holds nothing, {shown(self.acknowledged)} was acknowledged")
        if not found.startswith(f"{name} #".encode()):
            return Finding("alien", f"{name} holds {shown(found)}, which nobody wrote there")
        if self.acknowledged is None:
            return Finding("resurrected", f"{name} holds {shown(found)}, but is deleted")
        return Finding("lost", f"{name} holds {shown(found)}, {shown(self.acknowledged)} was "
                               "acknowledged after it")


class Shared:
    """A key that keeps siblings; any client writes it at any time.  Its user holds `lock` (of all
    shared keys together) around notes."""

    def __init__(self, bucket, key):
        self.bucket, self.key = bucket, key
        self.sent, self.acknowledged, self.covered, self.gone = set(), set(), set(), set()
        self.deletes = 0

    def next_value(self, client):
        value = f"{self.bucket}/{self.key} #{len(self.sent) + 1} of {client}".encode()
        self.sent.add(value)
        return value

    def begin(self, seen):
        """A write is sent that replaces what was seen."""
        self.covered |= seen

    def note(self, value, seen, acknowledged):
        if not acknowledged:
            return
        self.gone |= seen
        self.deletes += value is None
        if value is not None:
            self.acknowledged.add(value)

    def finding(self, found):
        name = f"{self.bucket}/{self.key}"
        if missing := self.acknowledged - self.covered - found:
            return Finding("lost", f"{name}: sibling {shown(min(missing))}, of {len(missing)}")
        if back := found & self.gone:
            return Finding("resurrected", f"{name}: {shown(min(back))} was replaced or deleted")
        if alien := found - self.sent:
            return Finding("alien", f"{name}: {shown(min(alien))} was never written")
        return None


def shown(value):
    return "nothing" if value is None else repr(value[:50])
