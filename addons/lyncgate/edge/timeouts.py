"""Which time limit ran out. A closed list: it is a metric label."""

from __future__ import annotations

import enum

from lyncgate.edge.framing import Fault


class TimeLimit(enum.StrEnum):
    """By the names that rules.yaml has for them."""

    HANDSHAKE = "handshake"
    HEAD = "head"
    BODY = "body"
    WRITE = "write"
    IDLE = "idle"
    CONNECT = "connect"
    QUEUE = "queue"
    RESPONSE = "response"
    POLL = "poll"
    LOST_MEMBER = "lost_member"
    LOST_CLIENT = "lost_client"


# Those that are told by what was refused.
OF_FAULT = {Fault.HANDSHAKE_TIMEOUT: TimeLimit.HANDSHAKE, Fault.HEAD_TIMEOUT: TimeLimit.HEAD}
