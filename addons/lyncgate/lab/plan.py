"""The plan of a lab: what all its processes must agree on, kept in its directory.

    lab.json         {"version": 1, "secret": "<hex>", "ports": {"external_https": 40123, …}, …}
    scenario.yaml    who there is: a copy of the scenario that the lab was made with
    ntlm-accounts    the same people, as NTLM wants them
    edge.yaml        rules for an edge in front of it: `lyncgate serve --rules LAB/edge.yaml`

Whoever comes first makes the directory: certificates, NTLM accounts, secret, ports. A lab that runs as
one process keeps the port sockets; members that run as processes of their own bind them by number.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import socket
from pathlib import Path

from lyncgate.lab import authority, rules, topology, usercertificates
from lyncgate.lab.directory import Directory
from lyncgate.lab.faults.fault import NO_FAULTS, Faults
from lyncgate.lab.ports import Ports, Reserved, bound, reserve
from lyncgate.lab.scenario.load import default_scenario, load_scenario
from lyncgate.lab.scenario.scenario import Scenario
from lyncgate.lab.ucwa import POLL_MINIMUM

PLAN_FILE = "lab.json"
SCENARIO_FILE = "scenario.yaml"
ACCOUNTS_FILE = "ntlm-accounts"
RULES_FILE = "edge.yaml"
VERSION = 1


class PlanError(ValueError):
    """There is a plan, but none that can be used."""


@dataclasses.dataclass(slots=True)
class Plan:
    """`secret` signs web tickets; `poll_minimum` is the shortest poll time-out, in seconds;
    `reserved`: sockets of the ports, until a listener takes them."""

    directory: Path
    secret: bytes
    ports: Ports
    scenario: Scenario
    poll_minimum: float = POLL_MINIMUM
    reserved: Reserved = dataclasses.field(default_factory=dict)

    @classmethod
    def create(
        cls,
        directory: Path,
        poll_minimum: float = POLL_MINIMUM,
        scenario: Scenario | None = None,
        faults: Faults = NO_FAULTS,
    ) -> Plan:
        """Make everything new in `directory`, which is made if need be. `scenario`: None is the lab's own.

        Raises PlanError if certificates are there that no lab has made: somebody's own may be in use.
        """
        scenario = scenario or default_scenario()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        strange = [] if (directory / PLAN_FILE).exists() else sorted(directory.glob("*.pem"))
        if strange:
            raise PlanError(
                f"{strange[0]} is not of a lab's making and would be overwritten: no {PLAN_FILE} there"
            )
        authority.write_certificates(directory, faults.write_certificates)
        usercertificates.write_authority(directory)
        authority.write_private(directory / SCENARIO_FILE, scenario.text.encode())
        accounts = Directory(faults.scenario(scenario)).ntlm_accounts()
        authority.write_private(directory / ACCOUNTS_FILE, accounts.encode())
        ports, reserved = reserve([member.address for member in topology.MEMBERS.values()])
        authority.write_private(directory / RULES_FILE, rules.rules_yaml(directory, ports).encode())
        plan = cls(directory, secrets.token_bytes(32), ports, scenario, poll_minimum, reserved)
        written = {
            "version": VERSION,
            "secret": plan.secret.hex(),
            "ports": dataclasses.asdict(ports),
            "poll_minimum": poll_minimum,
        }
        authority.write_private(directory / PLAN_FILE, json.dumps(written, indent=1).encode() + b"\n")
        return plan

    @classmethod
    def read(cls, directory: Path) -> Plan:
        """The plan that is in `directory`. Raises OSError: there is none, or PlanError: none to use."""
        values = json.loads((directory / PLAN_FILE).read_bytes())
        if values.get("version") != VERSION:
            raise PlanError(f"{directory / PLAN_FILE}: version {values.get('version')!r}, not {VERSION}")
        secret = bytes.fromhex(values["secret"])
        file = directory / SCENARIO_FILE
        scenario, problems = load_scenario(file.read_text(), str(file))
        if scenario is None:
            raise PlanError("\n".join(map(str, problems)))
        return cls(directory, secret, Ports(**values["ports"]), scenario, values["poll_minimum"])

    @property
    def accounts(self) -> Path:
        """The NTLM account file."""
        return self.directory / ACCOUNTS_FILE

    def listen(self, address: str, port: int) -> socket.socket:
        """A bound socket: the reserved one, once, else a new one."""
        return self.reserved.pop((address, port), None) or bound(address, port)

    def close(self) -> None:
        """Give up the ports that nobody took."""
        while self.reserved:
            self.reserved.popitem()[1].close()
