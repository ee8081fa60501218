"""Many sign-ins at once, each on new connections: a generator of load, a process of its own.

    python -m sidebyside.storm HTTPS_PORT HTTP_PORT CONCURRENCY SECONDS

Prints one line of JSON when it is over: how many signed in, at what rate, how long they took,
what failed and why, and how many saw another's identity.
"""

from __future__ import annotations

import collections
import json
import statistics
import sys
import time

from sidebyside.asking import Answer, Client, trusting
from sidebyside.signing_in import LINES, NAMES, BrokenError, StrangerError, sign_in
from sidebyside.sockets import Loop, connect

LONGEST = 15.0  # seconds that a sign-in may take
USERS = 2000


class Storm:
    def __init__(self, https: int, http: int) -> None:
        self.loop = Loop()
        self.tls = trusting()
        self.ports = {"plain": http, "discover": https, "web": https}
        self.going: set[Phone] = set()
        self.started = 0
        self.took: list[float] = []  # seconds of each that signed in
        self.last = 0.0  # when the last one had
        self.failures: collections.Counter[str] = collections.Counter()
        self.strangers = 0

    def run(self, concurrency: int, seconds: float) -> dict[str, object]:
        began = time.monotonic()
        end = began + seconds
        self._more(concurrency)
        self.loop.run(lambda: self._over(concurrency, end))
        self.loop.run(lambda: self._over(0, end))  # those under way may end
        took = sorted(self.took)
        return {
            "seconds": time.monotonic() - began,
            "signed_in": len(took),
            # To the end of the last one: who takes them in waves, sixteen at a time, would lose the wave that
            # is under way when the time is over.
            "rate": len(took) / (self.last - began) if took else 0.0,
            "p50": 1000 * statistics.median(took) if took else None,
            "p99": 1000 * took[int(len(took) * 0.99)] if took else None,
            "failed": sum(self.failures.values()),
            "reasons": dict(self.failures.most_common(5)),
            "strangers": self.strangers,
        }

    def _over(self, concurrency: int, end: float) -> bool:
        now = time.monotonic()
        for phone in [phone for phone in self.going if now - phone.began > LONGEST]:
            phone.fail("took too long")
        if now >= end:
            return concurrency > 0 or not self.going
        self._more(concurrency)
        return False

    def _more(self, concurrency: int) -> None:
        for _ in range(concurrency - len(self.going)):
            self.started += 1
            Phone(self, f"user{self.started % USERS}").begin()


class Phone:
    """One sign-in under way."""

    def __init__(self, storm: Storm, user: str) -> None:
        self.began = time.monotonic()
        self._storm = storm
        self._steps = sign_in(user)
        self._line = ""
        self._client: Client | None = None
        self._anew = False  # the server has closed a connection between two steps, and said so before

    def begin(self) -> None:
        self._storm.going.add(self)
        self._step(None)

    def fail(self, why: str) -> None:
        self._storm.failures[f"{self._line}: {why}"] += 1
        self._end()

    def signed_in(self) -> None:
        """What comes then; in a storm, nothing."""

    def stop(self) -> None:
        """It is nobody's failure."""
        self._end()

    def _step(self, answer: Answer | None) -> None:
        try:
            if answer is not None:
                answer.anew = self._anew
            ask = next(self._steps) if answer is None else self._steps.send(answer)
            if ask.line != self._line:
                self._anew = False
                self._connect(ask.line)
            elif answer is not None and answer.last:
                self._anew = True
                self._connect(ask.line)
            if self._client:
                self._client.write(ask.data)
        except StopIteration:
            self._storm.last = time.monotonic()
            self._storm.took.append(self._storm.last - self.began)
            self._end()
            self.signed_in()
        except StrangerError as error:
            self._storm.strangers += 1
            self.fail(str(error).partition(",")[0][:40])
        except (BrokenError, OSError) as error:
            self.fail(str(error))

    def _connect(self, line: str) -> None:
        if self._client:
            self._client.close()
        self._line = line
        sock = connect(self._storm.ports[line])
        tls = None if line == LINES[0] else self._storm.tls
        self._client = Client(self._storm.loop, sock, tls, NAMES[line], self._step, self.fail)

    def _end(self) -> None:
        self._storm.going.discard(self)
        self._steps.close()
        if self._client:
            self._client.close()


if __name__ == "__main__":
    https, http, concurrency = map(int, sys.argv[1:4])
    print(json.dumps(Storm(https, http).run(concurrency, float(sys.argv[4]))))
