"""Heads of messages as lists of fields, and what concerns do with them.

Names are compared in lower case; values are bytes as they came. A list, not a mapping: fields that are there
twice stay two (`WWW-Authenticate` lines must not be merged, protocol reference §2.4).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence

type Field = tuple[bytes, bytes]
type Fields = Sequence[Field]


class RequestHead:
    """`target`: as it came. `fields`: as they came; once routed, as they go upstream. `names`: of those that
    came, in lower case. `valid`: False if the engine found the request malformed and fails it itself.
    `websocket`: it asks to go on as one, and the engine can. `pooled`: the engine keeps connections to
    members apart from the client's, so that `Connection: close` is none of the member's business. `login`: it
    carries NTLM or Negotiate."""

    # By hand, as with whatever each request makes some of: what compiling makes of a dataclass's own takes
    # several times as long.
    __slots__ = ("fields", "login", "method", "names", "pooled", "target", "valid", "websocket")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        fields: Fields,
        names: Sequence[bytes],
        valid: bool = True,
        websocket: bool = False,
        pooled: bool = False,
        login: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.fields = fields
        self.names = names
        self.valid = valid
        self.websocket = websocket
        self.pooled = pooled
        self.login = login


class ResponseHead:
    """`fields`: as they came; then as they go to the client. `names`: of those that came, in lower case."""

    __slots__ = ("fields", "names", "status")

    def __init__(self, status: int, fields: Fields, names: Sequence[bytes]) -> None:
        self.status = status
        self.fields = fields
        self.names = names


@dataclasses.dataclass(frozen=True, slots=True)
class OwnAnswer:
    """What the edge answers itself. `fields` have the length; `body` is empty for HEAD."""

    status: int
    fields: tuple[Field, ...] = ((b"Content-Length", b"0"),)
    body: bytes = b""


def origin_form(method: bytes, target: bytes, host: bytes) -> bytes:
    """Path and query of a target in absolute form (RFC 9112 §3.2.2) whose authority is that of the Host
    field, to the letter but for case and the default port. Any other target stays as it is, to be judged."""
    scheme, _, rest = target.partition(b"://")
    scheme = scheme.lower()
    if scheme not in _PORTS:
        return target
    authority, slash, path = rest.partition(b"/")
    if not slash and b"?" in authority:
        authority, slash, path = authority.partition(b"?")
    port = _PORTS[scheme]
    if not authority or authority.lower().removesuffix(port) != host.lower().removesuffix(port):
        return target
    if method == b"OPTIONS" and not slash:
        return b"*"  # RFC 9112 §3.2.4
    return b"/" + (slash + path if slash == b"?" else path)


_PORTS = {b"http": b":80", b"https": b":443"}


def lowered(fields: Fields) -> list[bytes]:
    """The names of the fields in lower case."""
    return [name.lower() for name, _ in fields]


def known(head: RequestHead | ResponseHead, name: bytes) -> bytes:
    """The first value of a field as it came, b"" if there is none. Only before `fields` are changed."""
    names = head.names
    return head.fields[names.index(name)][1] if name in names else b""


def first(fields: Fields, name: bytes) -> bytes:
    """The first value of a field, b"" if there is none. `name`: in lower case."""
    for key, value in fields:
        if len(key) == len(name) and key.lower() == name:
            return value
    return b""


def values(fields: Fields, name: bytes) -> list[bytes]:
    """All values of a field, one a line."""
    return [value for key, value in fields if len(key) == len(name) and key.lower() == name]


def tokens(lines: Iterable[bytes]) -> list[bytes]:
    """The words of a comma-separated field, in lower case."""
    return [token.strip().lower() for line in lines for token in line.split(b",")]


SPACE = ord(" ")


def stripped(value: bytes) -> bytes:
    """A field's value without blanks around it, as most are: to strip those takes longer than a look."""
    return value.strip(b" \t") if value and (value[0] <= SPACE or value[-1] <= SPACE) else value


REMEMBERED = 256  # bytes: of longer Connection fields nothing is kept, or a client could fill the memory


def is_usual(lines: Sequence[bytes]) -> bool:
    """Whether Connection fields are such as honest messages have."""
    return len(lines) == 1 and len(lines[0]) <= REMEMBERED


def connection(lines: tuple[bytes, ...]) -> frozenset[bytes]:
    """What the Connection fields of a message say: always the same few things."""
    return _remembered_connection(lines) if is_usual(lines) else _connection(lines)


def _connection(lines: tuple[bytes, ...]) -> frozenset[bytes]:
    return frozenset(tokens(lines))


_remembered_connection = functools.lru_cache(maxsize=256)(_connection)


def cookie(fields: Fields, name: bytes) -> bytes:
    """The value of a request's cookie, b"" if there is none."""
    for line in values(fields, b"cookie"):
        for pair in line.split(b";"):
            key, _, value = pair.partition(b"=")
            if key.strip() == name:
                return value.strip().strip(b'"')
    return b""
