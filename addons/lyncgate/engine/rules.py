"""Reads rules.yaml from disk with the files it names: the thin shell round `lyncgate.policy.load`."""

from __future__ import annotations

import time
from pathlib import Path

import certifi

from lyncgate.policy.load import Loaded, load
from lyncgate.policy.problem import Problem

# Debian's bundle holds what the administrator trusts beside the public authorities.
SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def read_rules(path: Path) -> Loaded:
    """Load rules.yaml. `Loaded.files` are absolute, without rules.yaml itself.

    Raises OSError if rules.yaml can't be read; whatever is in it becomes a Problem.
    """
    content = path.read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        message = f"found the byte {content[error.start]:#04x}; allowed: UTF-8 text"
        return Loaded(None, (Problem(str(path), line, column, "", message),))
    return load(
        text,
        filename=str(path),
        directory=str(path.absolute().parent),
        read=lambda name: Path(name).read_bytes(),
        now=time.time(),
        anchors=system_anchors(),
    )


def system_anchors() -> bytes:
    """PEM bundle of the authorities that clients are taken to trust."""
    bundles = [path for path in (Path(certifi.where()), SYSTEM_BUNDLE) if path.is_file()]
    return b"\n".join(path.read_bytes() for path in bundles)
