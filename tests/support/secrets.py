"""Secrets that went over a wire, and where they turned up again.

    known = secrets_of(flows)                     # {"password": {b"…"}, "ticket": {b"…", …}, …}
    hits(known, {"edge.log": b"…", …})            # {("ticket", "edge.log", "hex"), …}

Searched for is each in plain, and as UTF-16, hexadecimal, URL-encoded and Base64 text, at each of Base64's
offsets: so it is found inside a longer text that was encoded as a whole, too.
"""

from __future__ import annotations

import base64
import contextlib
import re
import sqlite3
import struct
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mitmproxy.http import HTTPFlow, Message

SHORTEST = 8  # bytes; shorter ones are found by chance

type Known = Mapping[str, set[bytes]]

_COMPACT = re.compile(rb"cwt=([A-Za-z0-9_.=-]+)")
_ELEMENTS = {
    "password": rb"<(?:\w+:)?Password[^>]*>([^<]+)",
    "key": rb"<(?:\w+:)?(?:BinarySecret|CipherValue)[^>]*>([^<]+)",
    "signature": rb"<(?:\w+:)?(?:SignatureValue|DigestValue)[^>]*>([^<]+)",
    "certificate": rb"<(?:\w+:)?BinarySecurityToken[^>]*>([^<]+)",
    "session": rb"<(?:\w+:)?Session(?:Id)?>([^<]+)",
}


def secrets_of(flows: Iterable[HTTPFlow]) -> dict[str, set[bytes]]:
    """What stands in these flows that nobody else may have: by kind. A UCWA application's id is none: it is
    part of every path, and good for nothing without a ticket."""
    known: dict[str, set[bytes]] = {}
    for flow in flows:
        for message in (flow.request, flow.response):
            for kind, secret in _of_message(message) if message else ():
                if len(secret) >= SHORTEST and any(secret):
                    known.setdefault(kind, set()).add(secret)
    return known


def _of_message(message: Message) -> Iterator[tuple[str, bytes]]:
    body = message.get_content(strict=False) or b""
    for name, value in message.headers.fields:
        match name.lower():
            case b"authorization" | b"www-authenticate":
                yield from _of_credentials(value)
            case b"x-ms-webticket" if value.startswith(b"opaque="):
                yield "assertion", value.removeprefix(b"opaque=")
                body += base64.b64decode(value.removeprefix(b"opaque="))
            case b"cookie" | b"set-cookie":
                pairs = value.split(b";") if name.lower() == b"cookie" else [value.partition(b";")[0]]
                yield from (("cookie", pair.partition(b"=")[2]) for pair in pairs)
        body += b"\n" + value
    yield from (("ticket", match[1]) for match in _COMPACT.finditer(body))
    for kind, pattern in _ELEMENTS.items():
        yield from ((kind, match[1]) for match in re.finditer(pattern, body))
    yield from (("password", value) for value in re.findall(rb"(?:^|&)password=([^&\s]+)", body))


def _of_credentials(value: bytes) -> Iterator[tuple[str, bytes]]:
    """Of NTLM: the whole message, and in it responses and session key, and the server's challenge."""
    scheme, _, token = value.partition(b" ")
    if scheme.lower() not in (b"ntlm", b"negotiate") or not token:
        return
    message = base64.b64decode(token)
    (kind,) = struct.unpack_from("<I", message, 8)
    if kind == 3:
        yield "ntlm message", token
        for at in (12, 20, 52):
            length, _, offset = struct.unpack_from("<HHI", message, at)
            yield "ntlm response", message[offset : offset + length]
    elif kind == 2:
        yield "ntlm challenge", message[24:32]


def forms(secret: bytes) -> dict[str, bytes]:
    """How a secret may be written."""
    written = {"plain": secret, "hex": secret.hex().encode(), "HEX": secret.hex().upper().encode()}
    written |= {"url": urllib.parse.quote(secret, safe="").encode()}
    written |= {"url+": urllib.parse.quote_plus(secret).encode()}
    written |= _base64(secret, "base64")
    with contextlib.suppress(UnicodeDecodeError):
        wide = secret.decode("ascii").encode("utf-16-le")
        written |= {"utf-16": wide} | _base64(wide, "base64 of utf-16")
    return written


def _base64(data: bytes, name: str) -> dict[str, bytes]:
    """At each offset the characters that are the secret's alone."""
    found = {}
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data)
        whole = encoded[(shift * 4 + 2) // 3 + bool(shift) : len(encoded.rstrip(b"=")) - 1]
        found[f"{name}+{shift}"] = whole
        found[f"{name}url+{shift}"] = whole.replace(b"+", b"-").replace(b"/", b"_")
    return found


def hits(known: Known, places: Mapping[str, bytes]) -> set[tuple[str, str, str]]:
    """(kind, place, form) of every secret that stands somewhere."""
    spelt = [
        (kind, form, text)
        for kind, secrets in known.items()
        for secret in secrets
        for form, text in forms(secret).items()
    ]
    return {
        (kind, place, form) for place, data in places.items() for kind, form, text in spelt if text in data
    }


def files(*paths: Path) -> dict[str, bytes]:
    """All files there; of databases also what is in them, since long texts lie in pieces in the file."""
    found: dict[str, bytes] = {}
    for file in [f for path in paths for f in ([path] if path.is_file() else sorted(path.rglob("*")))]:
        if file.is_file():
            found[str(file)] = file.read_bytes()
        if file.suffix == ".db":
            found[f"{file}: content"] = _dump(file)
    return found


def _dump(database: Path) -> bytes:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        rows = [row for table in tables for row in connection.execute(f'SELECT * FROM "{table}"')]
    return b"\n".join(
        value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row
    )
