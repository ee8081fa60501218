"""What the header fields of a request and its answer say."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Iterable, Iterator, Mapping

from lyncgate.lync import ntlm
from lyncgate.signin import plain, tickets
from lyncgate.signin.seen import Fields, RequestSeen, ResponseSeen, media_type
from lyncgate.signin.told import Told

SERVER_SHOWN = 64
# What says more of an answer than what kind it is; most have none of these.
_RARE = frozenset(
    {b"location", b"x-ms-webticketurl", b"www-authenticate", b"proxy-authenticate", b"set-cookie"}
    | {b"x-ms-diagnostics", b"ms-diagnostics", b"warning"}
)
_MOST = 16  # cookies, schemes or URLs of one message
_NAME = re.compile(r"[\w.!#$%&'*+^`|~-]{1,64}", re.ASCII)
_SCHEMES = {
    name.lower(): name
    for name in ("Basic", "Bearer", "Digest", "Kerberos", "MsRtcOAuth", "Negotiate", "NTLM", "TLS-DSK")
}
_CHALLENGE = re.compile(r"\s*([A-Za-z][\w-]*)(?:\s+(.*))?", re.ASCII | re.DOTALL)
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_DIAGNOSTICS = re.compile(r'\s*(\d{1,9})\s*(?:;.*?\breason="([^"]*))?', re.DOTALL)
_HREF = re.compile(r'\bhref="([^"]+)"')
_WARN_TEXT = re.compile(r'"([^"]*)"')


def read_request(request: RequestSeen, headers: Fields, told: Told) -> None:
    """Credentials, cookies, Origin. `headers`: those of the request."""
    facts = told.facts
    if ticket := tickets.shown(headers):
        (form, text), user = ticket
        facts["ticket"] = form
        told.tickets.append(text)
        told.user = told.user or user
    if authorization := headers.first.get(b"authorization"):
        facts["auth_used"] = _scheme(authorization)
        facts["ntlm"] = ntlm.message_type(authorization)
        credentials = [(b"authorization", value) for value in headers.all(b"authorization")]
        told.account = ntlm.user(credentials) or _basic_user(authorization)
    if b"cookie" in headers.first:
        facts["cookies_sent"] = tuple(_cookie_names(headers))[:_MOST]
    if b"origin" in headers.first:
        facts["origin_sent"] = True


def read_response(request: RequestSeen, response: ResponseSeen, headers: Fields, told: Told) -> None:
    """Where to go, how to sign in, what went wrong. `headers`: those of the answer."""
    facts, first = told.facts, headers.first
    if kind := media_type(headers):
        facts["content_type"] = plain.plain(kind, SERVER_SHOWN) or None
    facts["framing"] = _framing(request.method, response.status, headers)
    facts["upstream"] = response.upstream
    if server := first.get(b"server"):
        facts["header_server"] = _server(server) if len(server) <= SERVER_SHOWN else _shown(server)
    if _RARE.isdisjoint(first):
        return
    if 300 <= response.status < 400 and (location := first.get(b"location")):
        facts["redirect"] = plain.url(location.decode("latin-1"))
    if b"x-ms-webticketurl" in first:
        told.authentication_urls += _urls(v.decode("latin-1") for v in headers.all(b"x-ms-webticketurl"))
    if challenges := _challenges(headers):
        _read_challenges(challenges, told)
    _read_diagnostics(first, told)
    if b"set-cookie" in first:
        facts["cookies"] = tuple(_set_cookies(headers))[:_MOST]


def _shown(server: bytes) -> str:
    return plain.plain_bytes(server, SERVER_SHOWN)


_server = functools.lru_cache(maxsize=64)(_shown)  # a pool has few


def _read_diagnostics(first: Mapping[bytes, bytes], told: Told) -> None:
    """X-Ms-diagnostics and Warning (protocol reference §3.6)."""
    value = first.get(b"x-ms-diagnostics") or first.get(b"ms-diagnostics")
    if value and (match := _DIAGNOSTICS.match(value[:2048].decode("latin-1"))):
        told.facts["diagnostics"] = int(match[1])
        told.facts["diagnostics_text"] = plain.plain(match[2] or "") or None
    if warning := first.get(b"warning"):
        text = warning[:1024].decode("latin-1")
        quoted = _WARN_TEXT.search(text)
        told.facts["warning"] = plain.plain(quoted[1] if quoted else text) or None


def _scheme(credentials: bytes) -> str:
    """Only known names: what stands here without a scheme is a secret."""
    word = credentials.strip().partition(b" ")[0].decode("latin-1").lower()
    return _SCHEMES.get(word, "other")


def _basic_user(authorization: bytes) -> str | None:
    scheme, _, encoded = authorization.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        name, colon, _ = base64.b64decode(encoded, validate=True).decode("utf-8", "replace").partition(":")
    except (binascii.Error, ValueError):
        return None
    return name if colon else None


def _challenges(headers: Fields) -> list[str]:
    return [
        value[: 8 * 1024].decode("latin-1")
        for name in (b"www-authenticate", b"proxy-authenticate")
        for value in headers.all(name)[:_MOST]
    ]


def _read_challenges(challenges: Iterable[str], told: Told) -> None:
    """Schemes in their order, once each; several may share a line, between parameters (RFC 9110 §11.6.1).
    Where MsRtcOAuth leads."""
    offered: dict[str, None] = {}
    for value in challenges:
        for element in _elements(value):
            if scheme := _SCHEMES.get(element.lower()):  # alone, as most are
                offered[scheme] = None
                continue
            match = _CHALLENGE.fullmatch(element)
            if match and not (match[2] or "").startswith("="):
                offered[_SCHEMES.get(match[1].lower(), plain.plain(match[1], 20))] = None
            if ntlm.message_type(element.strip().encode("latin-1")) == 2:
                told.facts["ntlm_challenge"] = True
        if "msrtcoauth" in value.lower():
            told.authentication_urls += _urls(_HREF.findall(value))
    told.facts["auth_offered"] = tuple(offered)[:_MOST]


def _elements(value: str) -> list[str]:
    """What commas outside quotes part."""
    if "," in value or '"' in value:
        return _ELEMENT.findall(value)
    return [value] if value else []


def _urls(texts: Iterable[str]) -> list[str]:
    return [shown for text in texts if (shown := plain.url(text))]


def _framing(method: str, status: int, headers: Fields) -> str | None:
    """How the body's end is told (RFC 9112 §6.3); None: there can be no body."""
    if method == "HEAD" or status < 200 or status in (204, 304):
        return None
    if b"transfer-encoding" in headers.first:
        return "chunked"
    return "length" if b"content-length" in headers.first else "close"


def _cookie_names(headers: Fields) -> Iterator[str]:
    for value in headers.all(b"cookie"):
        for pair in value[: 16 * 1024].decode("latin-1").split(";"):
            name, equals, _ = pair.strip().partition("=")
            if equals and _NAME.fullmatch(name):
                yield plain.plain(name, 64)


def _set_cookies(headers: Fields) -> Iterator[str]:
    """Cookies without their values; without `=` all of it is the value."""
    for value in headers.all(b"set-cookie"):
        pair, *attributes = value[:4096].decode("latin-1").split(";")
        name, equals, _ = pair.strip().partition("=")
        if equals and _NAME.fullmatch(name):
            yield plain.plain("; ".join([f"{plain.plain(name, 64)}=", *(a.strip() for a in attributes)]))
