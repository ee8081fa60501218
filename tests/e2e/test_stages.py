"""The fourteen stages of a sign-in through the edge, each proved by what went over a wire or into a trace:
the DNS server's query log, the edge's access log, the SIP traces of front ends and Access Edge. What the
phone says of itself proves nothing here."""

import contextlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lyncgate.lync.stages import Stage
from support.processes import LYNCGATE, ROOT, Edge, Lab, edge_process

ALICE = "alice@contoso.example"
RECORD = re.compile(r"\$\$begin_record\n(.*?)\$\$end_record", re.DOTALL)


@dataclass(frozen=True)
class Seen:
    """What one sign-in left behind. `sip`: protocol records of the front ends; `edge_sip`: those of the
    Access Edge; `components`: the mobility service's trace lines."""

    dns: list[dict[str, Any]]
    web: list[dict[str, Any]]
    sip: list[str]
    edge_sip: list[str]
    components: str

    def answered(self, request: str, *words: str) -> bool:
        """Whether a SIP request with these words was answered 200, by Call-ID and CSeq."""
        asked = [r for r in self.sip if f"Start-Line: {request}" in r and all(w in r for w in words)]
        keys = [tuple(re.findall(r"(?im)^(?:call-id|cseq): .*$", record)) for record in asked]
        return any(
            "Start-Line: SIP/2.0 200" in record and all(line in record for line in key)
            for key in keys
            for record in self.sip
        )

    def web_has(self, **fields: Any) -> bool:
        """Whether the edge recorded an exchange with these fields."""
        return any(all(record.get(name) == value for name, value in fields.items()) for record in self.web)

    def dns_has(self, name: str, rcode: str, answer: str = "") -> bool:
        return any(
            query["name"] == name and query["rcode"] == rcode and answer in " ".join(query["answers"])
            for query in self.dns
        )


# Stage by stage, what every device leaves; `port` is where the mobility service says it registers from.
def evidence(port: int) -> dict[Stage, Callable[[Seen], bool]]:
    return {
        Stage.START: lambda seen: seen.web_has(sip_user=ALICE),
        Stage.DNS_INTERNAL: lambda seen: seen.dns_has("lyncdiscoverinternal.contoso.example", "NXDOMAIN"),
        Stage.DNS_DISCOVER: lambda seen: seen.dns_has(
            "lyncdiscover.contoso.example", "NOERROR", "CNAME lyncweb.contoso.example"
        ),
        Stage.DNS_WEB: lambda seen: seen.dns_has("lyncweb.contoso.example", "NOERROR", "A 127.0.0.1"),
        Stage.CONNECT: lambda seen: any("client_tls" in record["phases"] for record in seen.web),
        Stage.REDIRECT: lambda seen: seen.web_has(scheme="http", decision="answer", status=200),
        Stage.DISCOVER: lambda seen: seen.web_has(stage="discover", scheme="https", status=200),
        Stage.LOCATE: lambda seen: (
            seen.web_has(stage="locate", status=401) and seen.web_has(stage="locate", status=200)
        ),
        Stage.TICKET: lambda seen: seen.web_has(stage="ticket", method="POST", status=200, ntlm_user=ALICE),
        Stage.REGISTER: lambda seen: seen.answered("REGISTER", f"sip:pool01.contoso.local:{port};"),
        # Mcx traces what it decided; a UCWA client asks for its policies itself.
        Stage.MOBILITY_POLICY: lambda seen: (
            f"{ALICE} is enabled for mobility" in seen.components
            or seen.web_has(stage="mobility_policy", status=200)
        ),
        Stage.PROVISIONING: lambda seen: (
            seen.answered("SUBSCRIBE", "Event: vnd-microsoft-provisioning-v2")
            and any("<provisionGroupList" in record for record in seen.sip)
        ),
        Stage.NOTIFICATIONS: lambda seen: seen.web_has(stage="notifications", kind="poll", status=200),
        Stage.READY: lambda seen: seen.answered("SUBSCRIBE", "Event: vnd-microsoft-roaming-contacts"),
    }


def certificate(seen: Seen) -> bool:
    return seen.web_has(stage="certificate", method="POST", status=200)


def pushed(seen: Seen) -> bool:
    return any("Start-Line: MESSAGE sip:push@" in record for record in seen.edge_sip)


@contextlib.contextmanager
def estate(directory: Path) -> Iterator[tuple[Lab, Edge]]:
    """A lab with DNS and traces, and an edge in front of it."""
    options = ("--dir", str(directory), "--poll-minimum", "1", "--dns", "127.0.0.1")
    traces = ("--traces", str(directory / "traces"))
    with contextlib.closing(Lab(directory, [*LYNCGATE, "lab", "--json", *options, *traces])) as lab:
        assert lab.start("lab").said
        with edge_process(lab.rules()) as edge:
            yield lab, edge


def sign_in(lab: Lab, edge: Edge, device: str) -> Seen:
    """One phone of that make signs in, in a process of its own, and leaves."""
    said = lab.processes["lab"].said
    (http_host, http_port), (https_host, https_port) = edge.http, edge.https
    command = [*LYNCGATE, "phone", "--device", device, "--user", ALICE, "--poll-timeout", "2"]
    command += ["--to", f"{https_host}:{https_port}", "--to", f"http://{http_host}:{http_port}"]
    command += ["--dns", "{}:{}".format(*said["dns"]["external"]), "--push", said["push"]]
    done = subprocess.run(
        [*command, "--ca", str(lab.ca)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    edge.so_far()
    fronts = [(lab.directory / "traces" / f"{name}.log").read_text() for name in ("fe01", "fe02")]
    return Seen(
        dns=[json.loads(line) for line in (lab.directory / "dns.log").read_text().splitlines()],
        web=edge.exchanges(),
        sip=[record for text in fronts for record in RECORD.findall(text)],
        edge_sip=RECORD.findall((lab.directory / "traces" / "sip.log").read_text()),
        components="\n".join(line for text in fronts for line in text.splitlines() if "(MCXService," in line),
    )


@pytest.mark.parametrize(
    ("device", "port", "has_certificate", "has_push"),
    [("wp75", 5087, True, True), ("android2010", 5087, False, False), ("lync2013", 5088, False, False)],
)
def test_every_stage_has_its_evidence(
    tmp_path: Path, device: str, port: int, has_certificate: bool, has_push: bool
) -> None:
    with estate(tmp_path) as (lab, edge):
        seen = sign_in(lab, edge, device)
        missing = [stage for stage, proves in evidence(port).items() if not proves(seen)]
        assert not missing, f"{device}: no evidence of {missing}"
        assert certificate(seen) is has_certificate
        assert pushed(seen) is has_push


def test_a_front_end_sees_the_web_and_not_the_phone(tmp_path: Path) -> None:
    """In the traces the mobility service is the peer of every REGISTER: a phone speaks no SIP."""
    with estate(tmp_path) as (lab, edge):
        registers = [r for r in sign_in(lab, edge, "wp75").sip if "Start-Line: REGISTER" in r]
        assert registers
        assert all(re.search(r"^Peer: fe0[12]\.contoso\.local:\d+", r, re.MULTILINE) for r in registers)
