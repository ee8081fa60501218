"""Messages, and what two of them have to share to mean the same."""

from __future__ import annotations

import dataclasses
import hashlib
import re

type Fields = list[tuple[bytes, bytes]]

# Fields that belong to a connection (RFC 9110 §7.6.1) or frame a body. A proxy makes its own.
OF_THE_CONNECTION = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate"}
    | {b"te", b"trailer", b"upgrade", b"transfer-encoding", b"content-length", b"expect"}
)
# Whatever Connection says: a client could else strip them on the way to the pool.
NEVER_OF_THE_CONNECTION = frozenset({b"authorization", b"host"})
# What an edge puts in the place of what a client says there, or takes from an answer.
OF_THE_EDGE = frozenset(
    {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded", b"x-real-ip"}
    | {b"x-forwarded-port", b"x-request-id", b"x-original-url", b"x-rewrite-url", b"x-original-host"}
    | {b"server", b"x-powered-by", b"x-aspnet-version", b"x-aspnetmvc-version", b"via"}
    | {b"strict-transport-security"}
)


def field_values(fields: Fields, name: bytes) -> list[bytes]:
    return [value for key, value in fields if key.lower() == name.lower()]


def hosts_of(fields: Fields) -> list[bytes]:
    return field_values(fields, b"host")


def tokens(fields: Fields, name: bytes) -> list[bytes]:
    """The elements of a field that is a list, in lower case."""
    listed = b",".join(field_values(fields, name))
    return [token for part in listed.split(b",") if (token := part.strip(b" \t").lower())]


def end_to_end(fields: Fields, *besides: bytes) -> Fields:
    """The fields that a proxy has to pass on: names in lower case, by name, equal names in their order."""
    named = set(tokens(fields, b"connection")) - NEVER_OF_THE_CONNECTION
    mine = OF_THE_CONNECTION | OF_THE_EDGE | set(besides) | named
    kept = [(name.lower(), value) for name, value in fields if name.lower() not in mine]
    return sorted(kept, key=lambda field: field[0])


@dataclasses.dataclass(frozen=True)
class Request:
    method: bytes
    target: bytes
    fields: Fields = dataclasses.field(default_factory=list)
    body: bytes = b""
    trailers: Fields = dataclasses.field(default_factory=list)

    @property
    def closes(self) -> bool:
        return b"close" in tokens(self.fields, b"connection")

    @property
    def place(self) -> tuple[bytes, bytes]:
        """Host and target in origin form: an absolute form's authority takes the place of Host."""
        host, target = (hosts_of(self.fields) or [b""])[0], self.target
        if match := re.match(rb"(?i)https?://([^/?]*)", target):
            host, target = match[1], target[match.end() :]
            if self.method == b"OPTIONS" and not target:
                target = b"*"
            elif not target.startswith(b"/"):
                target = b"/" + target
        return host.lower().removesuffix(b":80"), target

    @property
    def meaning(self) -> tuple[object, ...]:
        """Equal for two requests that ask for the same, whatever the framing. Without trailers, which
        anybody on the way may drop."""
        return (self.method, *self.place, tuple(end_to_end(self.fields, b"host")), self.body)

    @property
    def digest(self) -> bytes:
        return hashlib.sha1(repr(self.meaning).encode(), usedforsecurity=False).hexdigest()[:16].encode()

    @property
    def forwarded_for(self) -> str | None:
        """Which client a proxy says that it is for."""
        values = field_values(self.fields, b"x-forwarded-for")
        return values[-1].rpartition(b",")[2].strip().decode("latin-1") if values else None


@dataclasses.dataclass(frozen=True)
class Response:
    """`whole`: it came to its end."""

    status: int
    fields: Fields
    body: bytes = b""
    trailers: Fields = dataclasses.field(default_factory=list)
    whole: bool = True

    @property
    def meaning(self) -> tuple[object, ...]:
        return (self.status, tuple(end_to_end(self.fields)), self.body)

    @property
    def closes(self) -> bool:
        return b"close" in tokens(self.fields, b"connection")

    def value(self, name: bytes) -> bytes | None:
        values = field_values(self.fields, name)
        return values[0] if values else None
