"""What an exchange's headers and body said, as far as a sign-in's story needs it, and no secret.

Taken while the body passes by (see `signin.reading`); bodies themselves are never kept.
"""

from __future__ import annotations

import enum

import msgspec

LINKS = 24
SETTINGS = 48
VALUE_LIMIT = 160  # characters of a setting's value or a link


class Document(enum.StrEnum):
    """What kind of answer it was."""

    ROOT = "root"  # autodiscover root with links
    REDIRECT = "redirect"  # autodiscover answer with a Redirect token
    USER = "user"  # autodiscover user document
    DOMAIN = "domain"
    MEX = "mex"  # WS-MetadataExchange
    TICKET = "ticket"  # a web ticket was issued
    CERTIFICATE = "certificate"  # a client certificate was issued
    APPLICATION = "application"  # a UCWA application or MCX session was made
    EVENTS = "events"  # an answer to a poll
    FAULT = "fault"  # SOAP fault or UCWA error: see `error`
    HTML = "html"
    OTHER = "other"


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Absent: None, or empty. URLs are without query and credentials."""

    # SOAP operation of the request: `InitiateSession`, `RequestSecurityToken`; a command of MCX by its own
    # name: `GetProvisioning`; a request to oauthtoken by its grant type: `password`
    operation: str | None = None
    document: Document | None = None
    access_location: str | None = None  # `Internal` or `External`
    links: tuple[tuple[str, str], ...] = ()  # (token, URL) of an autodiscover document
    redirect: str | None = None  # URL of Location or of the Redirect token
    content_type: str | None = None  # media type of the answer, lower case, no parameters
    framing: str | None = None  # of the answer's body: `length`, `chunked` or `close`
    auth_offered: tuple[str, ...] = ()  # schemes of WWW- or Proxy-Authenticate, in order: `NTLM`
    auth_used: str | None = None  # scheme of the request's Authorization: `NTLM`
    ticket: str | None = None  # form of the web ticket that the request shows: `cwt`, `saml` or `other`
    ntlm: int | None = None  # type of the request's NTLM message: 1 or 3
    ntlm_challenge: bool = False  # the answer has a type 2
    authentication_urls: tuple[str, ...] = ()  # X-MS-WebTicketURL, MsRtcOAuth href, ms_rtc_passiveauthuri
    diagnostics: int | None = None  # code of X-Ms-diagnostics: 28000 …
    diagnostics_text: str | None = None
    warning: str | None = None  # text of Warning, no tokens
    error: str | None = None  # UCWA subcode, SOAP fault code or OAuth error: `ApplicationNotFound`
    error_text: str | None = None  # what the server says beside `error`, for a person
    title: str | None = None  # of an HTML page
    cookies: tuple[str, ...] = ()  # Set-Cookie without values: `MS-WSMAN=; path=/; HttpOnly`
    cookies_sent: tuple[str, ...] = ()  # names only
    settings: tuple[tuple[str, str], ...] = ()  # mobility policy and provisioning: (name, value)
    contacts: int | None = None  # how many the answer listed
    upstream: str | None = None  # id of the upstream connection that carried it
    header_server: str | None = None  # Server field of the answer, cut
    origin_sent: bool = False  # the request has an Origin: a web application's


NO_FACTS = Facts()
