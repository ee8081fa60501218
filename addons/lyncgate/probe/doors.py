"""Hosts, each looked at once: its addresses, its ports, its certificate.

`open` gives what was found, and says it in lines the first time. What was found stays: nobody waits twice for
an address that does not answer.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence

import msgspec

from lyncgate.client.names import Address
from lyncgate.lync.stages import Stage
from lyncgate.policy.certificates import DAY, EXPIRES_SOON
from lyncgate.probe import net
from lyncgate.probe.answer import ORIGIN
from lyncgate.probe.check import Verdict
from lyncgate.probe.names import Names
from lyncgate.probe.net import Met
from lyncgate.probe.plan import HTTP, HTTPS, Plan
from lyncgate.probe.record import Record
from lyncgate.signin.events import Handshake, HandshakeOutcome
from lyncgate.signin.presented import presented

_SHOWN = 6  # names of a certificate, in a line


@dataclasses.dataclass(slots=True)
class Door:
    """What was found of a host. `stage`: of its connections; `addresses`: as DNS has them, or as they were
    given; `missing`: the name does not exist; `at`: by port, the first address that takes connections, None:
    none does; `shown`: names in its certificate; `trusted`: TLS as a client wants it."""

    host: str
    stage: Stage | None
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    missing: bool = False
    at: dict[int, Address | None] = dataclasses.field(default_factory=dict)
    shown: tuple[str, ...] = ()
    trusted: bool = False

    def usable(self, scheme: str) -> bool:
        """Whether a client can ask something here."""
        return self.trusted if scheme == "https" else self.at.get(HTTP) is not None


class Doors:
    """All hosts of a run. `anchors`: authorities that are trusted, in DER."""

    def __init__(self, plan: Plan, record: Record, names: Names, anchors: Sequence[bytes]) -> None:
        self.known: dict[str, Door] = {}
        self._plan = plan
        self._record = record
        self._names = names
        self._anchors = anchors

    async def open(
        self, host: str, stage: Stage | None = Stage.DNS_WEB, *, quiet_if_missing: bool = False
    ) -> Door:
        """The host's door. `stage`: of its look-up, None: it is none of a sign-in's hosts;
        `quiet_if_missing`: that there is no such name is for the caller to judge."""
        if host not in self.known:
            door = self.known[host] = Door(host, Stage.CONNECT if stage else None)
            await self._look_up(door, stage, quiet_if_missing)
            if door.addresses:
                await self._try_ports(door)
        return self.known[host]

    async def _look_up(self, door: Door, stage: Stage | None, quiet_if_missing: bool) -> None:
        what = f"look up {door.host}"
        if led := self._plan.led(door.host):
            door.addresses = (led,)
            self._record.check(stage, what, Verdict.SKIPPED, f"led to {led} by an option")
            return
        found = await self._names.look_up(door.host)
        door.addresses, door.aliases, door.missing = found.addresses, found.aliases, found.missing
        if door.addresses:
            self._record.check(stage, what, Verdict.OK, found.said, *found.queries)
        elif not (found.missing and quiet_if_missing):
            self._record.check(stage, what, Verdict.FAIL, found.said, *found.queries)

    async def _try_ports(self, door: Door) -> None:
        """443 and 80 of every address, at once."""
        plan = self._plan
        tries = [(port, found) for port in (HTTPS, HTTP) for found in door.addresses]
        where = [plan.address(door.host, found, port) for port, found in tries]
        started = time.time()
        met = await asyncio.gather(*(net.reach(address, plan.patience) for address in where))
        for (port, found), tried, how in zip(tries, where, met, strict=True):
            open_ = how.outcome is HandshakeOutcome.OK
            if open_ and door.at.get(port) is None:
                door.at[port] = tried
            door.at.setdefault(port, None)
            self._say_port(door, port, found, how, started)
        if address := door.at[HTTPS]:
            await self._look_at_tls(door, address)
        if not door.at[HTTP] and not door.trusted and door.at[HTTPS]:
            self._record.check(
                door.stage,
                f"port 80 of {door.host}",
                Verdict.FAIL,
                "closed, while the certificate is not good for the name: no way is left",
            )

    def _say_port(self, door: Door, port: int, found: str, how: Met, started: float) -> None:
        what = f"TCP {port} of {door.host} at {found}"
        if how.outcome is HandshakeOutcome.OK:
            self._record.check(door.stage, what, Verdict.OK, "open", seconds=how.seconds)
            return
        if not how.offered:
            self._record.check(door.stage, what, Verdict.SKIPPED, f"no way there from here: {how.detail}")
            return
        shake = self._handshake(door.host if port == HTTPS else None, found, port, how, started)
        self._record.saw(shake)
        verdict = Verdict.FAIL
        if port == HTTP and how.outcome is HandshakeOutcome.REFUSED:
            verdict = Verdict.OK  # of use to discovery only, and only where the certificate lacks the name
        self._record.check(door.stage, what, verdict, how.detail, shake)

    async def _look_at_tls(self, door: Door, address: Address) -> None:
        started = time.time()
        how = await net.shake(address, door.host, self._plan.patience)
        shake = self._handshake(door.host, door.addresses[0], HTTPS, how, started)
        what = f"TLS for {door.host}"
        if how.outcome is not HandshakeOutcome.OK:
            said = how.detail
            if how.outcome is HandshakeOutcome.UNREACHABLE:
                said = f"TCP opens, and then {how.detail}"
            shake = msgspec.structs.replace(shake, detail=said)
            self._record.saw(shake)
            self._record.check(door.stage, what, Verdict.FAIL, said, shake)
            return
        shake, said, verdict = self._judged(shake, how, door.host)
        self._record.saw(shake)
        door.trusted = verdict is not Verdict.FAIL
        door.shown = shake.certificate.names if shake.certificate else ()
        self._record.check(door.stage, what, verdict, said, shake)

    def _judged(self, shake: Handshake, how: Met, host: str) -> tuple[Handshake, str, Verdict]:
        untrusted = HandshakeOutcome.UNTRUSTED
        try:
            seen = presented(how.chain, host, self._anchors, time.time())
        except (ValueError, IndexError):
            said = "the certificate can't be read"
            return msgspec.structs.replace(shake, outcome=untrusted, detail=said), said, Verdict.FAIL
        certificate = seen.certificate
        shake = msgspec.structs.replace(shake, certificate=certificate)
        if seen.problem:
            said = seen.detail + (f", but for {_listed(certificate.names)}" if seen.problem == "name" else "")
            problem = msgspec.structs.replace(
                shake, outcome=untrusted, certificate_problem=seen.problem, detail=seen.detail
            )
            return problem, said, Verdict.FAIL
        left = certificate.not_after - time.time()
        until = time.strftime("%Y-%m-%d", time.gmtime(certificate.not_after))
        sent = f"{certificate.chain} certificate{'s' * (certificate.chain > 1)} sent"
        said = f"{how.version}, trusted until {until}, {len(certificate.names)} names, {sent}"
        if left < EXPIRES_SOON:
            return shake, f"expires in {int(left // DAY)} days; {said}", Verdict.WARN
        return shake, said, Verdict.OK

    def _handshake(
        self, server_name: str | None, found: str, port: int, how: Met, started: float
    ) -> Handshake:
        return Handshake(
            id=self._record.new_id(),
            started=started,
            origin=ORIGIN,
            keys=self._record.keys,
            seconds=how.seconds,
            address=f"{found}:{port}",
            scheme="https" if port == HTTPS else "http",
            server_name=server_name,
            outcome=how.outcome,
            detail=how.detail,
            version=how.version,
        )

    async def try_version(self, door: Door, version: str) -> tuple[Handshake, bool] | None:
        """A handshake that offers one version of TLS and nothing else, and whether it came about. None: this
        machine's OpenSSL can't."""
        address = door.at.get(HTTPS)
        if address is None:
            return None
        started = time.time()
        how = await net.shake(address, door.host, self._plan.patience, version)
        if not how.offered:
            return None
        shake = self._handshake(door.host, door.addresses[0], HTTPS, how, started)
        return msgspec.structs.replace(shake, versions=(version,)), how.outcome is HandshakeOutcome.OK


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if names[_SHOWN:] else ""
    return ", ".join(names[:_SHOWN]) + more
