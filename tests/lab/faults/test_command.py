"""`lyncgate lab --fault` and `--list-faults` as an operator uses them."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lyncgate.lab.faults.catalogue import CATALOGUE

LYNCGATE = [sys.executable, "-c", "from lyncgate.cli.main import main; main()"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LYNCGATE, *arguments], capture_output=True, text=True, check=False, timeout=60)


@contextmanager
def running_lab(directory: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    command = [*LYNCGATE, "lab", "--dir", str(directory), "--json", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        assert process.wait(timeout=20) == 0


def phone(*arguments: str) -> tuple[int, str]:
    done = run("phone", "--device", "lync2013", "--user", "alice@contoso.example", *arguments)
    return done.returncode, done.stdout + done.stderr


def test_list_of_faults() -> None:
    text, as_json = run("lab", "--list-faults"), run("lab", "--list-faults", "--json")
    assert text.returncode == as_json.returncode == 0
    assert [fault["code"] for fault in json.loads(as_json.stdout)] == list(CATALOGUE)
    assert all(fault.title in text.stdout for fault in CATALOGUE.values())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--fault", "F77"], "there is no fault F77"),
        (["--fault", "F20=1"], "F20 has no amount"),
        (["--dns", "nowhere"], "neither pool nor an IPv4 address"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], why: str) -> None:
    done = run("lab", *arguments)
    assert done.returncode == 2
    assert why in " ".join(done.stderr.replace("│", " ").split())


def test_phone_of_another_process_meets_the_bad_proxy(tmp_path: Path) -> None:
    with running_lab(tmp_path / "lab", "--fault", "F20", "--fault", "F37=5") as lab:
        assert lab["faults"] == ["F20", "F37"]
        assert list(lab["proxies"]) == ["127.0.0.71"]
        status, said = phone("--to", lab["directory"])
        assert status == 1
        assert "ticket" in said


def test_phone_of_another_process_meets_dns(tmp_path: Path) -> None:
    with running_lab(tmp_path / "lab", "--fault", "F01", "--dns", "pool") as lab:
        status, said = phone("--to", lab["directory"], "--dns", "{}:{}".format(*lab["dns"]["external"]))
        assert status == 1
        assert "lyncdiscover.contoso.example: no such name" in said


def test_dns_of_a_lab_leads_to_its_bad_proxy(tmp_path: Path) -> None:
    with running_lab(tmp_path / "lab", "--fault", "F04", "--dns", "pool") as lab:
        dns = "{}:{}".format(*lab["dns"]["external"])
        status, said = phone("--to", lab["directory"], "--dns", dns, "--user", "dave@fabrikam.example")
        assert status == 0, said
        assert "alias of lyncweb.contoso.example, 127.0.0.71" in said
        assert "Hostname mismatch" in said
