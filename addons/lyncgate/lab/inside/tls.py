"""Mutual TLS between servers. Names are checked by the side that connects, and by the registrar when it
looks who registers; the handshake itself demands a certificate of the lab's authority for client use."""

from __future__ import annotations

import ssl
from pathlib import Path

from lyncgate.lab.authority import CA_FILE, client_context, server_context


def listening(directory: Path, name: str) -> ssl.SSLContext:
    """For a listener with the certificate `name`: no client certificate, no handshake."""
    context = server_context(directory, name)
    context.load_verify_locations(directory / CA_FILE)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def connecting(directory: Path, name: str) -> ssl.SSLContext:
    """For a client that shows the certificate `name`, and checks whom it talks to."""
    context = client_context(directory)
    context.load_cert_chain(directory / f"{name}.pem", directory / f"{name}.key")
    return context
