"""Autodiscover documents: made by the edge's `answer` and the lab's front end, read by its phone.

A document is a list of links, (token, href), in one of four representations that Accept chooses
between (protocol reference §2.1):

| media type                                           | shape                                         |
| ---------------------------------------------------- | --------------------------------------------- |
| application/vnd.microsoft.rtc.autodiscover+json;v=1  | {"AccessLocation": …, "Root": {"Links": […]}} |
| application/vnd.microsoft.rtc.autodiscover+xml;v=1   | <AutodiscoverResponse><Root><Link …/>         |
| application/json                                     | {"_links": {"user": {"href": …}}}  (UCWA)     |
| application/xml                                      | <resource rel="root"><link …/>  (UCWA)        |

The first is what a client gets that does not say; that its Content-Type is this one for a browser is
an inference (browsers are known to offer it as a download). A body is always whole: send it with its
Content-Length, because SIPE refuses one that ends with the connection (real-clients §2.4).
"""

from __future__ import annotations

import dataclasses
import json
import urllib.parse
import xml.etree.ElementTree as ET  # written with; what comes from outside passes safexml
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lyncgate.lync import safexml
from lyncgate.lync.accept import choose
from lyncgate.lync.names import AUTODISCOVER_ROOT

JSON = "application/vnd.microsoft.rtc.autodiscover+json;v=1"
XML = "application/vnd.microsoft.rtc.autodiscover+xml;v=1"
UCWA_JSON = "application/json"
UCWA_XML = "application/xml"
_OFFERS = (JSON, XML, UCWA_JSON, UCWA_XML)

_UCWA_NAMESPACE = "http://schemas.microsoft.com/rtc/2012/03/ucwa"
XFRAME = "/Autodiscover/XFrame/XFrame.html"
_QUERY_SAFE = bytes(range(0x21, 0x7F))
_LARGEST = 256 * 1024  # bytes; real documents have 2 to 4 KiB

type Links = tuple[tuple[str, str], ...]
type Endpoint = tuple[str, int]  # fqdn, port


class DocumentError(ValueError):
    """Not an autodiscover document, or one that isn't safe to read."""


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """`content_type`: value of the Content-Type field. `body`: all of it."""

    content_type: str
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class SipAccess:
    """Where desktop clients open SIP, from inside and from outside (protocol reference §2.3)."""

    internal: Endpoint
    external: Endpoint


@dataclasses.dataclass(frozen=True, slots=True)
class Located:
    """What a client reads out of a root or user document. `access_location`: `Internal` or
    `External`, None where the representation does not say. `sip`: None but in user documents."""

    access_location: str | None
    links: Links
    sip: SipAccess | None = None

    def href(self, token: str) -> str | None:
        """The href of the first link with `token`."""
        return next((href for known, href in self.links if known == token), None)


# -- links ------------------------------------------------------------------------------------------


def redirect_links(href: str) -> Links:
    """The single link of a document that says: ask there (protocol reference §2.2)."""
    return (("Redirect", href),)


def service_links(web_services: str, query: bytes | None) -> Links:
    """The links of the pool whose external web services name is `web_services`. They name no port:
    what is published is published on 443. The query is echoed on each (protocol reference §2.1)."""
    root = f"https://{web_services}{AUTODISCOVER_ROOT}"
    echo = "" if query is None else "?" + urllib.parse.quote_from_bytes(query, safe=_QUERY_SAFE)
    return (
        ("Domain", f"{root}/domain{echo}"),
        ("User", f"{root}/user{echo}"),
        ("Self", f"{root}{echo}"),
        ("OAuth", f"{root}/oauth/user{echo}"),
    )


def user_links(external: str, internal: str) -> Links:
    """The links of a user document, for a pool with these external and internal web services names
    (protocol reference §2.3). Internal/Mcx is external: all mobile traffic passes the proxy."""
    inside, outside = f"https://{internal}", f"https://{external}"
    return (
        ("Internal/Autodiscover", inside + AUTODISCOVER_ROOT),
        ("External/Autodiscover", outside + AUTODISCOVER_ROOT),
        ("Internal/AuthBroker", inside + "/Reach/sip.svc"),
        ("External/AuthBroker", outside + "/Reach/sip.svc"),
        ("Internal/WebScheduler", inside + "/Scheduler"),
        ("External/WebScheduler", outside + "/Scheduler"),
        ("Internal/Mcx", outside + "/Mcx/McxService.svc"),
        ("External/Mcx", outside + "/Mcx/McxService.svc"),
        ("Internal/Ucwa", inside + "/ucwa/v1/applications"),
        ("External/Ucwa", outside + "/ucwa/v1/applications"),
        ("Ucwa", outside + "/ucwa/v1/applications"),
        ("Internal/XFrame", inside + XFRAME),
        ("External/XFrame", outside + XFRAME),
        ("XFrame", outside + XFRAME),
        ("Self", f"{outside}{AUTODISCOVER_ROOT}/user"),
    )


def domain_links(external: str, internal: str) -> Links:
    """The links of a domain document: those of the services that need no user (protocol reference §2.3)."""
    kinds = ("Autodiscover", "AuthBroker", "Ucwa")
    return tuple(
        (token, href) for token, href in user_links(external, internal) if token.partition("/")[2] in kinds
    )


# -- making -----------------------------------------------------------------------------------------


def root_document(
    links: Sequence[tuple[str, str]], accept: bytes | None, access_location: str = "External"
) -> Document:
    """The root, for anyone who asks, in the representation that `accept` (field value) likes most."""
    return _document("Root", links, None, accept, access_location)


def user_document(
    links: Sequence[tuple[str, str]],
    sip: SipAccess | None,
    accept: bytes | None,
    access_location: str = "External",
) -> Document:
    """The user resource, for the holder of a ticket. `sip` is None when `links` is a Redirect to the
    user's home pool."""
    return _document("User", links, sip, accept, access_location)


def domain_document(
    links: Sequence[tuple[str, str]], accept: bytes | None, access_location: str = "External"
) -> Document:
    """The domain resource, for anyone who asks."""
    return _document("Domain", links, None, accept, access_location)


def _document(
    name: str,
    links: Sequence[tuple[str, str]],
    sip: SipAccess | None,
    accept: bytes | None,
    access_location: str,
) -> Document:
    chosen = choose(accept, _OFFERS)
    if chosen == XML:
        body = _xml(name, links, sip, access_location)
    elif chosen == UCWA_JSON:
        body = _json({"_links": {relation: {"href": href} for relation, href in _relations(name, links)}})
    elif chosen == UCWA_XML:
        body = _ucwa_xml(name, _relations(name, links))
    else:
        listed = [{"href": href, "token": token} for token, href in links]
        body = _json({"AccessLocation": access_location, name: {**_sip_fields(sip), "Links": listed}})
    return Document(chosen, body)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _sip_fields(sip: SipAccess | None) -> dict[str, dict[str, str]]:
    """The SipServer… elements are reserved, no client uses them (protocol reference §2.3)."""
    if sip is None:
        return {}
    (inside, inside_port), (outside, outside_port) = sip.internal, sip.external
    return {
        "SipServerInternalAccess": {"fqdn": inside, "port": "5061"},
        "SipClientInternalAccess": {"fqdn": inside, "port": str(inside_port)},
        "SipServerExternalAccess": {"fqdn": outside, "port": "5061"},
        "SipClientExternalAccess": {"fqdn": outside, "port": str(outside_port)},
    }


def _xml(name: str, links: Sequence[tuple[str, str]], sip: SipAccess | None, access_location: str) -> bytes:
    # No namespace: clients select AutodiscoverResponse/Root/Link without a prefix.
    response = ET.Element("AutodiscoverResponse", AccessLocation=access_location)
    resource = ET.SubElement(response, name)
    for element, attributes in _sip_fields(sip).items():
        ET.SubElement(resource, element, attributes)
    for token, href in links:
        ET.SubElement(resource, "Link", token=token, href=href)
    return _serialised(response)


def _serialised(element: ET.Element) -> bytes:
    return bytes(ET.tostring(element, encoding="utf-8", xml_declaration=True))


def _relations(name: str, links: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The links as UCWA calls them. Here `user` is the OAuth link, and applications are the OAuth
    ones: clients that speak this form sign in by OAuth (protocol reference §2.1, §2.3)."""
    known = dict(links)
    if "Redirect" in known:
        return [("redirect", known["Redirect"])]
    own = known.get("Self", "")
    origin = own[: own.find("/", len("https://"))]
    if name == "Domain":  # in this form clients have no use for it; our guess
        return [("self", known["External/Autodiscover"]), ("applications", known["External/Ucwa"])]
    if name == "User":
        return [
            ("self", own),
            ("applications", f"{origin}/ucwa/oauth/v1/applications"),
            ("xframe", origin + XFRAME),
        ]
    return [("self", own), ("user", known.get("OAuth", "")), ("xframe", origin + XFRAME)]


def _ucwa_xml(name: str, relations: list[tuple[str, str]]) -> bytes:
    resource = ET.Element("resource", {"rel": name.lower(), "xmlns": _UCWA_NAMESPACE})
    for relation, href in relations:
        if relation == "self":
            resource.set("href", href)
        else:
            ET.SubElement(resource, "link", rel=relation, href=href)
    return _serialised(resource)


# -- reading ----------------------------------------------------------------------------------------

_TOKENS = {  # UCWA relation → token of the same link in the other forms
    "self": "Self",
    "user": "OAuth",
    "redirect": "Redirect",
    "applications": "Applications",
    "xframe": "XFrame",
}


def parse_root(content_type: str, body: bytes) -> Located:
    """The links of a root document in any representation. Raises DocumentError."""
    return _parse("Root", content_type, body)


def parse_user(content_type: str, body: bytes) -> Located:
    """The links and SIP endpoints of a user document in any representation. Raises DocumentError."""
    return _parse("User", content_type, body)


def parse_domain(content_type: str, body: bytes) -> Located:
    """The links of a domain document in any representation. Raises DocumentError."""
    return _parse("Domain", content_type, body)


def _parse(name: str, content_type: str, body: bytes) -> Located:
    if len(body) > _LARGEST:
        raise DocumentError(f"document has {len(body)} bytes, more than {_LARGEST}")
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        if media_type in (XML.partition(";")[0], UCWA_XML):
            return _read_xml(name, safexml.parse(body, _LARGEST))
        if media_type in (JSON.partition(";")[0], UCWA_JSON):
            return _read_json(name, json.loads(safexml.text_of(body)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentError(f"not an autodiscover {name} document: {error!r}") from error
    raise DocumentError(f"{media_type} is no autodiscover media type")


def _read_xml(name: str, top: ET.Element) -> Located:
    if top.tag == f"{{{_UCWA_NAMESPACE}}}resource":
        relations = [("self", top.attrib["href"])] if "href" in top.attrib else []
        relations += [(link.attrib["rel"], link.attrib["href"]) for link in top if link.tag.endswith("}link")]
        return Located(None, _tokens(relations))
    resource = top.find(name) if top.tag == "AutodiscoverResponse" else None
    if resource is None:
        raise DocumentError(f"no AutodiscoverResponse/{name}")
    sip = {element.tag: element.attrib for element in resource if element.tag.startswith("SipClient")}
    links = tuple((link.attrib["token"], link.attrib["href"]) for link in resource.iter("Link"))
    return Located(top.get("AccessLocation"), links, _read_sip(sip))


def _read_json(name: str, top: Any) -> Located:
    if "_links" in top:
        return Located(None, _tokens((rel, str(link["href"])) for rel, link in top["_links"].items()))
    resource = top[name]
    links = tuple((str(link["token"]), str(link["href"])) for link in resource["Links"])
    return Located(top.get("AccessLocation"), links, _read_sip(resource))


def _tokens(relations: Iterable[tuple[str, str]]) -> Links:
    return tuple((_TOKENS[relation], href) for relation, href in relations if relation in _TOKENS)


def _read_sip(fields: Mapping[str, Any]) -> SipAccess | None:
    inside, outside = fields.get("SipClientInternalAccess"), fields.get("SipClientExternalAccess")
    if not inside or not outside:
        return None
    return SipAccess((inside["fqdn"], int(inside["port"])), (outside["fqdn"], int(outside["port"])))
