"""Presence of people: the scenario says it until they say it themselves from a phone.

Whoever watches hears of a change: UCWA applications that have subscribed, MCX sessions with the person in
their contact list.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from lyncgate.lab.channel import Urgency
from lyncgate.lab.directory import User
from lyncgate.lab.pool import Pool
from lyncgate.lync.contacts import Availability, Presence
from lyncgate.lync.mcx import Event


def availability_of(pools: Mapping[str, Pool], user: User) -> Availability:
    """How well a user can be reached now."""
    return pools[user.home].availability.get(user.sip, user.presence)


def presence_of(pools: Mapping[str, Pool], viewer: User, of: User) -> Presence:
    """What `viewer` is told of somebody."""
    scenario = pools[viewer.home].directory.scenario
    return dataclasses.replace(scenario.presence(viewer, of), availability=availability_of(pools, of))


def presence_event(user: User, availability: Availability) -> Event:
    """The news, as MCX has it."""
    return Event("presence", {"uri": f"sip:{user.sip}", "availability": availability.name})


def publish(pools: Mapping[str, Pool], user: User, availability: Availability) -> None:
    """A user says how well they can be reached; a change is news for those who watch."""
    if availability_of(pools, user) is availability:
        return
    pools[user.home].availability[user.sip] = availability
    event = presence_event(user, availability)
    for pool in pools.values():
        for application in pool.applications.watching(user.sip):
            contact = f"{application.base}/people/{user.sip}"
            application.push(
                {
                    "link": {"rel": "contactPresence", "href": f"{contact}/presence"},
                    "in": {"rel": "contact", "href": contact},
                    "type": "updated",
                },
                sender="people",
                urgency=Urgency.MEDIUM,
            )
        for session in pool.sessions.watching(user.sip):
            session.push(event, Urgency.MEDIUM)
