"""NTLM as a client carries it in HTTP: messages in Authorization and WWW-Authenticate, Base64 (MS-NTHT)."""

from __future__ import annotations

import base64

from lyncgate.client.http import Reply


def authorization(message: bytes | None) -> tuple[str, str]:
    """The header field that carries a type 1 or type 3 message."""
    return ("Authorization", f"NTLM {base64.b64encode(message or b'').decode()}")


def challenge(reply: Reply) -> bytes:
    """The type 2 message of a 401. Raises ValueError when there is none, or none that can be read."""
    for value in reply.all("www-authenticate"):
        scheme, _, token = value.partition(" ")
        if scheme == "NTLM" and token:
            return base64.b64decode(token)
    raise ValueError("no NTLM challenge in the 401")
