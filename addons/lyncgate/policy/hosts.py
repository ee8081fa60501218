"""Host names: what a Host field says, and which published names it fits.

A Host value that is not plainly a DNS name or an IPv6 literal is None, and None is never routed.
The port is dropped without a look: real clients send none even for unusual ports (real-clients §2.3),
so nothing may depend on it.

    parse(b"LyncWeb.Contoso.example.:443") == "lyncweb.contoso.example"
    fits(("*.contoso.example",), "meet.contoso.example") is True
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Sequence

_LABEL = rb"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rb"(%s(?:\.%s)*)\.?(?::\d{0,5})?" % (_LABEL, _LABEL))
_LITERAL = re.compile(rb"\[([0-9a-f:.]{2,45})\](?::\d{0,5})?")
_LONGEST = 253  # characters of a DNS name without its final dot (RFC 1035 §2.3.4)
_LONGEST_VALUE = _LONGEST + len(".:65535")


def parse(value: bytes) -> str | None:
    """The name that a Host field value means, in lower case, without port and final dot; an IPv6
    literal keeps its brackets, in its shortest form. None: not a host name."""
    # Of longer ones nothing is kept, or a client could fill the memory.
    return _parsed(value) if len(value) <= _LONGEST_VALUE else None


@functools.lru_cache(maxsize=256)
def _parsed(value: bytes) -> str | None:
    value = value.lower()
    if name := _NAME.fullmatch(value):
        return name[1].decode() if len(name[1]) <= _LONGEST else None
    if literal := _LITERAL.fullmatch(value):
        try:
            return f"[{ipaddress.IPv6Address(literal[1].decode())}]"
        except ValueError:
            return None
    return None


def fits(published: Sequence[str], host: str) -> bool:
    """Whether `host` (from `parse`) is one of the `published` names; `*.suffix` stands for exactly
    one more label."""
    return host in published or "*." + host.partition(".")[2] in published


@functools.lru_cache(maxsize=1024)
def is_address(text: str) -> bool:
    """Whether `text` is an IPv4 or IPv6 address. Finding out that it is none takes as long as a dozen looks
    into a table, and each connection asks it of a few names."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
