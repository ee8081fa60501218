"""What passes for HTTP/1.1, and what is refused with which word. On the wire: tests/security."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.edge.framing import STATUS, Fault, Framing
from lyncgate.policy.policy import Limits
from support.malformed import CHUNKED, HOST, REFUSED

GET = b"GET /2 HTTP/1.1\r\n" + HOST + b"\r\n"
POST_HI = b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n" + HOST + b"\r\nhi"

GOOD = {
    "plain": b"GET /a?b=c HTTP/1.1\r\n" + HOST + b"\r\n",
    "length": b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n" + HOST + b"\r\nhello",
    "no body": b"POST /a HTTP/1.1\r\nContent-Length: 0\r\n" + HOST + b"\r\n",
    "chunks": CHUNKED.replace(b"chunked", b"Chunked") + b"5;x=y\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
    "empty lines before": b"\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
    "one after the other": 3 * POST_HI,
    "an empty line between": POST_HI + b"\r\n" + GET,
    "asks to upgrade": b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n" + HOST + b"\r\n" + GET,
    "spaces behind a length": b"POST /a HTTP/1.1\r\nContent-Length: 2 \t\r\n" + HOST + b"\r\nhi",
    "a space behind a coding": CHUNKED.replace(b"chunked", b"chunked ") + b"0\r\n\r\n",
    "asks to upgrade, with a body": b"POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n"
    + HOST
    + b"Content-Length: 3\r\n\r\n\n\n\n"
    + GET,
    "asks to upgrade, with chunks": b"POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n3\r\n\n\n\n\r\n0\r\n\r\n"
    + GET,
    "empty field": b"GET / HTTP/1.1\r\nX:\r\n" + HOST + b"\r\n",
    "high bytes in a value": b"GET / HTTP/1.1\r\nX: \xc3\xa9\xff\r\n" + HOST + b"\r\n",
    "absolute form": b"GET http://lyncweb.contoso.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
}  # fmt: skip


def verdict(*pieces: bytes, limits: Limits | None = None) -> Fault | None:
    framing = Framing(limits or Limits())
    return next((fault for piece in pieces if (fault := framing.feed(piece))), None)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, fault = REFUSED[name]
    assert verdict(data) is fault
    assert fault in STATUS


@pytest.mark.parametrize("name", [name for name in REFUSED if not name.startswith("SIP")])
def test_refused_byte_by_byte(name: str) -> None:
    data, fault = REFUSED[name]
    assert verdict(*(bytes([byte]) for byte in data)) is fault


@pytest.mark.parametrize("name", GOOD)
def test_accepted_however_it_is_split(name: str) -> None:
    data = GOOD[name]
    assert verdict(data) is None
    assert verdict(*(bytes([byte]) for byte in data)) is None
    tight = Limits(head=120, headers=4, url=40)
    for cut in range(1, len(data)):
        assert verdict(data[:cut], data[cut:], limits=tight) is None, cut


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    token = st.text("abcXYZ019-_", min_size=1, max_size=8)
    value = st.text("abc XYZ;=,/\"'", max_size=12)
    fields = draw(st.lists(st.tuples(token.map(lambda name: "X-" + name), value), max_size=6))
    fields.insert(draw(st.integers(0, len(fields))), ("Host", "a"))
    body = draw(st.binary(max_size=20))
    framing = draw(st.sampled_from(["none", "length", "chunked"]))
    if framing == "length":
        fields.append(("Content-Length", str(len(body))))
    elif framing == "chunked":
        fields.append(("Transfer-Encoding", "chunked"))
        size = draw(st.integers(1, 7))
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    else:
        body = b""
    target = "/" + draw(st.text("abc/?=&%20.", max_size=20))
    method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS"]))
    head = "\r\n".join([f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in fields)])
    return head.encode() + b"\r\n\r\n" + body


@given(st.lists(requests(), min_size=1, max_size=4).map(b"".join), st.data())
def test_any_valid_requests_in_any_pieces(stream: bytes, data: st.DataObject) -> None:
    """With limits just above what the longest of these needs: what comes before or after a head in the same
    segment must not count as part of it."""
    limits = Limits(head=300, headers=8, url=30)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[a:b] for a, b in itertools.pairwise([0, *cuts, len(stream)])]
    assert verdict(stream, limits=limits) is None
    assert verdict(*pieces, limits=limits) is None


@given(st.binary(max_size=200))
def test_any_bytes_get_a_verdict(data: bytes) -> None:
    assert verdict(data) in (None, *Fault)
    assert verdict(GOOD["plain"] + data) in (None, *Fault)


def head_of(size: int) -> bytes:
    """A head of exactly `size` bytes."""
    start, end = b"GET / HTTP/1.1\r\n" + HOST + b"X: ", b"\r\n\r\n"
    return start + b"x" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize("at_once", [True, False])
def test_head_limit_is_exact(at_once: bool) -> None:
    limits = Limits(head=2000)
    for size, fault in ((2000, None), (2001, Fault.HEAD_TOO_LARGE)):
        data = head_of(size)
        pieces = [data] if at_once else [bytes([byte]) for byte in data]
        assert verdict(*pieces, limits=limits) is fault


def test_head_limit_is_by_head() -> None:
    limits = Limits(head=2000)
    assert verdict(head_of(2000) * 5, limits=limits) is None
    body = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9000\r\n\r\n" + b"x" * 9000
    assert verdict(body + head_of(2000)[:1990], head_of(2000)[1990:], limits=limits) is None
    assert verdict(head_of(2000) + head_of(2001), limits=limits) is Fault.HEAD_TOO_LARGE


def test_unfinished_head_is_refused_before_it_ends() -> None:
    limits = Limits(head=2000)
    assert verdict(b"GET / HTTP/1.1\r\nX: " + b"x" * 2000, limits=limits) is Fault.HEAD_TOO_LARGE
    assert verdict(b"GET / HTTP/1.1\r\n", *[b"X: y\r\n"] * 400, limits=limits) in (
        Fault.HEAD_TOO_LARGE,
        Fault.TOO_MANY_HEADERS,
    )
    framing = Framing(limits)
    fed = 0
    while framing.feed(b"GET / HTTP/1.1\r\nX: " if not fed else b"x" * 100) is None:
        fed += 100
        assert fed < 2200


def test_header_limit_is_exact() -> None:
    for count, fault in ((10, None), (11, Fault.TOO_MANY_HEADERS)):
        data = b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * (count - 1) + b"\r\n"
        assert verdict(data, limits=Limits(headers=10)) is fault


def test_url_limit_is_exact() -> None:
    for size, fault in ((50, None), (51, Fault.URL_TOO_LONG)):
        target = b"/" + b"a" * (size - 1)
        data = b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n"
        assert verdict(data, limits=Limits(url=50)) is fault
        assert verdict(*(bytes([byte]) for byte in data), limits=Limits(url=50)) is fault
    assert verdict(b"GET /" + b"a" * 60, limits=Limits(url=50)) is Fault.URL_TOO_LONG, "without its end"


def test_every_fault_of_a_request_has_a_status() -> None:
    silent = {Fault.HANDSHAKE_TIMEOUT, Fault.UNKNOWN_NAME, Fault.NOT_TLS}  # nobody there to read one
    assert set(STATUS) == set(Fault) - silent
    assert all(400 <= status < 600 for status in STATUS.values())
