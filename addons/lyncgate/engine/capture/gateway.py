"""This machine as the phones' gateway, for as long as a capture lasts, and as it was before afterwards.

The state file is written before anything is changed. Whoever finds one that is not locked knows that a
capture was killed, and undoes it first.

    with Gateway() as gateway, gateway.redirecting(Redirection(port=8080, interfaces=("wlan0",))):
        …
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping

from lyncgate.engine.capture import nftables, sysctls
from lyncgate.engine.capture.nftables import Redirection
from lyncgate.engine.capture.statefile import State, StateFile
from lyncgate.engine.master import StartError


class Gateway:
    """Claims the machine. Raises StartError: not root, no nft, or another capture is at it.

    `cleaned`: what a killed capture had left behind and is gone now, in words; empty if there was nothing.
    """

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise StartError("a transparent capture sets up the network: run it as root")
        nftables.find_nft()
        self._file = StateFile.claim()
        try:
            self.cleaned = self._clean()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        """Give the machine up. If something could not be undone the file stays, for the next one to try."""
        if self._file.read() is None:
            self._file.remove()
        self._file.close()

    @contextlib.contextmanager
    def redirecting(self, redirection: Redirection) -> Iterator[None]:
        """Let the phones' traffic come to us. Raises StartError or OSError."""
        before = sysctls.snapshot()
        self._file.write(State(pid=os.getpid(), since=time.time(), sysctls=before))
        try:
            nftables.put_up(redirection)
            sysctls.forward()
            yield
        finally:
            self._undo(before)

    def _undo(self, before: Mapping[str, str]) -> None:
        nftables.take_down()
        sysctls.restore(before)
        self._file.clear()

    def _clean(self) -> str:
        state = self._file.read()
        if state is None:
            return ""
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(state.since))
        was = f"the capture of {since} (pid {state.pid}) did not end properly"
        if nftables.present():
            self._undo(state.sysctls)
            did = f"its table {nftables.TABLE} is removed and kernel settings are as they were before"
        else:  # who removed it may have changed settings, too
            before = state.sysctls.get("ip_forward")
            did = f"its rules were gone; kernel settings are left alone (net.ipv4.ip_forward was {before})"
            self._file.clear()
        return f"{was}: {did}"
