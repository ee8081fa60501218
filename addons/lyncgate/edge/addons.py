"""The edge's addons in the order in which a request meets them, as one mitmproxy addon."""

from __future__ import annotations

import secrets
from typing import Any, Protocol

from lyncgate.edge.guard import Guard
from lyncgate.edge.handshakes import Handshakes
from lyncgate.edge.headers import HeaderFields
from lyncgate.edge.health import HealthChecks, HealthObserver
from lyncgate.edge.identity import Identity
from lyncgate.edge.lyncdiscover import Lyncdiscover
from lyncgate.edge.publish import Publish, PublishObserver
from lyncgate.edge.records import Observer, Records, Sink
from lyncgate.edge.redirect import Redirects
from lyncgate.edge.route import Route
from lyncgate.edge.state import EdgeState
from lyncgate.edge.story import Story
from lyncgate.policy.policy import Policy
from lyncgate.signin.keys import Hasher

HASHER_KEY = 32  # bytes


class EdgeObserver(Observer, HealthObserver, PublishObserver, Protocol):
    """Everything that the edge reports, as it happens."""


class EdgeAddons:
    """Loaded by `lyncgate serve` and by addons/edge.py alike."""

    name = "lyncgate"

    def __init__(
        self, policy: Policy, observer: EdgeObserver, *sinks: Sink, hasher: Hasher | None = None
    ) -> None:
        """`sinks` hear of every event. `hasher`: makes the keys of events out of secrets; None: with a key
        of its own, so that the events of another process can't be joined with these.

        Raises OSError or OpenSSL.SSL.Error if a certificate or CA file can't be used.
        """
        hasher = hasher or Hasher(secrets.token_bytes(HASHER_KEY))
        self.edge = EdgeState(policy)
        self.identity = Identity(self.edge)
        self.identity.adopt(policy)

        self.addons: list[Any] = [
            self.identity,
            Route(self.edge),
            Story(self.edge, observer, hasher, *sinks),
            Guard(self.edge),
            Redirects(self.edge),
            Lyncdiscover(self.edge),
            Publish(self.edge, observer),
            HeaderFields(self.edge),
            Handshakes(self.edge, self.identity, *sinks),
            HealthChecks(self.edge, observer),
            Records(self.edge, observer, *sinks),
        ]

    def adopt(self, policy: Policy) -> None:
        """Put a new policy in force. If its files can't be read the old one stays; raises as above."""
        self.identity.adopt(policy)
        self.edge.adopt(policy)
