"""Presence of many by one SUBSCRIBE: the list that is asked for, and the answer in parts ([MS-PRES] §3.4.5).

    SUBSCRIBE, Event: presence, Content-Type: application/msrtc-adrl-categorylist+xml
    <batchSub xmlns="…/batch-subscribe" uri="sip:alice@…" name=""><action name="subscribe" id="1">
      <adhocList><resource uri="sip:bob@contoso.example"/>…</adhocList>
      <categoryList xmlns="…/categorylist"><category name="state"/>…

    200, Content-Type: multipart/related;type="application/rlmi+xml";boundary=…
    a part for each contact: application/msrtc-event-categories+xml (lync.contacts)

The request is as SIPE sends it, the answer such as SIPE takes it (sipe-notify.c). Before the parts a real
server puts the list of what follows, application/rlmi+xml: it is left out here. An empty line ends each
part, or SIPE (by its GMime) loses the document's last two characters (seen).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # written with; what comes from outside passes safexml
from collections.abc import Iterable

from lyncgate.lync import contacts, safexml

REQUEST_CONTENT_TYPE = "application/msrtc-adrl-categorylist+xml"
_BATCH = "http://schemas.microsoft.com/2006/01/sip/batch-subscribe"
_LIST = "http://schemas.microsoft.com/2006/09/sip/categorylist"
_CATEGORIES = ("contactCard", "state")
_BOUNDARY = b"part-of-presence"
_GIVEN_BOUNDARY = re.compile(r'boundary="?([^";\s]+)"?', re.IGNORECASE)


class BatchError(ValueError):
    """Neither a list of addresses nor a multipart of documents."""


def request(watcher: str, addresses: Iterable[str]) -> bytes:
    """The body of a SUBSCRIBE of `watcher` for `addresses`, all without a scheme."""
    top = ET.Element("batchSub", xmlns=_BATCH, uri=f"sip:{watcher}", name="")
    action = ET.SubElement(top, "action", name="subscribe", id="1")
    resources = ET.SubElement(action, "adhocList")
    for address in addresses:
        ET.SubElement(resources, "resource", uri=f"sip:{address}")
    categories = ET.SubElement(action, "categoryList", xmlns=_LIST)
    for name in _CATEGORIES:
        ET.SubElement(categories, "category", name=name)
    return safexml.serialised(top)


def parse_request(body: bytes) -> tuple[str, ...]:
    """The addresses asked for, without a scheme and in lower case. Raises BatchError."""
    try:
        top = safexml.parse(body)
    except safexml.XmlError as error:
        raise BatchError(str(error)) from error
    if safexml.local(top) != "batchSub":
        raise BatchError(f"found {safexml.local(top)}, no batchSub")
    resources = (element for element in top.iter() if safexml.local(element) == "resource")
    return tuple(element.get("uri", "").removeprefix("sip:").lower() for element in resources)


def document(parts: Iterable[bytes]) -> tuple[str, bytes]:
    """Content-Type and body of the answer; `parts`: a presence document for each contact."""
    content_type = contacts.PRESENCE_CONTENT_TYPE.encode()
    body = b"".join(
        b"--%s\r\nContent-Type: %s\r\n\r\n%s\r\n\r\n" % (_BOUNDARY, content_type, part) for part in parts
    )
    multipart = f'multipart/related;type="application/rlmi+xml";boundary={_BOUNDARY.decode()}'
    return multipart, body + b"--%s--\r\n" % _BOUNDARY


def parse(content_type: str, body: bytes) -> tuple[bytes, ...]:
    """The presence documents of an answer, one alone too. Raises BatchError."""
    if content_type.lower().startswith(contacts.PRESENCE_CONTENT_TYPE):
        return (body,)
    boundary = _GIVEN_BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/") or not boundary:
        raise BatchError(f"found {content_type[:80]!r}, no presence")
    _, *parts = (b"\r\n" + body).split(f"\r\n--{boundary[1]}".encode())
    if not parts or not parts.pop().startswith(b"--"):
        raise BatchError("the last part does not end")
    documents = []
    for part in parts:
        head, blank, content = part.partition(b"\r\n\r\n")
        if not blank:
            raise BatchError("a part has no body")
        if contacts.PRESENCE_CONTENT_TYPE.encode() in head.lower():
            documents.append(content.rstrip(b"\r\n"))
    return tuple(documents)
