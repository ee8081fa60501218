"""A phone joins a capture by WireGuard: mitmproxy is the other end of the tunnel, no kernel module needed.

Keys are made once and kept beside the authority. There is one client: a second phone with the same
configuration takes the tunnel over from the first.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import mitmproxy_rs
import segno

KEYS_FILE = "wireguard.conf"  # mitmproxy's form: {"server_key": …, "client_key": …}


def mode(directory: Path, port: int, listen: str) -> str:
    """mitmproxy's mode, with the keys in `directory`, which are made if there are none. Raises OSError."""
    keys = directory / KEYS_FILE
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not keys.exists():
        made = {name: mitmproxy_rs.wireguard.genkey() for name in ("server_key", "client_key")}
        with os.fdopen(os.open(keys, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made, file)
    return f"wireguard:{keys}@{f'{listen}:' if listen else ''}{port}"


def client_configuration(directory: Path, endpoint: tuple[str, int]) -> str:
    """What the phone's WireGuard wants to know. Holds its private key.

    All IPv4 goes through the tunnel, where addresses are mitmproxy's own; IPv6 does not, and phones fall
    back. Raises OSError, ValueError: the keys can't be read.
    """
    keys = json.loads((directory / KEYS_FILE).read_text())
    host = f"[{endpoint[0]}]" if ":" in endpoint[0] else endpoint[0]
    return "\n".join(
        (
            "[Interface]",
            f"PrivateKey = {keys['client_key']}",
            "Address = 10.0.0.1/32",
            "DNS = 10.0.0.53",
            "",
            "[Peer]",
            f"PublicKey = {mitmproxy_rs.wireguard.pubkey(keys['server_key'])}",
            "AllowedIPs = 0.0.0.0/0",
            f"Endpoint = {host}:{endpoint[1]}",
        )
    )


def qr_code(configuration: str) -> segno.QRCode:
    """The configuration for the phone's camera: WireGuard's apps read it from a QR code."""
    return segno.make_qr(configuration, error="l")
