"""An answer, and the event that is made of it. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from lyncgate.client.http import Reply
from lyncgate.policy.paths import canonical
from lyncgate.probe.plan import AGENT
from lyncgate.signin.exchange import Exchange, Phase, Source
from lyncgate.signin.keys import Hasher
from lyncgate.signin.reading import read
from lyncgate.signin.seen import HEAD_LIMIT, RequestSeen, ResponseSeen

ORIGIN = "probe"
SERVER = "x-ms-server-fqdn"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What came. `reply` None: nothing whole; `problem` says why, and is "" else."""

    url: str
    exchange: Exchange
    reply: Reply | None
    problem: str = ""

    @property
    def status(self) -> int | None:
        """None: no answer."""
        return self.reply.status if self.reply else None

    @property
    def server(self) -> str | None:
        """The front end that says it answered; None: something else did (an inference, protocol reference
        §10)."""
        return self.header(SERVER)

    def header(self, name: str) -> str | None:
        """The first field of this name."""
        return self.reply.header(name) if self.reply else None

    @property
    def body(self) -> bytes:
        """All of it."""
        return self.reply.body if self.reply else b""

    @property
    def html(self) -> bool:
        """A page, where services of Lync have documents."""
        return (self.header("content-type") or "").lower().startswith("text/html")

    @property
    def said(self) -> str:
        """Status and who answered, for people."""
        if self.reply is None:
            return self.problem
        kind = ", an HTML page" if self.html else ""
        return f"{self.status} from {self.server or 'something in front of the pool'}{kind}"


def exchange(
    id: str,
    user: str,
    hasher: Hasher,
    *,
    connection: str,
    local: str,
    started: float,
    took: float,
    url: str,
    method: str,
    target: str,
    fields: Sequence[tuple[str, str]],
    body: bytes,
    reply: Reply | None,
) -> Exchange:
    """The event of a request and what came. `user`: whose the run is; `local`: our address; `started`:
    Unix seconds; `took`: seconds; `fields`: of the request, without Host."""
    parts = urlsplit(url)
    path = canonical(parts.path.encode() or b"/")
    request = RequestSeen(
        method=method,
        scheme=parts.scheme,
        host=(parts.hostname or "").lower(),
        path=path,
        target=target.encode(),
        headers=_bytes([("Host", parts.netloc), *fields]),
        body=body[:HEAD_LIMIT],
        complete=len(body) <= HEAD_LIMIT,
    )
    response = None
    if reply:
        response = ResponseSeen(
            status=reply.status,
            headers=_bytes(reply.headers),
            body=reply.body[:HEAD_LIMIT],
            complete=len(reply.body) <= HEAD_LIMIT,
        )
    reading = read(hasher, request, response, connection=connection, client=local or None)
    return Exchange(
        id=id,
        listener=ORIGIN,
        scheme=parts.scheme,
        source_ip=local,
        connection=connection,
        started=started,
        method=method,
        host=request.host,
        path=path[:256],
        kind=reading.kind,
        stage=reading.stage,
        decision="forward",
        rule=ORIGIN,
        sip_user=reading.keys.user,
        ntlm_user=reading.keys.account,
        status=reply.status if reply else None,
        request_bytes=len(body),
        response_bytes=len(reply.body) if reply else 0,
        ended_by=Source.UPSTREAM,
        server_fqdn=reply.header(SERVER) if reply else None,
        user_agent=AGENT,
        phases={Phase.TOTAL: took},
        origin=ORIGIN,
        keys=msgspec.structs.replace(reading.keys, user=user),
        facts=reading.facts,
    )


def _bytes(fields: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in fields]
