"""The edge's addons as one mitmproxy addon."""

from __future__ import annotations

import secrets
from typing import Any

from lyncgate.edge.course import Course, EdgeObserver
from lyncgate.edge.flows import Flows
from lyncgate.edge.health import HealthChecks
from lyncgate.edge.identity import Identity
from lyncgate.edge.records import Sink
from lyncgate.edge.state import EdgeState
from lyncgate.policy.policy import Policy
from lyncgate.signin.keys import Hasher

HASHER_KEY = 32  # bytes


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
        self.course = Course(self.edge, self.identity, observer, hasher, *sinks)
        self.flows = Flows(self.course)
        self.addons: list[Any] = [self.identity, self.flows, HealthChecks(self.edge, observer)]

    def adopt(self, policy: Policy) -> None:
        """Put a new policy in force. If its files can't be read the old one stays; raises as above."""
        self.identity.adopt(policy)
        self.edge.adopt(policy)
