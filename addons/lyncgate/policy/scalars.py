"""The words of rules.yaml: `5s`, `64KiB`, `lyncweb.contoso.example`, `[::]:443`, `10.0.0.0/8`, `off`.

Each type reads the operator's text, says what is allowed when it can't, prints itself back in the same
form (for `check --effective`), and has a JSON Schema (for completion in editors). Text is needed where a
unit is: a bare `5` is refused, since nobody remembers whether it means seconds.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Literal, NoReturn

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from lyncgate.policy.hosts import is_address
from lyncgate.policy.policy import Network

REFUSED = "refused"  # our pydantic error type; its message says what is allowed
MOST_WORKERS = 256

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE_UNITS = {"B": 1, "kB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,12})(B|kB|KiB|MB|MiB|GB|GiB)")
_LABEL = r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9])?")
# Characters that every server reads alike; with others the path would have several readings (see `paths`).
_PART = r"[!$&'+,=@A-Za-z0-9_~-]+"
_SEGMENT = rf"{_PART}(?:\.{_PART})*"
_PATH = re.compile(rf"/(?:{_SEGMENT}(?:/{_SEGMENT})*/?)?")
_CHECK_PATH = re.compile(r"/[!-~]*")
_BIND = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+)):(?P<port>[0-9]{1,5})")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def refuse(allowed: str) -> NoReturn:
    raise PydanticCustomError(REFUSED, "{allowed}", {"allowed": allowed})


def _text(value: object, allowed: str) -> str:
    return value if isinstance(value, str) else refuse(allowed)


def read_duration(value: object) -> float:
    """`500ms`, `5s`, `31m`, `1h`, `365d` → seconds."""
    allowed = "a duration such as 500ms, 5s, 31m, 1h or 365d"
    if not (match := _DURATION.fullmatch(_text(value, allowed))):
        refuse(allowed)
    # Milliseconds are divided, not multiplied: 500 / 1000 is exact where 500 * 0.001 need not be.
    return int(match[1]) / 1000 if match[2] == "ms" else int(match[1]) * _DURATION_UNITS[match[2]]


def show_duration(seconds: float) -> str:
    """The shortest exact form: 1860.0 → `31m`, 0.5 → `500ms`."""
    if seconds != int(seconds):
        return f"{round(seconds * 1000)}ms"
    for unit in ("d", "h", "m"):
        if seconds and seconds % _DURATION_UNITS[unit] == 0:
            return f"{int(seconds / _DURATION_UNITS[unit])}{unit}"
    return f"{int(seconds)}s"


def read_size(value: object) -> int:
    """`64KiB`, `300MB`, `512B` → bytes."""
    allowed = "a size such as 64KiB, 100MiB or 300MB"
    if not (match := _SIZE.fullmatch(_text(value, allowed))):
        refuse(allowed)
    return int(match[1]) * _SIZE_UNITS[match[2]]


def show_size(size: int) -> str:
    """The largest unit that divides it: 65536 → `64KiB`."""
    for unit, factor in sorted(_SIZE_UNITS.items(), key=lambda item: -item[1]):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


def read_host(value: object) -> str:
    """A DNS name in lower case, without the final dot."""
    allowed = "a host name such as lyncweb.contoso.example (international names in their xn-- form)"
    host = _text(value, allowed).lower()
    return host if _HOST.fullmatch(host) and not is_address(host) else refuse(allowed)


def _read_host_key(value: object) -> str:
    host = read_host(value)
    # A key can't be lower-cased for the operator: Contoso.example and contoso.example would be one.
    return host if host == value else refuse(f"the name in lower case, {host}")


def _read_public_host(value: object) -> str:
    text = _text(value, "a host name, or *. and a host name")
    return f"*.{read_host(text[2:])}" if text.startswith("*.") else read_host(text)


def _read_server(value: object) -> str:
    allowed = "a host name or IP address, without a port (ports are the bridge's)"
    text = _text(value, allowed).lower()
    return text if is_address(text) or _HOST.fullmatch(text) else refuse(allowed)


def _read_name(value: object) -> str:
    allowed = "a name of up to 64 letters, digits, blanks, '.', '_' and '-'"
    return text if _NAME.fullmatch(text := _text(value, allowed)) else refuse(allowed)


def _read_bind(value: object) -> tuple[str, int]:
    allowed = 'an IP address and port such as "0.0.0.0:443" or "[::]:443"'
    match = _BIND.fullmatch(_text(value, allowed))
    host = match and (match["v6"] or match["v4"])
    if not match or not host or int(match["port"]) > 65535 or not is_address(host):
        refuse(allowed)
    if (":" in host) != bool(match["v6"]):
        refuse(allowed)
    return host, int(match["port"])


def show_bind(bind: tuple[str, int]) -> str:
    """`("::", 443)` → `[::]:443`."""
    host, port = bind
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _read_network(value: object) -> Network:
    allowed = "an IP address or network such as 10.0.0.0/8 or 2001:db8::/32"
    text = _text(value, allowed)
    try:
        loose = ipaddress.ip_network(text, strict=False)
    except ValueError:
        refuse(allowed)
    if "/" in text and ipaddress.ip_address(text.partition("/")[0]) != loose.network_address:
        refuse(f"a network without host bits, {loose}")
    return loose


def _read_path_pattern(value: object) -> str:
    """`/abs`, `/abs/` and `/abs/*` mean the same; `/*` is everything. Kept as the operator wrote it."""
    allowed = "a path such as /abs or /abs/* in plain letters: no query, no % escapes, no dot segments"
    text = _text(value, allowed)
    bare = text[:-1] if text.endswith("/*") else text
    return text if _PATH.fullmatch(bare) else refuse(allowed)


def path_prefix(pattern: str) -> str:
    """`/Abs/*` → `/abs`, `/*` → "": the canonical prefix that a Publication holds."""
    return pattern.removesuffix("*").rstrip("/").lower()


def _read_check_path(value: object) -> str:
    allowed = "a path such as /, or off"
    text = _text(value, allowed)
    return text if text == "off" or _CHECK_PATH.fullmatch(text) else refuse(allowed)


def _read_port(value: object) -> int:
    return value if type(value) is int and 1 <= value <= 65535 else refuse("a port from 1 to 65535")


def _read_count(value: object) -> int:
    return (
        value
        if type(value) is int and 1 <= value <= MOST_WORKERS
        else refuse(f"a whole number from 1 to {MOST_WORKERS}")
    )


def _read_pin(value: object) -> str:
    allowed = "sha256: and the 64 hex digits of the certificate's SHA-256 fingerprint"
    prefix, _, digits = _text(value, allowed).lower().partition(":")
    digest = digits.replace(":", "")  # openssl x509 -fingerprint prints AB:CD:…
    return digest if prefix == "sha256" and _DIGEST.fullmatch(digest) else refuse(allowed)


def _read_file(value: object) -> str:
    allowed = "a file name, relative to this file or absolute"
    text = _text(value, allowed)
    return text if text and "\0" not in text else refuse(allowed)


def _read_method(value: object) -> str:
    text = _text(value, METHODS_ALLOWED)
    return text if text in METHODS else refuse(METHODS_ALLOWED)


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
METHODS_ALLOWED = f"{', '.join(METHODS)} (TRACE echoes secrets, CONNECT makes a forward proxy)"


def _or_word[T](word: str, read: Callable[[object], T], allowed: str) -> Callable[[object], T | str]:
    """The type's own reading, or one word such as `off`; kept as the word, so that it prints back."""

    def read_or_word(value: object) -> T | str:
        if value == word:
            return word
        try:
            return read(value)
        except PydanticCustomError:
            refuse(f"{allowed}, or {word}")

    return read_or_word


def _show_or_word[T](show: Callable[[T], object]) -> Callable[[T | str], object]:
    return lambda value: value if isinstance(value, str) else show(value)


def _schema(pattern: str | None = None, *examples: str) -> WithJsonSchema:
    schema: dict[str, object] = {"type": "string"}
    if pattern:
        schema["pattern"] = pattern
    if examples:
        schema["examples"] = list(examples)
    return WithJsonSchema(schema)


_DURATION_PATTERN = r"^[0-9]{1,9}(ms|s|m|h|d)$"
_SIZE_PATTERN = r"^[0-9]{1,12}(B|kB|KiB|MB|MiB|GB|GiB)$"
_BIND_EXAMPLES = ("0.0.0.0:443", "[::]:443")

# Plain assignments, not `type` statements: pydantic prints a default in the operator's form ("5s") only then.
Off = Literal["off"]
Duration = Annotated[
    float,
    PlainValidator(read_duration),
    PlainSerializer(show_duration, return_type=str),
    _schema(_DURATION_PATTERN, "5s"),
]
DurationOrOff = Annotated[
    float | Off,
    PlainValidator(_or_word("off", read_duration, "a duration such as 365d")),
    PlainSerializer(_show_or_word(show_duration), return_type=str),
    _schema(rf"off|{_DURATION_PATTERN}", "365d", "off"),
]
Size = Annotated[
    int,
    PlainValidator(read_size),
    PlainSerializer(show_size, return_type=str),
    _schema(_SIZE_PATTERN, "64KiB"),
]
SizeOrNone = Annotated[
    int | Literal["none"],
    PlainValidator(_or_word("none", read_size, "a size such as 100MiB")),
    PlainSerializer(_show_or_word(show_size), return_type=str),
    _schema(rf"none|{_SIZE_PATTERN}", "100MiB", "none"),
]
Port = Annotated[
    int, PlainValidator(_read_port), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535})
]
CountOrAuto = Annotated[
    int | Literal["auto"],
    PlainValidator(_or_word("auto", _read_count, f"a whole number from 1 to {MOST_WORKERS}")),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_WORKERS}, {"const": "auto"}]}
    ),
]
PortOrOff = Annotated[
    int | Off,
    PlainValidator(_or_word("off", _read_port, "a port from 1 to 65535")),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"const": "off"}]}),
]
Bind = Annotated[
    tuple[str, int],
    PlainValidator(_read_bind),
    PlainSerializer(show_bind, return_type=str),
    _schema(None, *_BIND_EXAMPLES),
]
BindOrOff = Annotated[
    tuple[str, int] | Off,
    PlainValidator(_or_word("off", _read_bind, 'an IP address and port such as "127.0.0.1:9145"')),
    PlainSerializer(_show_or_word(show_bind), return_type=str),
    _schema(None, "127.0.0.1:9145", "off"),
]
HostName = Annotated[str, PlainValidator(read_host), _schema(None, "lyncweb.contoso.example")]
HostKey = Annotated[str, PlainValidator(_read_host_key), _schema()]
PublicHost = Annotated[str, PlainValidator(_read_public_host), _schema(None, "meet.contoso.example")]
Server = Annotated[str, PlainValidator(_read_server), _schema(None, "fe01.contoso.local")]
Name = Annotated[str, PlainValidator(_read_name), _schema(rf"^{_NAME.pattern}$")]
NetworkText = Annotated[
    Network,
    PlainValidator(_read_network),
    PlainSerializer(str, return_type=str),
    _schema(None, "10.0.0.0/8"),
]
PathPattern = Annotated[str, PlainValidator(_read_path_pattern), _schema("^/", "/*", "/abs/*")]
CheckPath = Annotated[str, PlainValidator(_read_check_path), _schema("^(/.*|off)$", "/")]
Pin = Annotated[
    str,
    PlainValidator(_read_pin),
    PlainSerializer(lambda digest: f"sha256:{digest}", return_type=str),
    _schema("^[Ss][Hh][Aa]256:[0-9A-Fa-f:]+$"),
]
FileName = Annotated[str, PlainValidator(_read_file), _schema()]
Method = Annotated[
    str, PlainValidator(_read_method), WithJsonSchema({"type": "string", "enum": list(METHODS)})
]
