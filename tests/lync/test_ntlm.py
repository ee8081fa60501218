"""NTLM and Negotiate as the edge sees them pass: is it there, and whose is it."""

from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync import ntlm

UNICODE = 0x00000001


def type3(domain: str, user: str, *, unicode: bool = True, flags: int = 0) -> bytes:
    """An AUTHENTICATE_MESSAGE (MS-NLMP §2.2.1.3) with these names and no responses."""
    encoding = "utf-16-le" if unicode else "latin-1"
    names = [domain.encode(encoding), user.encode(encoding), "PHONE".encode(encoding)]
    at, fields, payload = 72, b"", b""
    for value in (b"", b"", *names, b""):
        fields += struct.pack("<HHI", len(value), len(value), at + len(payload))
        payload += value
    flags |= UNICODE if unicode else 0
    return ntlm.SIGNATURE + struct.pack("<I", 3) + fields + struct.pack("<I", flags) + bytes(8) + payload


def authorization(message: bytes, scheme: str = "NTLM") -> list[tuple[bytes, bytes]]:
    return [(b"Authorization", scheme.encode() + b" " + base64.b64encode(message))]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"NTLM"], True),
        ([b"NTLM TlRMTVNTUAACAAAA"], True),
        ([b"Negotiate"], True),
        ([b"Negotiate,NTLM"], True),  # as IIS may write it
        ([b'Basic realm="a, b"', b"ntlm"], True),
        ([b'Bearer trusted_issuers="", client_id="x", NTLM'], True),
        ([b'Basic realm="contoso"'], False),
        ([b"X-NTLM"], False),
        ([], False),
    ],
)
def test_challenged(values: list[bytes], expected: bool) -> None:
    assert ntlm.challenged([(b"WWW-Authenticate", value) for value in values]) is expected
    assert ntlm.challenged([(b"www-authenticate", value) for value in values]) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"NTLM TlRMTVNTUAAB", True),
        (b"negotiate YII=", True),
        (b" NTLM x", True),
        (b"Basic TlRMTQ==", False),
        (b"Bearer NTLM", False),
        (b"", False),
    ],
)
def test_used(value: bytes, expected: bool) -> None:
    assert ntlm.used([(b"authorization", value)]) is expected
    assert not ntlm.used([(b"X-Authorization", value)])


def test_who_signs_in() -> None:
    assert ntlm.user(authorization(type3("CONTOSO", "alice"))) == "CONTOSO\\alice"
    assert ntlm.user(authorization(type3("", "alice@contoso.example"))) == "alice@contoso.example"
    assert ntlm.user(authorization(type3("CONTOSO", "bob", unicode=False))) == "CONTOSO\\bob"
    assert ntlm.user(authorization(type3("CONTOSO", "jörg"), "Negotiate")) == "CONTOSO\\jörg"
    assert ntlm.user(authorization(type3("CONTOSO", "alice"), "nTlM")) == "CONTOSO\\alice"


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"Authorization", b"NTLM")],
        [(b"Authorization", b"NTLM !!!")],
        [(b"Authorization", b"Basic " + base64.b64encode(b"alice:secret"))],
        authorization(b"NTLMSSP\x00" + struct.pack("<I", 1) + bytes(60)),  # type 1 names nobody
        authorization(type3("CONTOSO", "")),  # anonymous
        authorization(type3("CONTOSO", "al\nice")),
        authorization(type3("CONTOSO", "\x1b[2Jalice")),
        authorization(type3("CONTOSO", "a" * 300)),
        authorization(type3("CONTOSO", "alice")[:60]),
        authorization(type3("CONTOSO", "alice")[:80]),  # the names lie outside
    ],
)
def test_no_name_to_believe(fields: list[tuple[bytes, bytes]]) -> None:
    assert ntlm.user(fields) is None


@given(st.binary(max_size=200), st.booleans())
def test_any_token_is_read_without_an_exception(token: bytes, signed: bool) -> None:
    message = ntlm.SIGNATURE + struct.pack("<I", 3) + token if signed else token
    found = ntlm.user(authorization(message))
    assert found is None or found.isprintable()
    assert ntlm.user([(b"Authorization", b"NTLM " + token)]) is None or token.isascii()
