"""Sessions are resumed at another context, and in another process, that has the same ticket keys."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading

import pytest

from lyncgate.engine.tls.ticketkeys import KEY_BYTES, TicketKeyRing, set_ticket_keys
from support import certificates
from support.processes import ROOT

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def server_context(keys: bytes | None) -> ssl.SSLContext:
    files = certificates.issued(*certificates.EDGE_NAMES)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    if keys is not None:
        assert set_ticket_keys(context, keys)
    return context


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[bool, ssl.SSLSession]:
    """Whether it was resumed, and the session for the next time."""
    theirs, ours = socket.socketpair()

    def serve() -> None:
        with server.wrap_socket(theirs, server_side=True) as secure:
            secure.sendall(b"hello")
            secure.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    with client.wrap_socket(ours, server_hostname=certificates.EDGE_NAMES[0], session=session) as secure:
        assert secure.recv(5) == b"hello"  # TLS 1.3: the tickets came before it
        resumed, new = bool(secure.session_reused), secure.session
        secure.sendall(b".")
    thread.join()
    assert new is not None
    return resumed, new


@pytest.mark.parametrize("version", VERSIONS)
def test_another_context_resumes_until_the_keys_are_renewed(version: ssl.TLSVersion) -> None:
    keys = os.urandom(KEY_BYTES)
    one, other, stranger = server_context(keys), server_context(keys), server_context(None)
    client = certificates.client()
    client.minimum_version = client.maximum_version = version

    resumed, session = shake_hands(one, client, None)
    assert not resumed
    assert session.has_ticket
    assert shake_hands(stranger, client, session)[0] is False
    resumed, session = shake_hands(other, client, session)
    assert resumed

    assert set_ticket_keys(one, os.urandom(KEY_BYTES))
    assert shake_hands(one, client, session)[0] is False
    assert set_ticket_keys(one, keys)
    assert shake_hands(one, client, session)[0] is True


SERVER = """
import socket, ssl, sys
from lyncgate.engine.tls.ticketkeys import set_ticket_keys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[3], sys.argv[4])
if not set_ticket_keys(context, bytes.fromhex(sys.argv[2])):
    sys.exit("no keys")
accepted, _ = socket.socket(fileno=int(sys.argv[1])).accept()
with context.wrap_socket(accepted, server_side=True) as secure:
    secure.sendall(b"hello")
    secure.recv(1)
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_another_process_resumes(version: ssl.TLSVersion) -> None:
    """Each makes a context of its own."""
    keys, files = os.urandom(KEY_BYTES), certificates.issued(*certificates.EDGE_NAMES)
    client = certificates.client()
    client.minimum_version = client.maximum_version = version
    session, resumed = None, []
    for _ in range(3):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = subprocess.Popen(
                [sys.executable, "-c", SERVER, str(listening.fileno()), keys.hex(), files.cert, files.key],
                pass_fds=[listening.fileno()],
                env={**os.environ, "PYTHONPATH": str(ROOT / "addons")},
            )
            with (
                socket.create_connection(listening.getsockname()) as raw,
                client.wrap_socket(
                    raw, server_hostname=certificates.EDGE_NAMES[0], session=session
                ) as secure,
            ):
                assert secure.recv(5) == b"hello"
                resumed.append(bool(secure.session_reused))
                session = secure.session
                secure.sendall(b".")
            assert server.wait(30) == 0
    assert resumed == [False, True, True]


def test_keys_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="80"):
        set_ticket_keys(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), b"short")


def test_who_asks_is_told_now_and_each_time() -> None:
    ring, told = TicketKeyRing(), []
    ring.on_ticket_keys(told.append)
    assert told == []
    ring.renew(b"a" * KEY_BYTES)
    late: list[bytes] = []
    ring.on_ticket_keys(late.append)
    ring.renew(b"b" * KEY_BYTES)
    assert told == [b"a" * KEY_BYTES, b"b" * KEY_BYTES] == late
    assert ring.current == b"b" * KEY_BYTES
