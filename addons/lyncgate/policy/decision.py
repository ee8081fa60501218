"""What decide() says: one of four things, each with the rule that decided it.

`rule` names the deciding rule as the operator knows it: `publication "simple urls"`,
`lyncdiscover contoso.example (https)`, `listener http redirect`, or `default` where nothing matched.
`publication` is the bounded word that metrics use as a label: the publication's name,
`lyncdiscover`, `redirect`, or `_none`.
"""

from __future__ import annotations

import dataclasses
import enum

from lyncgate.policy.policy import Instead, Scheme


class Reason(enum.StrEnum):
    """Why a request was denied by decide(). A closed list: it is a metric label."""

    BAD_HOST = "bad_host"  # Host missing or not a host name
    BAD_TARGET = "bad_target"  # request target has bytes that no URL has, or is not in origin form
    AMBIGUOUS_PATH = "ambiguous_path"  # encoding that servers read differently: overlong, NUL, broken %
    URL_TOO_LONG = "url_too_long"
    NOT_PUBLISHED = "not_published"  # no publication has this name and path
    EXCLUDED_PATH = "excluded_path"  # the publication's `except` has it
    METHOD = "method"  # not allowed by the publication
    SOURCE = "source"  # client address is not among the publication's sources
    NO_BRIDGE = "no_bridge"  # the pool does not publish this scheme


@dataclasses.dataclass(frozen=True, slots=True)
class Redirect:
    """`location`: absolute URL, ASCII. `status`: 301, 302, 307 or 308."""

    rule: str
    publication: str
    status: int
    location: str


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The edge serves the autodiscover root document itself (protocol reference §2.1).

    `links`: ordered (token, href) pairs; the representation depends on the request's Accept and
    is made by `lyncgate.lync.autodiscover`.
    """

    rule: str
    publication: str
    links: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Forward:
    """To a member of `pool`, over `scheme` to `port`. `target`: path and query to send upstream;
    equal to the request's own except for lyncdiscover. `body_limit`: bytes, None: no limit. `timeouts`: the
    publication's own."""

    rule: str
    publication: str
    pool: str
    scheme: Scheme
    port: int
    target: bytes
    body_limit: int | None = None
    timeouts: Instead | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Deny:
    """`status`: 400, 403, 404, 405 or 414, with an empty body. `allowed`: the methods that a 405
    must name (RFC 9110 §15.5.6)."""

    rule: str
    publication: str
    status: int
    reason: Reason
    allowed: tuple[str, ...] = ()


type Decision = Redirect | Answer | Forward | Deny
