"""SIP messages as far as the lab needs them: reading, answering, and the text that signatures cover."""

from __future__ import annotations

import dataclasses
import re

_PARAMETER = re.compile(r'([\w-]+)=(?:"([^"]*)"|([^,;\s]*))')


class BadMessageError(Exception):
    """Not SIP."""


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A request. Header names keep their case; look-ups ignore it."""

    method: str
    uri: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str:
        """The first header of this name, or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def content_length(self) -> int:
        """Bytes of the body that follows the head."""
        value = self.header("content-length") or "0"
        if not value.isdecimal():
            raise BadMessageError(f"Content-Length {value!r}")
        return int(value)


def parse(head: bytes) -> Message:
    """Read a request's head, blank line excluded. Raises BadMessageError."""
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or parts[2] != "SIP/2.0":
        raise BadMessageError(f"start line {first[:80]!r}")
    headers: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadMessageError(f"header line {line[:80]!r}")
        headers.append((name.strip(), value.strip()))
    return Message(parts[0], parts[1], tuple(headers))


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
