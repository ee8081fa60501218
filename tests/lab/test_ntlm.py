"""NTLM is real, and bound to its connection."""

import base64

import pytest
import spnego

from lab.client import RST, TICKET, WEB, Client
from lyncgate.client.http import Reply

URL = WEB + TICKET


def ntlm(message: bytes | None, scheme: str = "NTLM") -> tuple[str, str]:
    return ("Authorization", f"{scheme} {base64.b64encode(message or b'').decode()}")


def challenge(reply: Reply) -> bytes:
    (line,) = reply.all("www-authenticate")
    return base64.b64decode(line.partition(" ")[2])


class Handshake:
    """Steps of a handshake that a test can take on any connection."""

    def __init__(self, user: str, password: str, protocol: str = "ntlm") -> None:
        self.context = spnego.client(user, password, protocol=protocol)
        self.scheme = "NTLM" if protocol == "ntlm" else "Negotiate"

    def begin(self) -> tuple[str, list[tuple[str, str]], bytes]:
        return ("POST", [ntlm(self.context.step(), self.scheme)], RST)

    def answer(self, reply: Reply) -> tuple[str, list[tuple[str, str]], bytes]:
        return ("POST", [ntlm(self.context.step(challenge(reply)), self.scheme)], RST)


@pytest.fixture
def alice() -> Handshake:
    return Handshake("alice@contoso.example", "P4ss-alice")


async def one_connection(client: Client, *handshakes: Handshake) -> list[Reply]:
    """Each handshake as a whole, one after the other, then a request without Authorization."""
    connection = await client.connect(URL)
    replies = []
    try:
        for handshake in handshakes:
            method, headers, body = handshake.begin()
            replies.append(await connection.request(method, TICKET, headers, body))
            method, headers, body = handshake.answer(replies[-1])
            replies.append(await connection.request(method, TICKET, headers, body))
        replies.append(await connection.request("POST", TICKET, (), RST))
    finally:
        await connection.close()
    return replies


def test_first_request_is_told_both_schemes_on_lines_of_their_own(client):
    reply = client.ask("POST", URL, (), RST)
    assert (reply.status, reply.all("www-authenticate")) == (401, ["Negotiate", "NTLM"])


@pytest.mark.parametrize(
    "name", ["alice@contoso.example", "ALICE@Contoso.Example", "CONTOSO\\alice", "contoso\\Alice"]
)
def test_right_password_by_either_name_gets_a_ticket(lab, client, name):
    _, answered, _ = lab.run(one_connection(client, Handshake(name, "P4ss-alice")))
    assert answered.status == 200
    assert b"sip:alice@contoso.example" in answered.body


def test_spnego_around_ntlm_is_accepted_as_negotiate(lab, client):
    handshake = Handshake("CONTOSO\\alice", "P4ss-alice", "negotiate")
    *_, answered, _ = lab.run(one_connection(client, handshake))
    assert answered.status == 200
    assert b"sip:alice@contoso.example" in answered.body


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice@contoso.example", "P4ss-bob"),
        ("CONTOSO\\nobody", "P4ss-alice"),
        ("FABRIKAM\\alice", "P4ss-alice"),
    ],
)
def test_wrong_answers_are_refused_and_leave_no_trace(lab, client, name, password):
    challenged, refused, after = lab.run(one_connection(client, Handshake(name, password)))
    assert challenged.status == 401
    for reply in (refused, after):
        assert (reply.status, reply.all("www-authenticate")) == (401, ["Negotiate", "NTLM"])


def test_authenticated_connection_stays_so_for_the_next_request(lab, client, alice):
    *_, after = lab.run(one_connection(client, alice))
    assert after.status == 200
    assert b"sip:alice@contoso.example" in after.body


def test_new_handshake_replaces_the_identity(lab, client, alice):
    bob = Handshake("bob@contoso.example", "P4ss-bob")
    replies = lab.run(one_connection(client, alice, bob))
    assert [reply.status for reply in replies] == [401, 200, 401, 200, 200]
    assert b"sip:alice@" in replies[1].body
    assert b"sip:bob@" in replies[3].body
    assert b"sip:bob@" in replies[4].body


def test_failed_handshake_forgets_who_it_was(lab, client, alice):
    wrong = Handshake("bob@contoso.example", "wrong")
    replies = lab.run(one_connection(client, alice, wrong))
    assert [reply.status for reply in replies] == [401, 200, 401, 401, 401]


def test_answer_on_another_connection_is_refused(client, alice):
    (challenged,) = client.ask_in_turn(URL, [alice.begin()])
    (refused,) = client.ask_in_turn(URL, [alice.answer(challenged)])
    assert (refused.status, refused.all("www-authenticate")) == (401, ["Negotiate", "NTLM"])


def test_answer_to_the_challenge_of_another_connection_is_refused(lab, client, alice):
    """Two upstream connections under one client, both with a handshake: what a mixing proxy does."""

    async def crossed() -> list[Reply]:
        one, other = await client.connect(URL), await client.connect(URL)
        try:
            method, headers, body = alice.begin()
            here = await one.request(method, TICKET, headers, body)
            there = await other.request(method, TICKET, headers, body)
            method, headers, body = alice.answer(here)
            return [there, await other.request(method, TICKET, headers, body)]
        finally:
            await one.close()
            await other.close()

    there, refused = lab.run(crossed())
    assert there.status == 401
    assert refused.status == 401


@pytest.mark.parametrize(
    "token", ["=", "AAAA", "!!!", base64.b64encode(b"NTLMSSP\0\3\0\0\0").decode(), "TlRMTVNTUAABAAAA"]
)
def test_malformed_tokens_are_refused_not_a_server_error(client, token):
    reply = client.ask("POST", URL, [("Authorization", f"NTLM {token}")], RST)
    assert (reply.status, reply.all("www-authenticate")) == (401, ["Negotiate", "NTLM"])
