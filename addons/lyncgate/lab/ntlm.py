"""Windows authentication of the lab: real NTLM, checked by pyspnego's acceptor, bound to a connection.

The state of a handshake lives in a `ConnectionAuth`, one a connection, and nowhere else. A type 3
message that comes on another connection than its challenge meets a context that never saw the
challenge and is refused; that is what makes the lab a judge of a proxy (protocol reference §9.6).

Seen on the wire with real clients (real-clients reference §2.8): three requests on one connection,
each with its full body; SIPE, curl and requests-ntlm pass.
Assumed, from how IIS is documented to behave: an authenticated connection stays authenticated for the
requests that follow on it, whatever they carry, until a new handshake begins on it (a new type 1
forgets who it was); a refused answer forgets the state, and the client has to start anew.
`Negotiate` is answered with the same acceptor through SPNEGO; Kerberos is not there. Its last token, by
which the server proves itself, goes out with the answer that follows, as RFC 4559 §5 has it.
"""

from __future__ import annotations

import base64
import binascii
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import spnego
from spnego.exceptions import SpnegoError

CHALLENGES = ("Negotiate", "NTLM")  # two header lines; a proxy that joins them breaks some clients
MALFORMED = (SpnegoError, ValueError, IndexError, KeyError, struct.error)  # what pyspnego says of bad tokens
_TYPE_1 = b"NTLMSSP\0\1\0\0\0"


class AccountsUnavailableError(ValueError):
    """Nobody can be authenticated: the accounts can't be read. Not the client's fault."""


class Accounts:
    """The account file that pyspnego's acceptor reads. It finds it by an environment variable, so
    it is selected before every call: several labs can live in one process, if not in several threads."""

    def __init__(self, file: Path) -> None:
        self._file = str(file)

    def select(self) -> None:
        """Make this the file for the synchronous call into pyspnego that follows. Raises
        AccountsUnavailableError: pyspnego itself would blame the client."""
        if not os.access(self._file, os.R_OK):
            raise AccountsUnavailableError(self._file)
        os.environ["NTLM_USER_FILE"] = self._file


class ConnectionAuth:
    """Windows authentication on one connection. `principal`: UPN or `DOMAIN\\name`, None: nobody yet;
    `farewell`: SPNEGO's last token in Base64, for the next answer, which clears it."""

    def __init__(self, accounts: Accounts) -> None:
        self.principal: str | None = None
        self.farewell: str | None = None
        self._accounts = accounts
        self._context: spnego.ContextProxy | None = None

    def challenge(self, authorization: str | None, schemes: Sequence[str] = CHALLENGES) -> Sequence[str]:
        """Take an Authorization header; say what WWW-Authenticate lines to answer 401 with. `schemes` are
        those that are allowed here.

        No lines: the connection is authenticated, see `principal`. Raises AccountsUnavailableError.
        """
        scheme, _, parameter = (authorization or "").partition(" ")
        if scheme.lower() not in ("ntlm", "negotiate"):
            return () if self.principal else schemes
        if scheme.lower() not in [allowed.lower() for allowed in schemes]:
            return schemes
        self.principal = None
        try:
            answer = self._step(scheme.lower(), base64.b64decode(parameter, validate=True))
        except AccountsUnavailableError:
            self._context = None
            raise
        except (binascii.Error, *MALFORMED):
            self._context = None
            return schemes
        if answer is None:
            return ()
        return (f"{scheme} {base64.b64encode(answer).decode()}",)

    def _step(self, scheme: str, token: bytes) -> bytes | None:
        """The next message for the client; None: it is who it says."""
        self._accounts.select()
        if self._context is None or token.startswith(_TYPE_1):
            self._context = spnego.server(protocol=scheme)
        context = self._context
        answer = context.step(token)
        if not context.complete:
            return answer or b""
        self.principal = context.client_principal
        self.farewell = base64.b64encode(answer).decode() if answer else None
        self._context = None
        return None
