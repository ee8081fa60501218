from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync import autodiscover
from lyncgate.lync.autodiscover import DocumentError, SipAccess

WEB = "lyncweb.contoso.example"
ROOT = f"https://{WEB}/Autodiscover/AutodiscoverService.svc/root"
XFRAME = f"https://{WEB}/Autodiscover/XFrame/XFrame.html"
LINKS = autodiscover.service_links(WEB, b"sipuri=alice@contoso.example")
REDIRECT = autodiscover.redirect_links(ROOT)
SIP = SipAccess(internal=("pool01.contoso.local", 443), external=("sip.contoso.example", 5061))
USER_LINKS = autodiscover.user_links(WEB, "pool01.contoso.local")
XML = b"application/vnd.microsoft.rtc.autodiscover+xml;v=1"
JSON = b"application/vnd.microsoft.rtc.autodiscover+json;v=1"
CHROME = b"text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


def test_service_links_are_on_https_without_a_port_and_echo_the_query() -> None:
    assert (
        ("Domain", f"{ROOT}/domain?sipuri=alice@contoso.example"),
        ("User", f"{ROOT}/user?sipuri=alice@contoso.example"),
        ("Self", f"{ROOT}?sipuri=alice@contoso.example"),
        ("OAuth", f"{ROOT}/oauth/user?sipuri=alice@contoso.example"),
    ) == LINKS
    assert dict(autodiscover.service_links(WEB, None))["Self"] == ROOT
    assert dict(autodiscover.service_links(WEB, b"a=\xe4\r\n"))["Self"] == f"{ROOT}?a=%E4%0D%0A"


@pytest.mark.parametrize(
    "accept", [XML, XML.replace(b";", b"; "), b"application/vnd.microsoft.rtc.autodiscover+xml"]
)
def test_xml_is_what_sipe_wants(accept: bytes) -> None:
    document = autodiscover.root_document(LINKS, accept)
    assert document.content_type.startswith("application/vnd.microsoft.rtc.autodiscover+xml")
    response = ET.fromstring(document.body)
    assert (response.tag, response.get("AccessLocation")) == ("AutodiscoverResponse", "External")
    assert [(link.get("token"), link.get("href")) for link in response.findall("Root/Link")] == list(LINKS)


@pytest.mark.parametrize("accept", [None, b"*/*", JSON, CHROME])
def test_json_with_access_location_is_the_default_and_the_browsers(accept: bytes | None) -> None:
    document = autodiscover.root_document(LINKS[:1], accept, "Internal")
    assert document.content_type == "application/vnd.microsoft.rtc.autodiscover+json;v=1"
    assert json.loads(document.body) == {
        "AccessLocation": "Internal",
        "Root": {"Links": [{"token": "Domain", "href": LINKS[0][1]}]},
    }


def test_ucwa_json() -> None:
    document = autodiscover.root_document(LINKS, b"application/json")
    assert document.content_type == "application/json"
    assert json.loads(document.body) == {
        "_links": {
            "self": {"href": f"{ROOT}?sipuri=alice@contoso.example"},
            "user": {"href": f"{ROOT}/oauth/user?sipuri=alice@contoso.example"},
            "xframe": {"href": XFRAME},
        }
    }
    redirected = autodiscover.root_document(REDIRECT, b"application/json")
    assert json.loads(redirected.body) == {"_links": {"redirect": {"href": ROOT}}}


def test_ucwa_xml() -> None:
    document = autodiscover.root_document(LINKS, b"application/xml")
    assert document.content_type == "application/xml"
    resource = ET.fromstring(document.body)
    assert resource.tag == "{http://schemas.microsoft.com/rtc/2012/03/ucwa}resource"
    assert resource.attrib == {"rel": "root", "href": f"{ROOT}?sipuri=alice@contoso.example"}
    assert [(link.get("rel"), link.get("href")) for link in resource] == [
        ("user", f"{ROOT}/oauth/user?sipuri=alice@contoso.example"),
        ("xframe", XFRAME),
    ]


@pytest.mark.parametrize("accept", [XML, JSON])
@pytest.mark.parametrize("links", [LINKS, REDIRECT, autodiscover.service_links(WEB, b"a=<&>\"'")])
@pytest.mark.parametrize("location", ["External", "Internal"])
def test_root_round_trip(accept: bytes, links: autodiscover.Links, location: str) -> None:
    document = autodiscover.root_document(links, accept, location)
    located = autodiscover.parse_root(document.content_type, document.body)
    assert (located.links, located.access_location, located.sip) == (links, location, None)


@pytest.mark.parametrize("accept", [b"application/json", b"application/xml"])
def test_ucwa_round_trip(accept: bytes) -> None:
    document = autodiscover.root_document(LINKS, accept)
    located = autodiscover.parse_root(document.content_type, document.body)
    assert located.links == (("Self", LINKS[2][1]), ("OAuth", LINKS[3][1]), ("XFrame", XFRAME))
    document = autodiscover.root_document(REDIRECT, accept)
    located = autodiscover.parse_root(document.content_type, document.body)
    assert (located.links, located.href("Redirect"), located.href("User")) == (REDIRECT, ROOT, None)


@pytest.mark.parametrize("accept", [XML, None])
@pytest.mark.parametrize(("links", "sip"), [(USER_LINKS, SIP), (REDIRECT, None)])
def test_user_round_trip(accept: bytes | None, links: autodiscover.Links, sip: SipAccess | None) -> None:
    document = autodiscover.user_document(links, sip, accept)
    assert autodiscover.parse_user(document.content_type, document.body) == autodiscover.Located(
        "External", links, sip
    )


def test_user_document_as_ucwa_leads_to_the_oauth_applications() -> None:
    document = autodiscover.user_document(USER_LINKS, SIP, b"application/json")
    assert json.loads(document.body) == {
        "_links": {
            "self": {"href": f"{ROOT}/user"},
            "applications": {"href": f"https://{WEB}/ucwa/oauth/v1/applications"},
            "xframe": {"href": XFRAME},
        }
    }
    located = autodiscover.parse_user(document.content_type, document.body)
    assert located.href("Applications") == f"https://{WEB}/ucwa/oauth/v1/applications"


def test_user_document_in_xml_has_sip_endpoints_and_external_mcx() -> None:
    user = ET.fromstring(autodiscover.user_document(USER_LINKS, SIP, XML).body).find("User")
    assert user is not None
    endpoints = {element.tag: dict(element.attrib) for element in user if element.tag.startswith("Sip")}
    assert endpoints == {
        "SipServerInternalAccess": {"fqdn": "pool01.contoso.local", "port": "5061"},
        "SipClientInternalAccess": {"fqdn": "pool01.contoso.local", "port": "443"},
        "SipServerExternalAccess": {"fqdn": "sip.contoso.example", "port": "5061"},
        "SipClientExternalAccess": {"fqdn": "sip.contoso.example", "port": "5061"},
    }
    assert dict(USER_LINKS)["Internal/Mcx"] == f"https://{WEB}/Mcx/McxService.svc"


def test_a_real_documents_blank_and_byte_order_mark_are_read() -> None:
    body = b'\xef\xbb\xbf<AutodiscoverResponse><Root><Link token="User" href="https://a/"/></Root></AutodiscoverResponse>'
    located = autodiscover.parse_root("application/vnd.microsoft.rtc.autodiscover+xml; v=1", body)
    assert (located.href("User"), located.access_location) == ("https://a/", None)


@pytest.mark.parametrize(
    ("content_type", "body", "says"),
    [
        ("text/html", b"<html/>", "text/html is no autodiscover media type"),
        (XML.decode(), b"", "not an autodiscover Root document"),
        (XML.decode(), b"<html/>", "no AutodiscoverResponse/Root"),
        (
            XML.decode(),
            b"<AutodiscoverResponse><User/></AutodiscoverResponse>",
            "no AutodiscoverResponse/Root",
        ),
        (XML.decode(), b"<AutodiscoverResponse><Root><Link/></Root></AutodiscoverResponse>", "token"),
        (XML.decode(), b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
        (XML.decode(), "<!DOCTYPE a><a/>".encode("utf-16"), "not an autodiscover Root document"),
        (JSON.decode(), b"[]", "not an autodiscover Root document"),
        (JSON.decode(), b'{"Root":{"Links":[7]}}', "not an autodiscover Root document"),
        (JSON.decode(), b"[" * 100_000, "not an autodiscover Root document"),
        (JSON.decode(), b" " * 300_000, "300000 bytes"),
        (JSON.decode(), b'{"_links":{"user":"https://a"}}', "not an autodiscover Root document"),
    ],
)
def test_what_is_no_document_is_refused(content_type: str, body: bytes, says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        autodiscover.parse_root(content_type, body)


@given(st.sampled_from([XML, JSON, b"application/json", b"application/xml"]), st.binary(max_size=60))
def test_only_document_errors_come_out(content_type: bytes, body: bytes) -> None:
    try:
        located = autodiscover.parse_user(content_type.decode(), body)
    except DocumentError:
        return
    assert isinstance(located.links, tuple)
