"""Runs a capture: claims the network if it must, listens, records, and shows sign-ins until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import signal
import threading
from collections.abc import AsyncIterator
from pathlib import Path

from lyncgate.cli.captureshow import Show
from lyncgate.engine.capture import wireguard
from lyncgate.engine.capture.gateway import Gateway
from lyncgate.engine.capture.master import Address, Capture, capturing
from lyncgate.engine.capture.nftables import Network, Redirection
from lyncgate.engine.capture.recording import Recording
from lyncgate.observe.journal.reader import Reader

LAST_WORDS = 5.0  # seconds that we wait for whoever reads what we print
TRANSPARENT = "transparent@0"  # mitmproxy's mode, on a free port
CERTIFICATE = "mitmproxy-ca-cert.pem"


@dataclasses.dataclass(slots=True)
class Asked:
    """What the command was asked for. `modes`: mitmproxy's; `endpoint`: of WireGuard, as phones reach it."""

    out: Path
    ca_dir: Path
    transparent: bool
    interfaces: tuple[str, ...]
    sources: tuple[Network, ...]
    upstream_ca: Path | None
    passed: tuple[str, ...]
    seconds: float | None
    with_secrets: bool
    modes: list[str] = dataclasses.field(default_factory=list)
    dns_mode: str | None = None
    endpoint: Address | None = None
    name_server: Address | None = None


async def run(asked: Asked, show: Show) -> None:
    """Until SIGINT, SIGTERM or SIGHUP, or the time is up. Raises StartError or OSError."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    modes = [*asked.modes, *([asked.dns_mode] if asked.dns_mode else [])]
    if asked.transparent:
        modes.append(TRANSPARENT)
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(Gateway()) if asked.transparent else None
        if gateway and gateway.cleaned:
            show.warn(gateway.cleaned)
        recording = stack.enter_context(Recording(asked.out, with_secrets=asked.with_secrets))
        capturing_now = capturing(
            modes,
            recording.journal.append,
            confdir=asked.ca_dir,
            hasher=recording.journal.hasher,
            upstream_ca=asked.upstream_ca,
            name_server=asked.name_server,
            passed=asked.passed,
            refused=show.refused,
            addons=[recording],
        )
        async with _showing(recording, show, stop) as follow, capturing_now as capture:
            rules = gateway.redirecting(_redirection(asked, capture)) if gateway else None
            with rules or contextlib.nullcontext():
                _tell_start(asked, show, capture)
                follow.start()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), asked.seconds)
    if recording.dropped:
        show.warn(f"{recording.dropped} events are missing in the journal")
    show.ended(asked.out)


def _tell_start(asked: Asked, show: Show, capture: Capture) -> None:
    if asked.with_secrets:
        show.warn(
            f"SECRETS ARE KEPT: {asked.out} will hold tickets, cookies and NTLM messages of everybody "
            "who signs in. Whoever reads them can act for these people. Delete them when you are done."
        )
    show.remember(listening=capture.addresses, certificate=asked.ca_dir / CERTIFICATE)
    show.started(
        listening=capture.addresses,
        out=asked.out,
        certificate=asked.ca_dir / CERTIFICATE,
        tunnel=wireguard.client_configuration(asked.ca_dir, asked.endpoint) if asked.endpoint else None,
    )


def _redirection(asked: Asked, capture: Capture) -> Redirection:
    return Redirection(
        port=capture.addresses[TRANSPARENT][0][1],
        dns_port=capture.addresses[asked.dns_mode][0][1] if asked.dns_mode else None,
        interfaces=asked.interfaces,
        sources=asked.sources,
    )


@contextlib.asynccontextmanager
async def _showing(recording: Recording, show: Show, stop: asyncio.Event) -> AsyncIterator[threading.Thread]:
    """A thread, to be started, that shows sign-ins to the last one: what connections tell that end with the
    capture, too."""
    loop, ended = asyncio.get_running_loop(), threading.Event()
    reader = Reader(recording.journal.place)
    follow = threading.Thread(
        target=show.follow,
        args=(reader, ended, lambda: loop.call_soon_threadsafe(stop.set)),
        name="show",
        daemon=True,  # it may wait for a pipe that nobody reads
    )
    try:
        yield follow
    finally:
        await asyncio.to_thread(recording.journal.flush)
        ended.set()
        if follow.is_alive():
            await asyncio.to_thread(follow.join, LAST_WORDS)
