"""Requests for tickets and their answers: both directions agree, and what is damaged is noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync import mex
from lyncgate.lync.mex import MetadataError, Port
from lyncgate.lync.wstrust import (
    COMPACT_TOKEN,
    KEY_SIZE,
    SAML,
    SAML_TOKEN,
    URI_CLAIM,
    TokenRequest,
    TokenResponse,
    TrustError,
    parse_token_request,
    parse_token_response,
    parse_username_token,
    timestamp,
    unix_time,
    username_token,
)
from lyncgate.lync.xmlsignature import WSU, canonical, parse

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20).map(str.strip)
SAML_TEXT = f'<saml:Assertion xmlns:saml="{SAML}" AssertionID="i1">who</saml:Assertion>'


@given(
    words, st.sampled_from([SAML_TOKEN, COMPACT_TOKEN]), words, st.lists(st.tuples(words, words)), st.binary()
)
def test_request_is_read_as_written(context, token_type, applies_to, claims, entropy):
    request = TokenRequest(context, token_type, applies_to, tuple(claims), entropy)
    assert parse_token_request(request.document()) == request


@pytest.mark.parametrize(("token_type", "token"), [(SAML_TOKEN, SAML_TEXT), (COMPACT_TOKEN, "cwt=a.b")])
def test_answer_is_read_as_written(token_type, token):
    answer = TokenResponse("c1", token_type, token, timestamp(0), timestamp(60), b"e" * KEY_SIZE)
    assert parse_token_response(answer.document()) == answer


def test_lifetime_as_raw_text_in_a_time_stamp_is_canonical():
    """SIPE digests it without canonicalising."""
    answer = TokenResponse("c1", SAML_TOKEN, SAML_TEXT, timestamp(0), timestamp(60)).document().decode()
    lifetime = answer.partition("<Lifetime>")[2].partition("</Lifetime>")[0]
    stamp = f'<wsu:Timestamp xmlns:wsu="{WSU}" wsu:Id="timestamp">{lifetime}</wsu:Timestamp>'
    assert canonical(parse(stamp.encode())).decode() == stamp


def test_both_sides_make_the_same_key_and_another_of_other_entropy():
    answer = TokenResponse("", SAML_TOKEN, SAML_TEXT, "", "", b"server")
    assert len(answer.key(b"client")) == KEY_SIZE
    assert answer.key(b"client") != answer.key(b"other")


@given(words, words)
def test_user_name_token(name, password):
    body = TokenRequest().document(username_token(name, password))
    assert parse_username_token(body) == (name, password)
    assert parse_username_token(TokenRequest().document()) is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not XML"),
        (b"<a/>", "no RequestSecurityToken"),
        (TokenRequest().document()[:-20], "not XML"),
        (TokenRequest(token_type="urn:other").document(), "unknown TokenType"),
        (TokenRequest(entropy=b"123").document().replace(b"MTIz", b"M!Iz"), "Entropy"),
        (b"<!DOCTYPE a>" + TokenRequest().document(), "document type"),
    ],
)
def test_what_is_no_request_is_refused(body, why):
    with pytest.raises(TrustError, match=why):
        parse_token_request(body)


def test_claims_are_those_of_the_dialect():
    request = TokenRequest(claims=((URI_CLAIM, "sip:alice@contoso.example"),))
    assert b'Uri="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/uri"' in request.document()


def test_times_are_utc_and_whole_seconds():
    assert timestamp(1_700_000_000.9) == "2023-11-14T22:13:20Z"
    assert unix_time("2023-11-14T22:13:20Z") == 1_700_000_000
    with pytest.raises(ValueError):
        unix_time("yesterday")


class TestMetadata:
    PORTS = (
        Port("Plain", "https://lyncweb.contoso.example/a?b&c"),
        Port("Signed", "https://lyncweb.contoso.example/s", "https://lyncweb.contoso.example/t", signed=True),
        Port("Bearer", "https://lyncweb.contoso.example/b", "https://lyncweb.contoso.example/u"),
    )

    def test_ports_and_issuers_are_found_by_name(self):
        document = mex.document("Service", self.PORTS)
        assert [mex.port_location(document, port.name) for port in self.PORTS] == [
            port.location for port in self.PORTS
        ]
        assert mex.ticket_issuer(document, "Signed") == "https://lyncweb.contoso.example/t"
        assert mex.ticket_issuer(document, "Bearer") == "https://lyncweb.contoso.example/u"
        assert (
            document.count(b"EndorsingSupportingTokens>") == document.count(b"SignedSupportingTokens>") == 2
        )

    def test_what_is_not_there_is_said(self):
        document = mex.document("Service", self.PORTS)
        with pytest.raises(MetadataError, match="no port Other"):
            mex.port_location(document, "Other")
        with pytest.raises(MetadataError, match="no policy"):
            mex.ticket_issuer(document, "Plain")
        with pytest.raises(MetadataError):
            mex.port_location(b"<html>", "Plain")
