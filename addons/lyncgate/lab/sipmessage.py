"""SIP messages as far as the lab needs them: reading, writing, answering, the text that signatures cover."""

from __future__ import annotations

import dataclasses
import re

_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2}) ([^\r\n]*)")
_REQUEST_LINE = re.compile(r"([^\s]+) ([^\s]+) SIP/2\.0")
_NUMBER = re.compile(r"[0-9]{1,10}")
_PARAMETER = re.compile(r'([\w-]+)=(?:"([^"]*)"|([^,;\s]*))')


class BadMessageError(Exception):
    """Not SIP."""


type Headers = tuple[tuple[str, str], ...]


class _Headed:
    """What requests and answers have in common. Header names keep their case; look-ups ignore it."""

    __slots__ = ()
    headers: Headers
    body: bytes

    @property
    def start_line(self) -> str:
        """The first line."""
        raise NotImplementedError

    def header(self, name: str) -> str:
        """The first header of this name, or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def content_length(self) -> int:
        """Bytes of the body that follows the head."""
        value = self.header("content-length") or "0"
        if not _NUMBER.fullmatch(value):
            raise BadMessageError(f"Content-Length {value[:20]!r}")
        return int(value)

    @property
    def cseq(self) -> int:
        """The number of CSeq. Raises BadMessageError."""
        number = self.header("cseq").partition(" ")[0]
        if not _NUMBER.fullmatch(number):
            raise BadMessageError(f"CSeq {number[:20]!r}")
        return int(number)

    def to_bytes(self) -> bytes:
        """The message for the wire. Content-Length is made here, whatever the headers say."""
        lines = [self.start_line]
        lines += [f"{name}: {value}" for name, value in self.headers if name.lower() != "content-length"]
        lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


@dataclasses.dataclass(frozen=True, slots=True)
class Message(_Headed):
    """A request."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""

    @property
    def start_line(self) -> str:
        """`REGISTER sip:contoso.example SIP/2.0`."""
        return f"{self.method} {self.uri} SIP/2.0"


@dataclasses.dataclass(frozen=True, slots=True)
class Answer(_Headed):
    """A response."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""

    @property
    def start_line(self) -> str:
        """`SIP/2.0 200 OK`."""
        return f"SIP/2.0 {self.status} {self.reason}"


def parse(head: bytes) -> Message:
    """Read a request's head, blank line excluded. Raises BadMessageError."""
    message = parse_any(head)
    if not isinstance(message, Message):
        raise BadMessageError(f"not a request: {message.start_line[:80]!r}")
    return message


def parse_any(head: bytes) -> Message | Answer:
    """Read the head of a request or an answer, blank line excluded. Raises BadMessageError."""
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    headers: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or "\n" in line or "\r" in line:
            raise BadMessageError(f"header line {line[:80]!r}")
        headers.append((name.strip(), value.strip()))
    if answer := _STATUS_LINE.fullmatch(first):
        return Answer(int(answer[1]), answer[2], tuple(headers))
    if request := _REQUEST_LINE.fullmatch(first):
        return Message(request[1], request[2], tuple(headers))
    raise BadMessageError(f"start line {first[:80]!r}")


def answer(
    request: Message, status: int, reason: str, *headers: tuple[str, str], body: bytes = b"", tag: str
) -> Answer:
    """An answer to a request: Via, From, Call-ID, CSeq and To as they came, To with our `tag` if it has
    none yet."""
    to = request.header("to")
    if not address(to)[1]:
        to = f"{to};tag={tag}"
    routing = [(name, value) for name, value in request.headers if name.lower() == "via"]
    routing += [(name, request.header(name)) for name in ("From", "Call-ID", "CSeq")]
    return Answer(status, reason, (*routing, ("To", to), *headers), body)


def parameters(value: str) -> dict[str, str]:
    """`k="v", k2=v2` of an Authorization header (scheme cut off before) as a dict, names in lower case."""
    return {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _PARAMETER.finditer(value)}


def address(header: str) -> tuple[str, str]:
    """URI and tag of a From or To header; empty strings where there are none."""
    uri = re.search(r"<([^>]*)>", header)
    tag = re.search(r";tag=([^;]*)", header)
    return uri[1] if uri else header.partition(";")[0], tag[1] if tag else ""


def sip_user(uri: str) -> str:
    """`user@domain` of a SIP URI, lower case."""
    return re.split(r"[;?]", uri.removeprefix("sip:"))[0].lower()


def signed_text(
    message: Message, auth: dict[str, str], rand: str, num: str, *, to: str, reply: tuple[str, str] | None
) -> str:
    """What a signature covers, version 3 and later ([MS-SIPAE] §3.2.2, and SIPE's sipe-sign.c).

    `auth`: realm and targetname. `to`: the To header (in an answer it has our tag). `reply`: (status,
    Expires) of an answer; None for the request itself.
    """
    from_uri, from_tag = address(message.header("from"))
    to_uri, to_tag = address(to)
    cseq = message.header("cseq").partition(" ")[0]
    expires = message.header("expires") if reply is None else reply[1]
    fields = (
        "NTLM", rand, num, auth.get("realm", ""), auth.get("targetname", ""), message.header("call-id"), cseq,
        message.method, from_uri, from_tag, to_uri, to_tag, "", "", expires,
    )  # fmt: skip
    return "".join(f"<{field}>" for field in fields) + (f"<{reply[0]}>" if reply else "")
