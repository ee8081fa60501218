"""Who is compared: which of them are at hand, and why the others are not."""

from __future__ import annotations

import dataclasses
import functools
import shutil
import subprocess
import sys
from collections.abc import Callable

from sidebyside import configurations
from sidebyside.configurations import Place
from sidebyside.processes import ENVIRONMENT

OURS = "lyncgate"
STOCK = "mitmdump"


@dataclasses.dataclass(frozen=True, slots=True)
class Peer:
    """`missing`: why it can't be had here, or None. `inapt`: works that it can't do, each with the reason."""

    name: str
    what: str
    command: Callable[[Place], list[str]]
    missing: Callable[[], str | None] = lambda: None
    inapt: tuple[tuple[str, str], ...] = ()

    def why_not(self, work: str) -> str | None:
        return dict(self.inapt).get(work)


def _needs(tool: str) -> Callable[[], str | None]:
    return lambda: None if shutil.which(tool) else f"{tool} is not installed"


@functools.cache
def _serve_help() -> str:
    command = [sys.executable, "-m", "lyncgate", "serve", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT).stdout


def _no_engine_option() -> str | None:
    return None if "--engine" in _serve_help() else "this lyncgate has one engine: no option --engine"


PEERS = (
    Peer(STOCK, "stock mitmdump, reverse mode, no addons of ours", configurations.mitmdump),
    Peer(
        "mitmdump+addons",
        "stock mitmdump -s addons/edge.py (it has no access log and no journal)",
        configurations.mitmdump_addons,
    ),
    Peer(
        "lyncgate-stock",
        "lyncgate serve --engine stock, all features on",
        configurations.lyncgate_stock,
        missing=_no_engine_option,
    ),
    Peer(OURS, "lyncgate serve, all features on", configurations.lyncgate),
    Peer("haproxy", "HAProxy, one thread, HTTP log", configurations.haproxy, missing=_needs("haproxy")),
    Peer(
        "nginx",
        "nginx, one worker, access log",
        configurations.nginx,
        missing=_needs("nginx"),
        inapt=(
            (
                "storm",
                "it shares upstream connections among clients: of sign-ins by NTLM nearly all fail, "
                "and some become another user",
            ),
        ),
    ),
    Peer(
        "caddy",
        "Caddy",
        lambda _: [],
        missing=lambda: "no configuration for it: not packaged for Debian 12",
    ),
)


def chosen(names: list[str] | None) -> tuple[list[Peer], dict[str, str]]:
    """The peers that can take part, and the others with the reason."""
    left_out = {
        peer.name: reason
        for peer in PEERS
        if (reason := peer.missing() or ("not asked for" if names and peer.name not in names else None))
    }
    return [peer for peer in PEERS if peer.name not in left_out], left_out
