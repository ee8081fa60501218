"""Instant messages, as far as phones hear of them: an event for each device, pushed to those that have
subscribed. Nobody can answer: conversations are not the lab's affair."""

from __future__ import annotations

import secrets

from lyncgate.lab.directory import User
from lyncgate.lab.pool import Pool
from lyncgate.lync.mcx import Event


def deliver(pool: Pool, to: User, sender: str, text: str) -> int:
    """A message comes for all devices of a user of this pool. Says how many there are. `sender`: SIP
    address."""
    applications, sessions = pool.applications.of(to.sip), pool.sessions.of(to.sip)
    for application in applications:
        own = f"{application.base}/communication/messagingInvitations/{secrets.token_hex(4)}"
        invitation = {"rel": "messagingInvitation", "from": f"sip:{sender}", "message": text}
        application.push(
            {
                "link": {"rel": "messagingInvitation", "href": own},
                "_embedded": {"messagingInvitation": invitation},
                "type": "started",
            },
            sender="communication",
        )
    for session in sessions:
        session.push(Event("message", {"from": f"sip:{sender}", "text": text}))
    return len(applications) + len(sessions)
