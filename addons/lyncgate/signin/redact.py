"""Messages without their secrets, for files that leave the machine: HAR, flow files, texts of traces.

    Redactor(hasher).field("Authorization", "Bearer cwt=AAEB…")   →  "Bearer cwt=removed-3fa9c1d2e4f50617"

A secret becomes `removed-` and a keyed hash. Equal secrets stay equal, so that a redacted file still says
which requests belong together, and reading it gives the same sign-ins: a compact ticket stays a `cwt=`, a
SAML assertion one with its subject and a hashed AssertionID, an NTLM message one with its names.

Removed are: credentials of Authorization, cookies' values, tickets, assertions, NTLM responses and
challenges, passwords, keys, certificates and requests for them, session ids of MCX, tokens of OAuth and
push, in headers, queries, XML, JSON and forms; whatever else looks like a key, by length and mixture; all
of a body that is no text. Addresses and names of people stay: `signin.pseudonyms` is for events. So does the
id of a UCWA application in a path: it says which requests belong together, and is good for nothing without a
ticket; its cookie goes.

Work is by patterns, not by parsers, so that cut and broken messages are as safe as whole ones.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import itertools
import re

from lyncgate.lync import ntlm
from lyncgate.lync.wstrust import SAML
from lyncgate.signin.keys import Hasher
from lyncgate.signin.seen import Headers

REMOVED = "removed-"

_DONE = re.compile(r"removed-[0-9a-f]{16}")
_COMPACT = re.compile(r"\bcwt=([^\s\"'<>&,;\\]+)", re.IGNORECASE)
_OPAQUE = re.compile(r"\bopaque=([A-Za-z0-9+/_-]{24,}={0,2})", re.IGNORECASE)
_NTLM = re.compile(r"\bTlRMTVNTUA[A-Za-z0-9+/]{2,}={0,2}")
_PEM = re.compile(r"-----BEGIN [^-]{1,64}-----.*?(?:-----END [^-]{1,64}-----|\Z)", re.DOTALL)
_ASSERTION = re.compile(
    r"<(?P<prefix>(?:[\w.-]{1,32}:)?)(?P<name>EncryptedAssertion|Assertion)\b(?P<head>[^>]*)>"
    r"(?P<content>.*?)(?:</(?P=prefix)(?P=name)\s*>|\Z)",
    re.DOTALL,
)
_ASSERTION_ID = re.compile(r"""\bAssertionID\s*=\s*["']([^"']*)["']""")
_SUBJECT = re.compile(r"<(?:[\w.-]{1,32}:)?NameIdentifier\b([^>]*)>\s*([^<\s]*)")
_FORMAT = re.compile(r"""\bFormat\s*=\s*["']([^"'<>]*)["']""")
_ELEMENTS = (
    *("Password", "BinarySecret", "BinarySecurityToken", "UserToken", "AccessToken", "DeviceToken", "Token"),
    *(
        "Ticket",
        "CipherValue",
        "SignatureValue",
        "DigestValue",
        "Nonce",
        "KeyIdentifier",
        "X509Certificate",
        "Modulus",
    ),
    *("SessionId", "Session"),
)
_WORDS = (  # the names of what is secret, as a regular expression
    r"[\w.$-]{0,32}(?:passw(?:or)?d|passphrase|secret|token|ticket|assertion|credentials?|api[_-]?key"
    r"|authorization|cookie|sessionid)|pwd|pin|session|code_verifier|gssapi-data|rspauth|response|nonce"
)
_NAMED = [
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        rf"(?P<open><(?:[\w.-]{{1,32}}:)?(?P<name>{'|'.join(_ELEMENTS)})\b[^>]*(?<!/)>)"
        r"(?P<secret>(?:<!\[CDATA\[.*?\]\]>|[^<])+)",
        rf'(?P<open>\bname="(?P<name>{_WORDS})"[^>]*(?<!/)>)(?P<secret>[^<]+)',
        rf'(?P<open>"(?P<name>{_WORDS})"\s*:\s*")(?P<secret>(?:[^"\\]|\\.)+)',
        rf'(?P<open>(?<![\w.$%-])(?P<name>{_WORDS})=")(?P<secret>[^"]+)',
        rf"(?P<open>(?<![\w.$%-])(?P<name>{_WORDS})=)(?P<secret>[^&\s\"'<>]+)",
        r"(?P<open>\b(?P<name>authorization|cookie|x-ms-webticket)\s{0,4}[:=]\s{0,4}(?:[A-Za-z][\w-]{1,20}\s+)?)"
        r"(?P<secret>[^\s\"',;<>]{8,})",
        r"(?P<open>\b(?P<name>Bearer|Basic|NTLM|Negotiate|Kerberos)\s+)"
        r"(?P<secret>(?=[A-Za-z]*[\d+/=])[\w.~+/-]{8,}={0,2})",
    )
]
_FORM_NAME = re.compile(_WORDS, re.IGNORECASE)
_KIND = re.compile(r"[A-Za-z/.]{1,48}")  # autodiscover's links have a `token` that says what they lead to
_LINE = re.compile(
    r"^(?P<name>(?:Proxy-)?Authorization|(?:Proxy-|WWW-)Authenticate|Authentication-Info|Set-Cookie2?|Cookie2?"
    r"|X-MS-WebTicket)(?P<colon>:[ \t]*)(?P<value>[^\r\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_CREDENTIALS = ("authorization", "proxy-authorization", "x-ms-webticket")
_CHALLENGES = ("www-authenticate", "proxy-authenticate", "authentication-info")
_BINARY_SCHEMES = ("ntlm", "negotiate", "kerberos")
_SCHEME = re.compile(r"\s*([A-Za-z][\w-]{0,31})\s+(.*)", re.DOTALL)
_BLOB = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_SHORTEST = 24  # characters: less than that is left of a blob without its GUIDs: no key
_MIXED = 0.35  # share of neighbours of different kind: words and paths have less, Base64 and hex have more
_TEXT = re.compile(r"text/|multipart/|message/|application/(?:[\w.+-]*(?:json|xml|javascript)|sdp)")
_FORM = "application/x-www-form-urlencoded"


@dataclasses.dataclass(frozen=True, slots=True)
class Redactor:
    """Redacts. `hasher`: whose key decides what secrets become; files made with one key fit together."""

    hasher: Hasher

    def fields(self, headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
        """Header fields."""
        return tuple(
            (name, self.field(name.decode("latin-1"), value.decode("latin-1")).encode("latin-1", "replace"))
            for name, value in headers
        )

    def field(self, name: str, value: str) -> str:
        """The value of one header field."""
        match name.lower():
            case known if known in _CREDENTIALS:
                return self._credentials(value)
            case "cookie" | "cookie2":
                return "; ".join(self._cookie(pair.strip()) for pair in value.split(";"))
            case "set-cookie" | "set-cookie2":
                pair, semicolon, attributes = value.partition(";")
                return self._cookie(pair) + semicolon + attributes
            case known if known in _CHALLENGES and (match := _SCHEME.fullmatch(value)):
                binary = match[1].lower() in _BINARY_SCHEMES
                return self._credentials(value) if binary else self.text(value)
        return self.text(value)

    def target(self, target: str) -> str:
        """A path with its query, or a URL."""
        before, mark, query = target.partition("?")
        return self._sweep(self._tickets(before)) + mark + self.form(query)

    def form(self, text: str) -> str:
        """A query without its `?`, or a form in a body."""
        return "&".join(map(self._pair, text.split("&")))

    def body(self, content_type: str | None, body: bytes) -> bytes:
        """A body, its Content-Encoding undone. Nothing is left of one that is no text."""
        kind = (content_type or "").strip().lower()
        is_form = kind.startswith(_FORM)
        if not (is_form or _TEXT.match(kind)):
            return b""
        encoding = "utf-16" if body.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
        text = body.decode(encoding, "replace")
        return (self.form(text) if is_form else self.text(text)).encode(encoding)

    def text(self, text: str) -> str:
        """Any text: a body of any form, a header's value, a line of a trace."""
        text = _LINE.sub(lambda m: m["name"] + m["colon"] + self.field(m["name"], m["value"]), text)
        text = _PEM.sub(lambda m: self.removed(m[0]), text)
        text = _ASSERTION.sub(self._assertion, text)
        text = self._tickets(text)
        text = _NTLM.sub(lambda m: self._ntlm(m[0]), text)
        for pattern in _NAMED:
            text = pattern.sub(self._named, text)
        return self._sweep(text)

    def removed(self, secret: str) -> str:
        """What stands for a secret."""
        return secret if _DONE.fullmatch(secret) else REMOVED + self.hasher(secret.encode("utf-8", "replace"))

    def _tickets(self, text: str) -> str:
        text = _COMPACT.sub(lambda m: f"cwt={self.removed(m[1])}", text)
        return _OPAQUE.sub(lambda m: f"opaque={self._opaque(m[1])}", text)

    def _credentials(self, value: str) -> str:
        """Of Authorization, with its scheme, or of X-MS-WebTicket, which has none."""
        scheme, rest = "", value.strip()
        if match := _SCHEME.fullmatch(value):
            scheme, rest = match[1] + " ", match[2].strip()
        if _COMPACT.fullmatch(rest) or _OPAQUE.fullmatch(rest):
            return scheme + self._tickets(rest)
        if scheme.lower() == "basic ":
            return scheme + self._basic(rest)
        return scheme + self._ntlm(rest)

    def _pair(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        if value and _FORM_NAME.fullmatch(name):
            return f"{name}={self._tickets(value) if _COMPACT.fullmatch(value) else self.removed(value)}"
        return name + equals + self.text(value)

    def _basic(self, encoded: str) -> str:
        try:
            name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return self.removed(encoded)
        return base64.b64encode(f"{name}{colon}{self.removed(password)}".encode()).decode()

    def _ntlm(self, token: str) -> str:
        bare = ntlm.without_proof(token.encode("latin-1", "replace"))
        return self.removed(token) if bare is None else bare.decode("latin-1")

    def _cookie(self, pair: str) -> str:
        """Without a `=`, all of it is the value."""
        name, equals, value = pair.partition("=")
        if not equals:
            return self.removed(pair) if pair else ""
        return f"{name}={self.removed(value)}" if value else pair

    def _opaque(self, encoded: str) -> str:
        try:
            decoded = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, ValueError):
            return self.removed(encoded)
        if not _ASSERTION.search(decoded):
            return self.removed(encoded)
        return base64.b64encode(_ASSERTION.sub(self._assertion, decoded).encode()).decode()

    def _assertion(self, found: re.Match[str]) -> str:
        identifier = _ASSERTION_ID.search(found["head"])
        known = f' AssertionID="{self.removed(identifier[1])}"' if identifier else ""
        subject = _SUBJECT.search(found["content"])
        inside = ""
        if subject and (shape := _FORMAT.search(subject[1])):
            inside = f'<NameIdentifier Format="{shape[1]}">{subject[2]}</NameIdentifier>'
        return f'<{found["name"]} xmlns="{SAML}"{known}>{inside}</{found["name"]}>'

    def _named(self, found: re.Match[str]) -> str:
        """What stands under a name that secrets have."""
        secret = found["secret"].strip()
        if not secret or REMOVED in secret or (found["name"].lower() == "token" and _KIND.fullmatch(secret)):
            return found[0]
        return found["open"] + self.removed(secret)

    def _sweep(self, text: str) -> str:
        return _BLOB.sub(lambda m: self.removed(m[0]) if _is_mixed(m[0]) else m[0], text)


def _is_mixed(blob: str) -> bool:
    """Whether it looks like a key and not like words or a path."""
    rest = _GUID.sub("", blob)
    kinds = ["A" if c.isupper() else "a" if c.islower() else "0" for c in rest if c.isalnum()]
    if len(kinds) < _SHORTEST:
        return False
    return sum(a != b for a, b in itertools.pairwise(kinds)) / len(kinds) > _MIXED
