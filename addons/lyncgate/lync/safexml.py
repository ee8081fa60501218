"""XML that comes from outside, read without its dangers: one size limit, no document type, one error.

Without a document type there are no entities: neither bombs nor files (XXE).
"""

from __future__ import annotations

import codecs
import xml.etree.ElementTree as ET

LARGEST = 1024 * 1024  # bytes; the largest of Lync's own documents, in-band provisioning, has some 50 KB


class XmlError(ValueError):
    """Not XML, or none that is safe to read."""


def parse(body: bytes, largest: int = LARGEST) -> ET.Element:
    """The top element of a UTF-8 document of at most `largest` bytes. Raises XmlError."""
    if len(body) > largest:
        raise XmlError(f"document has {len(body)} bytes, more than {largest}")
    try:
        text = text_of(body)
    except UnicodeDecodeError as error:
        raise XmlError(f"not UTF-8: {error}") from error
    if "<!DOCTYPE" in text:
        raise XmlError("a document type is not allowed")
    try:
        return ET.fromstring(text)  # noqa: S314 - no DTD gets here, and the size is bounded
    except (ET.ParseError, ValueError) as error:
        raise XmlError(f"not XML: {error}") from error


def text_of(body: bytes) -> str:
    """The text of UTF-8, with a byte order mark or without: as `utf-8-sig` decodes it, which takes a call of
    Python each time. Raises UnicodeDecodeError."""
    return (body[3:] if body.startswith(codecs.BOM_UTF8) else body).decode()


def local(element: ET.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def serialised(element: ET.Element) -> bytes:
    """The document, UTF-8, with its declaration. Characters that XML 1.0 can't hold are an XmlError: they
    would make a document that nobody can read."""
    body = bytes(ET.tostring(element, encoding="utf-8", xml_declaration=True))
    parse(body)
    return body
