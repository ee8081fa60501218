"""Starting the edge that is to replace this one, as another program may be installed by now.

It gets the listening sockets, so that from one to the other nobody is refused; when it serves it says so on a
pipe, and this edge drains. One that ends or says nothing in time changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable

from lyncgate.engine.supervisor.bank import Bank
from lyncgate.engine.supervisor.inherited import HANDOVER, Inherited, handed_over
from lyncgate.engine.supervisor.reactor import Reactor

PATIENCE = 90.0  # seconds

log = logging.getLogger(__name__)


class Upgrade:
    """`given`: what the next edge gets beside the listeners. `done` is told its process id, or None and why
    there is none."""

    def __init__(
        self, reactor: Reactor, bank: Bank, given: Inherited, done: Callable[[int | None, str], None]
    ) -> None:
        self._reactor = reactor
        self._done = done
        self._pipe, given.ready = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            descriptor, passed = handed_over(bank, given)
            try:
                # The interpreter's options and the command line as they were.
                self.process = subprocess.Popen(  # noqa: S603
                    [sys.executable, *sys.orig_argv[1:]],
                    pass_fds=passed,
                    env=os.environ | {HANDOVER: str(descriptor)},
                )
            finally:
                os.close(descriptor)
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            os.close(given.ready)
        reactor.watch(self._pipe, self._said)
        self._timer = reactor.later(PATIENCE, self._late)

    @property
    def pid(self) -> int:
        return self.process.pid

    def _said(self) -> None:
        content = os.read(self._pipe, 4096)
        self._end()
        if content:
            self._done(json.loads(content)["pid"], "")
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5.0)
        self.process.kill()
        status = self.process.wait()
        self._done(None, f"the new edge ended with status {status} before it served")

    def cancel(self) -> None:
        """This edge is to stop, so the next one is not to start."""
        self._end()
        self.process.kill()
        self.process.wait()
        self._done(None, "this edge was told to stop")

    def _late(self) -> None:
        self._end()
        self.process.kill()
        self.process.wait()
        self._done(None, f"the new edge did not serve within {PATIENCE:g} s")

    def _end(self) -> None:
        self._timer.cancel()
        self._reactor.unwatch(self._pipe)
        os.close(self._pipe)


def say_ready(descriptor: int | None) -> None:
    """To the edge before us."""
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.write(descriptor, json.dumps({"pid": os.getpid()}).encode())
        os.close(descriptor)
