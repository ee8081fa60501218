"""What clients of an edge do all day, at a steady rate: the load of the soak, in one loop.

Requests on kept connections, users who sign in and poll from then on, some of the polls abandoned, others who
sign in with NTLM and leave, and connections for one request each.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import random
import time
from collections.abc import Callable

from sidebyside import documents
from sidebyside.asking import Answer, Client
from sidebyside.certificates import WEB
from sidebyside.sockets import connect
from sidebyside.storm import Phone, Storm

TICK = 0.01  # seconds
KEPT = 20  # connections for the requests
ABANDONED = 0.1  # of the polls: the client is gone before the answer
ARRIVALS = 10.0  # users a second who come to poll
RETRY = 1.0  # seconds until a lost connection is made again


@dataclasses.dataclass(frozen=True, slots=True)
class Rates:
    """`requests`, `sign_ins`, `connections`: a second; `polls`: held at a time, each for up to `longest`
    seconds."""

    requests: float = 200.0
    sign_ins: float = 2.0
    connections: float = 5.0
    polls: int = 500
    longest: float = 60.0


class Mix(Storm):
    """`latencies`: seconds of the requests since someone took them, from when each was due; `done`: counts
    of what came through, `failures` of what did not."""

    def __init__(self, https: int, http: int, rates: Rates) -> None:
        super().__init__(https, http)
        self.rates = rates
        self.latencies: list[float] = []
        self.done: collections.Counter[str] = collections.Counter()
        self.ending = False
        self._due: collections.deque[tuple[float, bool]] = (
            collections.deque()
        )  # and whether for a second time
        self._idle: list[Asker] = []
        self._everyone: set[Client] = set()
        self.owed = 0  # requests, on kept connections or new ones, that were due and have no answer yet
        self._shares = {"request": 0.0, "sign-in": 0.0, "connection": 0.0}
        self._then = time.monotonic()

    def start(self) -> None:
        for _ in range(KEPT):
            self.open_kept()
        for number in range(self.rates.polls):
            self.loop.later(number / ARRIVALS, functools.partial(self.arrive, number))
        self._tick()

    def stop(self) -> None:
        """No more of anything, and every connection closed."""
        self.ending = True
        for client in list(self._everyone):
            client.close()
        for phone in list(self.going):
            phone.stop()

    # Called by the connections -----------------------------------------------------------------

    def open_kept(self) -> None:
        self._open("kept", lambda: Asker(self), self.open_kept)

    def arrive(self, number: int) -> None:
        if not self.ending:
            Arriving(self, number).begin()

    def open_poll(self, number: int) -> None:
        self._open("poll", lambda: Poller(self, number), functools.partial(self.open_poll, number))

    def joined(self, client: Client) -> None:
        self._everyone.add(client)

    def idle(self, asker: Asker) -> None:
        if self._due:
            asker.ask(*self._due.popleft())
        else:
            self._idle.append(asker)

    def again(self, due: float) -> None:
        """Nobody has answered; ask once more, before whatever else is due."""
        self.done["asked again"] += 1
        self._due.appendleft((due, True))

    def left(self, client: Client, why: str | None, again: Callable[[], None] | None) -> None:
        """A connection is gone; `why` when that is a failure."""
        self._everyone.discard(client)
        if client in self._idle:
            self._idle.remove(client)
        if self.ending:
            return
        if why:
            self.failures[f"{type(client).__name__}: {why}"] += 1
        if again:
            self.loop.later(RETRY if why else 0.0, again)

    # Its own -----------------------------------------------------------------------------------

    def _open(self, what: str, make: Callable[[], Client], again: Callable[[], None]) -> None:
        if self.ending:
            return
        try:
            make()
        except OSError as error:
            self.failures[f"{what}: {error}"] += 1
            self.loop.later(RETRY, again)

    def _tick(self) -> None:
        if self.ending:
            return
        now = time.monotonic()
        passed, self._then = now - self._then, now
        for _ in range(self._owing("request", self.rates.requests * passed)):
            self.owed += 1
            if self._idle:
                self._idle.pop().ask(now, False)
            else:
                self._due.append((now, False))
        for _ in range(self._owing("sign-in", self.rates.sign_ins * passed)):
            self.started += 1
            Phone(self, f"user{self.started % 500}").begin()
        for _ in range(self._owing("connection", self.rates.connections * passed)):
            try:
                Once(self)
                self.owed += 1
            except OSError as error:
                self.failures[f"connection: {error}"] += 1
        for phone in [phone for phone in self.going if now - phone.began > 30]:
            phone.fail("took too long")
        self.loop.later(TICK, self._tick)

    def _owing(self, what: str, more: float) -> int:
        whole = int(self._shares[what] + more)
        self._shares[what] += more - whole
        return whole


class _Visitor(Client):
    def __init__(self, mix: Mix) -> None:
        self.mix = mix
        sock = connect(mix.ports["web"])
        super().__init__(mix.loop, sock, mix.tls, WEB, self.got, self.gone)
        mix.joined(self)

    def got(self, answer: Answer) -> None:
        raise NotImplementedError

    def gone(self, why: str) -> None:
        self.mix.left(self, why, None)

    def part(self, again: Callable[[], None]) -> None:
        """The server has said that this answer is the last one here."""
        self.close()
        self.mix.left(self, None, again)


class Asker(_Visitor):
    """Requests on one connection, one after another. One that meets a connection which the server has just
    closed is asked again on another, once, as every client of HTTP does (RFC 9112 §9.3.1)."""

    _since: float | None = None
    _again = False  # this is the second time
    _begun = False  # something of the answer has come

    def opened(self) -> None:
        self.mix.idle(self)

    def ask(self, due: float, again: bool) -> None:
        self._since, self._again, self._begun = due, again, False
        self.write(_request("/"))

    def on_message_begin(self) -> None:
        self._begun = True
        super().on_message_begin()

    def got(self, answer: Answer) -> None:
        if self._since is not None:
            self.mix.latencies.append(time.monotonic() - self._since)
            self._since = None
            self.mix.owed -= 1
        _count(self.mix, "request", answer)
        if answer.last:
            self.part(self.mix.open_kept)
        else:
            self.mix.idle(self)

    def gone(self, why: str) -> None:
        # A server may close a connection that is idle, and can't know that something is on its way.
        due, self._since = self._since, None
        if due is None:
            self.mix.left(self, None, self.mix.open_kept)
        elif self._again or self._begun:
            self.mix.owed -= 1
            self.mix.left(self, why, self.mix.open_kept)
        else:
            self.mix.again(due)
            self.mix.left(self, None, self.mix.open_kept)


class Arriving(Phone):
    """A user who signs in to stay."""

    def __init__(self, mix: Mix, number: int) -> None:
        super().__init__(mix, _poller(number))
        self._mix = mix
        self._number = number

    def signed_in(self) -> None:
        self._mix.open_poll(self._number)

    def fail(self, why: str) -> None:
        super().fail(why)
        self._mix.loop.later(RETRY, functools.partial(self._mix.arrive, self._number))


class Poller(_Visitor):
    """Poll after poll of one user; now and then he leaves in the middle of one, and comes back."""

    def __init__(self, mix: Mix, number: int) -> None:
        user = _poller(number)
        self._user = user
        self._ticket = f"X-MS-WebTicket: {documents.ticket(user)}\r\n"
        self._ack = 0
        self._comes_back = functools.partial(mix.open_poll, number)
        super().__init__(mix)

    def opened(self) -> None:
        self._poll()

    def got(self, answer: Answer) -> None:
        _count(self.mix, "poll", answer)
        if answer.last:
            self.part(self._comes_back)
        else:
            self._poll()

    def gone(self, why: str) -> None:
        self.mix.left(self, why, self._comes_back)

    def _poll(self) -> None:
        self._ack += 1
        seconds = random.uniform(0.2, 1.0) * self.mix.rates.longest
        self.write(_request(documents.events(self._user, self._ack, seconds), self._ticket))
        if random.random() < ABANDONED:
            self.mix.loop.later(seconds / 2, self._abandon)

    def _abandon(self) -> None:
        if not self.over:
            self.close()
            self.mix.done["abandoned poll"] += 1
            self.mix.left(self, None, self._comes_back)


class Once(_Visitor):
    """A connection for one request."""

    _served = False

    def opened(self) -> None:
        self.write(_request("/", "Connection: close\r\n"))

    def got(self, answer: Answer) -> None:
        self._served = True
        self.mix.owed -= 1
        _count(self.mix, "connection", answer)

    def gone(self, why: str) -> None:
        self.mix.owed -= not self._served
        self.mix.left(self, None if self._served else why, None)


def _poller(number: int) -> str:
    return f"poller{number}"


def _request(target: str, headers: str = "") -> bytes:
    head = f"GET {target} HTTP/1.1\r\nHost: {WEB}\r\nUser-Agent: {documents.AGENT}\r\n{headers}\r\n"
    return head.encode()


def _count(mix: Mix, what: str, answer: Answer) -> None:
    if answer.status == 200:
        mix.done[what] += 1
    else:
        mix.failures[f"{what}: status {answer.status}"] += 1
