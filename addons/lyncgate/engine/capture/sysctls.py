"""Kernel settings that a gateway needs, and what they were before.

IPv4 forwarding goes on, for the ports that nobody captures. ICMP redirects go off: in a network that phone,
gateway and router share, they would tell the phone a shorter way around us. IPv6 forwarding is left as it
is: turning it on makes Linux forget the routers that it learned of, and captured ports do without.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path("/proc/sys/net/ipv4")
_FORWARD = "ip_forward"
# Writing ip_forward resets the first two of every interface (Documentation/networking/ip-sysctl).
_TOUCHED = ("forwarding", "accept_redirects", "send_redirects")


def snapshot() -> dict[str, str]:
    """Everything that `forward` changes, by name below net.ipv4."""
    names = [_FORWARD]
    for directory in sorted((_ROOT / "conf").iterdir()):
        names += [f"conf/{directory.name}/{setting}" for setting in _TOUCHED]
    return {name: (_ROOT / name).read_text().strip() for name in names}


def forward() -> None:
    """Forward packets, and send no redirects. Raises OSError."""
    _write(_FORWARD, "1")
    for directory in (_ROOT / "conf").iterdir():
        _write(f"conf/{directory.name}/send_redirects", "0")


def restore(before: Mapping[str, str]) -> None:
    """As it was. Interfaces that are gone are passed over. Raises OSError."""
    for name in sorted(before, key=lambda name: name != _FORWARD):  # it goes first: it resets others
        with contextlib.suppress(FileNotFoundError):
            _write(name, before[name])


def _write(name: str, value: str) -> None:
    file = _ROOT / name
    if file.read_text().strip() != value:
        file.write_text(value)
