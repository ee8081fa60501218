"""Members come and go, labs live side by side, and the rules that are written for an edge are good ones."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.client import AUTODISCOVER, WEB, XML, Client
from lyncgate.lab import topology
from lyncgate.lab.estate import Estate
from lyncgate.lab.plan import PlanError
from lyncgate.lab.rules import rules_yaml
from lyncgate.policy.load import load
from support.estate import running_estate

COMMAND = [sys.executable, "-c", "import typer; from lyncgate.cli.lab import lab; typer.run(lab)"]
ROOT_URL = WEB + AUTODISCOVER


@pytest.fixture
def small(tmp_path):
    with running_estate(tmp_path / "lab") as running:
        yield running


def is_open(name: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((topology.MEMBERS[name].address, port)) == 0


class TestMembers:
    def test_killed_member_resets_its_connections_and_refuses_new_ones(self, small):
        client = Client(small)

        async def killed_in_the_middle():
            connection = await client.connect(ROOT_URL)
            await connection.request("GET", AUTODISCOVER, [XML])
            await small.estate.kill("fe01")
            await connection.request("GET", AUTODISCOVER, [XML])

        with pytest.raises(ConnectionResetError):
            small.run(killed_in_the_middle())
        ports = small.estate.ports
        assert not any(
            is_open("fe01", port) for port in (ports.external_https, ports.external_http, ports.sip)
        )
        assert is_open("fe02", ports.external_https)
        assert client.ask("GET", ROOT_URL, [XML], member="fe02").status == 200

    def test_it_comes_back_on_the_same_ports(self, small):
        client = Client(small)
        assert client.ask("GET", ROOT_URL, [XML]).status == 200
        small.run(small.estate.kill("fe01"))
        small.run(small.estate.start_member("fe01"))
        assert client.ask("GET", ROOT_URL, [XML]).header("x-ms-server-fqdn") == "fe01.contoso.local"

    def test_all_members_share_their_port_numbers_and_each_has_the_ports_of_its_role(self, small):
        ports, has_no_sip = small.estate.ports, topology.Role.OFFICE_WEB_APPS
        for name, member in topology.MEMBERS.items():
            assert is_open(name, ports.sip) == (member.role is not has_no_sip)
            assert is_open(name, ports.external_https) == (member.pool is not None)
            assert is_open(name, ports.internal_https) == (member.role is not topology.Role.ACCESS_EDGE)


def test_labs_live_side_by_side_and_do_not_believe_each_others_tickets(small, tmp_path):
    with running_estate(tmp_path / "other") as other:
        assert set(vars_of(small.estate.ports)).isdisjoint(vars_of(other.estate.ports))
        ticket = Client(other).ticket("alice@contoso.example")
        refused = Client(small).ask("GET", f"{ROOT_URL}/user", [ticket])
        assert (refused.status, refused.header("x-ms-diagnostics")[:6]) == (500, "28032;")


def vars_of(ports):
    return {getattr(ports, name) for name in ports.__slots__}


def test_keys_are_for_their_owner_only(small):
    secret = [path for path in small.estate.directory.iterdir() if path.suffix in (".key", ".json", "")]
    assert len(secret) >= 6
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}


def test_rules_for_an_edge_load_without_complaint(small):
    text = small.estate.rules_yaml()
    ca = small.estate.ca_file.read_bytes()
    loaded = load(
        text, filename="rules.yaml", read=lambda p: Path(p).read_bytes(), now=time.time(), anchors=ca
    )
    assert list(loaded.problems) == []
    assert {member.host for member in loaded.policy.pools["pool01"].members} == {"127.0.0.11", "127.0.0.12"}
    assert loaded.policy.pools["pool01"].bridge.https == small.estate.ports.external_https


def test_rules_for_an_edge_lie_in_the_directory(small):
    file = small.estate.directory / "edge.yaml"
    assert file.read_text() == small.estate.rules_yaml()


def test_given_ports_are_bound_and_zero_lets_the_edge_choose(small):
    text = rules_yaml(small.estate.directory, small.estate.ports, http_port=8080, admin_port=9145)
    assert "127.0.0.1:8080" in text
    assert "127.0.0.1:0" in text
    assert "127.0.0.1:9145" in text


def test_port_taken_by_another_is_no_end_to_the_search(monkeypatch):
    """A number that is free on the first address only is passed over."""
    from lyncgate.lab import ports

    first, second = "127.0.0.11", "127.0.0.12"
    with socket.socket() as taken:
        taken.bind((second, 0))
        number = taken.getsockname()[1]
        offers = iter([number, 0])
        exclusive = ports._exclusive
        monkeypatch.setattr(ports, "_exclusive", lambda a, p: exclusive(a, p or next(offers, 0)))
        found, reserved = ports.reserve([first, second])
        assert found.external_https != number
        for sock in reserved.values():
            sock.close()


class TestProcesses:
    """`lyncgate lab` as a process of its own."""

    def start(self, *arguments):
        process = subprocess.Popen(
            [*COMMAND, *arguments, "--json"], stdout=subprocess.PIPE, env=environment()
        )
        try:
            line = process.stdout.readline()
            return process, json.loads(line)
        except BaseException:
            process.kill()
            process.wait()
            raise

    def end(self, process, signum):
        process.send_signal(signum)
        process.stdout.close()
        return process.wait(timeout=10)

    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
    def test_runs_until_told_to_stop_and_cleans_up_what_it_made(self, signum):
        process, said = self.start()
        try:
            assert set(said["members"]) == set(topology.MEMBERS)
            assert said["users"]["alice@contoso.example"] == {"password": "P4ss-alice", "home": "pool01"}
            assert Path(said["ca"]).exists()
            assert is_open("fe01", said["ports"]["external_https"])
        finally:
            status = self.end(process, signum)
        assert status == 0
        assert not Path(said["directory"]).exists()

    def test_member_in_its_own_process_can_be_killed_and_its_tickets_stay_good(self, tmp_path):
        mine = tmp_path / "mine.txt"
        mine.write_text("not the lab's")
        Estate.prepare(tmp_path)
        process, said = self.start("--dir", str(tmp_path), "--member", "fe01")
        try:
            assert list(said["members"]) == ["fe01"]
            with running_estate(tmp_path, members=["fe02", "fe21"]) as rest:
                client = Client(rest)
                ticket = client.ticket("alice@contoso.example")  # of fe01, in the other process
                user = f"{ROOT_URL}/user"
                assert client.ask("GET", user, [XML, ticket], member="fe02").status == 200
                self.end(process, signal.SIGKILL)
                with pytest.raises(ConnectionRefusedError):
                    client.ask("GET", user, [XML, ticket])
                assert client.ask("GET", user, [XML, ticket], member="fe02").status == 200
        finally:
            if process.poll() is None:
                self.end(process, signal.SIGKILL)
        assert mine.exists()
        assert (tmp_path / "lab.json").exists()

    @pytest.mark.parametrize("arguments", [["--member", "fe99", "--dir", "x"], ["--member", "fe01"]])
    def test_wrong_usage_is_status_2(self, arguments):
        done = subprocess.run([*COMMAND, *arguments], env=environment(), capture_output=True, check=False)
        assert done.returncode == 2
        assert b"--member" in done.stderr


def environment():
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def test_start_that_fails_gives_its_ports_back(tmp_path, monkeypatch):
    async def fails(self, name):
        if name == "fe02":
            raise OSError("on purpose")
        await start_member(self, name)

    async def start():
        async with Estate.start(tmp_path):
            pytest.fail("started")

    start_member = Estate.start_member
    monkeypatch.setattr(Estate, "start_member", fails)
    with pytest.raises(OSError, match="on purpose"):
        asyncio.run(start())
    ports = json.loads((tmp_path / "lab.json").read_text())["ports"]
    assert not is_open("fe01", ports["external_https"])


def test_certificates_of_somebody_elses_are_left_alone(tmp_path):
    (tmp_path / "edge.pem").write_text("in use")

    async def start() -> None:
        async with Estate.start(tmp_path):
            pass

    with pytest.raises(PlanError, match=r"edge\.pem is not of a lab's making"):
        asyncio.run(start())
    assert (tmp_path / "edge.pem").read_text() == "in use"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edge.pem"]
