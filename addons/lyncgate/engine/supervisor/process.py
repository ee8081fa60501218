"""Forking a child that dies with its parent, and how children ended."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable

from lyncgate.observe.metrics import Ended

PR_SET_PDEATHSIG = 1
# Ctrl-C and signals to a group reach everybody; what they mean the parent says.
OF_THE_PARENT = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
CRASHED = 70  # EX_SOFTWARE

log = logging.getLogger(__name__)
_libc = ctypes.CDLL(None, use_errno=True)  # now: a child that was just forked should do little


def fork(name: str, prepare: Callable[[], None], main: Callable[[], int]) -> int:
    """The child's process id. In the child `prepare` lets go of what is the parent's, then `main` runs, and
    its result is the exit status: nothing that the parent has on its stack or registered for its end happens.
    """
    parent = os.getpid()
    # No signal between: in the child it would be told to the parent's loop, whose descriptors it still has.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        child = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    if child:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return child
    status = CRASHED
    try:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        prepare()
        for number in OF_THE_PARENT:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if os.getppid() == parent:  # else it died before this one could be told
            _say_who(name)
            status = main()
    except BaseException:
        log.exception("%s crashed", name)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(status)


def _say_who(name: str) -> None:
    """In each line of the log."""
    formatter = logging.Formatter(f"%(asctime)s %(levelname)s {name}: %(message)s")
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)


def reaped(children: list[int]) -> list[tuple[int, int]]:
    """Those that have ended, with their wait status. Not by -1: others may have children here as well."""
    ended = []
    for pid in children:
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            found, status = pid, 0
        if found:
            ended.append((pid, status))
    return ended


def how(status: int) -> tuple[Ended, str]:
    """For the metric, and for people."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return Ended.SIGNAL, f"was ended by {signal.Signals(number).name}"
    return Ended.EXIT, f"ended with status {os.waitstatus_to_exitcode(status)}"


def end(pid: int) -> None:
    """kill -9; it may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
