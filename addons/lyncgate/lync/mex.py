"""Metadata of Lync's SOAP services, the WSDL at `…/mex` (protocol reference §3.1, §4): made and read. Pure.

    ports = (Port("WebTicketServiceWinNegotiate", "https://lyncweb.contoso.example/WebTicket/…"),)
    port_location(document("WebTicketService", ports), "WebTicketServiceWinNegotiate")

A client picks a port by its name and posts to the address that stands there, whatever it is. A port that
wants a web ticket says so in a policy, `{port}_policy`: whether the ticket's key has to sign (then the
ticket is an endorsing token), and where tickets are issued.

Shape: what SIPE and OCAUTHWS §3.2.4.1 read of it; a whole WSDL of a real server was not at hand.
"""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from lyncgate.lync import safexml
from lyncgate.lync.xmlsignature import WSU

WSDL = "http://schemas.xmlsoap.org/wsdl/"
WSDL_SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"
WSP = "http://schemas.xmlsoap.org/ws/2004/09/policy"
SP = "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702"
WSA = "http://www.w3.org/2005/08/addressing"

_DOCUMENT = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<wsdl:definitions name="{name}" targetNamespace="http://tempuri.org/" xmlns:wsdl="{wsdl}" '
    'xmlns:soap="{wsdl_soap}" xmlns:tns="http://tempuri.org/" xmlns:wsp="{wsp}" xmlns:wsu="{wsu}" '
    'xmlns:sp="{sp}" xmlns:wsaw="http://www.w3.org/2006/05/addressing/wsdl" '
    'xmlns:af="urn:component:Microsoft.Rtc.WebAuthentication.2010">\n'
    "{policies}{operations}<wsdl:service name={quoted}>{ports}</wsdl:service></wsdl:definitions>\n"
)
_POLICY = (
    '<wsp:Policy wsu:Id="{port}_policy"><wsp:ExactlyOne><wsp:All><sp:{kind}><wsp:Policy>'
    '<sp:IssuedToken><sp:Issuer><Address xmlns="{wsa}">{issuer}</Address></sp:Issuer></sp:IssuedToken>'
    "</wsp:Policy></sp:{kind}></wsp:All></wsp:ExactlyOne></wsp:Policy>\n"
)
_PORT = '<wsdl:port name="{name}" binding="tns:{name}"><soap:address location={location}/></wsdl:port>\n'


class MetadataError(ValueError):
    """No WSDL, or without what was looked for."""


@dataclasses.dataclass(frozen=True, slots=True)
class Port:
    """One way to call a service. `issuer`: where the ticket is had that it wants, None for none; `signed`:
    whether the ticket's key must sign."""

    name: str
    location: str
    issuer: str | None = None
    signed: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """A port type with its one operation, and the actions of its messages."""

    port_type: str
    name: str
    action: str
    answer: str


def document(service: str, ports: Sequence[Port], operation: Operation | None = None) -> bytes:
    """The WSDL of `service`."""
    operations = ""
    if operation:
        operations = (
            f'<wsdl:portType name="{operation.port_type}"><wsdl:operation name="{operation.name}">'
            f'<wsdl:input wsaw:Action="{operation.action}"/><wsdl:output wsaw:Action="{operation.answer}"/>'
            "</wsdl:operation></wsdl:portType>\n"
        )
    policies = "".join(
        _POLICY.format(
            port=port.name,
            kind="EndorsingSupportingTokens" if port.signed else "SignedSupportingTokens",
            wsa=WSA,
            issuer=escape(port.issuer),
        )
        for port in ports
        if port.issuer
    )
    return _DOCUMENT.format(
        name=service,
        quoted=quoteattr(service),
        wsdl=WSDL,
        wsdl_soap=WSDL_SOAP,
        wsp=WSP,
        wsu=WSU,
        sp=SP,
        policies=policies,
        operations=operations,
        ports="".join(_PORT.format(name=p.name, location=quoteattr(p.location)) for p in ports),
    ).encode()


def port_location(body: bytes, name: str) -> str:
    """The address of the port `name`. Raises MetadataError."""
    for port in _parse(body).iterfind(f"{{{WSDL}}}service/{{{WSDL}}}port"):
        address = port.find(f"{{{WSDL_SOAP}}}address")
        if port.get("name") == name and address is not None:
            return address.get("location", "")
    raise MetadataError(f"no port {name}")


def ticket_issuer(body: bytes, port: str) -> str:
    """Where the ticket is had that the port's policy asks for. Raises MetadataError."""
    for policy in _parse(body).iterfind(f"{{{WSP}}}Policy"):
        if policy.get(f"{{{WSU}}}Id") == f"{port}_policy":
            for address in policy.iter(f"{{{WSA}}}Address"):
                return (address.text or "").strip()
    raise MetadataError(f"no policy of the port {port} that asks for a ticket")


def _parse(body: bytes) -> ET.Element:
    try:
        return safexml.parse(body)
    except safexml.XmlError as error:
        raise MetadataError(str(error)) from error
