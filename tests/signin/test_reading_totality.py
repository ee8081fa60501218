"""Whatever the bytes: there is a reading, it is bounded, and no secret is in it."""

from __future__ import annotations

import base64
import json
import time
import urllib.parse
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lyncgate.lync import autodiscover, certprov, mcx, wstrust
from lyncgate.lync.stages import Stage
from lyncgate.lync.wstrust import COMPACT_TOKEN, SAML, SAML_TOKEN, TokenRequest, TokenResponse
from lyncgate.signin.facts import LINKS, SETTINGS, VALUE_LIMIT
from lyncgate.signin.keys import Hasher
from lyncgate.signin.reading import Reading, RequestSeen, ResponseSeen, read
from support.changed import changed

HASHER = Hasher(b"k" * 32)
PATHS = (
    "/",
    "/autodiscover/autodiscoverservice.svc/root",
    "/autodiscover/autodiscoverservice.svc/root/user",
    "/webticket/webticketservice.svc",
    "/webticket/oauthtoken",
    "/certprov/certprovisioningservice.svc",
    "/mcx/mcxservice.svc/webticket_bearer",
    "/mcx/mcxservice.svc/poll",
    "/ucwa/v1/applications",
    "/ucwa/v1/applications/1a2b",
    "/ucwa/v1/applications/1a2b/events",
    "/ucwa/v1/applications/1a2b/policies",
    "/ucwa/v1/applications/1a2b/me/callforwardingsettings",
    "/ucwa/v1/applications/1a2b/people/contacts",
    "/groupexpansion/service.svc",
)
MEDIA = (
    *("text/xml", "text/html", "application/json", "application/xml", "text/plain"),
    *(autodiscover.JSON, autodiscover.XML, "application/vnd.microsoft.com.ucwa+xml"),
)
NAMES = (
    *("Authorization", "X-MS-WebTicket", "Cookie", "Set-Cookie", "Location", "WWW-Authenticate", "Warning"),
    *("X-Ms-diagnostics", "Content-Encoding", "Server", "User-Agent", "X-MS-WebTicketURL", "Origin"),
)
values = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            *(b"NTLM", b"NTLM AAAA", b"Negotiate TlRMTVNTUAAB", b"Bearer cwt=x", b"opaque=####", b"gzip"),
            *(b"deflate", b"cwt=", b"opaque=PHg+", b"\xff", b"Basic Og==", b"http://[::1", b'1;reason="'),
        ]
    ),
)
fields = st.lists(st.tuples(st.sampled_from([name.encode() for name in NAMES]), values), max_size=6)

# Documents that are nearly right: JSON of every shape, XML with the right names in the wrong places.
words = st.sampled_from(
    [
        *("_links", "_embedded", "rel", "href", "application", "me", "uri", "contact", "self", "next"),
        *("code", "subcode", "Root", "User", "Links", "token", "AccessLocation", "access_token", "error"),
        *("endpointUri", "voicemailUri", "ms_rtc_passiveauthuri", "Redirect", "redirect", "External"),
    ]
)
values_of_json = st.recursive(
    st.none() | st.booleans() | st.integers() | words | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
elements = st.sampled_from(
    [
        *("Envelope", "Body", "Header", "Fault", "detail", "Error", "InitiateSession", "Command", "resource"),
        *("RequestSecurityTokenResponseCollection", "RequestedSecurityToken", "UserToken", "Assertion"),
        *("GetAndPublishCert", "definitions", "reason", "link", "property", "AutodiscoverResponse", "Root"),
        *("CommandResponse", "Name", "Document", "Session", "InitiateSessionResponse", "Link", "events"),
    ]
)
SPACES = (wstrust.SOAP, wstrust.WST, wstrust.WSSE, SAML, certprov.OCS, mcx.DEFAULT.namespace, "")


def element(name: str, space: str, inner: list[str]) -> str:
    return f'<{name} xmlns="{space}" rel="me" href="/x" code="c">{"".join(inner) or "t"}</{name}>'


documents = st.recursive(
    st.builds(element, elements, st.sampled_from(SPACES), st.just([])),
    lambda inner: st.builds(element, elements, st.sampled_from(SPACES), st.lists(inner, max_size=3)),
    max_leaves=10,
)
bodies = st.one_of(
    st.binary(max_size=400),
    values_of_json.map(lambda value: json.dumps(value).encode()),
    documents.map(str.encode),
)


def reading(
    path: str, media: str, headers: Any, body: bytes, answer_headers: Any, answer: bytes, **request: Any
) -> Reading:
    kind = (b"Content-Type", media.encode())
    return read(
        HASHER,
        RequestSeen(
            **{"method": "POST", "scheme": "https", "host": "lyncdiscover.x", **request},
            path=path,
            headers=[kind, *headers],
            body=body,
        ),
        ResponseSeen(status=200, headers=[kind, *answer_headers], body=answer),
    )


def assert_bounded(seen: Reading) -> None:
    facts = seen.facts
    assert len(facts.links) <= LINKS
    assert len(facts.settings) <= SETTINGS
    assert len(repr(seen)) < 40_000
    texts = [value for pair in (*facts.links, *facts.settings) for value in pair]
    for text in (*texts, facts.title, facts.error, facts.redirect, facts.warning, facts.error_text):
        assert len(text or "") <= VALUE_LIMIT
        assert (text or "").isprintable()


@settings(max_examples=400, deadline=None)
@given(
    path=st.sampled_from(PATHS),
    media=st.sampled_from(MEDIA),
    headers=fields,
    body=bodies,
    answer_headers=fields,
    answer=bodies,
    target=st.binary(max_size=60),
    method=st.sampled_from(["GET", "POST", "_other"]),
)
def test_nothing_makes_it_fail(path: str, media: str, headers: Any, body: bytes, **rest: Any) -> None:
    seen = reading(path, media, headers, body, rest.pop("answer_headers"), rest.pop("answer"), **rest)
    assert seen.stage is None or isinstance(seen.stage, Stage)
    assert_bounded(seen)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), cut=st.integers(0, 600), flips=st.lists(st.integers(0, 600), max_size=3))
def test_real_messages_cut_and_damaged(data: st.DataObject, cut: int, flips: list[int]) -> None:
    path, body, answer = data.draw(st.sampled_from(messages("A" * 20)))
    damaged = bytearray(answer[: cut or None])
    for flip in flips:
        if damaged:
            damaged[flip % len(damaged)] ^= 0x55
    assert_bounded(reading(path, "text/xml", [], body[:cut], [], bytes(damaged)))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"a":' * 12_000,
        b"<a>" * 20_000,
        b"1" * 60_000,
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b"<title" * 10_000,
        b"<NameIdentifier" * 4_000,
        b"AssertionID = " * 4_000,
    ],
    ids=lambda body: str(body[:12]),
)
@pytest.mark.parametrize("media", ["application/json", "text/xml", "text/html"])
def test_costly_bodies_take_no_time(body: bytes, media: str) -> None:
    shown = [(b"X-MS-WebTicket", b"opaque=" + base64.b64encode(body[:40_000]))]
    began = time.process_time()
    for path in ("/ucwa/v1/applications/1/events", "/webticket/webticketservice.svc", "/"):
        reading(path, media, shown, body, [(b"WWW-Authenticate", body[:8000])], body)
    assert time.process_time() - began < 1.0


# -- secrets ------------------------------------------------------------------------------------------


def messages(secret: str) -> list[tuple[str, bytes, bytes]]:
    """Path, request and answer; the secret stands in every place where one can."""
    assertion = f'<saml:Assertion xmlns:saml="{SAML}" AssertionID="{secret}"><x>{secret}</x></saml:Assertion>'
    saml = TokenResponse("c", SAML_TOKEN, assertion, "2026-01-01T00:00:00Z", "2026-01-01T08:00:00Z")
    compact = changed(saml, token_type=COMPACT_TOKEN, token=f"cwt={secret}")
    session = mcx.SessionInitiated(secret, 900, 1, "Global", "global", {"EnableMobility": "true"})
    asked = certprov.Provisioning("alice@contoso.example", "{A}", secret.encode())
    login = TokenRequest().document(wstrust.username_token("alice", secret))
    oauth = urllib.parse.urlencode({"grant_type": "password", "username": "alice", "password": secret})
    return [
        ("/webticket/webticketservice.svc", login, saml.document()),
        ("/webticket/webticketservice.svc", login, compact.document()),
        ("/webticket/oauthtoken", oauth.encode(), json.dumps({"access_token": f"cwt={secret}"}).encode()),
        ("/webticket/oauthtoken", oauth.encode(), json.dumps({"access_token": secret}).encode()),
        ("/certprov/certprovisioningservice.svc/p", asked.document(saml, b"k" * 32, "https://x/"), b""),
        (
            "/mcx/mcxservice.svc/webticket_bearer",
            mcx.encode(mcx.SubscribePush(secret, "MPNS", secret)),
            mcx.encode(session),
        ),
        (
            f"/ucwa/v1/applications/{secret.lower()}/me",
            json.dumps({"password": secret}).encode(),
            json.dumps({"rel": "application", "_links": {"self": {"href": f"/ucwa/x/{secret}"}}}).encode(),
        ),
    ]


secrets_ = st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=24)


@settings(max_examples=60, deadline=None)
@given(secret=secrets_.filter(lambda secret: len(secret) < 60))
def test_no_secret_is_told(secret: str) -> None:
    encoded = base64.b64encode(f"alice:{secret}".encode()).decode()
    ticket = base64.b64encode(f'<Assertion AssertionID="{secret}"/>'.encode()).decode()
    credentials = [
        *(f"Basic {encoded}", f"Bearer {secret}", f"Bearer cwt={secret}", f"NTLM {encoded}", secret),
    ]
    for credential in credentials:
        for path, body, answer in messages(secret):
            for media in ("text/xml", "application/json"):
                seen = reading(
                    path,
                    media,
                    [
                        (b"Authorization", credential.encode()),
                        (b"Cookie", f"a={secret}; {secret}".encode()),
                        (b"X-MS-WebTicket", f"opaque={ticket}".encode()),
                    ],
                    body,
                    [
                        (b"Set-Cookie", f"a={secret}; path=/".encode()),
                        (b"Set-Cookie", secret.encode()),
                        (b"WWW-Authenticate", f"NTLM {encoded}".encode()),
                        (b"Location", f"https://u:{secret}@x/?{secret}#{secret}".encode()),
                        (b"X-MS-WebTicketURL", f"https://u:{secret}@x/?{secret}".encode()),
                    ],
                    answer,
                    target=f"/x?session={secret}&ack=1&timeout=2&sipuri=alice@contoso.example".encode(),
                )
                told = repr(seen).lower()
                assert secret.lower() not in told
                assert encoded.lower() not in told
                assert ticket.lower() not in told


def test_what_was_seen_does_not_show_itself() -> None:
    """In a traceback or a log, for instance."""
    request = RequestSeen(
        method="GET",
        scheme="https",
        host="x",
        path="/",
        target=b"/?secret",
        headers=[(b"Authorization", b"secret")],
        body=b"secret",
    )
    response = ResponseSeen(status=200, headers=[(b"Set-Cookie", b"secret")], body=b"secret")
    assert "secret" not in repr((request, response))
