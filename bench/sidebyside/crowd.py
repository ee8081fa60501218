"""Many connections that do nothing: held polls, or idle after one request. A process of its own.

    python -m sidebyside.crowd HTTPS_PORT COUNT poll|idle

Speaks lines of JSON: `opened` when every connection is there and has sent its request (`idle`: and has its
answer). Then any line on standard input makes it look how many are still there; an empty one waits (polls:
until all are answered, 20 s at most), tells the end and leaves.
"""

from __future__ import annotations

import collections
import json
import os
import select
import socket
import sys
import time

from sidebyside import documents
from sidebyside.asking import Answer, Client, trusting
from sidebyside.certificates import WEB
from sidebyside.sockets import Loop, connect

AT_ONCE = 32  # connections that shake hands
PATIENCE = 20.0  # seconds for the answers, and without any progress


class Crowd:
    def __init__(self, port: int, *, polls: bool) -> None:
        self.port = port
        self.polls = polls
        self.loop = Loop()
        self.tls = trusting()
        self.clients: set[Member] = set()
        self.opening = 0
        self.settled = 0  # have sent their request; idle: and have the answer
        self.answered = 0
        self.seconds = 0.0  # that opening took
        self.lost: collections.Counter[str] = collections.Counter()

    def _request(self, number: int) -> bytes:
        user = f"user{number}"
        target = documents.events(user) if self.polls else "/"
        ticket = f"X-MS-WebTicket: {documents.ticket(user)}\r\n" if self.polls else ""
        head = f"GET {target} HTTP/1.1\r\nHost: {WEB}\r\nUser-Agent: {documents.AGENT}\r\n{ticket}\r\n"
        return head.encode()

    def open(self, count: int) -> None:
        began = time.monotonic()
        made, progress = 0, (0, time.monotonic())

        def done() -> bool:
            nonlocal made, progress
            while made < count and self.opening < AT_ONCE:
                made += 1
                try:
                    sock = connect(self.port)
                except OSError as error:
                    self.lost[str(error)] += 1
                    continue
                self.opening += 1
                self.clients.add(Member(self, sock, self._request(made)))
            if self.settled != progress[0]:
                progress = (self.settled, time.monotonic())
            stuck = time.monotonic() - progress[1] > PATIENCE
            return stuck or (made == count and not self.opening)

        self.loop.run(done)
        self.seconds = time.monotonic() - began

    def linger(self) -> None:
        """Until a line comes in."""
        self.loop.run(lambda: bool(select.select([sys.stdin], [], [], 0)[0]))

    def wait(self) -> None:
        until = time.monotonic() + PATIENCE
        self.loop.run(lambda: not self.clients or time.monotonic() > until)

    def tell(self, what: str) -> None:
        told = {
            "what": what,
            "there": len(self.clients),
            "answered": self.answered,
            "seconds": self.seconds,
            "lost": sum(self.lost.values()),
            "reasons": dict(self.lost.most_common(5)),
        }
        print(json.dumps(told), flush=True)


class Member(Client):
    def __init__(self, crowd: Crowd, sock: socket.socket, request: bytes) -> None:
        self._crowd = crowd
        self._request = request
        self._opening = True
        super().__init__(crowd.loop, sock, crowd.tls, WEB, self._got, self._gone)

    def opened(self) -> None:
        self.write(self._request)
        if self._crowd.polls:
            self._settle()

    def _settle(self) -> None:
        if self._opening:
            self._opening = False
            self._crowd.opening -= 1
            self._crowd.settled += 1

    def _got(self, answer: Answer) -> None:
        if answer.status == 200:
            self._crowd.answered += 1
        else:
            self._crowd.lost[f"status {answer.status}"] += 1
        self._settle()
        if self._crowd.polls:
            self._crowd.clients.discard(self)
            self.close()

    def _gone(self, why: str) -> None:
        self._settle()
        self._crowd.clients.discard(self)
        self._crowd.lost[why] += 1


def main() -> None:
    crowd = Crowd(int(sys.argv[1]), polls=sys.argv[3] == "poll")
    crowd.open(int(sys.argv[2]))
    crowd.tell("opened")
    while True:
        crowd.linger()
        line = sys.stdin.readline().strip()
        if not line:
            break
        crowd.tell("there")
    if crowd.polls:
        crowd.wait()
    crowd.tell("end")
    os._exit(0)  # without thousands of farewells


if __name__ == "__main__":
    main()
