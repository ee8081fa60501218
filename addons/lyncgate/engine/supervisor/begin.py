"""What is to be known before anything is started: how many workers, where the admin listens."""

from __future__ import annotations

import dataclasses
import os
import socket

from lyncgate.engine.master import StartError
from lyncgate.engine.supervisor.bank import open_socket
from lyncgate.policy.policy import Policy


@dataclasses.dataclass(frozen=True, slots=True)
class Started:
    """`addresses`: listener name -> (host, port) pairs; `admin`: likewise."""

    addresses: dict[str, list[tuple[str, int]]]
    admin: tuple[str, int] | None
    version: str


def worker_count(policy: Policy) -> int:
    """`auto` are the cores that this process may run on."""
    if policy.workers is not None:
        return policy.workers
    try:
        return len(os.sched_getaffinity(0))
    except OSError:  # a sandbox may not let us ask
        return os.cpu_count() or 1


def admin_socket(policy: Policy) -> socket.socket | None:
    if policy.admin.bind is None:
        return None
    host, port = policy.admin.bind
    try:
        return open_socket(host, port)
    except OSError as error:
        raise StartError(f"admin listener {host}:{port}: {error.strerror}") from error
