"""Telling systemd how we are (sd_notify): ready, reloading, stopping, and which process is the main one."""

from __future__ import annotations

import os
import socket
import time


class Notifier:
    """`address`: NOTIFY_SOCKET. None: there is no systemd to tell."""

    def __init__(self, address: str | None) -> None:
        self._address = address

    def ready(self, status: str) -> None:
        """Also after a reload: the answer to `reloading`."""
        self._tell(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={status}")

    def reloading(self) -> None:
        """The time says which request of systemd's is meant."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=reading the rules")

    def stopping(self) -> None:
        self._tell("STOPPING=1\nSTATUS=no new connections, exchanges in flight may end")

    def status(self, status: str) -> None:
        self._tell(f"STATUS={status}")

    def main_process(self, pid: int) -> None:
        """Another one takes over."""
        self._tell(f"MAINPID={pid}")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        # "@" stands for the zero byte that an abstract address begins with.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            try:
                to.settimeout(1.0)
                to.sendto(message.encode(), address)
            except OSError:
                return  # systemd restarts, or it is no systemd: an edge serves all the same
