"""UCWA on the wire: resources as JSON or XML, errors, and the bodies that clients send.

A resource is kept in its JSON form, and XML is made from that (UCWA:EventChannelDetails, application_ref):

    {"rel": "me", "name": "Alice", "_links": {"self": {"href": "/…/me"}, "note": {"href": "/…/me/note"}}}
    <resource rel="me" href="/…/me" xmlns="…"><link rel="note" href="/…/me/note"/>
      <property name="rel">me</property><property name="name">Alice</property></resource>

Lists become `propertyList`; what is embedded, a `resource` inside; an event, an element that is called
like its type. XML comes only to those who ask for it.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET  # written with; what comes from outside passes safexml
from collections.abc import Callable, Iterator

from lyncgate.lab.ucwa import Json
from lyncgate.lab.web import Response
from lyncgate.lync import safexml
from lyncgate.lync.accept import choose

NAMESPACE = "http://schemas.microsoft.com/rtc/2012/03/ucwa"
JSON_TYPES = ("application/json", "application/vnd.microsoft.com.ucwa+json")
XML_TYPES = ("application/xml", "application/vnd.microsoft.com.ucwa+xml")

CODES = {  # status → code (UCWA:ErrorsAndInformationalMessages)
    400: "BadRequest",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Gone",
    413: "EntityTooLarge",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
    500: "ServiceFailure",
}


class UcwaError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, subcode: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.subcode = subcode


def answer(status: int, resource: Json, accept: str | None, *headers: tuple[str, str]) -> Response:
    """A resource, in the representation that the client likes best."""
    response = _represented(status, resource, accept, _events if "rel" not in resource else _resource)
    response.headers += headers
    return response


def error_answer(error: UcwaError, accept: str | None) -> Response:
    """An error as UCWA makes it; clients tell it from a proxy's by its Content-Type (§6.5)."""
    fields: Json = {"code": CODES[error.status], "subcode": error.subcode, "message": str(error)}
    return _represented(error.status, fields, accept, _reason)


def _represented(
    status: int, value: Json, accept: str | None, as_xml: Callable[[Json], ET.Element]
) -> Response:
    media_type = choose(accept.encode("latin-1") if accept else None, JSON_TYPES + XML_TYPES)
    if media_type in XML_TYPES:
        top = as_xml(value)
        top.set("xmlns", NAMESPACE)
        body = safexml.serialised(top)
    else:
        body = json.dumps(value).encode()
    return Response(status, [("Content-Type", f"{media_type}; charset=utf-8")], body)


def _reason(fields: Json) -> ET.Element:
    top = ET.Element("reason")
    for name, text in fields.items():
        ET.SubElement(top, name).text = str(text)
    return top


def _resource(value: Json) -> ET.Element:
    top = ET.Element("resource", rel=str(value["rel"]))
    for relation, link in _each(value.get("_links")):
        if relation == "self":
            top.set("href", str(link["href"]))
        else:
            ET.SubElement(top, "link", rel=relation, href=str(link["href"]))
    for name, content in value.items():
        if name in ("_links", "_embedded"):
            continue
        if isinstance(content, list):
            items = ET.SubElement(top, "propertyList", name=name)
            for item in content:
                ET.SubElement(items, "item").text = _text(item)
        else:
            ET.SubElement(top, "property", name=name).text = _text(content)
    for _, embedded in _each(value.get("_embedded")):
        top.append(_resource(embedded))
    return top


def _events(value: Json) -> ET.Element:
    top = ET.Element("events")
    for relation, link in _each(value["_links"]):
        if relation == "self":
            top.set("href", str(link["href"]))
        else:
            ET.SubElement(top, "link", rel=relation, href=str(link["href"]))
    for _, sender in _each({"sender": value.get("sender", [])}):
        block = ET.SubElement(top, "sender", rel=str(sender["rel"]), href=str(sender["href"]))
        for _, event in _each({"events": sender["events"]}):
            for _, link in _each({"link": event.get("link", [])}):
                ET.SubElement(block, str(event["type"]), rel=str(link["rel"]), href=str(link["href"]))
    return top


def _each(values: object) -> Iterator[tuple[str, Json]]:
    """The (name, resource) of a JSON object whose members are resources or lists of them."""
    for name, value in values.items() if isinstance(values, dict) else ():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield name, one


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# -- reading ------------------------------------------------------------------------------------------


def properties(content_type: str | None, body: bytes) -> dict[str, list[str]]:
    """What a client sends with a POST or PUT, in JSON or XML: name in lower case → its values. Raises
    UcwaError."""
    if not body:
        return {}
    media_type = (content_type or "").partition(";")[0].strip().lower()
    try:
        if media_type in JSON_TYPES:
            return dict(_json_properties(json.loads(body.decode("utf-8-sig"))))
        if media_type in XML_TYPES:
            return dict(_xml_properties(safexml.parse(body)))
    except (ValueError, RecursionError) as error:
        raise UcwaError(400, "DeserializationFailure", f"The body can't be read: {error}.") from error
    raise UcwaError(415, "UnsupportedMediaType", "The body has to be JSON or XML.")


def _json_properties(value: object) -> Iterator[tuple[str, list[str]]]:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    for name, content in value.items():
        values = content if isinstance(content, list) else [content]
        yield name.lower(), [_text(one) for one in values if one is not None]


def _xml_properties(top: ET.Element) -> Iterator[tuple[str, list[str]]]:
    """Of `<input>` or `<resource>`, with or without the namespace."""
    for child in top:
        name = child.get("name", "").lower()
        if safexml.local(child) == "property":
            yield name, [child.text or ""]
        elif safexml.local(child) == "propertyList":
            yield name, [item.text or "" for item in child]
