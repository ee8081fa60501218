"""A lab with another scenario, over real sockets: its people sign in, nobody else does."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.client import RST, TICKET, WEB
from lab.scenario.files import OFFICE, office
from lyncgate.lab import topology
from lyncgate.lab.estate import Estate
from lyncgate.lab.plan import PlanError
from support.estate import RunningEstate, running_estate
from support.processes import LYNCGATE
from support.requirements import require


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEstate]:
    with running_estate(tmp_path_factory.mktemp("office"), scenario=office()) as running:
        yield running


def ticket_of(lab: RunningEstate, principal: str, password: str) -> str | None:
    """Whom a web ticket names that curl gets by its own NTLM, None: it was refused."""
    address, port = topology.MEMBERS["fe01"].address, lab.estate.ports.external_https
    command = [
        *(require("curl", "curl"), "--silent", "--fail", "--cacert", str(lab.estate.ca_file)),
        *("--connect-to", f"::{address}:{port}", "--ntlm", "--user", f"{principal}:{password}"),
        *("--header", "Content-Type: text/xml", "--data-binary", RST.decode(), WEB + TICKET),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    name = re.search(r"sip:([^<]+)</saml:NameIdentifier>", done.stdout)
    assert (done.returncode == 22) == (name is None), done  # 22: a status of 400 or more
    return name and name[1]


@pytest.mark.parametrize(
    ("principal", "password", "sip"),
    [
        ("a.adams@contoso.example", "Correct-horse-1", "alice@contoso.example"),
        ("CONTOSO\\a.adams", "Correct-horse-1", "alice@contoso.example"),
        ("alice@contoso.example", "Correct-horse-1", None),  # her SIP address is not her UPN (F22)
        ("a.adams@contoso.example", "P4ss-alice", None),
        ("user08@contoso.example", "P4ss-user08", "user08@contoso.example"),
        ("dave@fabrikam.example", "P4ss-dave", None),  # only in the lab's own scenario
    ],
)
def test_the_people_of_the_scenario_sign_in_and_nobody_else(
    lab: RunningEstate, principal: str, password: str, sip: str | None
) -> None:
    assert ticket_of(lab, principal, password) == sip


def test_servers_in_processes_of_their_own_have_the_same_people(tmp_path: Path) -> None:
    Estate.prepare(tmp_path, scenario=office())
    with running_estate(tmp_path, members=["fe02"]) as second:
        assert second.estate.people.users == office().users
    with pytest.raises(PlanError, match="has a lab with another scenario"):
        Estate.prepare(tmp_path, scenario=office(OFFICE.replace("Fabrikam", "Tailspin")))
    (tmp_path / "scenario.yaml").write_text("version: 1\n")
    with pytest.raises(PlanError, match=r"scenario\.yaml:1:1: .*users: missing"):
        Estate.prepare(tmp_path)


class TestCommand:
    """`lyncgate lab --scenario`."""

    def test_runs_with_the_people_of_the_file(self, tmp_path: Path) -> None:
        file = tmp_path / "office.yaml"
        file.write_text(OFFICE)
        command = [*LYNCGATE, "lab", "--json", "--scenario", str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            try:
                said = json.loads(process.stdout.readline())
            finally:
                process.send_signal(signal.SIGTERM)
        assert said["users"].keys() == office().by_sip.keys()
        assert process.returncode == 0

    def test_says_all_that_is_wrong_and_starts_nothing(self, tmp_path: Path) -> None:
        file = tmp_path / "office.yaml"
        file.write_text(OFFICE.replace("Busy", "Bussy").replace("voicemail: false", "voicemial: false"))
        done = subprocess.run(
            [*LYNCGATE, "lab", "--scenario", str(file)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert [line.partition(": ")[0].removeprefix(str(file)) for line in lines] == [":37:15", ":39:5"]
        assert 'unknown key; did you mean "voicemail"?' in lines[1]

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [*LYNCGATE, "lab", "--scenario", str(tmp_path / "none.yaml")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert "none.yaml" in done.stderr.replace("\n", "")
