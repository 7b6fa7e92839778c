# SPDX-License-Identifier: Apache-2.0
"""Which faults there are, how often each is drawn, and who begins and ends them."""
import heapq
import itertools
import time

from faults import (WAIT, cut_halves, cut_off, cut_off_sending, cut_pair, cut_pair_one_way, damage,
                    disk_full, kill, pause, power, slow_link, stop)
from shapes import join, leave, replace, wipe

# name: what is in the table; weight: how often, relative to the others.
FAULTS = ((kill, 8), (stop, 2), (pause, 5), (power, 1), (cut_pair, 4), (cut_pair_one_way, 4),
          (cut_off, 3), (cut_off_sending, 2), (cut_halves, 2), (slow_link, 2), (disk_full, 2),
          (damage, 2), (join, 3), (leave, 3), (replace, 3), (wipe, 3))


class Schedule:
    def __init__(self, field, faults=FAULTS, gap=(0.3, 2.5)):
        self.field, self.faults, self.gap = field, faults, gap
        self.running, self.order = [], itertools.count()  # heap of (due, number, generator)
        self.waiting = None  # a fault that was drawn and could not begin

    def run(self, seconds, check):
        """Begin faults for so long, and see those under way to their end.  check(): raises when something
        is wrong already."""
        now = time.monotonic()
        end, next_begin = now + seconds, now
        try:
            while (now := time.monotonic()) < end or self.running:
                check()
                if now < end and now >= next_begin and not self.field.calm:
                    self.begin()
                    next_begin = now + self.field.chance.uniform(*self.gap)
                while self.running and self.running[0][0] <= now:
                    self.go_on(heapq.heappop(self.running)[2])
                time.sleep(0.02)
        finally:
            for _, _, steps in self.running:
                steps.close()

    def begin(self):
        function = self.waiting or self.draw()
        begun = self.go_on(function(self.field))
        self.waiting = function if begun == WAIT else None
        if begun is True:
            self.field.count(function.__doc__)

    def draw(self):
        return self.field.chance.choices([f for f, _ in self.faults],
                                         [weight for _, weight in self.faults])[0]

    def go_on(self, steps):
        """True: it goes on later; else what it returned."""
        try:
            seconds = next(steps)
        except StopIteration as end:
            return end.value
        heapq.heappush(self.running, (time.monotonic() + seconds, next(self.order), steps))
        return True
