from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.policy import paths

PATH = st.binary(max_size=60).map(lambda tail: b"/" + tail)
PIECES = rb"/ \ . .. %20 ; : % %2f %5C %2e %25 %u002f %u0063 %c0%af %00 (s( )) a Cscp # ?".split()
PIECES += [b" ", "é".encode(), "ａ".encode()]
TRICKY = st.lists(st.sampled_from(PIECES), max_size=14).map(lambda pieces: b"/" + b"".join(pieces))


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"/Autodiscover/AutodiscoverService.svc/root/user",
        b"/ucwa/oauth/v1/applications/105/me/makeMeAvailable",
        b"/Meet/alice/7KJ4XQ",
        b"/abs/handler/F-0f1e.lsabs",
        b"/a@b/c~d/e$f/!g/h'i/j*k/l,m/n+o=p/q&r",
    ],
)
def test_an_honest_path_has_one_reading_its_lower_case(path: bytes) -> None:
    assert paths.readings(path) == {path.decode().lower()}


@pytest.mark.parametrize("path", [b"/abs/", b"/abs//", b"//abs", b"/./abs", b"/%61bs"])
def test_slashes_and_needless_escapes_make_no_other_path(path: bytes) -> None:
    assert "/abs" in (paths.readings(path) or ())
    assert paths.canonical(path) == "/abs"


@pytest.mark.parametrize(
    ("path", "reading"),
    [
        (b"/ucwa/sip%3aalice%40contoso.example/x", "/ucwa/sip:alice@contoso.example/x"),
        (b"/m/a;gruu;opaque=app:conf", "/m/a;gruu;opaque=app:conf"),
        (b"/m/a;gruu;opaque=app:conf", "/m/a"),
        (b"/z%C3%96e", "/zöe"),
        ("/zÖe".encode(), "/zöe"),
        (b"/%u005a%u00d6e", "/zöe"),
        (b"/%ud83d%ude00", "/\U0001f600"),
        (b"/a%2fb", "/a/b"),
        (b"/x%2fy/../cscp", "/cscp"),  # %2f as a part of its segment
        (b"/x%2fy/../cscp", "/x/cscp"),
        (b"/a//../b", "/b"),  # // collapsed first
        (b"/a//../b", "/a/b"),  # .. takes the empty segment
        (b"/../../b", "/b"),
        (b"/x/..%20/cscp", "/cscp"),
        (b"/x/..;v/cscp", "/cscp"),
        (b"/cscp...", "/cscp"),
        (b"/cs\xe2\x80\x8bcp", "/cscp"),  # zero width space
        (b"/x\xe2\x88\x95cscp", "/x/cscp"),  # division slash
        (b"/%E2%84%AAelvin", "/kelvin"),  # Kelvin sign
        (b"/100%2525", "/100%"),
        (b"/%25zz", "/%zz"),
    ],
)
def test_reading(path: bytes, reading: str) -> None:
    assert reading in (paths.readings(path) or ())


@pytest.mark.parametrize(
    "path",
    [
        b"/%",
        b"/%2",
        b"/%g0",
        b"/%u002",
        b"/%00",
        b"/%0a",
        b"/%7f",
        b"/%c2%80",
        b"/%2500",
        b"/%u0000",
        b"/%c0%af",
        b"/%e0%80%af",
        b"/%f8%80%80%80%af",
        b"/%25c0%25af",
        b"/%ed%a0%80",
        b"/%ud800",
        b"/%ude00%ud83d",
        b"/\xff",
        b"/\xc3",
        b"/%ef%bc%8563",  # full-width % before 63
        b"/%25252525252f",
        b"/" + b"/".join([b"a\\;.%2f", "ａ".encode(), b"(s(1)).", b"/../b:"] * 3),
    ],
)
def test_what_servers_read_differently_altogether_has_no_reading(path: bytes) -> None:
    assert paths.readings(path) is None


@given(PATH | TRICKY)
def test_readings_are_canonical_and_hold_the_one_for_the_log(path: bytes) -> None:
    readings = paths.readings(path)
    canonical = paths.canonical(path)
    assert canonical.startswith("/")
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in canonical)
    if readings is not None:
        assert canonical in readings
        for reading in readings:
            assert reading == "/" or (reading.startswith("/") and not reading.endswith("/"))
            assert "//" not in reading


@given(TRICKY)
def test_case_is_nothing(path: bytes) -> None:
    assert paths.readings(path) == paths.readings(path.swapcase())
    assert paths.canonical(path) == paths.canonical(path.swapcase())


@given(st.from_regex(rb"(/[A-Za-z0-9_.~-]{1,5}){1,4}/?", fullmatch=True))
def test_the_short_cut_agrees_with_the_long_way(path: bytes) -> None:
    # A session segment is dropped again, but keeps the path from the short cut.
    assert (paths.readings(path) or set()) <= (paths.readings(b"/(S(x))" + path) or set())


@pytest.mark.parametrize(
    ("prefixes", "forms", "found"),
    [
        (("",), ["/", "/a"], ["/", "/a"]),
        (("/a",), ["/a", "/a/b", "/ab", "/"], ["/a", "/a/b"]),
        (("/a/b", "/c"), ["/a", "/a/b/c", "/c"], ["/a/b/c", "/c"]),
        ((), ["/"], []),
    ],
)
def test_under(prefixes: tuple[str, ...], forms: list[str], found: list[str]) -> None:
    assert paths.under(prefixes, forms) == found
