"""Stages of a sign-in: the words that log, metrics, pages and documents share, and which of them a
request belongs to.

A request shows its stage by its path (protocol reference §8); what happens in DNS, in the TLS
handshake or inside the pool is seen elsewhere, so `start`, the three `dns_` stages, `connect` and
`provisioning` are never the stage of a request. Nothing here knows whether the request succeeded.

Guesses, for want of a source:
- Mcx: no document of its wire form was found (protocol reference §5). A path under /mcx/ with `poll`
  in it is taken for the poll, all else under /mcx/ for the session.
- `/ucwa/…/policies` is taken for the moment when a phone learns its mobility policy: the resource
  holds the settings of one (UCWA:policies_ref), but no real phone was seen asking.
"""

from __future__ import annotations

import enum
import functools
import re

from lyncgate.lync.names import AUTODISCOVER_ROOT


class Stage(enum.StrEnum):
    """In the order of a sign-in. `ticket` and `certificate` are one row of it."""

    START = "start"  # first sign of the user
    DNS_INTERNAL = "dns_internal"  # lyncdiscoverinternal is looked up, and should fail outside
    DNS_DISCOVER = "dns_discover"  # lyncdiscover is looked up
    DNS_WEB = "dns_web"  # the external web services name is looked up
    CONNECT = "connect"  # TCP and TLS to the edge
    REDIRECT = "redirect"  # HTTP turned to HTTPS
    DISCOVER = "discover"  # root document of lyncdiscover
    LOCATE = "locate"  # root, domain and user documents of the web services
    TICKET = "ticket"  # web ticket
    CERTIFICATE = "certificate"  # client certificate
    REGISTER = "register"  # Mcx session or UCWA application
    MOBILITY_POLICY = "mobility_policy"  # may the user use mobility
    PROVISIONING = "provisioning"  # in-band provisioning: voicemail, forwarding, address book URLs …
    NOTIFICATIONS = "notifications"  # the poll is up
    READY = "ready"  # contacts, cards and photos are asked for


_ROOT = AUTODISCOVER_ROOT.lower()
_APPLICATION = re.compile(r"/ucwa(?:/[^/]+)*?/applications(?:/[^/]+(?P<rest>/.+)?)?")
_SERVICES = (  # path prefixes, at a segment border
    (_ROOT + "/domain", Stage.LOCATE),
    (_ROOT + "/user", Stage.LOCATE),
    (_ROOT + "/oauth/user", Stage.LOCATE),
    ("/webticket", Stage.TICKET),
    ("/passiveauth", Stage.TICKET),
    ("/certprov", Stage.CERTIFICATE),
    ("/abs", Stage.READY),
    ("/groupexpansion", Stage.READY),
)
_READY = ("/me/makemeavailable/", "/me/photo/", "/people/", "/photos/", "/contacts/")


def classify(
    method: str, path: str, host_is_lyncdiscover: bool, decision_kind: str
) -> tuple[Stage | None, bool]:
    """The stage that a request belongs to (None: none), and whether it is a poll, meant to hang.

    `path`: canonical, lower-case, as `policy.paths.canonical` gives it. `host_is_lyncdiscover`: it
    came for the lyncdiscover name of one of our SIP domains. `decision_kind`: redirect, answer,
    forward or deny; a denied request keeps its stage, for that is where the sign-in ended.
    """
    if len(path) > REMEMBERED:
        return _classify(method, path, host_is_lyncdiscover, decision_kind)
    return _remembered(method, path, host_is_lyncdiscover, decision_kind)


def _classify(
    method: str, path: str, host_is_lyncdiscover: bool, decision_kind: str
) -> tuple[Stage | None, bool]:
    if decision_kind == "redirect":
        return Stage.REDIRECT, False
    if path == _ROOT or (path == "/" and host_is_lyncdiscover):
        return Stage.DISCOVER if host_is_lyncdiscover else Stage.LOCATE, False
    if path.startswith("/mcx/"):
        is_poll = "poll" in path
        return Stage.NOTIFICATIONS if is_poll else Stage.REGISTER, is_poll
    if application := _APPLICATION.fullmatch(path):
        return _ucwa(method, path, application["rest"])
    return next((stage for prefix, stage in _SERVICES if (path + "/").startswith(prefix + "/")), None), False


REMEMBERED = 256  # characters: of longer paths nothing is kept
_remembered = functools.lru_cache(maxsize=1024)(_classify)


def _ucwa(method: str, path: str, rest: str | None) -> tuple[Stage | None, bool]:
    """A UCWA request. `rest`: the path below the application (`/events`), None: none.

    Phones ask for /applications once without a ticket, to get a 401, before they POST to it
    (protocol reference §6.1): both are the registration.
    """
    if rest is None:
        is_collection = path.endswith("/applications")
        return Stage.REGISTER if is_collection and method in ("GET", "POST") else None, False
    if rest == "/events" and method == "GET":
        return Stage.NOTIFICATIONS, True
    if rest == "/policies":
        return Stage.MOBILITY_POLICY, False
    return Stage.READY if (rest + "/").startswith(_READY) else None, False
