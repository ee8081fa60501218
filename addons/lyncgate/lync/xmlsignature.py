"""XML signatures as Lync's web services use them: exclusive canonical XML, and a signed time stamp.

A client proves that it holds a ticket's key by signing the `Timestamp` of its `Security` header: the
digest of the time stamp stands in a `SignedInfo`, and that is signed, by HMAC-SHA1 with the ticket's key
(certificate provisioning, protocol reference §4) or by RSA-SHA1 with a certificate's.

    <Security><Timestamp wsu:Id="timestamp">…</Timestamp> …the ticket… <Signature>…</Signature></Security>

Canonicalisation is [xml-exc-c14n] without comments and without a prefix list, of one element, as in
libxml2's XML_C14N_EXCLUSIVE_1_0. It works on minidom: ElementTree forgets prefixes, which are part of the
canonical form.

What is not signed here: the body. The time stamp is the only reference of the clients we have read
(SIPE); a real server's policy is not known to us.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from xml.dom import minidom
from xml.parsers.expat import ExpatError

DSIG = "http://www.w3.org/2000/09/xmldsig#"
HMAC_SHA1, RSA_SHA1, SHA1 = f"{DSIG}hmac-sha1", f"{DSIG}rsa-sha1", f"{DSIG}sha1"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"

_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_ATTRIBUTE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"}
)
_SIGNED_INFO = (
    '<SignedInfo xmlns="{dsig}"><CanonicalizationMethod Algorithm="{exclusive}"></CanonicalizationMethod>'
    '<SignatureMethod Algorithm="{method}"></SignatureMethod><Reference URI="#{identifier}"><Transforms>'
    '<Transform Algorithm="{exclusive}"></Transform></Transforms><DigestMethod Algorithm="{sha1}">'
    "</DigestMethod><DigestValue>{digest}</DigestValue></Reference></SignedInfo>"
)


class SignatureError(ValueError):
    """Not signed, not in this way, or not with this key."""


def parse(document: bytes) -> minidom.Element:
    """The top element. Raises SignatureError: no XML, or a document type, which could hold entities."""
    if b"<!DOCTYPE" in document:
        raise SignatureError("a document type is not allowed")
    try:
        top = minidom.parseString(document).documentElement  # noqa: S318 - no DTD gets here
    except (ExpatError, ValueError) as error:
        raise SignatureError(f"not XML: {error}") from error
    if top is None:
        raise SignatureError("no element")
    return top


def find(element: minidom.Element, namespace: str, *path: str) -> minidom.Element:
    """The first descendant by a path of child names, all of one namespace. Raises SignatureError."""
    for name in path:
        found = next(
            (c for c in children(element) if (c.namespaceURI, c.localName) == (namespace, name)), None
        )
        if found is None:
            raise SignatureError(f"no {name} in {element.localName}")
        element = found
    return element


def children(element: minidom.Element) -> Iterator[minidom.Element]:
    """The child elements."""
    return (node for node in element.childNodes if isinstance(node, minidom.Element))


def text(element: minidom.Element) -> str:
    """The text of an element, white space around it left out."""
    return "".join(node.data for node in element.childNodes if isinstance(node, minidom.Text)).strip()


# -- canonical form ---------------------------------------------------------------------------------


def canonical(element: minidom.Element) -> bytes:
    """The element in exclusive canonical form, UTF-8."""
    inherited: dict[str, str] = {}
    above = []
    parent = element.parentNode
    while isinstance(parent, minidom.Element):
        above.append(parent)
        parent = parent.parentNode
    for ancestor in reversed(above):
        inherited |= _declared(ancestor)
    return "".join(_write(element, inherited, {})).encode()


def _write(
    element: minidom.Element, inherited: Mapping[str, str], rendered: Mapping[str, str]
) -> Iterator[str]:
    """`inherited`: namespaces by prefix, as declared above; `rendered`: as they stand in the output."""
    scope = {**inherited, **_declared(element)}
    attributes = [a for a in _attributes(element) if not _declares(a)]
    used = {element.prefix or "", *(a.prefix for a in attributes if a.prefix and a.prefix != "xml")}
    new = {prefix: scope.get(prefix, "") for prefix in used}
    new = {prefix: uri for prefix, uri in new.items() if rendered.get(prefix, "") != uri}
    yield f"<{element.tagName}"
    for prefix, uri in sorted(new.items()):
        yield f' {f"xmlns:{prefix}" if prefix else "xmlns"}="{uri.translate(_ATTRIBUTE)}"'
    for attribute in sorted(attributes, key=lambda a: (a.namespaceURI or "", a.localName)):
        yield f' {attribute.name}="{attribute.value.translate(_ATTRIBUTE)}"'
    yield ">"
    for node in element.childNodes:
        if isinstance(node, minidom.Element):
            yield from _write(node, scope, {**rendered, **new})
        elif isinstance(node, minidom.Text):  # CDATA sections too
            yield node.data.translate(_TEXT)
        elif isinstance(node, minidom.ProcessingInstruction):
            yield f"<?{node.target}{' ' if node.data else ''}{node.data}?>"
    yield f"</{element.tagName}>"


def _attributes(element: minidom.Element) -> list[minidom.Attr]:
    return list(element.attributes.values())


def _declares(attribute: minidom.Attr) -> bool:
    return attribute.name == "xmlns" or attribute.prefix == "xmlns"


def _declared(element: minidom.Element) -> dict[str, str]:
    """The namespaces that the element itself declares; the default one has the prefix ""."""
    return {
        "" if attribute.name == "xmlns" else attribute.localName: attribute.value or ""
        for attribute in _attributes(element)
        if _declares(attribute)
    }


# -- signatures -------------------------------------------------------------------------------------

type Sign = Callable[[bytes], bytes]


def hmac_sha1(key: bytes) -> Sign:
    """What signs with a ticket's key."""
    return lambda data: hmac.digest(key, data, "sha1")


def p_sha1(secret: bytes, seed: bytes, length: int) -> bytes:
    """`length` bytes made of two secrets: P_hash of TLS (RFC 2246 §5) with HMAC-SHA1. WS-Trust 1.3 makes a
    ticket's key of it, with the client's entropy as the secret and the server's as the seed."""
    output, a = b"", seed
    while len(output) < length:
        a = hmac.digest(secret, a, "sha1")
        output += hmac.digest(secret, a + seed, "sha1")
    return output[:length]


def signature(target: minidom.Element, method: str, sign: Sign, key_info: str) -> str:
    """A Signature element over `target`, which has a wsu:Id. `key_info`: the content of its KeyInfo, XML
    that declares its own namespaces."""
    digest = hashlib.sha1(canonical(target), usedforsecurity=False).digest()  # the protocol's own choice
    info = _SIGNED_INFO.format(
        dsig=DSIG,
        exclusive=EXCLUSIVE,
        method=method,
        identifier=target.getAttributeNS(WSU, "Id"),
        sha1=SHA1,
        digest=base64.b64encode(digest).decode(),
    )
    value = base64.b64encode(sign(info.encode())).decode()  # it is in canonical form as it stands
    return (
        f'<Signature xmlns="{DSIG}">{info}<SignatureValue>{value}</SignatureValue>'
        f"<KeyInfo>{key_info}</KeyInfo></Signature>"
    )


def verify(
    element: minidom.Element,
    target: minidom.Element,
    method: str,
    check: Callable[[bytes, bytes], bool],
) -> None:
    """That the Signature `element` signs `target`, and nothing else, by `method`; `check(signed, value)`
    says whether the value is right. Raises SignatureError."""
    info = find(element, DSIG, "SignedInfo")
    _expect(find(info, DSIG, "CanonicalizationMethod"), EXCLUSIVE)
    _expect(find(info, DSIG, "SignatureMethod"), method)
    references = [child for child in children(info) if child.localName == "Reference"]
    if len(references) != 1:
        raise SignatureError(f"{len(references)} references")
    reference = references[0]
    identifier = target.getAttributeNS(WSU, "Id")
    if not identifier or reference.getAttribute("URI") != f"#{identifier}":
        raise SignatureError(f"signs {reference.getAttribute('URI')!r}, not the time stamp")
    transforms = list(children(find(reference, DSIG, "Transforms")))
    if len(transforms) != 1:
        raise SignatureError(f"{len(transforms)} transforms")
    _expect(transforms[0], EXCLUSIVE)
    _expect(find(reference, DSIG, "DigestMethod"), SHA1)
    digest = hashlib.sha1(canonical(target), usedforsecurity=False).digest()
    if not hmac.compare_digest(digest, base64_bytes(text(find(reference, DSIG, "DigestValue")))):
        raise SignatureError("the time stamp is not the one that was signed")
    if not check(canonical(info), base64_bytes(text(find(element, DSIG, "SignatureValue")))):
        raise SignatureError("wrong signature value")


def base64_bytes(value: str) -> bytes:
    """Base64, with or without line ends. Raises SignatureError."""
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureError(f"not Base64: {error}") from error


def _expect(element: minidom.Element, algorithm: str) -> None:
    if element.getAttribute("Algorithm") != algorithm:
        raise SignatureError(f"{element.localName} is {element.getAttribute('Algorithm')!r}, not {algorithm}")
