"""UCWA on the wire: one resource in two representations, bodies in both, errors in both."""

import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lab import ucwaformat
from lyncgate.lab.ucwaformat import NAMESPACE, UcwaError, answer, error_answer, properties

N = f"{{{NAMESPACE}}}"
XML = "application/vnd.microsoft.com.ucwa+xml"
RESOURCE = {
    "rel": "me",
    "name": "Alice & Co",
    "emailAddresses": ["alice@contoso.example"],
    "busy": True,
    "_links": {"self": {"href": "/a/me"}, "note": {"href": "/a/me/note"}},
    "_embedded": {"phone": [{"rel": "phone", "number": "1", "_links": {"self": {"href": "/a/me/phones/1"}}}]},
}


def test_json_unless_xml_is_asked_for():
    for accept, media_type in [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/vnd.microsoft.com.ucwa+json", "application/vnd.microsoft.com.ucwa+json"),
        ("application/xml", "application/xml"),
        (XML, XML),
    ]:
        assert answer(200, RESOURCE, accept).headers == [("Content-Type", f"{media_type}; charset=utf-8")]
    assert json.loads(answer(200, RESOURCE, None).body) == RESOURCE


def test_xml_says_the_same():
    top = ET.fromstring(answer(200, RESOURCE, XML).body)
    assert (top.tag, top.attrib) == (f"{N}resource", {"rel": "me", "href": "/a/me"})
    assert [link.attrib for link in top.findall(f"{N}link")] == [{"rel": "note", "href": "/a/me/note"}]
    texts = {p.get("name"): p.text for p in top.findall(f"{N}property")}
    assert texts == {"rel": "me", "name": "Alice & Co", "busy": "true"}
    assert [item.text for item in top.findall(f"{N}propertyList/{N}item")] == ["alice@contoso.example"]
    assert top.find(f"{N}resource").attrib == {"rel": "phone", "href": "/a/me/phones/1"}


def test_events_in_xml_are_elements_that_are_called_like_their_type():
    events = {
        "_links": {"self": {"href": "/a/events?ack=1"}, "next": {"href": "/a/events?ack=2"}},
        "sender": [
            {
                "rel": "me",
                "href": "/a/me",
                "events": [{"link": {"rel": "presence", "href": "/a/me/presence"}, "type": "added"}],
            }
        ],
    }
    top = ET.fromstring(answer(200, events, XML).body)
    assert (top.tag, top.get("href")) == (f"{N}events", "/a/events?ack=1")
    assert top.find(f"{N}link").attrib == {"rel": "next", "href": "/a/events?ack=2"}
    assert top.find(f"{N}sender/{N}added").attrib == {"rel": "presence", "href": "/a/me/presence"}


def test_error_has_the_code_of_its_status():
    error = UcwaError(409, "PGetReplaced", "A newer one came.")
    response = error_answer(error, None)
    assert (response.status, json.loads(response.body)) == (
        409,
        {"code": "Conflict", "subcode": "PGetReplaced", "message": "A newer one came."},
    )
    top = ET.fromstring(error_answer(error, XML).body)
    assert (top.tag, top.findtext(f"{N}subcode")) == (f"{N}reason", "PGetReplaced")


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))


@given(st.dictionaries(TEXT.map(str.lower), TEXT, max_size=4))
def test_properties_are_read_from_both(fields):
    top = ET.Element(f"{N}input")
    for name, text in fields.items():
        ET.SubElement(top, f"{N}property", name=name).text = text
    wanted = {name.lower(): [text] for name, text in fields.items()}
    assert properties("application/json; charset=utf-8", json.dumps(fields).encode()) == wanted
    assert properties("application/xml", ET.tostring(top, "utf-8")) == wanted


@pytest.mark.parametrize("content_type", ucwaformat.JSON_TYPES + ucwaformat.XML_TYPES)
@given(st.binary(min_size=1, max_size=60))
def test_bodies_that_can_not_be_read_are_one_kind_of_error(content_type, body):
    with pytest.raises(UcwaError) as refused:
        properties(content_type, b"\x00" + body)
    assert (refused.value.status, refused.value.subcode) == (400, "DeserializationFailure")


def test_other_media_types_are_refused():
    with pytest.raises(UcwaError) as refused:
        properties("application/x-www-form-urlencoded", b"a=b")
    assert refused.value.status == 415
