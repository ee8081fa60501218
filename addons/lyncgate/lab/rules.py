"""The rules.yaml of an edge in front of the lab, with the lab's ports and certificates filled in."""

from __future__ import annotations

from pathlib import Path

import yaml

from lyncgate.lab import topology
from lyncgate.lab.authority import CA_FILE
from lyncgate.lab.ports import Ports
from lyncgate.policy.policy import Bridge

LOOPBACK = "127.0.0.1"


def rules_yaml(
    directory: Path,
    ports: Ports,
    *,
    http_port: int = 0,
    https_port: int = 0,
    admin_port: int = 0,
    discovery: str | None = None,
) -> str:
    """The text of rules.yaml; port 0 lets the edge choose. `directory`: where the lab's files are.
    `discovery`: the pool that answers lyncdiscover for all domains, as a Director does for its forest;
    None: each domain has its own, and who is homed elsewhere is named."""
    pools: dict[str, object] = {
        name: {
            "members": [{"name": m, "host": topology.MEMBERS[m].address} for m in pool.members],
            "bridge": {"http": ports.external_http, "https": ports.external_https},
            "tls": {"ca": str(directory / CA_FILE), "name": pool.fqdn},
            "health": {"tcp": ports.sip, "every": "2s", "timeout": "2s", "fall": 2, "rise": 1},
        }
        for name, pool in topology.POOLS.items()
    }
    owa = topology.MEMBERS["owa01"]
    pools["owa"] = {
        "members": [{"name": owa.name, "host": owa.address}],
        "bridge": {"http": ports.internal_http, "https": ports.internal_https},  # 443 to 443 (§9.1)
        "tls": {"ca": str(directory / CA_FILE), "name": owa.fqdn},
        "health": {"tcp": ports.internal_https, "every": "2s", "timeout": "2s", "fall": 2, "rise": 1},
    }
    domains = {
        name: {
            "web_services": topology.POOLS[discovery or domain.pool].web,
            "pool": discovery or domain.pool,
            "lyncdiscover": {"http": "answer", "https": "forward"},
        }
        for name, domain in topology.DOMAINS.items()
    }
    emea = topology.POOLS["pool02"]
    erin = {"match": "erin@contoso.example", "web_services": emea.web, "pool": emea.name}
    listeners = {
        "http": {"bind": [f"{LOOPBACK}:{http_port}"], "protocol": "http", "redirect": "https"},
        "https": {
            "bind": [f"{LOOPBACK}:{https_port}"],
            "protocol": "https",
            "certificates": [
                {
                    "cert": str(directory / "edge.pem"),
                    "key": str(directory / "edge.key"),
                    "root": str(directory / CA_FILE),
                }
            ],
        },
    }
    publications: list[dict[str, object]] = [
        {
            "name": f"web services {name}",
            "hosts": [pool.web],
            "paths": ["/*"],
            "except": ["/cscp", "/ocspowershell"],
            "pool": name,
        }
        for name, pool in topology.POOLS.items()
    ]
    publications += [
        {"name": "simple urls", "hosts": [topology.MEET_HOST, topology.DIALIN_HOST], "pool": "pool01"},
        {"name": "office web apps", "hosts": [topology.OWA_HOST], "paths": ["/*"], "pool": "owa"},
    ]
    rules = {
        "version": 1,
        "lync": {
            "domains": domains,
            "users": [] if discovery else [erin],
        },
        "listeners": listeners,
        "pools": pools,
        "publications": publications,
        "admin": {"bind": f"{LOOPBACK}:{admin_port}"},
    }
    return yaml.safe_dump(rules, sort_keys=False)


class NotOfTheLabError(ValueError):
    """Rules lead to a server that the lab does not have."""


def placed(text: str, ports: Ports) -> str:
    """Rules that were written for real servers (the shipped rules.yaml), put in front of the lab.

    Names, publications and everything else stay; only where things are is the lab's: listeners on free
    loopback ports, members by their address, ports of the external sites and of SIP. Certificates are
    expected where the rules say. Raises NotOfTheLabError.
    """
    document = yaml.safe_load(text)
    for listener in document["listeners"].values():
        listener["bind"] = [f"{LOOPBACK}:0"]
    document["admin"] = {"bind": f"{LOOPBACK}:0"}
    for pool in document["pools"].values():
        pool["members"] = [_placed_member(member) for member in pool["members"]]
        pool["bridge"] = {"http": ports.external_http, "https": ports.external_https}
        pool.setdefault("health", {})["tcp"] = ports.sip
    for test in document.get("tests", ()):
        if test["expect"].get("port") == Bridge().https:
            test["expect"]["port"] = ports.external_https
    return yaml.safe_dump(document, sort_keys=False)


def _placed_member(fqdn: str) -> dict[str, str]:
    for member in topology.MEMBERS.values():
        if member.fqdn == fqdn:
            return {"name": member.name, "host": member.address}
    known = ", ".join(member.fqdn for member in topology.MEMBERS.values() if member.pool)
    raise NotOfTheLabError(f"{fqdn} is no server of the lab; it has {known}")
