"""What `lyncgate capture` says when it can't do what it was asked for. What it does is in tests/e2e."""

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lyncgate.cli.main import app


def refused(*options: str) -> str:
    result = CliRunner().invoke(app, ["capture", *options], terminal_width=300)
    assert result.exit_code != 0, result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "say how phones come: --reverse, --transparent, --wireguard, --explicit, --dns"),
        (("--reverse", "tmg:4443"), "allowed: http:// or https:// before a host with ports"),
        (("--explicit", "http"), "found 'http'; allowed: a port"),
        (("--explicit", "0", "--for", "soon"), "--for: found 'soon'; allowed: a duration such as 500ms, 5s"),
        (("--explicit", "0", "--interface", "wlan0"), "say whose traffic --transparent takes"),
        (("--transparent", "--from", "192.0.2.1/24"), "--from: 192.0.2.1/24 has host bits set"),
        (("--explicit", "0", "--listen", "here"), "--listen: found 'here'; allowed: an address"),
        (("--dns", "--name-server", "dns"), "found 'dns'; allowed: an address"),
    ],
)
def test_wrong_options_are_told_before_anything_is_done(
    options: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refused(*options)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "capture.flows").write_text("of yesterday")
    assert "File exists" in refused(
        "--explicit", "0", "--out", str(tmp_path), "--ca-dir", str(tmp_path / "ca")
    )
    assert (tmp_path / "capture.flows").read_text() == "of yesterday"


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ("--explicit", port, "--listen", "127.0.0.1", "--out", str(tmp_path / "out"))
        said = refused(*options, "--ca-dir", str(tmp_path / "ca"))
    assert f"failed to listen on 127.0.0.1:{port}" in said
    assert "address already in use" in said
