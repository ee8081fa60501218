"""Who may set up a gateway, and what the rules say. What they do is seen between namespaces, in tests/e2e."""

import ipaddress
import os
from pathlib import Path

import pytest

from lyncgate.engine.capture import nftables
from lyncgate.engine.capture.gateway import Gateway
from lyncgate.engine.capture.nftables import Redirection, ruleset
from lyncgate.engine.capture.statefile import State, StateFile
from lyncgate.engine.master import StartError
from support.requirements import require


def test_who_is_not_root_is_told() -> None:
    require(os.geteuid() == 0, "coreutils (run as root)")
    os.seteuid(65534)
    try:
        with pytest.raises(StartError, match="run it as root"):
            Gateway()
    finally:
        os.seteuid(0)


def test_without_nft_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(nftables, "_PLACES", str(tmp_path))
    with pytest.raises(StartError, match="apt install nftables"):
        nftables.find_nft()


def test_each_family_of_sources_has_its_own_rules() -> None:
    sources = tuple(map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.7", "2001:db8::/32")))
    text = ruleset(Redirection(port=8080, interfaces=("wlan0",), sources=sources))
    assert 'iifname { "wlan0" } ip saddr { 192.0.2.0/24, 198.51.100.7/32 } fib' in text
    assert 'iifname { "wlan0" } ip6 saddr { 2001:db8::/32 } fib' in text
    assert "dport 53" not in text


def test_with_no_interface_and_no_source_all_but_the_machines_own_is_taken() -> None:
    text = ruleset(Redirection(port=8080, dns_port=5353))
    assert text.count('iifname != "lo"') == 3
    assert "udp dport 53 redirect to :5353" in text


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("lyncgate.engine.capture.statefile._DIRECTORY", tmp_path)
    return tmp_path


def test_a_state_file_has_one_owner_and_says_who(run: Path) -> None:
    first = StateFile.claim()
    first.write(State(pid=4711, since=1.0, sysctls={"ip_forward": "0"}))
    with pytest.raises(StartError, match=r"another transparent capture is running \(pid 4711\)"):
        StateFile.claim()
    first.close()  # killed, say
    second = StateFile.claim()
    assert second.read() == State(pid=4711, since=1.0, sysctls={"ip_forward": "0"})
    second.remove()
    second.close()
    assert not list(run.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_state_that_was_not_written_to_its_end_undoes_nothing(run: Path, text: str) -> None:
    claimed = StateFile.claim()
    claimed.close()
    (file,) = run.iterdir()
    file.write_text(text)
    again = StateFile.claim()
    assert again.read() is None
    again.close()
