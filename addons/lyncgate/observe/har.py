"""HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), to be opened with browsers' tools and Fiddler.

A sign-in's exchanges, as far as they are known: no bodies, and no values of what is secret. Fields of our
own begin with `_`, as the specification wants: `_lyncgate` is a whole event (`signin.codec`), in the log
those that are no exchanges; `observe.sources` reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import lyncgate
from lyncgate.signin import codec
from lyncgate.signin.events import Event
from lyncgate.signin.exchange import Exchange, Phase
from lyncgate.signin.story import SignIn

VERSION = "1.2"
UNKNOWN = -1  # for a size or a time, as the specification wants
_NOT_SECRET = "removed"  # noqa: S105 - stands for what was one

type Json = dict[str, Any]


def creator() -> Json:
    """Who made the HAR."""
    return {"name": "lyncgate", "version": lyncgate.__version__}


def of_sign_in(sign_in: SignIn) -> Json:
    """A sign-in's exchanges as a HAR; its other events stand in `_lyncgate` of the log."""
    exchanges = [event for event in sign_in.events if isinstance(event, Exchange)]
    return {
        "log": {
            "version": VERSION,
            "creator": creator(),
            "pages": [],
            "entries": [_entry(exchange) for exchange in exchanges],
            "comment": f"Sign-in {sign_in.id}. Bodies, and values of what is secret, were not kept.",
            "_lyncgate": [_event(event) for event in sign_in.events if not isinstance(event, Exchange)],
        }
    }


def _event(event: Event) -> Json:
    plain: Json = json.loads(codec.dumps(event))
    return plain


def _entry(exchange: Exchange) -> Json:
    facts = exchange.facts
    url = f"{exchange.scheme}://{exchange.host}{exchange.path or '/'}"
    request: Json = {
        "method": exchange.method,
        "url": url,
        "httpVersion": "HTTP/1.1",
        "cookies": [{"name": name, "value": _NOT_SECRET} for name in facts.cookies_sent],
        "headers": _fields(_sent(exchange)),
        "queryString": [],
        "headersSize": UNKNOWN,
        "bodySize": exchange.request_bytes,
    }
    if exchange.request_bytes:
        request["postData"] = {"mimeType": "", "params": [], "text": "", "comment": "not kept"}
    entry: Json = {
        "startedDateTime": codec.iso(exchange.started),
        **_timings(exchange),
        "request": request,
        "response": {
            "status": exchange.status or 0,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "cookies": [{"name": cookie.partition("=")[0], "value": _NOT_SECRET} for cookie in facts.cookies],
            "headers": _fields(_received(exchange)),
            "content": {
                "size": exchange.response_bytes,
                "mimeType": facts.content_type or "x-unknown",
                "comment": "not kept",
            },
            "redirectURL": facts.redirect or "",
            "headersSize": UNKNOWN,
            "bodySize": exchange.response_bytes,
        },
        "cache": {},
        "connection": exchange.connection,
        "comment": " ".join(word for word in (exchange.stage, exchange.outcome, exchange.reason) if word),
        "_lyncgate": _event(exchange),
    }
    return entry


def _sent(exchange: Exchange) -> Iterable[tuple[str, str | None]]:
    facts = exchange.facts
    yield "Host", exchange.host
    yield "User-Agent", exchange.user_agent
    yield "Authorization", f"{facts.auth_used} {_NOT_SECRET}" if facts.auth_used else None
    yield "Cookie", "; ".join(f"{name}={_NOT_SECRET}" for name in facts.cookies_sent)


def _received(exchange: Exchange) -> Iterable[tuple[str, str | None]]:
    facts = exchange.facts
    yield "Content-Type", facts.content_type
    yield "Server", facts.header_server
    yield "Location", facts.redirect if exchange.status and 300 <= exchange.status < 400 else None
    yield "X-MS-Server-Fqdn", exchange.server_fqdn
    for scheme in facts.auth_offered:
        yield "WWW-Authenticate", scheme
    if facts.diagnostics is not None:
        reason = f';reason="{facts.diagnostics_text}"' if facts.diagnostics_text else ""
        yield "X-Ms-diagnostics", f"{facts.diagnostics}{reason}"
    yield "Warning", f'199 - "{facts.warning}"' if facts.warning else None
    for cookie in facts.cookies:
        yield "Set-Cookie", cookie.replace("=", f"={_NOT_SECRET}", 1)


def _fields(fields: Iterable[tuple[str, str | None]]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in fields if value]


def _timings(exchange: Exchange) -> Json:
    """`time` and `timings`. HAR's `connect` includes `ssl`, and the sum of the others is `time`."""
    phases = {phase: 1000 * (took or 0.0) for phase, took in exchange.phases.items()}
    ssl = phases.get(Phase.UPSTREAM_TLS, UNKNOWN)
    connect = phases.get(Phase.CONNECT, UNKNOWN)
    timings = {
        "blocked": phases[Phase.ROUTE] + phases.get(Phase.QUEUE, 0.0) if Phase.ROUTE in phases else UNKNOWN,
        "dns": UNKNOWN,
        "connect": connect + max(0.0, ssl) if connect != UNKNOWN else UNKNOWN,
        "ssl": ssl,
        "send": phases.get(Phase.REQUEST_HEADERS, 0.0) + phases.get(Phase.REQUEST_BODY, 0.0),
        "wait": phases.get(Phase.WAIT, 0.0),
        "receive": phases.get(Phase.RESPONSE_BODY, 0.0),
    }
    timings = {name: round(took, 3) for name, took in timings.items()}
    return {"time": total(timings), "timings": timings}


def total(timings: Json) -> float:
    """`time` of an entry, in milliseconds."""
    return round(sum(float(took) for name, took in timings.items() if took > 0 and name != "ssl"), 3)
