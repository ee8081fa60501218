"""Secrets are removed in every form, equality is kept, and what is left can still be read."""

import base64
import json
import re
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync import certprov, ntlm, wstrust
from lyncgate.lync.wstrust import SAML, URI_CLAIM
from lyncgate.signin.keys import Hasher
from lyncgate.signin.reading import RequestSeen, ResponseSeen, read
from lyncgate.signin.redact import Redactor

HASHER = Hasher(b"k" * 16)
REDACTOR = Redactor(HASHER)
SECRET = "Wq7x9ZkT2mB4vN8sL1cR5yH3dF6gJ0pAeUiO"  # 36 characters: too short to be found by its looks
CWT = f"cwt={SECRET}.{'0f' * 16}"
ASSERTION = (
    f'<saml:Assertion MajorVersion="1" AssertionID="Saml-{SECRET}" Issuer="x" xmlns:saml="{SAML}">'
    f'<saml:Subject><saml:NameIdentifier Format="{URI_CLAIM}">sip:alice@contoso.example</saml:NameIdentifier>'
    f"<e:CipherValue>{SECRET}</e:CipherValue></saml:Subject>"
    f"<ds:SignatureValue>{SECRET}</ds:SignatureValue></saml:Assertion>"
)
OPAQUE = "opaque=" + base64.b64encode(ASSERTION.encode()).decode()


def type_3():
    """An NTLM message with the secret as its responses and session key."""
    names = [name.encode("utf-16-le") for name in ("CONTOSO", "alice", "PHONE")]
    proof = SECRET.encode()
    parts = [proof, proof, *names, proof]
    at, places = 64, b""
    for part in parts:
        places += len(part).to_bytes(2, "little") * 2 + at.to_bytes(4, "little")
        at += len(part)
    message = b"NTLMSSP\0" + (3).to_bytes(4, "little") + places + (1).to_bytes(4, "little") + b"".join(parts)
    return base64.b64encode(message).decode()


TYPE_2 = base64.b64encode(b"NTLMSSP\0\2\0\0\0" + bytes(12) + SECRET.encode()).decode()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", f"Bearer {CWT}"),
        ("Authorization", f"Bearer {SECRET}"),
        ("Authorization", f"NTLM {type_3()}"),
        ("authorization", f"Negotiate {type_3()}"),
        ("Authorization", SECRET),
        ("Authorization", "Basic " + base64.b64encode(f"alice:{SECRET}".encode()).decode()),
        ("Authorization", f'TLS-DSK qop="auth", gssapi-data="{SECRET}", cnum="1"'),
        ("Authorization", f'Digest username="alice", response="{SECRET}"'),
        ("Proxy-Authorization", f"Basic {SECRET}"),
        ("X-MS-WebTicket", CWT),
        ("X-MS-WebTicket", OPAQUE),
        ("X-MS-WebTicket", SECRET),
        ("Cookie", f"a=1; MS-WSMAN={SECRET}; {SECRET}"),
        ("Set-Cookie", f"MS-WSMAN={SECRET}; path=/; HttpOnly"),
        ("WWW-Authenticate", f"NTLM {TYPE_2}"),
        ("WWW-Authenticate", f"Negotiate {SECRET}"),
        ("Location", f"https://lyncweb.contoso.example/x?ticket={SECRET}"),
        ("Referer", f"https://lyncweb.contoso.example/?access_token={SECRET}&x=1"),
    ],
)
def test_headers(name, value):
    assert leaks(value)
    safe = REDACTOR.field(name, value)
    assert not leaks(safe)
    assert REDACTOR.field(name, safe) == safe, "twice is once"
    assert REDACTOR.fields([(name.encode(), value.encode())]) == ((name.encode(), safe.encode()),)


def leaks(text):
    """Whether the secret is in there, as it is or in Base64, as in a message of NTLM or an assertion."""
    encoded = re.findall(r"[A-Za-z0-9+/]{20,}", text)
    decoded = [base64.b64decode(word + "=" * (-len(word) % 4)) for word in encoded if len(word) % 4 != 1]
    return SECRET in text or any(SECRET.encode() in one for one in decoded)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (
            "text/xml",
            wstrust.envelope("<a/>", f"<Security>{wstrust.username_token('alice', SECRET)}</Security>"),
        ),
        ("text/xml", f"<w:Password w:Type='x'><![CDATA[{SECRET}]]></w:Password>"),
        ("text/xml; charset=utf-8", f"<t:RequestedSecurityToken>{ASSERTION}</t:RequestedSecurityToken>"),
        ("text/xml", ASSERTION[:-60]),
        ("text/xml", f"<UserToken>{CWT}</UserToken><t:BinarySecret>{SECRET}</t:BinarySecret>"),
        ("application/soap+xml", f'<BinarySecurityToken ValueType="{certprov.PKCS10}">{SECRET}</x>'),
        ("application/vnd.microsoft.com.ucwa+xml", f'<property name="authToken">{SECRET}</property>'),
        ("application/json", json.dumps({"access_token": CWT, "expires_in": 1})),
        ("application/json", json.dumps({"a": {"Password": SECRET}, "DeviceToken": SECRET, "pin": SECRET})),
        ("application/json", '{"refresh_token" : "' + SECRET),
        ("application/x-www-form-urlencoded", f"grant_type=password&username=alice&password={SECRET}"),
        (
            "application/x-www-form-urlencoded",
            f"password={urllib.parse.quote(SECRET + chr(34) + ',;')}{SECRET}&a",
        ),
        ("application/x-www-form-urlencoded", f"password=<\",;'{SECRET}"),
        ("text/plain", f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----"),
        ("text/plain", f"GET / HTTP/1.1\r\nAuthorization: Bearer {SECRET}\r\nCookie: a={SECRET}\r\n\r\n"),
        ("multipart/batching", f"--b\r\n\r\nGET /x HTTP/1.1\r\nX-MS-WebTicket: {SECRET}\r\n\r\n--b--"),
        ("text/plain", f"said Authorization: Digest {SECRET}, and Bearer {SECRET}, and cookie={SECRET}"),
        ("text/plain", SECRET + SECRET),
        ("application/octet-stream", SECRET),
        (None, SECRET),
        ("application/pkix-cert", SECRET),
    ],
)
def test_bodies(kind, body):
    safe = REDACTOR.body(kind, body if isinstance(body, bytes) else body.encode())
    assert SECRET not in safe.decode()
    assert REDACTOR.body(kind, safe) == safe


@pytest.mark.parametrize(
    "text",
    [
        '{"AccessLocation":"External","Root":{"Links":[{"href":"https://lyncweb.contoso.example/a","token":"User"}]}}',
        '<Link token="External/Ucwa" href="https://lyncweb.contoso.example/ucwa/v1/applications"/>',
        '{"code":"Forbidden","subcode":"None","message":"no"}',
        "https://lyncweb.contoso.example/ucwa/oauth/v1/applications/103117488567/people/contacts/presenceNote",
        "/Autodiscover/AutodiscoverService.svc/root/oauth/user?originalDomain=contoso.example",
        "/photos/3f2504e0-4f89-11d3-9a0c-0305e82c3301/and/something/that/is/long/enough",
        'MsRtcOAuth href="https://lyncweb.contoso.example/WebTicket/oauthtoken",grant_type="password"',
        "sip:alice@contoso.example;opaque=user:epid:0123456789abcdef;gruu",
        '28000; source="FE01.contoso.local"; reason="The web ticket is missing."',
        "removed-0123456789abcdef",
    ],
)
def test_what_is_no_secret_stays(text):
    assert REDACTOR.text(text) == text


def test_an_ntlm_message_keeps_its_names():
    safe = REDACTOR.field("Authorization", f"NTLM {type_3()}").encode()
    assert ntlm.user([(b"Authorization", safe)]) == "CONTOSO\\alice"
    assert ntlm.message_type(safe) == 3
    assert ntlm.message_type(REDACTOR.field("WWW-Authenticate", f"NTLM {TYPE_2}").encode()) == 2


def test_equal_secrets_stay_equal():
    other = Redactor(Hasher(b"other" * 4))
    assert (
        REDACTOR.field("Authorization", f"Bearer {CWT}") == f"Bearer {REDACTOR.field('X-MS-WebTicket', CWT)}"
    )
    assert other.field("X-MS-WebTicket", CWT) != REDACTOR.field("X-MS-WebTicket", CWT)


@pytest.mark.parametrize("form", ["cwt", "saml"])
def test_a_ticket_issued_and_shown_is_still_one_key(form):
    """Read without its secrets, a sign-in holds together as it did with them."""
    token = f"<UserToken>{CWT}</UserToken>" if form == "cwt" else ASSERTION
    issued = wstrust.envelope(
        f'<t:RequestSecurityTokenResponseCollection xmlns:t="{wstrust.WST}"><t:RequestSecurityTokenResponse>'
        f"<t:RequestedSecurityToken>{token}</t:RequestedSecurityToken>"
        "</t:RequestSecurityTokenResponse></t:RequestSecurityTokenResponseCollection>"
    )
    asked = RequestSeen(
        method="POST", scheme="https", host="lyncweb.contoso.example", path="/webticket/webticketservice.svc"
    )
    answer = ResponseSeen(
        status=200, headers=((b"Content-Type", b"text/xml"),), body=REDACTOR.body("text/xml", issued)
    )
    shown = RequestSeen(
        method="GET",
        scheme="https",
        host="lyncweb.contoso.example",
        path="/autodiscover/autodiscoverservice.svc/root/user",
        headers=REDACTOR.fields([(b"X-MS-WebTicket", CWT.encode() if form == "cwt" else OPAQUE.encode())]),
    )
    handed_out, used = read(HASHER, asked, answer), read(HASHER, shown)
    assert handed_out.keys.tickets == used.keys.tickets != ()
    if form == "saml":
        assert handed_out.keys.user == used.keys.user == "alice@contoso.example"


@given(st.text())
def test_takes_anything(text):
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once
    REDACTOR.field("Authorization", text)
    REDACTOR.field("Set-Cookie", text)
    REDACTOR.target(text)


@given(st.binary(), st.sampled_from(["text/xml", "application/x-www-form-urlencoded", "image/png", ""]))
def test_takes_any_body(body, kind):
    REDACTOR.body(kind, body)
