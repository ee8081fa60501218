"""What UCWA's resources say (protocol reference §6), in JSON or XML.

An application is named by its path, so that every request below it carries the key. Its answer tells the
SIP address, and the `epid` by which the pool registers it: SIP traces have the same.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # elements only; what comes from outside passes safexml
from typing import Any

from lyncgate.lync import names, safejson, safexml
from lyncgate.lync.stages import Stage
from lyncgate.signin.facts import Document
from lyncgate.signin.plain import plain
from lyncgate.signin.told import Told

PREFIX = "/ucwa/"
_APPLICATION = re.compile(r"/ucwa(?:/[^/]+)*?/applications/([^/?]+)(/[^?]*)?", re.IGNORECASE)
_EPID = re.compile(r"\bopaque=user:epid:([^;>]+)")
_NEXT = ("next", "resume", "resync")  # one of them is in every answer to a poll
_DEPTH = 3  # of resources in resources that are looked at

type Json = dict[str, Any]


def application_of(path: str) -> tuple[str | None, str]:
    """The application that a path names, and the path below it in lower case; None: none."""
    match = _APPLICATION.fullmatch(path)
    return (f"ucwa:{match[1].lower()}", (match[2] or "").lower()) if match else (None, "")


def parse(media_type: str | None, body: bytes) -> Json | None:
    """A resource, an error or a list of properties; None: it is none. XML becomes what JSON would be."""
    try:
        if media_type and media_type.endswith(("/json", "+json")):
            value = safejson.parse(body)
            return value if isinstance(value, dict) else None
        if media_type and media_type.endswith(("/xml", "+xml")):
            return _from_xml(safexml.parse(body), 0)
    except (ValueError, RecursionError):
        pass
    return None


def read_request(path: str, resource: Json | None, told: Told) -> None:
    """A request to an application, or for one."""
    told.application, told.below = application_of(path)
    if resource is not None and not told.below:
        properties = {name.lower(): value for name, value in resource.items()}
        endpoint = properties.get("endpointid")
        told.endpoint = endpoint if isinstance(endpoint, str) else None


def read_response(status: int, resource: Json, told: Told) -> None:
    """An answer of UCWA's; its request was read."""
    if status >= 400:
        _read_error(status, resource, told)
        return
    told.document = Document.OTHER
    rest = told.below
    links = resource.get("_links")
    if resource.get("rel") == "application":
        _read_application(resource, told)
    elif rest == "/events" and isinstance(links, dict) and any(name in links for name in _NEXT):
        told.document = Document.EVENTS
    elif rest == "/policies":
        words = ((name, value) for name, value in resource.items() if isinstance(value, str))
        told.settings += [
            ("voicemail" if name == "voicemailUri" else name, value)
            for name, value in words
            if name not in ("rel", "etag")
        ]
    elif rest == "/me/callforwardingsettings":
        told.stage = Stage.PROVISIONING
        told.settings += _call_forwarding(resource)
    elif rest == "/people/contacts":
        told.facts["contacts"] = len(_embedded(resource, "contact"))


def _read_error(status: int, resource: Json, told: Told) -> None:
    """`code` and `subcode`, as clients tell an error of UCWA's from a proxy's (§6.5). 403 for a POST to
    the collection means that the user's mobility policy forbids it."""
    code, subcode = resource.get("code"), resource.get("subcode")
    if not isinstance(code, str):
        return
    known = subcode if isinstance(subcode, str) and subcode not in ("", "None") else code
    told.document, told.facts["error"] = Document.FAULT, plain(known, 64)
    told.facts["error_text"] = plain(str(resource.get("message") or "")) or None
    if status == 403 and (told.application is None or known == "MobileApplicationNoLongerAllowed"):
        told.stage = Stage.MOBILITY_POLICY


def _read_application(resource: Json, told: Told) -> None:
    told.document = Document.APPLICATION
    links = resource.get("_links")
    own = links.get("self") if isinstance(links, dict) else None
    href = own.get("href") if isinstance(own, dict) else None
    if isinstance(href, str):
        told.application = application_of(href[href.find("/ucwa") :][:512])[0] or told.application
    for me in _embedded(resource, "me"):
        told.user = told.user or names.sip_address(str(me.get("uri", "")))
        if epid := _EPID.search(str(me.get("endpointUri", ""))):
            told.endpoint = epid[1]


def _call_forwarding(resource: Json) -> list[tuple[str, str]]:
    """What there are settings for is allowed; what is missing says nothing."""
    allowed = (
        ("call forwarding", "immediateForwardSettings"),
        ("simultaneous ring", "simultaneousRingSettings"),
    )
    return [(name, "true") for name, relation in allowed if _embedded(resource, relation)]


def _embedded(resource: Json, relation: str) -> list[Json]:
    embedded = resource.get("_embedded")
    found = embedded.get(relation) if isinstance(embedded, dict) else None
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


def _from_xml(top: ET.Element, depth: int) -> Json:
    """`<reason>`, `<resource>`, `<events>` and `<input>` as JSON has them."""
    links: Json = {"self": {"href": top.attrib["href"]}} if "href" in top.attrib else {}
    embedded: dict[str, list[Json]] = {}
    value: Json = {"_links": links, "_embedded": embedded}
    if rel := top.get("rel"):
        value["rel"] = rel
    for child in top:
        match safexml.local(child):
            case "link":
                links[child.get("rel", "")] = {"href": child.get("href", "")}
            case "property":
                value[child.get("name", "")] = child.text or ""
            case "resource" if depth < _DEPTH:
                embedded.setdefault(child.get("rel", ""), []).append(_from_xml(child, depth + 1))
            case name if not len(child):
                value[name] = child.text or ""
    return value
