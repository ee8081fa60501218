"""The SIP TLS port of a front end, or of the Access Edge: REGISTER with NTLM, and short answers.

Good enough for a real client to sign in and stay (SIPE does): REGISTER is challenged, the handshake is
verified, every later message must carry a valid signature, every answer is signed. SUBSCRIBE, SERVICE
and the rest get a signed 200 without a body: no contacts, no policies yet.

The port is also what a load balancer's TCP health check looks at (5061, protocol reference §9.11).

A user may register at any server of the lab: the Access Edge and Directors hand REGISTER on to the home
pool; that hop is not played, the registration is simply kept by the user's pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import ssl
from collections.abc import Mapping

from lyncgate.lab import sipmessage
from lyncgate.lab.directory import Directory, User
from lyncgate.lab.ntlm import Accounts
from lyncgate.lab.pool import Pool
from lyncgate.lab.registrar import Registration
from lyncgate.lab.sipauth import RefusedError, SecurityAssociation
from lyncgate.lab.sipmessage import Message
from lyncgate.lab.topology import REALM
from lyncgate.lab.web import end

HEAD_LIMIT = 64 * 1024
EXPIRES = 7200  # seconds
_REGISTERED = (
    ("Allow-Events", "vnd-microsoft-provisioning-v2,vnd-microsoft-roaming-contacts,presence"),
    ("Supported", "adhoclist"),
    ("Supported", "msrtc-event-categories"),
    ("Server", "RTC/5.0"),
    ("ms-keep-alive", "UAS; tcp=no; hop-hop=yes; end-end=no; timeout=300"),
)


class SipServer:
    """One listening address. `name`: this server's FQDN, what NTLM calls the target."""

    def __init__(
        self, name: str, directory: Directory, pools: Mapping[str, Pool], accounts: Accounts
    ) -> None:
        self.name = name
        self.directory = directory
        self.pools = pools
        self.accounts = accounts
        self._serving: dict[asyncio.Task[object], asyncio.StreamWriter] = {}
        self._listener: asyncio.Server | None = None

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext) -> None:
        """Accept connections on a bound socket."""
        self._listener = await asyncio.start_server(self._serve, sock=sock, ssl=tls, limit=HEAD_LIMIT)

    async def close(self, *, reset: bool) -> None:
        """Stop listening and cut all connections; `reset`: with RST."""
        if self._listener:
            self._listener.close()
            self._listener = None
        serving = dict(self._serving)
        for writer in serving.values():
            end(writer.transport, reset=reset)
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialog = _Dialog(self)
        if task := asyncio.current_task():
            self._serving[task] = writer
            task.add_done_callback(self._serving.pop)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lstrip(b"\r\n")
                if not head:
                    continue  # the client's keep-alive
                message = sipmessage.parse(head.removesuffix(b"\r\n\r\n"))
                await reader.readexactly(message.content_length)
                if message.method != "ACK":
                    writer.write(dialog.answer(message))
                    await writer.drain()
        except (sipmessage.BadMessageError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # not SIP, or gone
        finally:
            dialog.end()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class _Dialog:
    """What one connection has agreed on: its security association, its registration."""

    def __init__(self, server: SipServer) -> None:
        self._server = server
        self._association: SecurityAssociation | None = None
        self._user: User | None = None
        self._registered: set[tuple[str, str]] = set()
        self._tag = secrets.token_hex(4)

    def answer(self, message: Message) -> bytes:
        """The answer to a request, as bytes."""
        scheme, _, rest = message.header("authorization").partition(" ")
        given = sipmessage.parameters(rest) if scheme.upper() == "NTLM" else {}
        if not given:
            return self._reply(message, "401", "Unauthorized", ("WWW-Authenticate", self._offer()))
        if given.get("gssapi-data") == "":
            self._association, self._user = SecurityAssociation(self._server.accounts), None
            extra = f', opaque="{self._association.opaque}", gssapi-data="{self._association.challenge()}"'
            return self._reply(message, "401", "Unauthorized", ("WWW-Authenticate", self._offer() + extra))
        if not self._authenticated(message, given):
            self._association = self._user = None
            return self._reply(message, "401", "Unauthorized", ("WWW-Authenticate", self._offer()))
        if (
            self._user is None
            or sipmessage.sip_user(sipmessage.address(message.header("from"))[0]) != self._user.sip
        ):
            return self._reply(message, "403", "Forbidden")
        if message.method == "REGISTER":
            return self._register(message, self._user)
        return self._reply(message, "200", "OK", *self._expires(message))

    def end(self) -> None:
        """The connection is gone, and with it what was registered over it."""
        if self._user:
            for sip, call_id in self._registered:
                self._server.pools[self._user.home].registrar.remove(sip, call_id)

    def _authenticated(self, message: Message, given: dict[str, str]) -> bool:
        association = self._association
        if association is None or given.get("opaque") != association.opaque:
            return False
        if token := given.get("gssapi-data"):
            try:
                association.accept(token)
            except RefusedError:
                return False
            self._user = self._server.directory.by_principal(association.principal or "")
        if association.principal is None:
            return False
        text = sipmessage.signed_text(
            message, given, given.get("crand", ""), given.get("cnum", ""), to=message.header("to"), reply=None
        )
        return association.verify(text, given.get("response", ""))

    def _register(self, message: Message, user: User) -> bytes:
        registrar, call_id = self._server.pools[user.home].registrar, message.header("call-id")
        if message.header("expires") == "0":
            registrar.remove(user.sip, call_id)
            return self._reply(message, "200", "OK", ("Expires", "0"))
        registrar.add(Registration(user.sip, call_id, message.header("contact")))
        self._registered.add((user.sip, call_id))
        return self._reply(message, "200", "OK", ("Expires", str(EXPIRES)), *_REGISTERED)

    @staticmethod
    def _expires(message: Message) -> tuple[tuple[str, str], ...]:
        expires = message.header("expires")
        return (("Expires", expires),) if expires else ()

    def _offer(self) -> str:
        return f'NTLM realm="{REALM}", targetname="{self._server.name}", version=4'

    def _reply(self, message: Message, status: str, reason: str, *headers: tuple[str, str]) -> bytes:
        to = message.header("to")
        if not sipmessage.address(to)[1]:
            to = f"{to};tag={self._tag}"
        lines = [f"SIP/2.0 {status} {reason}"]
        lines += [f"{name}: {value}" for name, value in message.headers if name.lower() == "via"]
        lines += [f"{name}: {message.header(name)}" for name in ("From", "Call-ID", "CSeq")]
        lines.append(f"To: {to}")
        lines += [f"{name}: {value}" for name, value in headers]
        if self._association and self._association.principal and status != "401":
            lines.append(
                f"Authentication-Info: {self._signature(self._association, message, to, status, headers)}"
            )
        lines.append("Content-Length: 0")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _signature(
        self,
        association: SecurityAssociation,
        message: Message,
        to: str,
        status: str,
        headers: tuple[tuple[str, str], ...],
    ) -> str:
        auth = {"realm": REALM, "targetname": self._server.name}
        rand, num = secrets.token_hex(4).upper(), str(association.next_number())
        expires = dict(headers).get("Expires", "")
        text = sipmessage.signed_text(message, auth, rand, num, to=to, reply=(status, expires))
        return (
            f'NTLM qop="auth", opaque="{association.opaque}", srand="{rand}", snum="{num}", '
            f'rspauth="{association.sign(text)}", targetname="{self._server.name}", '
            f'realm="{REALM}", version=4'
        )
