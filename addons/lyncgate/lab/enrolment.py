"""What both mobility services do to sign a user in: look at the policy, then register inside by SIP.

A user who may not use mobility is told so before anything happens inside, so that no REGISTER is in the
traces of a front end (our guess; the documents say only that the POST is refused with 403).
"""

from __future__ import annotations

import contextlib
import dataclasses

from lyncgate.lab.call import Call
from lyncgate.lab.directory import User
from lyncgate.lab.inside.mobility import MobilityRegistrar, Registered, RegistrationError
from lyncgate.lab.pool import Pool
from lyncgate.lab.scenario.policies import Granted, MobilityPolicy
from lyncgate.lync import contacts, provisioning
from lyncgate.lync.contacts import ContactList
from lyncgate.lync.provisioning import Provisioning

__all__ = ["Enrolment", "MobilityDisabledError", "RegistrationError", "dismiss", "enrol", "permitted"]


class MobilityDisabledError(Exception):
    """The user's mobility policy says EnableMobility False, or there is no such user any more."""


@dataclasses.dataclass(frozen=True, slots=True)
class Enrolment:
    """A user who is signed in from a phone: by which policy, by whom and as what, and what was told."""

    user: User
    granted: Granted[MobilityPolicy]
    registrar: MobilityRegistrar
    registered: Registered
    provisioning: Provisioning
    contacts: ContactList


def permitted(pool: Pool, sip: str) -> tuple[User, Granted[MobilityPolicy]]:
    """The user and the mobility policy. Raises MobilityDisabledError."""
    user = pool.directory.by_sip(sip)
    if user is None:
        raise MobilityDisabledError(f"{sip} is not in the directory.")
    granted = pool.directory.scenario.mobility(user)
    if not granted.policy.enable_mobility:
        raise MobilityDisabledError(
            f"The {granted.scope} mobility policy {granted.name} does not enable {user.sip} for mobility."
        )
    return user, granted


async def enrol(call: Call, registrar: MobilityRegistrar, sip: str, endpoint: str) -> Enrolment:
    """Sign a user in who came with `call`. `endpoint`: the device's own name. What the policy says stands in
    the trace. Raises MobilityDisabledError or RegistrationError."""
    component, function = registrar.service.component, f"{registrar.service.session}::MobilityPolicy"
    try:
        user, granted = permitted(call.pool, sip)
    except MobilityDisabledError as error:
        registrar.tracer.line(component, function, str(error), level="TL_ERROR")
        raise
    enabled = f"{sip} is enabled for mobility by policy {granted.name} scope={granted.scope}"
    registrar.tracer.line(component, function, enabled)
    registered = await registrar.sign_in(user, location=call.location, endpoint=endpoint)
    return Enrolment(
        user,
        granted,
        registrar,
        registered,
        provisioning.parse(registered.provisioning),
        contacts.parse_roaming(registered.contacts),
    )


async def dismiss(enrolment: Enrolment | None) -> None:
    """Sign out."""
    if enrolment is not None:
        with contextlib.suppress(RegistrationError):  # it is out, one way or another
            await enrolment.registrar.sign_out(enrolment.registered)
