"""Names that Lync fixes: SIP addresses, discovery hosts, the autodiscover path.

Clients write the user into `?sipuri=` in several ways: SIPE bare and unescaped (`alice@contoso.example`),
others with `sip:` and percent-encoded (protocol reference §1.10, §2.1); some send none at all.
"""

from __future__ import annotations

import functools
import re
import urllib.parse

AUTODISCOVER_ROOT = "/Autodiscover/AutodiscoverService.svc/root"  # protocol reference §2.1

_DISCOVER = "lyncdiscover."
_DISCOVER_INTERNAL = "lyncdiscoverinternal."
_SIP = ("sip.", "sipexternal.", "sipinternal.")
_LONGEST_ADDRESS = 320  # characters: 64 for the user, one, 255 for the domain (RFC 5321 §4.5.3.1)
_PERCENT = ord("%")  # a number, which is found sooner in bytes
_ADDRESS = re.compile(
    r"(?:sips?:)?"
    r"(?P<user>[\w!#$%&'*+/=?^`{|}~.-]+)@(?P<domain>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*)"
)


@functools.lru_cache(maxsize=512)
def sip_address(text: str) -> str | None:
    """`user@domain` in lower case out of `sip:User@Domain`, with or without the scheme. None: not a
    SIP address of a user."""
    text = text.strip().lower()
    if len(text) > _LONGEST_ADDRESS:
        return None
    address = _ADDRESS.fullmatch(text)
    return f"{address['user']}@{address['domain']}" if address else None


def sip_user_from_query(query: bytes) -> str | None:
    """The user that `sipuri=` of a query (without its `?`) names: the first valid one, as
    `sip_address` gives it. A `+` is itself: clients don't form-encode the address."""
    if not query:
        return None
    for field in query.split(b"&"):
        name, _, value = field.partition(b"=")
        if not value:
            continue
        if _PERCENT in name:
            name = urllib.parse.unquote_to_bytes(name)
        if name.lower() == b"sipuri":
            if _PERCENT in value:
                value = urllib.parse.unquote_to_bytes(value)
            user = sip_address(value.decode("utf-8", "replace"))
            if user is not None:
                return user
    return None


def lyncdiscover_host(sip_domain: str) -> str:
    """Where phones outside look for `sip_domain` (protocol reference §1.1)."""
    return _DISCOVER + sip_domain


def lyncdiscoverinternal_host(sip_domain: str) -> str:
    """Where phones look first; must not be found from outside (protocol reference §1.4)."""
    return _DISCOVER_INTERNAL + sip_domain


def is_lyncdiscover(host: str) -> bool:
    """Whether a (lower-case) host is the lyncdiscover name of some domain."""
    return host.startswith(_DISCOVER)


def lyncdiscover_domain(host: str) -> str | None:
    """The SIP domain that a (lower-case) host is the lyncdiscover name of; None: it is none."""
    return (host.removeprefix(_DISCOVER) or None) if is_lyncdiscover(host) else None


def sip_domain(host: str) -> str | None:
    """The SIP domain whose clients try a (lower-case) host when nothing else has led them to a server; None:
    it is no such name (protocol reference §1.10)."""
    return next((host.removeprefix(prefix) or None for prefix in _SIP if host.startswith(prefix)), None)
