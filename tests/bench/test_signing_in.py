"""The storm finds out a proxy that mixes identities, and the origin one that mixes connections."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator

import pytest

from lyncgate.lync import ntlm as read_by_us
from sidebyside import certificates, documents, ntlm
from sidebyside.asking import Answer, Client, trusting
from sidebyside.ports import free_ports
from sidebyside.processes import ENVIRONMENT, python, running
from sidebyside.signing_in import REQUESTS, BrokenError, StrangerError, sign_in
from sidebyside.sockets import Loop, connect

NONCE = b"12345678"


def test_the_messages_are_ntlm_to_others() -> None:
    authorization = ntlm.authenticate("alice", NONCE)
    assert read_by_us.user([(b"Authorization", authorization)]) == "CONTOSO\\alice"
    messages = (ntlm.negotiate(), ntlm.challenge(NONCE), authorization)
    assert [read_by_us.message_type(message) for message in messages] == [1, 2, 3]
    assert ntlm.nonce_of(ntlm.challenge(NONCE)) == NONCE
    assert ntlm.proof(authorization) == ("alice", NONCE)
    assert ntlm.kind(b"Bearer abc") == ntlm.kind(b"NTLM !") == 0


def answers(who: str, ticket: str) -> list[Answer]:
    """To every request of a sign-in."""
    identity = [(documents.IDENTITY.lower(), who.encode())]
    return [
        Answer(200, [], b""),
        Answer(200, [], b""),
        Answer(401, [(b"x-ms-webticketurl", b"https://web/")], b""),
        Answer(200, [], b""),
        Answer(401, [], b""),
        Answer(401, [(b"www-authenticate", ntlm.challenge(NONCE))], b""),
        Answer(200, identity, documents.ticket_answer(ticket)),
        Answer(200, identity, b""),
        Answer(201, identity, b""),
        Answer(200, identity, b""),
    ]


def signed_in(said: list[Answer]) -> bool:
    """Whether the last answer ends it, and no earlier one."""
    steps = sign_in("alice")
    next(steps)
    for number, answer in enumerate(said, 1):
        try:
            steps.send(answer)
        except StopIteration:
            return number == len(said)
    return False


def test_a_sign_in_that_is_well() -> None:
    said = answers("alice", "alice")
    assert signed_in(said)
    assert len(said) == REQUESTS


@pytest.mark.parametrize(("who", "ticket"), [("bob", "alice"), ("-", "alice"), ("alice", "bob")])
def test_anothers_connection_or_ticket_is_found_out(who: str, ticket: str) -> None:
    with pytest.raises(StrangerError):
        signed_in(answers(who, ticket))


@pytest.mark.parametrize("at", range(REQUESTS))
def test_any_other_status_breaks_it(at: int) -> None:
    said = answers("alice", "alice")
    said[at] = Answer(502, [], b"")
    with pytest.raises(BrokenError, match="502 where"):
        signed_in(said)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The light origin's, TLS and plain."""
    directory = tmp_path_factory.mktemp("origin")
    certificates.write_all(directory)
    https, http = free_ports(2)
    with running(python("origin", https, http, directory, 1), (https, http), directory / "log"):
        yield https, http


def test_a_storm_without_a_proxy_signs_everyone_in(ports: tuple[int, int]) -> None:
    done = subprocess.run(
        python("storm", *ports, 4, 1), capture_output=True, check=True, env=ENVIRONMENT, timeout=60
    )
    said = json.loads(done.stdout)
    assert said["signed_in"] > 4
    assert (said["failed"], said["reasons"], said["strangers"]) == (0, {}, 0)


class Talk:
    """A connection to the origin's TLS port, asked one request at a time."""

    def __init__(self, port: int) -> None:
        self._loop = Loop()
        self._got: list[Answer] = []
        self._lost: list[str] = []
        self._client = Client(
            self._loop, connect(port), trusting(), certificates.WEB, self._got.append, self._lost.append
        )

    def ask(self, request: bytes) -> Answer:
        self._client.write(request)
        self._loop.run(lambda: bool(self._got or self._lost))
        assert not self._lost
        return self._got.pop()

    def challenged(self) -> bytes:
        answer = self.ask(ticket_request(ntlm.negotiate()))
        assert answer.status == 401
        return ntlm.nonce_of(answer.header(b"www-authenticate"))

    def close(self) -> None:
        self._client.close()


def ticket_request(message: bytes = b"") -> bytes:
    proof = b"Authorization: " + message + b"\r\n" if message else b""
    head = f"POST {documents.TICKET_PORT} HTTP/1.1\r\nHost: {certificates.WEB}\r\nContent-Length: 0\r\n"
    return head.encode() + proof + b"\r\n"


def who(answer: Answer) -> bytes:
    return answer.header(documents.IDENTITY.lower())


def test_a_proof_on_another_connection_than_its_challenge_is_refused(ports: tuple[int, int]) -> None:
    with contextlib.closing(Talk(ports[0])) as one, contextlib.closing(Talk(ports[0])) as other:
        nonce = one.challenged()
        other.challenged()
        proof = ticket_request(ntlm.authenticate("alice", nonce))
        assert other.ask(proof).status == 401
        assert one.ask(proof).status == 200


def test_a_connection_is_who_signed_in_on_it_and_no_other_is(ports: tuple[int, int]) -> None:
    asked = f"GET {documents.policies('alice')} HTTP/1.1\r\nHost: {certificates.WEB}\r\n\r\n".encode()
    with contextlib.closing(Talk(ports[0])) as one, contextlib.closing(Talk(ports[0])) as other:
        assert who(one.ask(asked)) == b"-"
        signed = one.ask(ticket_request(ntlm.authenticate("alice", one.challenged())))
        assert (signed.status, who(signed)) == (200, b"alice")
        assert who(one.ask(asked)) == b"alice"
        assert who(other.ask(asked)) == b"-"
