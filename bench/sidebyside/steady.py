"""The load of mix.py in a process of its own: for whoever changes an edge meanwhile.

    python -m sidebyside.steady HTTPS_PORT HTTP_PORT REQUESTS SIGN_INS CONNECTIONS POLLS LONGEST

REQUESTS a second on kept connections, SIGN_INS a second with NTLM, CONNECTIONS a second for one request
each, POLLS held at a time for up to LONGEST seconds. Speaks lines of JSON, what came of it since the line
before: when it begins, and for each line on standard input. After an empty one it takes on no more, waits
for what is under way, and leaves.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

from sidebyside.mix import Mix, Rates

PATIENCE = 10.0  # seconds for what is under way in the end


class Steady(Mix):
    """`since`: when it last told."""

    def __init__(self, https: int, http: int, rates: Rates) -> None:
        super().__init__(https, http, rates)
        self._since = time.monotonic()

    def linger(self) -> None:
        """Until a line comes in."""
        self.loop.run(lambda: bool(select.select([sys.stdin], [], [], 0)[0]))

    def settle(self) -> None:
        """Until no request and no sign-in is under way. Polls are given up."""
        self.rates = Rates(0.0, 0.0, 0.0, 0)
        until = time.monotonic() + PATIENCE
        self.loop.run(lambda: not (self.owed or self.going) or time.monotonic() > until)
        if left := self.owed + len(self.going):
            self.failures["unanswered"] += left

    def tell(self) -> None:
        now = time.monotonic()
        ordered = sorted(self.latencies)
        told = {
            "seconds": now - self._since,
            "done": dict(self.done) | {"sign-in": len(self.took)},
            "failures": dict(self.failures),
            "strangers": self.strangers,
            "p50_ms": _milliseconds(ordered, 0.5),
            "p99_ms": _milliseconds(ordered, 0.99),
            "longest_ms": _milliseconds(ordered, 1.0),
        }
        self._since = now
        self.latencies = []
        self.took = []
        self.done.clear()
        self.failures.clear()
        print(json.dumps(told), flush=True)


def _milliseconds(ordered: list[float], part: float) -> float | None:
    last = len(ordered) - 1
    return round(1000 * ordered[min(int(len(ordered) * part), last)], 2) if ordered else None


def main() -> None:
    https, http, requests, sign_ins, connections, polls, longest = sys.argv[1:]
    rates = Rates(float(requests), float(sign_ins), float(connections), int(polls), float(longest))
    steady = Steady(int(https), int(http), rates)
    steady.start()
    steady.tell()
    while True:
        steady.linger()
        line = sys.stdin.readline().strip()
        if not line:
            break
        steady.tell()
    steady.settle()
    steady.tell()
    os._exit(0)


if __name__ == "__main__":
    main()
