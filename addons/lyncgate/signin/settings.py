"""Settings that a client is told, as (name, value) pairs in words that are the same for every source: web
services, and the SIP traces of front ends.

| name | value | from |
| --- | --- | --- |
| mobility policy, mobility policy scope | its name; global, site or user | MCX session |
| EnableMobility, EnableOutsideVoice … | true, false | CsMobilityPolicy, by MCX session or provisioning |
| voicemail | URI | provisioning, UCWA policies |
| simultaneous ring, call forwarding, delegation, team call | true, false | provisioning, UCWA |
| address book, group expansion, location information | URL | provisioning |
| photos | NoPhoto, PhotosFromADOnly, AllPhotos | provisioning |
| dial plan, dial plan rules | its name; how many | provisioning |
| audioOnlyOnWifi, telephonyMode … | as UCWA has it | UCWA policies |
"""

from __future__ import annotations

from collections.abc import Mapping

from lyncgate.lync.provisioning import Group, Provisioning
from lyncgate.signin.plain import url

type Settings = list[tuple[str, str]]


def of_mobility_policy(name: str, scope: str, policy: Mapping[str, str]) -> Settings:
    """The policy that a session was made under."""
    return [("mobility policy", name), ("mobility policy scope", scope), *policy.items()]


def of_provisioning(told: Provisioning) -> Settings:
    """What in-band provisioning said; what it did not say is left out."""
    known: list[tuple[str, object]] = [
        ("voicemail", told.voicemail_uri),
        ("simultaneous ring", told.simultaneous_ring),
        ("call forwarding", told.call_forwarding),
        ("delegation", told.delegation),
        ("team call", told.team_call),
        ("address book", url(told.url("abs", external=True) or "")),
        ("group expansion", url(told.url("dlx", external=True) or "")),
        ("location information", url(told.location_information_url or "")),
        ("photos", told.photo_usage),
        *told.groups.get(Group.MOBILITY, {}).items(),
    ]
    if told.dial_plan:
        known += [("dial plan", told.dial_plan.name), ("dial plan rules", len(told.dial_plan.rules))]
    return [(name, _text(value)) for name, value in known if value is not None]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
