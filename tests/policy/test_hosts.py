from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.policy import hosts


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (b"lyncweb.contoso.example", "lyncweb.contoso.example"),
        (b"LyncWeb.CONTOSO.example", "lyncweb.contoso.example"),
        (b"lyncweb.contoso.example.", "lyncweb.contoso.example"),
        (b"lyncweb.contoso.example:443", "lyncweb.contoso.example"),
        (b"lyncweb.contoso.example.:4443", "lyncweb.contoso.example"),
        (b"lyncweb.contoso.example:", "lyncweb.contoso.example"),
        (b"xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        (b"fe_01.contoso.example", "fe_01.contoso.example"),
        (b"localhost", "localhost"),
        (b"127.0.0.1:8080", "127.0.0.1"),
        (b"[2001:DB8:0::1]:443", "[2001:db8::1]"),
        (b"[::1]", "[::1]"),
        (b"", None),
        (b".", None),
        (b"a..example", None),
        (b".contoso.example", None),
        (b"contoso.example..", None),
        (b"-a.example", None),
        (b"a-.example", None),
        (b"a" * 64 + b".example", None),
        (b".".join([b"a" * 63] * 4), None),
        (b"a b.example", None),
        (b"a.example, b.example", None),
        (b"user@a.example", None),
        (b"a.example/path", None),
        (b"a.example:x", None),
        (b"a.example:123456", None),
        (b"a.example:80:80", None),
        (b"*.contoso.example", None),
        (b"[::1", None),
        (b"[::1]]", None),
        (b"[12345::]", None),
        (b"::1", None),
        (b"[fe80::1%25eth0]", None),
        (b"a.example\r\nX: y", None),
        (b"a.example\n", None),
        (b"a.example\x00", None),
        ("ｌync.example".encode(), None),
    ],
)
def test_parse(value: bytes, host: str | None) -> None:
    assert hosts.parse(value) == host


@given(st.binary(max_size=300))
def test_parse_is_total_and_its_result_is_stable(value: bytes) -> None:
    host = hosts.parse(value)
    assert host is None or hosts.parse(host.encode()) == host


@pytest.mark.parametrize(
    ("published", "host", "fits"),
    [
        (("meet.contoso.example",), "meet.contoso.example", True),
        (("dialin.contoso.example", "meet.contoso.example"), "meet.contoso.example", True),
        (("meet.contoso.example",), "xmeet.contoso.example", False),
        (("*.contoso.example",), "meet.contoso.example", True),
        (("*.contoso.example",), "contoso.example", False),
        (("*.contoso.example",), "a.meet.contoso.example", False),
        (("*.contoso.example",), "evilcontoso.example", False),
        ((), "meet.contoso.example", False),
    ],
)
def test_fits(published: tuple[str, ...], host: str, fits: bool) -> None:
    assert hosts.fits(published, host) is fits
