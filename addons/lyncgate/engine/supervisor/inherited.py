"""Listening sockets that this process was started with: by systemd, or by the edge that it replaces.

systemd names them in LISTEN_FDNAMES (FileDescriptorName= of the .socket unit): by a listener of rules.yaml,
or `admin`. One whose name says nothing is taken by where it is bound. The edge before us hands over more than
sockets, keys among it, so that is in a file without a name, whose descriptor LYNCGATE_HANDOVER gives.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import socket
from collections.abc import MutableMapping

from lyncgate.engine.sockets import Place, places_of
from lyncgate.engine.supervisor.bank import ADMIN, Bank
from lyncgate.policy.policy import Policy

HANDOVER = "LYNCGATE_HANDOVER"
FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START
SYSTEMD = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")

log = logging.getLogger(__name__)


@dataclasses.dataclass(slots=True)
class Inherited:
    """`ready`: tell the edge before us there that we serve. `journal`: the folder of one without a file.
    `tickets`: session ticket keys in force."""

    bank: Bank
    admin: socket.socket | None = None
    ready: int | None = None
    journal: str | None = None
    tickets: bytes | None = None


def inherited(policy: Policy, environment: MutableMapping[str, str]) -> Inherited:
    """What there is, taken out of the environment: our children are not to find it again."""
    if descriptor := environment.pop(HANDOVER, None):
        for name in SYSTEMD:
            environment.pop(name, None)
        return _from_edge(policy, int(descriptor))
    count, pid = environment.pop("LISTEN_FDS", ""), environment.pop("LISTEN_PID", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    environment.pop("LISTEN_PIDFDID", None)
    if not count.isdigit() or pid != str(os.getpid()):
        return Inherited(Bank())
    return _from_systemd(policy, int(count), names)


def handed_over(bank: Bank, given: Inherited) -> tuple[int, list[int]]:
    """The descriptor to name in LYNCGATE_HANDOVER, and all that must be passed on with it."""
    listeners = [
        [list(place), [one.fileno() for one in there], place in bank.shared] for place, there in bank
    ]
    content = {
        "listeners": listeners,
        "admin": given.admin.fileno() if given.admin else None,
        "ready": given.ready,
        "journal": given.journal,
        "tickets": given.tickets.hex() if given.tickets else None,
    }
    descriptor = os.memfd_create("lyncgate-handover")
    os.write(descriptor, json.dumps(content).encode())
    passed = [one.fileno() for _, there in bank for one in there]
    if given.admin:
        passed.append(given.admin.fileno())
    if given.ready is not None:
        passed.append(given.ready)
    return descriptor, [descriptor, *passed]


def _from_edge(policy: Policy, descriptor: int) -> Inherited:
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        content = json.loads(file.read())
    given: dict[Place, list[socket.socket]] = {}
    others: set[tuple[str, int]] = set()  # addresses that systemd opened
    for (listener, host, port), descriptors, shared in content["listeners"]:
        given[listener, host, port] = [_socket(one) for one in descriptors]
        if shared:
            others.add((host, port))
    admin = None if content["admin"] is None else _socket(content["admin"])
    if content["ready"] is not None:
        os.set_inheritable(content["ready"], False)
    wanted = policy.admin.bind
    if admin and not _is_at(admin, wanted, any_port=wanted is not None and wanted[1] == 0):
        admin.close()
        admin = None
    taken = _for(policy, given)
    return Inherited(
        Bank(taken, shared=[place for place in taken if place[1:] in others]),
        admin,
        content["ready"],
        content["journal"],
        bytes.fromhex(content["tickets"]) if content["tickets"] else None,
    )


def _for(policy: Policy, given: dict[Place, list[socket.socket]]) -> dict[Place, list[socket.socket]]:
    """By the places of the rules of now: a listener may be called otherwise than before."""
    taken: dict[Place, list[socket.socket]] = {}
    for place in places_of(policy):
        by_name = given.pop(place, None)
        if by_name is None:
            same = [other for other in given if other[1:] == place[1:] and place[2]]
            by_name = given.pop(same[0]) if same else None
        if by_name is not None:
            taken[place] = by_name
    for place, sockets in given.items():
        log.info("nothing listens at %s:%d any more", place[1], place[2])
        for one in sockets:
            one.close()
    return taken


def _from_systemd(policy: Policy, count: int, names: list[str]) -> Inherited:
    given: dict[Place, list[socket.socket]] = {}
    admin: socket.socket | None = None
    for index in range(count):
        one = _socket(FIRST_DESCRIPTOR + index)
        name = names[index] if index < len(names) else ""
        place = _place(policy, one, name)
        if place is not None:
            given.setdefault(place, []).append(one)
        elif name == ADMIN or _is_at(one, policy.admin.bind):
            admin = one
        else:
            log.warning("socket %r at %s is for no listener of the rules", name, one.getsockname())
            one.close()
    return Inherited(Bank(given, shared=given), admin)


def _place(policy: Policy, one: socket.socket, name: str) -> Place | None:
    places = places_of(policy)
    at = [place for place in places if _is_at(one, place[1:])]
    if named := [place for place in places if place[0] == name]:
        # A listener with several addresses: the one it is bound to, if it is one of them.
        return next((place for place in named if place in at), named[0])
    return at[0] if at else None


def _is_at(one: socket.socket, where: tuple[str, int] | None, *, any_port: bool = False) -> bool:
    """`any_port`: the rules leave it to the system."""
    if where is None or one.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    host, port, *_ = one.getsockname()
    return (any_port or where[1] == port) and socket.inet_pton(one.family, host) == _packed(
        one.family, where[0]
    )


def _packed(family: int, host: str) -> bytes | None:
    try:
        return socket.inet_pton(family, host)
    except OSError:
        return None


def _socket(descriptor: int) -> socket.socket:
    one = socket.socket(fileno=descriptor)
    one.set_inheritable(False)
    return one
