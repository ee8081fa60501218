import io
import json
from pathlib import Path

import pytest
from mitmproxy.proxy import mode_specs

from lyncgate.engine.capture import modes, wireguard


@pytest.mark.parametrize(
    ("given", "listen", "wanted"),
    [
        (
            "tmg.contoso.example",
            "",
            ["http://tmg.contoso.example:80@80", "https://tmg.contoso.example:443@443"],
        ),
        (
            "192.0.2.1",
            "192.0.2.9",
            ["http://192.0.2.1:80@192.0.2.9:80", "https://192.0.2.1:443@192.0.2.9:443"],
        ),
        ("https://tmg:4443", "", ["https://tmg:4443@443"]),
        ("http://tmg:8080@0", "", ["http://tmg:8080@0"]),
        ("https://[2001:db8::1]:4443@8443", "::1", ["https://[2001:db8::1]:4443@::1:8443"]),
    ],
)
def test_a_server_to_stand_in_front_of(given: str, listen: str, wanted: list[str]) -> None:
    found = modes.reverse(given, listen)
    assert found == [f"reverse:{one}" for one in wanted]
    for spec in found:
        mode_specs.ProxyMode.parse(spec)


@pytest.mark.parametrize(
    "given",
    ["", "tmg:4443", "tmg@80", "ftp://tmg", "https://", "https://tmg/path", "https://tmg:99999", "a b"],
)
def test_what_is_no_server_is_said(given: str) -> None:
    with pytest.raises(ValueError, match=r"found .*allowed"):
        modes.reverse(given, "")


def test_an_explicit_proxy() -> None:
    assert modes.explicit("8080", "") == "regular@8080"
    assert modes.explicit("8080", "192.0.2.1") == "regular@192.0.2.1:8080"
    for wrong in ("host:1", "http", "70000", "-1"):
        with pytest.raises(ValueError, match="allowed"):
            modes.explicit(wrong, "")


def test_a_name_server_and_the_mode_that_passes_questions_on() -> None:
    assert modes.name_server("192.0.2.53") == ("192.0.2.53", 53)
    assert modes.name_server("[2001:db8::53]:5353") == ("2001:db8::53", 5353)
    assert modes.dns(("2001:db8::53", 5353), "", 0) == "reverse:dns://[2001:db8::53]:5353@0"
    spec = mode_specs.ProxyMode.parse(modes.dns(("192.0.2.53", 53), "192.0.2.1"))
    assert (spec.listen_host(), spec.listen_port()) == ("192.0.2.1", 53)
    with pytest.raises(ValueError, match="allowed: an address"):
        modes.name_server("dns.example")


def test_an_endpoint() -> None:
    assert modes.endpoint("capture.example") == ("capture.example", 51820)
    assert modes.endpoint("[2001:db8::1]:1194") == ("2001:db8::1", 1194)
    assert modes.endpoint("auto")[1] == 51820
    with pytest.raises(ValueError, match="allowed"):
        modes.endpoint("https://capture.example")


def test_wireguards_keys_are_made_once_and_for_their_owner(tmp_path: Path) -> None:
    directory = tmp_path / "ca"
    assert wireguard.mode(directory, 51820, "") == f"wireguard:{directory}/wireguard.conf@51820"
    keys = directory / "wireguard.conf"
    assert keys.stat().st_mode & 0o777 == 0o600
    before = keys.read_bytes()
    wireguard.mode(directory, 51820, "192.0.2.1")
    assert keys.read_bytes() == before
    written = wireguard.client_configuration(directory, ("2001:db8::1", 51820))
    assert f"PrivateKey = {json.loads(before)['client_key']}\n" in written
    assert json.loads(before)["server_key"] not in written
    assert written.endswith("Endpoint = [2001:db8::1]:51820")


def test_the_qr_code_shows_the_configuration(tmp_path: Path) -> None:
    """Module by module, what the terminal shows is the code of that text."""
    wireguard.mode(tmp_path, 51820, "")
    text = wireguard.client_configuration(tmp_path, ("192.0.2.1", 51820))
    code = wireguard.qr_code(text)
    shown = io.StringIO()
    code.terminal(shown, compact=True)
    lines = shown.getvalue().splitlines()
    halves = {"█": (0, 0), "▀": (0, 1), "▄": (1, 0), " ": (1, 1)}  # light is drawn, dark is not
    border = code.default_border_size
    drawn = [[halves[char][half] for char in line] for line in lines for half in (0, 1)]
    wanted = [list(row) for row in code.matrix_iter(border=border)]
    assert drawn[: len(wanted)] == wanted
    assert code.error == "L"
    assert code.mode == "byte"
