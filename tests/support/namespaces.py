"""Network namespaces for tests: machines of their own, as far as the network is concerned.

    with namespaces("phone", "router") as (phone, router):
        link(phone, "10.7.1.2/24", router, "10.7.1.1/24")
        phone.run("ping", "-c1", "10.7.1.1")
        subprocess.Popen([*router.prefix, "nginx"])

Names are unique to the process, so tests may run side by side; interfaces go with their namespace.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from support.processes import wait_until
from support.requirements import require

_numbers = itertools.count()
# Where root's tools are and a user's PATH does not look. `ip netns exec` searches PATH as it finds it.
_ENVIRONMENT = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}


@dataclasses.dataclass(frozen=True)
class Namespace:
    """`role`: what it is for; also the name that its neighbours' interfaces towards it have."""

    role: str
    name: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands before a command that is to run in it. The process is the command's own."""
        return ("ip", "netns", "exec", self.name)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets that this thread makes meanwhile are there, and stay there."""
        with Path("/proc/thread-self/ns/net").open() as before, Path("/run/netns", self.name).open() as there:
            os.setns(there.fileno(), os.CLONE_NEWNET)
            try:
                yield
            finally:
                os.setns(before.fileno(), os.CLONE_NEWNET)

    def run(self, *command: str, text: str | None = None) -> str:
        """Run a command to its end; what it printed. Fails the test if it fails."""
        done = subprocess.run(
            [*self.prefix, *command],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env=_ENVIRONMENT,
        )
        assert done.returncode == 0, f"{self.role}: {' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout


@contextlib.contextmanager
def namespaces(*roles: str) -> Iterator[tuple[Namespace, ...]]:
    """New namespaces with nothing but a loopback interface. What still runs in them must have ended before
    the `with` does."""
    require(os.geteuid() == 0, "iproute2 (run as root)")
    require("ip", "iproute2")
    made = []
    try:
        for role in roles:
            namespace = Namespace(role, f"lyncgate-{os.getpid()}-{next(_numbers)}-{role}")
            subprocess.run(["ip", "netns", "add", namespace.name], check=True)
            made.append(namespace)
            namespace.run("ip", "link", "set", "lo", "up")
            # Addresses are usable at once: nobody else can have them.
            namespace.run("sysctl", "-qw", *(f"net.ipv6.conf.{of}.accept_dad=0" for of in ("all", "default")))
        yield tuple(made)
    finally:
        for namespace in made:
            subprocess.run(["ip", "netns", "del", namespace.name], check=True)


def link(one: Namespace, one_address: str, other: Namespace, other_address: str) -> None:
    """Join two namespaces by a cable; each side's interface has the other's role for a name.
    Addresses are with their prefix length; give `a,b` for several."""
    ends = ((one, other, one_address), (other, one, other_address))
    one.run(
        *("ip", "link", "add", other.role, "type", "veth"),
        *("peer", "name", one.role, "netns", other.name),
    )
    for here, there, addresses in ends:
        for address in addresses.split(","):
            here.run("ip", "addr", "add", address, "dev", there.role)
        here.run("ip", "link", "set", there.role, "up")
    for here, there, _ in ends:
        show = ("ip", "link", "show", there.role)
        wait_until(
            lambda here=here, show=show: "state UP" in here.run(*show), f"{there.role} of {here.role} up"
        )
