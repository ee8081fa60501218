"""Documents that a pool says to many in the same words: what is read of them is remembered for a while.

Autodiscover's and the metadata of services; there is no secret in them. What was said to a hundred phones
was parsed once.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from lyncgate.lync import autodiscover, mex, safexml
from lyncgate.signin.facts import LINKS, Document
from lyncgate.signin.plain import plain, url

_LONGEST = 4096  # bytes of an autodiscover document that is remembered; real ones have 2 to 4 KiB


class Location(NamedTuple):
    """What an autodiscover document says, fit to be kept. `redirect`: None too where its URL says nothing."""

    document: Document
    access: str | None
    links: tuple[tuple[str, str], ...]
    redirect: str | None


def location(below: str, content_type: bytes, body: bytes) -> Location:
    """Read the document of the resource `below` autodiscover's root. Raises DocumentError."""
    if len(body) > _LONGEST or len(content_type) > _LONGEST:
        return _location(below, content_type, body)
    return _remembered(below, content_type, body)


def _location(below: str, content_type: bytes, body: bytes) -> Location:
    parse, document = _RESOURCES.get(below, (autodiscover.parse_root, Document.ROOT))
    located = parse(content_type.decode("latin-1"), body)
    redirect = located.href("Redirect")
    links = [(plain(token, 40), shown) for token, href in located.links if (shown := url(href))]
    return Location(
        document if redirect is None else Document.REDIRECT,
        _ACCESS.get((located.access_location or "").lower()),
        tuple(links[:LINKS]),
        None if redirect is None else url(redirect),
    )


_remembered = functools.lru_cache(maxsize=128)(_location)
_ACCESS = {"internal": "Internal", "external": "External"}
_RESOURCES = {
    "/user": (autodiscover.parse_user, Document.USER),
    "/oauth/user": (autodiscover.parse_user, Document.USER),
    "/domain": (autodiscover.parse_domain, Document.DOMAIN),
}


@functools.lru_cache(maxsize=16)
def is_metadata(body: bytes) -> bool:
    """Whether it is the WSDL of a service. Raises XmlError. These are the large ones: of 64 KiB at most, as
    is all that is read."""
    return safexml.parse(body).tag == DEFINITIONS


DEFINITIONS = f"{{{mex.WSDL}}}definitions"
