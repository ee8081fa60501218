"""HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), as browsers, Fiddler, Charles, mitmproxy and
lyncgate write it.

A HAR says nothing of who the client is, and most say of no connection. Some of what lyncgate writes
stands in fields of its own: `_client`, `_client_tls` (milliseconds), and `_lyncgate`, which is a whole event
(`signin.codec`); with those it comes back as it was.

Browsers' `connect` is the client's own way to the server, that of a proxy such as Fiddler is the proxy's.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import json
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lyncgate.edge.outcomes import ENDED_BY
from lyncgate.edge.route import AGENT_SHOWN, KNOWN_METHODS, PATH_SHOWN
from lyncgate.lync import names
from lyncgate.observe.sources.form import SourceError
from lyncgate.policy import hosts, paths
from lyncgate.signin import codec
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange, Outcome, Phase, Phases, Source
from lyncgate.signin.keys import Hasher
from lyncgate.signin.reading import RequestSeen, ResponseSeen, read
from lyncgate.signin.seen import HEAD_LIMIT, Fields, Headers

ORIGIN = "har"
LARGEST = 1024 * 1024 * 1024  # bytes of a file: it is read as a whole
LONGEST_EVENT = 64 * 1024  # characters of an event of ours
_CLIENTS = ("webinspector", "chrom", "firefox", "safari", "edge", "brave", "opera")  # creators that are one
_PLAIN = ("content-encoding", "transfer-encoding")  # a HAR's bodies are as if these were not
_WORDS = (  # parts of what tools say of a request that failed, in lower case
    (("client disconnected", "abort", "cancel"), Outcome.CLIENT_GONE),
    (("cert", "ssl", "tls"), Outcome.TLS_FAILED),
    (("timed out", "timeout", "timed_out"), Outcome.UPSTREAM_TIMEOUT),
    (("refused", "unreachable", "name_not_resolved", "connection_failed", "connect"), Outcome.CONNECT_FAILED),
)

type Json = dict[str, Any]


def har_events(path: Path, hasher: Hasher, tell: Callable[[str], None]) -> Iterator[Event]:
    """The exchanges of a HAR. Raises SourceError if it is none."""
    if path.stat().st_size > LARGEST:
        raise SourceError(f"{path}: larger than {LARGEST >> 20} MiB")
    data = path.read_bytes()
    try:
        log = json.loads(data.decode("utf-8-sig"))["log"]
        entries = log["entries"]
        if not isinstance(entries, list):
            raise TypeError("entries is no list")
    except json.JSONDecodeError as error:
        raise SourceError(
            f"{path}: not a HAR: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise SourceError(f"{path}: not a HAR: {error!r:.200}") from None
    creator = log.get("creator")
    name = str(creator.get("name", "")).lower() if isinstance(creator, dict) else ""
    reader = _Reader(hasher, hashlib.blake2b(data, digest_size=8).hexdigest(), name)
    for number, event in enumerate(_list(log.get("_lyncgate"))):
        try:
            yield _own(event)
        except (ValueError, TypeError) as error:
            tell(f"log._lyncgate[{number}]: {error!s:.200}")
    for number, entry in enumerate(entries):
        try:
            yield _own(entry["_lyncgate"]) if "_lyncgate" in entry else reader.exchange(entry, number)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            tell(f"log.entries[{number}]: {_said(error)}")


class _Reader:
    """`file`: tells HARs apart. `creator`: the program that wrote it, in lower case."""

    def __init__(self, hasher: Hasher, file: str, creator: str) -> None:
        self._hasher = hasher
        self._file = file
        self._by_client = creator.startswith(_CLIENTS)
        self._apart = creator == "mitmproxy"  # its `connect` is without `ssl`

    def exchange(self, entry: Json, number: int) -> Exchange:
        """An entry. Raises all that there is to raise, if it is none."""
        request, response = _object(entry, "request"), entry.get("response") or {}
        started = _time(entry["startedDateTime"])
        seen = _request_seen(request)
        status = int(response.get("status") or 0)
        answered = status >= 100
        connection = self._connection(entry, seen.scheme)
        client = entry.get("_client") if isinstance(entry.get("_client"), str) else None
        reading = read(
            self._hasher,
            seen,
            _response_seen(status, response) if answered else None,
            connection=connection,
            client=client,
        )
        outcome = Outcome.OK if answered else _failure(entry, response)
        agent = _field(seen.headers, b"user-agent").decode("latin-1")
        content = response.get("content") or {}
        server = _field(_headers(response), b"x-ms-server-fqdn").decode("latin-1")
        return Exchange(
            id=self._hasher(f"{ORIGIN}\n{entry['startedDateTime']}\n{request['url']}\n{number}".encode()),
            listener=ORIGIN,
            scheme=seen.scheme,
            source_ip=client or "",
            connection=connection or "",
            started=started,
            method=seen.method,
            host=seen.host or "_other",
            path=seen.path[:PATH_SHOWN],
            kind=reading.kind,
            stage=reading.stage,
            decision="forward",
            rule=ORIGIN,
            sip_user=names.sip_user_from_query(seen.target.partition(b"?")[2]),
            ntlm_user=reading.keys.account if reading.facts.ntlm == 3 else None,
            member=str(entry["serverIPAddress"])[:64] if entry.get("serverIPAddress") else None,
            status=status if answered else None,
            request_bytes=max(0, int(request.get("bodySize") or 0)),
            response_bytes=max(0, int(response.get("bodySize") or 0))
            or max(0, int(content.get("size") or 0)),
            outcome=outcome,
            ended_by=ENDED_BY.get(outcome, Source.UPSTREAM),
            server_fqdn=server[:AGENT_SHOWN] or None,
            user_agent=agent[:AGENT_SHOWN] or None,
            phases=self._phases(entry, answered=answered),
            origin=ORIGIN,
            keys=reading.keys,
            facts=reading.facts,
        )

    def _connection(self, entry: Json, scheme: str) -> str | None:
        """The connection's name, one of this file's. Some write the server's port here, which is none."""
        name = entry.get("connection")
        if not isinstance(name, str | int) or str(name) in ("", "0", "80", "443"):
            return None
        return self._hasher(f"{self._file}\n{scheme}\n{name}")

    def _phases(self, entry: Json, *, answered: bool) -> Phases:
        """HAR's timings are milliseconds, -1 where there is none; `connect` includes `ssl`."""
        timings = entry.get("timings") or {}
        told = {name: _seconds(timings.get(name)) for name in ("connect", "ssl", "send", "wait", "receive")}
        phases: Phases = {}
        connect, ssl = told["connect"], told["ssl"]
        if connect is not None and self._by_client:
            phases[Phase.CLIENT_TLS] = connect
        elif connect is not None:
            within = 0.0 if ssl is None or self._apart else ssl
            phases[Phase.CONNECT] = max(0.0, connect - within)
            if ssl is not None:
                phases[Phase.UPSTREAM_TLS] = ssl
        if (own := _seconds(entry.get("_client_tls"))) is not None:
            phases[Phase.CLIENT_TLS] = own
        for phase, name in (
            (Phase.REQUEST_BODY, "send"),
            (Phase.WAIT, "wait"),
            (Phase.RESPONSE_BODY, "receive"),
        ):
            if (took := told[name]) is not None:
                phases[phase] = took if answered or phase is Phase.REQUEST_BODY else None
        if (total := _seconds(entry.get("time"))) is not None:
            phases[Phase.TOTAL] = total
        return phases


def _request_seen(request: Json) -> RequestSeen:
    url = str(request["url"])
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"request.url: {url[:80]!r} is neither http nor https")
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}".encode("utf-8", "surrogatepass")
    headers = _headers(request)
    host = hosts.parse(_field(headers, b"host") or parts.netloc.rpartition("@")[2].encode("utf-8", "replace"))
    body = _posted(request.get("postData"))
    method = str(request["method"]).upper()
    return RequestSeen(
        method=method if method in KNOWN_METHODS else "_other",
        scheme=parts.scheme,
        host=host or "",
        path=paths.canonical(target.partition(b"?")[0]),
        target=target,
        headers=headers,
        body=body[:HEAD_LIMIT],
        complete=len(body) <= HEAD_LIMIT,
    )


def _posted(data: Any) -> bytes:
    """A body: as text, or as a form's fields."""
    if not isinstance(data, dict):
        return b""
    if isinstance(text := data.get("text"), str) and text:
        return text.encode("utf-8", "replace")
    pairs = [(str(p.get("name", "")), str(p.get("value", ""))) for p in _list(data.get("params"))]
    return urllib.parse.urlencode(pairs).encode()


def _response_seen(status: int, response: Json) -> ResponseSeen:
    content = response.get("content") or {}
    text = content.get("text")
    body = text.encode("utf-8", "replace") if isinstance(text, str) else b""
    if str(content.get("encoding", "")).lower() == "base64":
        try:
            body = base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            body = b""
    headers = [
        (name, value) for name, value in _headers(response) if name.lower().decode("latin-1") not in _PLAIN
    ]
    mime = content.get("mimeType")
    if mime and not _field(headers, b"content-type"):
        headers.append((b"Content-Type", str(mime).encode("utf-8", "replace")))
    return ResponseSeen(
        status=status, headers=headers, body=body[:HEAD_LIMIT], complete=len(body) <= HEAD_LIMIT
    )


def _headers(message: Json) -> list[tuple[bytes, bytes]]:
    """Header fields without HTTP/2's own. Some tools write several values into one, with line feeds."""
    return [
        (name.encode("utf-8", "replace"), value.encode("utf-8", "replace"))
        for header in _list(message.get("headers"))
        for name in (str(header.get("name", "")),)
        for value in str(header.get("value", "")).split("\n")
        if name and not name.startswith(":")
    ]


def _field(headers: Headers, name: bytes) -> bytes:
    return Fields(headers).first.get(name, b"")


def _failure(entry: Json, response: Json) -> Outcome:
    """Why there is no answer, by the words that tools have for it; a guess."""
    said = str(response.get("_error") or entry.get("_error") or entry.get("comment") or "").lower()
    return next(
        (outcome for words, outcome in _WORDS if any(w in said for w in words)), Outcome.UPSTREAM_RESET
    )


def _own(event: Any) -> Event:
    line = json.dumps(event)
    if len(line) > LONGEST_EVENT:
        raise ValueError(f"event of {len(line)} characters")
    return codec.loads(line)


def _time(text: Any) -> float:
    moment = datetime.datetime.fromisoformat(str(text))
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _seconds(milliseconds: Any) -> float | None:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        return None
    return round(milliseconds / 1000, 6) if 0 <= milliseconds < 1e9 else None


def _object(holder: Json, name: str) -> Json:
    value = holder[name]
    if not isinstance(value, dict):
        raise TypeError(f"{name} is no object")
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _said(error: Exception) -> str:
    return f"there is no {error}" if isinstance(error, KeyError) else f"{error!s:.200}"
