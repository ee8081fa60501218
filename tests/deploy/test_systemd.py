"""The unit: hardened as far as the edge can bear, and in step with the edge's own limits."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from lyncgate.policy.policy import Timeouts
from support.requirements import require

HERE = Path(__file__).parents[2] / "deploy" / "systemd"
UNIT = HERE / "lyncgate.service"


def settings(key: str) -> list[str]:
    """Each value that the unit gives `key`, in order."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_exposure_is_under_two() -> None:
    analyze = require("systemd-analyze", "systemd")
    result = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=20", "--no-pager", UNIT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-200:] + result.stderr
    assert "Overall exposure level" in result.stdout


def test_systemd_knows_each_setting(tmp_path: Path) -> None:
    """`verify` warns of unknown keys and values. The program isn't installed here: /bin/true stands in."""
    analyze = require("systemd-analyze", "systemd")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/lyncgate/bin/lyncgate", "/bin/true"))
    result = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    about_us = [line for line in result.stderr.splitlines() if UNIT.name in line]
    assert (result.returncode, about_us) == (0, [])


def test_the_user_is_the_one_that_sysusers_makes() -> None:
    kind, name, *_ = (HERE / "lyncgate.sysusers.conf").read_text().splitlines()[-1].split()
    assert (kind, [name]) == ("u", settings("User"))


def test_stopping_leaves_time_to_drain() -> None:
    (seconds,) = settings("TimeoutStopSec")
    assert int(seconds) >= Timeouts().drain + 10


def test_rules_are_checked_before_start_and_a_reload_says_how_it_went() -> None:
    assert settings("ExecStartPre") == ["/opt/lyncgate/bin/lyncgate check /etc/lyncgate/rules.yaml"]
    assert settings("ExecReload") == ["/opt/lyncgate/bin/lyncgate reload --pid $MAINPID"]


def test_systemd_hears_that_it_serves_and_only_the_supervisor_is_told_to_stop() -> None:
    assert settings("Type") == ["notify"]
    assert settings("KillMode") == ["mixed"]
    assert "AF_UNIX" in settings("RestrictAddressFamilies")[0].split()


def test_the_socket_unit_opens_what_the_template_of_the_rules_binds(tmp_path: Path) -> None:
    analyze = require("systemd-analyze", "systemd")
    socket = HERE / "lyncgate.socket"
    listeners = yaml.safe_load((HERE.parents[1] / "rules.yaml").read_text())["listeners"].values()
    opened = re.findall(r"^ListenStream=(.*)$", socket.read_text(), re.MULTILINE)
    assert opened == [address for listener in listeners for address in listener["bind"]]
    (tmp_path / socket.name).write_text(socket.read_text())
    (tmp_path / UNIT.name).write_text(UNIT.read_text().replace("/opt/lyncgate/bin/lyncgate", "/bin/true"))
    result = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", tmp_path / socket.name],
        capture_output=True,
        text=True,
        check=False,
    )
    about_us = [line for line in result.stderr.splitlines() if "lyncgate" in line]
    assert (result.returncode, about_us) == (0, [])


def test_no_capability_but_low_ports() -> None:
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert settings(key) == ["CAP_NET_BIND_SERVICE"]
