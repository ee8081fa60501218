"""XML from outside: bombs and files are refused, and nothing but XmlError comes out."""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync.safexml import XmlError, local, parse, serialised

BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "xxxxxxxxxx"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>"""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a>",
        b"<a/><b/>",
        BOMB,
        BOMB.decode().encode("utf-16"),
        b"\xff\xfe<a/>",
        b"<a>&lt</a>",
        b"plain",
    ],
)
def test_refused(body: bytes) -> None:
    with pytest.raises(XmlError):
        parse(body)


def test_too_large_is_refused_before_it_is_read() -> None:
    assert parse(b"<a>" + b" " * 10 + b"</a>", largest=17).tag == "a"
    with pytest.raises(XmlError, match="18 bytes, more than 17"):
        parse(b"<a>" + b" " * 11 + b"</a>", largest=17)


def test_a_byte_order_mark_and_namespaces_are_no_matter() -> None:
    top = parse(b'\xef\xbb\xbf<a xmlns="urn:x"><b/></a>')
    assert [local(top), local(top[0])] == ["a", "b"]


def test_what_xml_can_not_hold_is_not_written() -> None:
    top = ET.Element("a")
    top.text = "nul \x00"
    with pytest.raises(XmlError):
        serialised(top)


@given(st.binary(max_size=200) | st.text(alphabet='<>/a&;"=!x[]-? ', max_size=60).map(str.encode))
def test_whatever_comes_it_is_an_element_or_an_xml_error(body: bytes) -> None:
    with contextlib.suppress(XmlError):
        parse(body)
