"""Who is registered by SIP at a pool, and by which endpoint."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Registration:
    """One endpoint of a user, as REGISTER named it."""

    sip: str
    call_id: str
    contact: str


class Registrar:
    """Registrations by user and Call-ID; expiry is not followed, a lab does not live that long."""

    def __init__(self) -> None:
        self._endpoints: dict[tuple[str, str], Registration] = {}

    def add(self, registration: Registration) -> None:
        """Register or refresh."""
        self._endpoints[registration.sip, registration.call_id] = registration

    def remove(self, sip: str, call_id: str) -> None:
        """De-register (Expires: 0, or the connection is gone)."""
        self._endpoints.pop((sip, call_id), None)

    def endpoints(self, sip: str) -> tuple[Registration, ...]:
        """The user's endpoints."""
        return tuple(r for r in self._endpoints.values() if r.sip == sip)
