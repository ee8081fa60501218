"""The SIP port: strict about who speaks, quiet about what it does not know."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lab import authority, sipmessage, topology
from lyncgate.lab.sipmessage import BadMessageError, parse

REGISTER = (
    "REGISTER sip:contoso.example SIP/2.0\r\n"
    "Via: SIP/2.0/tls 127.0.0.1:40000\r\n"
    "From: <sip:alice@contoso.example>;tag=1;epid=2\r\n"
    "To: <sip:alice@contoso.example>\r\n"
    "CSeq: {cseq} REGISTER\r\n"
    "Call-ID: c1\r\n"
    "{authorization}"
    "Content-Length: 0\r\n\r\n"
)


def ask(lab, *messages):
    """Each message and its answer, on one TLS connection; an empty answer is a closed connection."""

    async def exchange():
        reader, writer = await asyncio.open_connection(
            topology.MEMBERS["sip"].address,
            lab.estate.ports.sip,
            ssl=authority.client_context(lab.estate.directory),
            server_hostname=topology.SIP_HOST,
        )
        answers = []
        try:
            for message in messages:
                writer.write(message.encode() if isinstance(message, str) else message(answers[-1]).encode())
                with contextlib.suppress(asyncio.IncompleteReadError):
                    answers.append((await reader.readuntil(b"\r\n\r\n")).decode())
        finally:
            writer.close()
        return answers

    return lab.run(exchange())


def register(authorization="", cseq=1):
    line = f"Authorization: NTLM {authorization}\r\n" if authorization else ""
    return REGISTER.format(cseq=cseq, authorization=line)


def opaque_of(answer):
    return sipmessage.parameters(answer.partition("WWW-Authenticate:")[2])["opaque"]


def test_register_is_offered_ntlm_by_this_servers_name(lab):
    (answer,) = ask(lab, register())
    assert answer.startswith("SIP/2.0 401 ")
    assert (
        'WWW-Authenticate: NTLM realm="SIP Communications Service", targetname="sip.contoso.example"'
        in answer
    )


def test_empty_gssapi_data_gets_a_challenge(lab):
    (answer,) = ask(lab, register('gssapi-data=""'))
    assert 'gssapi-data="TlRMTVNTUAAC' in answer


@pytest.mark.parametrize("token", ["TlRMTVNTUAADAAAA", "AAAA", "%%%"])
def test_wrong_answers_to_a_challenge_are_refused(lab, token):
    answers = ask(
        lab,
        register('gssapi-data=""'),
        lambda answer: register(f'opaque="{opaque_of(answer)}", gssapi-data="{token}"', cseq=2),
    )
    assert answers[1].startswith("SIP/2.0 401 ")
    assert lab.estate.pools["pool01"].registrar.endpoints("alice@contoso.example") == ()


def test_signature_without_a_handshake_is_refused(lab):
    (answer,) = ask(lab, register('opaque="x", crand="1", cnum="1", response="00"'))
    assert answer.startswith("SIP/2.0 401 ")


def test_association_of_another_connection_is_refused(lab):
    (challenged,) = ask(lab, register('gssapi-data=""'))
    (answer,) = ask(lab, register(f'opaque="{opaque_of(challenged)}", response="00"'))
    assert answer.startswith("SIP/2.0 401 ")


def test_keep_alives_are_passed_over_and_other_protocols_hung_up_on(lab):
    (answer,) = ask(lab, "\r\n\r\n\r\n\r\n" + register())
    assert answer.startswith("SIP/2.0 401 ")
    assert ask(lab, "GET / HTTP/1.1\r\nHost: sip.contoso.example\r\n\r\n") == []


@given(st.binary())
def test_any_head_is_a_message_or_a_bad_one(head):
    try:
        message = parse(head)
        assert message.content_length >= 0
    except BadMessageError:
        pass


@given(st.text())
def test_any_text_has_parameters_and_an_address(text):
    assert isinstance(sipmessage.parameters(text), dict)
    uri, tag = sipmessage.address(text)
    assert isinstance(sipmessage.sip_user(uri), str)
    assert ";" not in tag
