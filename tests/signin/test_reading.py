"""What reading makes of exchanges: samples are built by the codecs that the lab's servers and phones use."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import zlib
from typing import Any

import pytest

from lyncgate.lync import autodiscover, certprov, contacts, mcx, mex, provisioning, wstrust
from lyncgate.lync.stages import Stage
from lyncgate.lync.wstrust import COMPACT_TOKEN, SAML, SAML_TOKEN, URI_CLAIM, TokenRequest, TokenResponse
from lyncgate.signin.exchange import Kind
from lyncgate.signin.facts import Document
from lyncgate.signin.keys import Hasher
from lyncgate.signin.reading import Reading, RequestSeen, ResponseSeen, read
from lyncgate.signin.soap import kept

HASHER = Hasher(b"k" * 32)
HOST = "lyncweb.contoso.example"
TICKET_SERVICE = "/webticket/webticketservice.svc"
UCWA = "/ucwa/v1/applications"
MCX = "/mcx/mcxservice.svc/webticket_bearer"
CWT = "cwt=AAEBHAEFAAAAAAAFFQAAAPk1.c2VjcmV0"
ASSERTION = (
    f'<saml:Assertion xmlns:saml="{SAML}" MajorVersion="1" AssertionID="SamlSecurityToken-1234" Issuer="x">'
    f'<saml:Subject><saml:NameIdentifier Format="{URI_CLAIM}">sip:Alice@contoso.example'
    "</saml:NameIdentifier></saml:Subject></saml:Assertion>"
)


def said(seen: Reading) -> tuple[object, ...]:
    """All of it, to be compared."""
    return seen.keys, seen.facts, seen.stage, seen.kind


def fields(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in values.items()]


def exchange(
    path: str,
    *,
    method: str = "GET",
    host: str = HOST,
    scheme: str = "https",
    target: str = "",
    headers: list[tuple[bytes, bytes]] | None = None,
    body: bytes = b"",
    status: int | None = 200,
    answer: bytes = b"",
    answer_headers: list[tuple[bytes, bytes]] | None = None,
    **options: Any,
) -> Reading:
    request = RequestSeen(
        method=method,
        scheme=scheme,
        host=host,
        path=path,
        target=(target or path).encode(),
        headers=headers or [],
        body=body,
    )
    response = None
    if status is not None:
        response = ResponseSeen(status=status, headers=answer_headers or [], body=answer)
    return read(HASHER, request, response, **options)


def soap(path: str, body: bytes, answer: bytes = b"", status: int = 200, **more: Any) -> Reading:
    return exchange(
        path,
        method="POST",
        body=body,
        status=status,
        answer=answer,
        answer_headers=fields(Content_Type="text/xml; charset=utf-8"),
        **more,
    )


def ntlm_message(number: int, user: str = "", domain: str = "") -> str:
    """A type 1, 2 or 3 message with no more in it than names."""
    names = [domain.encode("utf-16-le"), user.encode("utf-16-le")]
    place = [
        struct.pack("<HHI", len(n), len(n), at) for n, at in zip(names, (64, 64 + len(names[0])), strict=True)
    ]
    none = struct.pack("<HHI", 0, 0, 64)
    head = b"NTLMSSP\0" + struct.pack("<I", number) + none + none + place[0] + place[1] + none + none
    return base64.b64encode(head + struct.pack("<I", 1) + names[0] + names[1]).decode()


# -- discovery ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("media", [autodiscover.JSON, autodiscover.XML])
def test_a_root_document_says_its_location_and_links(media: str) -> None:
    document = autodiscover.root_document(
        autodiscover.service_links(HOST, b"sipuri=alice@contoso.example"), media.encode()
    )
    seen = exchange(
        "/",
        host="lyncdiscover.contoso.example",
        target="/?sipuri=sip%3AAlice%40contoso.example",
        answer=document.body,
        answer_headers=fields(Content_Type=document.content_type),
        connection="c1",
        client="192.0.2.1",
    )
    assert seen.stage is Stage.DISCOVER
    assert seen.facts.document is Document.ROOT
    assert seen.facts.access_location == "External"
    assert dict(seen.facts.links)["User"] == f"https://{HOST}/Autodiscover/AutodiscoverService.svc/root/user"
    assert seen.facts.content_type == media.partition(";")[0]
    assert (seen.keys.user, seen.keys.connection, seen.keys.client) == (
        "alice@contoso.example",
        "c1",
        "192.0.2.1",
    )


def test_over_http_a_redirect_document_is_the_turn_to_https() -> None:
    document = autodiscover.root_document(
        autodiscover.redirect_links("https://user:pw@lyncdiscover.contoso.example/?sipuri=a@b.c"), b""
    )
    options = {
        "host": "lyncdiscover.contoso.example",
        "answer": document.body,
        "answer_headers": fields(Content_Type=document.content_type),
    }
    plain = exchange("/", scheme="http", **options)
    assert (plain.stage, plain.facts.document) == (Stage.REDIRECT, Document.REDIRECT)
    assert plain.facts.redirect == "https://lyncdiscover.contoso.example/"
    assert exchange("/", **options).stage is Stage.DISCOVER


def test_a_redirect_by_status() -> None:
    seen = exchange(
        "/",
        host="lyncdiscover.contoso.example",
        scheme="http",
        status=301,
        answer_headers=fields(Location="http://www.fabrikam.example/a?ticket=x#y"),
    )
    assert (seen.stage, seen.facts.redirect) == (Stage.DISCOVER, "http://www.fabrikam.example/a")


@pytest.mark.parametrize(
    ("below", "kind"), [("user", Document.USER), ("oauth/user", Document.USER), ("domain", Document.DOMAIN)]
)
def test_user_and_domain_documents(below: str, kind: Document) -> None:
    make = autodiscover.domain_document if kind is Document.DOMAIN else autodiscover.user_document
    links = autodiscover.user_links(HOST, "pool01.contoso.local")
    arguments: tuple[Any, ...] = (links, b"") if kind is Document.DOMAIN else (links, None, b"")
    document = make(*arguments)
    seen = exchange(
        f"/autodiscover/autodiscoverservice.svc/root/{below}",
        answer=document.body,
        answer_headers=fields(Content_Type=document.content_type),
    )
    assert (seen.stage, seen.facts.document) == (Stage.LOCATE, kind)
    assert ("External/Ucwa", f"https://{HOST}/ucwa/v1/applications") in seen.facts.links


def test_a_document_spoiled_on_the_way_is_none() -> None:
    document = autodiscover.root_document(autodiscover.service_links(HOST, None), autodiscover.XML.encode())
    seen = exchange(
        "/",
        host="lyncdiscover.contoso.example",
        answer=document.body,
        answer_headers=fields(Content_Type="text/xml"),
    )
    assert seen.facts.document is Document.OTHER
    assert (seen.facts.content_type, seen.facts.framing, seen.facts.links) == ("text/xml", "close", ())


def test_a_log_on_page_in_place_of_a_document() -> None:
    page = b"<html><head><TITLE>\n Log on\n</TITLE></head></html>"
    seen = exchange(
        "/",
        host="lyncdiscover.contoso.example",
        answer=page,
        answer_headers=fields(Content_Type="text/html; charset=utf-8", Server="Microsoft-IIS/8.5"),
    )
    assert (seen.facts.document, seen.facts.title) == (Document.HTML, "Log on")
    assert seen.facts.header_server == "Microsoft-IIS/8.5"


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body)[2:-4]),
    ],
)
def test_compressed_documents_are_read(encoding: str, encode: Any) -> None:
    document = autodiscover.root_document(autodiscover.service_links(HOST, None), b"")
    seen = exchange(
        "/",
        host="lyncdiscover.contoso.example",
        answer=encode(document.body),
        answer_headers=fields(Content_Type=document.content_type, Content_Encoding=encoding),
    )
    assert seen.facts.document is Document.ROOT


def test_a_bomb_is_inflated_no_further_than_its_bound() -> None:
    seen = exchange(
        "/",
        host="lyncdiscover.contoso.example",
        answer=gzip.compress(b" " * 200_000_000),
        answer_headers=fields(Content_Type=autodiscover.JSON, Content_Encoding="gzip"),
    )
    assert seen.facts.document is Document.OTHER


# -- header fields ------------------------------------------------------------------------------------


def test_what_is_offered_and_where_tickets_are_had() -> None:
    headers = [
        (b"WWW-Authenticate", b'Bearer trusted_issuers="1@x, 2@y", client_id="3"'),
        (
            b"WWW-Authenticate",
            b'MsRtcOAuth href="https://lyncweb.contoso.example/WebTicket/oauthtoken?a=b",grant_type="password,x"',
        ),
        (b"WWW-Authenticate", b"Negotiate,NTLM"),
        (b"X-MS-WebTicketURL", b"https://lyncweb.contoso.example/WebTicket/WebTicketService.svc"),
    ]
    facts = exchange(UCWA, status=401, answer_headers=headers).facts
    assert facts.auth_offered == ("Bearer", "MsRtcOAuth", "Negotiate", "NTLM")
    assert facts.authentication_urls == (
        "https://lyncweb.contoso.example/WebTicket/WebTicketService.svc",
        "https://lyncweb.contoso.example/WebTicket/oauthtoken",
    )
    assert (facts.auth_used, facts.ntlm, facts.ntlm_challenge) == (None, None, False)


def test_the_three_steps_of_ntlm() -> None:
    first = exchange(
        TICKET_SERVICE,
        method="POST",
        headers=fields(Authorization=f"NTLM {ntlm_message(1)}"),
        status=401,
        answer_headers=fields(WWW_Authenticate=f"NTLM {ntlm_message(2)}"),
    )
    assert (first.facts.ntlm, first.facts.ntlm_challenge, first.facts.auth_offered) == (1, True, ("NTLM",))
    last = exchange(
        TICKET_SERVICE,
        method="POST",
        headers=fields(Authorization=f"NTLM {ntlm_message(3, 'alice', 'CONTOSO')}"),
    )
    assert (last.facts.ntlm, last.facts.auth_used, last.keys.account) == (3, "NTLM", "CONTOSO\\alice")


def test_diagnostics_and_warning() -> None:
    headers = fields(
        X_Ms_diagnostics='28055;source="fe01";reason="The OAuth token is invalid.";faultcode="w"',
        Warning='120 fe01.contoso.local "InvalidToken"',
    )
    facts = exchange(UCWA, status=403, answer_headers=headers).facts
    assert (facts.diagnostics, facts.diagnostics_text) == (28055, "The OAuth token is invalid.")
    assert facts.warning == "InvalidToken"


def test_cookies_have_no_values() -> None:
    facts = exchange(
        UCWA,
        headers=fields(Cookie="MS-WSMAN=secret1; a=secret2; secret3", Origin="https://app.example"),
        answer_headers=[
            (b"Set-Cookie", b"MS-WSMAN=secret4; path=/; HttpOnly"),
            (b"Set-Cookie", b"secret5; path=/"),
        ],
    ).facts
    assert facts.cookies == ("MS-WSMAN=; path=/; HttpOnly",)
    assert facts.cookies_sent == ("MS-WSMAN", "a")
    assert facts.origin_sent


# -- tickets ------------------------------------------------------------------------------------------


def issued(token_type: str, token: str) -> Reading:
    wanted = TokenRequest("c1", token_type, "https://x/", ((URI_CLAIM, "sip:alice@contoso.example"),))
    answer = TokenResponse("c1", token_type, token, "2026-01-01T00:00:00Z", "2026-01-01T08:00:00Z")
    return soap(TICKET_SERVICE, wanted.document(), answer.document())


def test_a_compact_ticket_has_one_key_everywhere() -> None:
    seen = issued(COMPACT_TOKEN, CWT)
    assert (seen.facts.operation, seen.facts.document) == ("RequestSecurityToken", Document.TICKET)
    assert seen.keys.user == "alice@contoso.example"
    key = seen.keys.tickets
    assert key == (HASHER(CWT),)
    assert exchange(UCWA, headers=fields(X_MS_WebTicket=CWT)).keys.tickets == key
    bearer = exchange(UCWA, headers=fields(Authorization=f"Bearer {CWT}"))
    assert (bearer.keys.tickets, bearer.facts.ticket, bearer.facts.auth_used) == (key, "cwt", "Bearer")
    by_oauth = exchange(
        "/webticket/oauthtoken",
        method="POST",
        body=b"grant_type=password&username=alice%40contoso.example&password=Top%20Secret",
        answer=json.dumps({"access_token": CWT, "token_type": "Bearer"}).encode(),
        answer_headers=fields(Content_Type="application/json; charset=utf-8"),
    )
    assert (by_oauth.keys.tickets, by_oauth.keys.account) == (key, "alice@contoso.example")
    assert (by_oauth.facts.operation, by_oauth.facts.document) == ("password", Document.TICKET)


def test_an_assertion_has_one_key_however_it_is_written() -> None:
    seen = issued(SAML_TOKEN, ASSERTION)
    key = seen.keys.tickets
    assert len(key) == 1
    other = ASSERTION.replace("saml:", "s:").replace("xmlns:saml", "xmlns:s")
    shown = base64.b64encode(other.encode()).decode()
    by_header = exchange(UCWA, headers=fields(X_MS_WebTicket=f"opaque={shown}"))
    assert (by_header.keys.tickets, by_header.facts.ticket) == (key, "saml")
    assert by_header.keys.user == "alice@contoso.example"
    ticket = TokenResponse("", SAML_TOKEN, ASSERTION, "2026-01-01T00:00:00Z", "2026-01-01T08:00:00Z")
    asked = certprov.Provisioning("alice@contoso.example", "{A-B}", b"request")
    by_soap = soap(
        "/certprov/certprovisioningservice.svc/webticket_proof",
        asked.document(ticket, b"k" * 32, "https://x/"),
        asked.answer(b"certificate"),
    )
    assert (by_soap.keys.tickets, by_soap.keys.user, by_soap.keys.endpoint) == (
        key,
        "alice@contoso.example",
        "a-b",
    )
    assert (by_soap.stage, by_soap.facts.document) == (Stage.CERTIFICATE, Document.CERTIFICATE)


def test_a_password_in_soap_leaves_its_name_only() -> None:
    body = TokenRequest().document(wstrust.username_token("alice@contoso.example", "Top Secret"))
    seen = soap(f"{TICKET_SERVICE}/auth", body, wstrust.fault("FailedAuthentication", "Wrong."), 500)
    assert seen.keys.account == "alice@contoso.example"
    assert (seen.facts.document, seen.facts.error) == (Document.FAULT, "FailedAuthentication")
    assert "Secret" not in repr(seen)


def test_metadata() -> None:
    wsdl = mex.document("WebTicketService", [mex.Port("p", "https://x/")])
    assert soap(f"{TICKET_SERVICE}/mex", b"", wsdl).facts.document is Document.MEX


def test_why_oauth_gives_no_token() -> None:
    answer = {
        "error": "invalid_grant",
        "ms_rtc_passiveauthuri": f"https://{HOST}/PassiveAuth/PassiveAuth.aspx?wa=1",
    }
    facts = exchange(
        "/webticket/oauthtoken",
        method="POST",
        body=b"grant_type=urn%3Amicrosoft.rtc%3Apassive",
        status=400,
        answer=json.dumps(answer).encode(),
        answer_headers=fields(Content_Type="application/json"),
    ).facts
    assert (facts.operation, facts.error) == ("urn:microsoft.rtc:passive", "invalid_grant")
    assert facts.authentication_urls == (f"https://{HOST}/PassiveAuth/PassiveAuth.aspx",)


# -- UCWA ---------------------------------------------------------------------------------------------


def resource(path: str, value: Any, *, status: int = 200, method: str = "GET", **more: Any) -> Reading:
    return exchange(
        path,
        method=method,
        status=status,
        answer=json.dumps(value).encode(),
        answer_headers=fields(Content_Type="application/json; charset=utf-8"),
        **more,
    )


def test_an_application_and_what_is_below_it_share_a_key() -> None:
    made = resource(
        UCWA,
        {
            "rel": "application",
            "_links": {"self": {"href": f"{UCWA}/1A2b"}},
            "_embedded": {
                "me": {
                    "uri": "sip:alice@contoso.example",
                    "endpointUri": "sip:alice@contoso.example;opaque=user:epid:AbC123;gruu",
                }
            },
        },
        status=201,
        method="POST",
        headers=fields(Content_Type="application/json"),
        body=b'{"UserAgent": "a", "EndpointId": "11-22"}',
    )
    assert (made.stage, made.facts.document) == (Stage.REGISTER, Document.APPLICATION)
    assert (made.keys.user, made.keys.endpoint) == ("alice@contoso.example", "abc123")
    poll = resource(f"{UCWA}/1a2b/events", {"_links": {"next": {"href": "x"}}})
    assert (poll.stage, poll.kind, poll.facts.document) == (Stage.NOTIFICATIONS, Kind.POLL, Document.EVENTS)
    assert made.keys.application is not None
    assert poll.keys.application == made.keys.application
    assert exchange(f"{UCWA}/1a2b/events", status=None).keys.application == made.keys.application


def test_a_refused_application_names_its_endpoint() -> None:
    refused = resource(
        UCWA,
        {"code": "Forbidden", "subcode": "None", "message": "No."},
        status=403,
        method="POST",
        headers=fields(Content_Type="application/xml"),
        body=b'<input><property name="endpointId">11-22</property></input>',
    )
    assert (refused.stage, refused.facts.error) == (Stage.MOBILITY_POLICY, "Forbidden")
    assert refused.facts.error_text == "No."
    assert refused.keys.endpoint == "11-22"


@pytest.mark.parametrize("status", [404, 409, 410])
def test_an_error_of_ucwa_in_xml(status: int) -> None:
    seen = exchange(
        f"{UCWA}/1a2b/events",
        status=status,
        answer=b"<reason xmlns='x'><code>NotFound</code><subcode>ApplicationNotFound</subcode></reason>",
        answer_headers=fields(Content_Type="application/vnd.microsoft.com.ucwa+xml"),
    )
    assert (seen.facts.document, seen.facts.error) == (Document.FAULT, "ApplicationNotFound")
    assert seen.stage is Stage.NOTIFICATIONS


def test_policies_call_forwarding_and_contacts() -> None:
    policies = resource(
        f"{UCWA}/1a/policies",
        {"rel": "policies", "telephonyMode": "Uc", "voicemailUri": "sip:a@b;opaque=app:x"},
    )
    assert policies.stage is Stage.MOBILITY_POLICY
    assert dict(policies.facts.settings) == {"telephonyMode": "Uc", "voicemail": "sip:a@b;opaque=app:x"}
    path = f"{UCWA}/1a/me/callforwardingsettings"
    forwarding = resource(path, {"_embedded": {"simultaneousRingSettings": {"target": "None"}}})
    assert (forwarding.stage, forwarding.facts.settings) == (
        Stage.PROVISIONING,
        (("simultaneous ring", "true"),),
    )
    assert resource(path, {"code": "Forbidden", "subcode": "None"}, status=403).stage is None
    listed = resource(f"{UCWA}/1a/people/contacts", {"_embedded": {"contact": [{}, {}, {}]}})
    assert (listed.stage, listed.facts.contacts) == (Stage.READY, 3)


# -- MCX ----------------------------------------------------------------------------------------------

SESSION = mcx.SessionInitiated("s1", 900, 1, "Tag:Global", "global", {"EnableMobility": "true"})


def operation(request: mcx.Request, answer: mcx.Answer | mcx.Fault) -> Reading:
    status = answer.status if isinstance(answer, mcx.Fault) else 200
    return soap(MCX, mcx.encode(request), mcx.encode(answer), status, headers=fields(X_MS_WebTicket=CWT))


def test_a_session_of_mcx() -> None:
    made = operation(mcx.InitiateSession("WindowsPhone", "E1-2", "phone"), SESSION)
    assert (made.stage, made.facts.operation, made.facts.document) == (
        Stage.REGISTER,
        "InitiateSession",
        Document.APPLICATION,
    )
    assert dict(made.facts.settings) == {
        "mobility policy": "Tag:Global",
        "mobility policy scope": "global",
        "EnableMobility": "true",
    }
    assert made.keys.endpoint == "e1-2"
    poll = operation(mcx.GetNextEvents("s1", 1, 30), mcx.Events(2))
    assert (poll.stage, poll.kind, poll.facts.document) == (Stage.NOTIFICATIONS, Kind.POLL, Document.EVENTS)
    assert poll.keys.application == made.keys.application
    assert poll.keys.tickets == made.keys.tickets == (HASHER(CWT),)
    by_get = exchange(
        "/mcx/mcxservice.svc/poll", target="/Mcx/McxService.svc/Poll?session=s1&ack=1&timeout=9"
    )
    assert (by_get.keys.application, by_get.kind) == (made.keys.application, Kind.POLL)


def test_stages_of_mcx_are_those_of_its_operations() -> None:
    buddies = contacts.ContactList(contacts=(contacts.Contact("bob@contoso.example", "Bob", ()),) * 2)
    listed = operation(
        mcx.Command("s1", "GetContacts"),
        mcx.CommandDone("GetContacts", contacts.roaming_document(buddies).decode()),
    )
    assert (listed.stage, listed.facts.contacts, listed.facts.operation) == (Stage.READY, 2, "GetContacts")
    pushed = operation(mcx.SubscribePush("s1", "MPNS", "token"), mcx.PushSubscribed("sip:push@push.lync.com"))
    assert pushed.stage is Stage.NOTIFICATIONS
    assert operation(mcx.TerminateSession("s1"), mcx.SessionTerminated()).stage is None


def test_provisioning_by_mcx() -> None:
    told = provisioning.Provisioning(
        {
            provisioning.Group.SERVER: {
                "voiceMailUri": "sip:alice@contoso.example;opaque=app:voicemail",
                "absExternalServerUrl": f"https://{HOST}/abs/handler?x=1",
            },
            provisioning.Group.VOICE: {"AllowCallForwarding": "true", "EnableTeamCall": "false"},
        }
    )
    answer = mcx.CommandDone("GetProvisioning", provisioning.document(told).decode())
    seen = operation(mcx.Command("s1", "GetProvisioning"), answer)
    assert seen.stage is Stage.PROVISIONING
    assert dict(seen.facts.settings) == {
        "voicemail": "sip:alice@contoso.example;opaque=app:voicemail",
        "call forwarding": "true",
        "team call": "false",
        "address book": f"https://{HOST}/abs/handler",
    }


@pytest.mark.parametrize(
    ("code", "stage"), [("MobilityDisabled", Stage.MOBILITY_POLICY), ("RegistrationFailed", Stage.REGISTER)]
)
def test_faults_of_mcx(code: str, stage: Stage) -> None:
    seen = operation(mcx.InitiateSession("WindowsPhone", "e", "phone"), mcx.Fault(code, "No."))
    assert (seen.stage, seen.facts.error, seen.facts.document) == (stage, code, Document.FAULT)
    assert seen.facts.error_text == "No."


def test_a_request_for_a_ticket_that_comes_again_is_read_as_before() -> None:
    """NTLM's three legs have the same body, which is kept from the first to the last."""
    body = TokenRequest("c1", COMPACT_TOKEN, f"https://{HOST}/", ((URI_CLAIM, "sip:Alice@contoso.example"),))
    first, again = (soap(TICKET_SERVICE, body.document()) for _ in range(2))
    assert said(first) == said(again)
    assert (again.keys.user, again.facts.operation) == ("alice@contoso.example", "RequestSecurityToken")
    assert body.document() in kept
    elsewhere = soap(MCX, body.document())
    assert elsewhere.keys.user is None, "there it is no request for a ticket"


@pytest.mark.parametrize(
    "header", ["<Password>s3cret</Password>", '<w:Security xmlns:w="u">s3cret</w:Security>', "cwt=s3cret"]
)
def test_a_request_for_a_ticket_with_a_secret_in_it_is_not_kept(header: str) -> None:
    asked = TokenRequest("c2", COMPACT_TOKEN, f"https://{HOST}/").document()
    if header.startswith("cwt="):
        header = f"<UserToken>{header}</UserToken>"
    body = asked.replace(b"<s:Body>", f"<s:Header>{header}</s:Header><s:Body>".encode())
    assert b"s3cret" in body
    assert soap(TICKET_SERVICE, body).facts.operation == "RequestSecurityToken"
    assert body not in kept


def test_of_fields_that_are_there_twice_the_first_counts() -> None:
    twice = [(b"Server", b"one"), (b"SERVER", b"two"), (b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2")]
    facts = exchange("/webticket/x", answer_headers=twice).facts
    assert (facts.header_server, facts.cookies) == ("one", ("a=", "b="))


def test_names_that_somebody_has_lowered_already_are_taken() -> None:
    headers = fields(Content_Type="text/html", Server="IIS")
    answers = [
        ResponseSeen(status=200, headers=headers, names=names, body=b"<title>T</title>")
        for names in (None, [name.lower() for name, _ in headers])
    ]
    request = RequestSeen(method="GET", scheme="https", host=HOST, path="/webticket/x")
    plainly, lowered = (read(HASHER, request, answer) for answer in answers)
    assert said(plainly) == said(lowered)
    assert (lowered.facts.header_server, lowered.facts.title) == ("IIS", "T")
