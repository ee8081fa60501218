"""A light origin with a memory: NTLM by connection, polls that hang, large bodies, slow readers.

    python -m sidebyside.origin HTTPS_PORT HTTP_PORT CERTIFICATES PROCESSES [TLS]

TLS: the newest version that it speaks: 1.2, as IIS does up to Windows Server 2019, or 1.3 (unless said).

GET  /bench/held         polls that hang at this moment (of this process)
GET  /bench/release      answers them all
GET  /bench/down/BYTES   so large a body
POST /bench/up           takes a body;  /bench/slow takes it at 200 kB/s
GET  /bench/taken        bytes of bodies so far, of this process
GET  …/events            a poll: it hangs until released, or for the seconds of its `timeout=`
What else there is belongs to a sign-in (documents.py). Its web ticket is given after NTLM only, to whom the
connection is; a type 3 message that does not answer this connection's challenge gets a 401. Every answer says
in X-Bench-User who the connection is: whoever sees another's name there has found a broken proxy.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import signal
import socket
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httptools

from lyncgate.lync.names import AUTODISCOVER_ROOT
from sidebyside import documents, ntlm
from sidebyside.certificates import WEB
from sidebyside.sockets import Connection, Loop, listen

SLOW = 200_000  # bytes a second
TURN = 0.1  # seconds between a slow reader's gulps
PIECE = memoryview(os.urandom(256 * 1024))
XML = b"text/xml; charset=utf-8"
JSON = b"application/json"
ROOT = AUTODISCOVER_ROOT.encode()


class Canned:
    """Answers that are the same for everyone."""

    def __init__(self) -> None:
        plain, secure, user = documents.root_plain(), documents.root_secure(), documents.user_document()
        self.root_plain = answer(200, plain.content_type.encode(), plain.body)
        self.root_secure = answer(200, secure.content_type.encode(), secure.body)
        self.user = (user.content_type.encode(), user.body)
        self.metadata = answer(200, XML, documents.metadata())
        self.no_ticket = answer(
            401,
            b"text/html",
            b"No valid security token.",
            b"X-MS-WebTicketURL: https://" + WEB.encode() + documents.TICKETS.encode() + b"\r\n"
            b"X-MS-WebTicketSupported: cwt,saml\r\n",
        )
        self.challenge = answer(
            401, b"text/html", b"401", b"WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n"
        )
        self.small = answer(200, b"text/plain", b"some fifty bytes, as small answers usually are")
        self.unknown = answer(404, b"text/plain", b"")


REASONS = {200: b"OK", 201: b"Created", 401: b"Unauthorized", 403: b"Forbidden", 404: b"Not Found"}


def answer(status: int, kind: bytes, body: bytes, headers: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 %d %s\r\nServer: Microsoft-IIS/8.5\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n"
        % (status, REASONS[status], kind, len(body), headers)
    ) + body


EVENT = answer(200, JSON, b'{"_links":{"next":{"href":"events?ack=2"}}}')


class Visit(Connection):
    """A connection to the origin, and who it is."""

    def __init__(
        self, loop: Loop, sock: socket.socket, tls: ssl.SSLContext | None, canned: Canned, held: set[Visit]
    ) -> None:
        self._canned = canned
        self._held = held
        self._secure = tls is not None
        self._parser = httptools.HttpRequestParser(self)
        self._nonce = b""
        self._user = ""
        self._remaining = 0  # bytes of a large body that are still to be sent
        self._slow = False
        self._gulp = 0  # bytes since a slow reader's last rest
        self.on_message_begin()
        super().__init__(loop, sock, tls, server=True)

    def received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()
        except httptools.HttpParserUpgrade:
            self.close()
        if self._slow:
            self._gulp += len(data)
            if self._gulp >= SLOW * TURN:
                self.pause(self._gulp / SLOW)
                self._gulp = 0

    def ended(self, why: str) -> None:
        self._held.discard(self)

    # What httptools calls ---------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._target = b""
        self._authorization = b""
        self._ticket = b""
        self._taken = 0
        self._gulp = 0

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"authorization":
            self._authorization = value
        elif lower == b"x-ms-webticket":
            self._ticket = value

    def on_headers_complete(self) -> None:
        self._slow = self._target.startswith(b"/bench/slow")

    def on_body(self, body: bytes) -> None:
        self._taken += len(body)
        Visit.taken += len(body)

    def on_message_complete(self) -> None:
        self._slow = False
        said = self._answer(self._parser.get_method(), self._target)
        if said:
            self.write(said)
        if not self._parser.should_keep_alive():
            self._close_when_sent = True
            self._flush()

    # Answers ----------------------------------------------------------------------------------

    _close_when_sent = False
    _poll = 0  # number of the last one here
    taken = 0  # bytes of bodies, of all visits together

    def _answer(self, method: bytes, target: bytes) -> bytes | None:
        path, _, query = target.partition(b"?")
        if b"://" in path:
            path = urlsplit(path).path or b"/"
        if path.endswith(b"/events"):
            self._hold(query)
            return None
        if path.startswith(b"/bench/"):
            return self._bench(path)
        if path == documents.TICKET_PORT.encode():
            return self._windows()
        if path == documents.USER.encode():
            if not self._ticket:
                return self._canned.no_ticket
            return self._told(200, *self._canned.user)
        if path == documents.TICKETS.encode() + b"/mex":
            return self._canned.metadata
        if path == documents.APPLICATIONS.encode() and method == b"POST":
            if not self._ticket:
                return self._canned.no_ticket
            return self._told(201, JSON, documents.application_answer(documents.whose(self._ticket.decode())))
        if path.endswith(b"/policies"):
            return self._told(200, JSON, documents.POLICIES_ANSWER)
        if path in (b"/", ROOT):  # lyncgate forwards to where the service is, others what was asked
            if not query.startswith(b"sipuri"):
                return self._canned.small
            return self._canned.root_secure if self._secure else self._canned.root_plain
        return self._canned.unknown

    def _windows(self) -> bytes:
        """A web ticket by NTLM, which belongs to this connection."""
        kind = ntlm.kind(self._authorization)
        if kind == 1:
            self._user, self._nonce = "", secrets.token_bytes(8)
            more = b"WWW-Authenticate: " + ntlm.challenge(self._nonce) + b"\r\n"
            return answer(401, b"text/html", b"401", more)
        if kind == 3:
            user, nonce = ntlm.proof(self._authorization)
            if not self._nonce or nonce != self._nonce:
                return self._canned.challenge
            self._user, self._nonce = user, b""
        if not self._user:
            return self._canned.challenge
        return self._told(200, XML, documents.ticket_answer(self._user))

    def _told(self, status: int, kind: bytes, body: bytes) -> bytes:
        who = documents.IDENTITY + b": " + (self._user.encode() or b"-") + b"\r\n"
        return answer(status, kind, body, who)

    def _hold(self, query: bytes) -> None:
        self._held.add(self)
        self._poll += 1
        for part in query.split(b"&"):
            name, _, value = part.partition(b"=")
            if name == b"timeout":
                self._loop.later(float(value), functools.partial(self._release, self._poll))

    def _release(self, poll: int) -> None:
        if poll == self._poll and self in self._held:
            self._held.discard(self)
            self.write(EVENT)

    def _bench(self, path: bytes) -> bytes | None:
        if path == b"/bench/held":
            return answer(200, b"text/plain", b"%d" % len(self._held))
        if path == b"/bench/taken":
            return answer(200, b"text/plain", b"%d" % Visit.taken)
        if path == b"/bench/release":
            count = len(self._held)
            for visit in self._held:
                visit.write(EVENT)
            self._held.clear()
            return answer(200, b"text/plain", b"%d" % count)
        if path.startswith(b"/bench/down/"):
            self._remaining = int(path.rpartition(b"/")[2])
            return (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n"
                % self._remaining
            )
        return answer(200, b"text/plain", b"%d" % self._taken)

    def refill(self) -> bool:
        if self._remaining:
            piece = PIECE[: self._remaining]
            self._remaining -= len(piece)
            self._out.append(piece)
            return True
        if self._close_when_sent:
            self.close()
        return False


NEWEST = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def serve(https: int, http: int, certificates: Path, processes: int, version: str = "1.3") -> None:
    for _ in range(processes - 1):
        if os.fork() == 0:
            break
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.maximum_version = NEWEST[version]
    tls.load_cert_chain(certificates / "origin.pem", certificates / "origin.key")
    loop, canned, held = Loop(), Canned(), set[Visit]()

    listen(loop, https, lambda sock: _accept(loop, sock, tls, canned, held))
    listen(loop, http, lambda sock: _accept(loop, sock, None, canned, held))
    parent = os.getppid()
    loop.run(lambda: os.getppid() != parent)  # nobody is left who wants it


def _accept(
    loop: Loop, sock: socket.socket, tls: ssl.SSLContext | None, canned: Canned, held: set[Visit]
) -> None:
    with contextlib.suppress(OSError):  # gone already
        Visit(loop, sock, tls, canned, held)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
