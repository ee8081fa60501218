"""A storm of sign-ins: the whole sequence with NTLM, each on new connections.

NTLM's connection to the front end is its client's, so each sign-in has one of its own there as well, and its
TLS is part of what a sign-in costs. Front ends speak TLS 1.2 up to Windows Server 2019; to resume a session
takes a quarter there of what it takes in TLS 1.3. Both are measured.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

from sidebyside.field import Field, Instance, Round, Rounds, load_processes
from sidebyside.measuring import Usage
from sidebyside.processes import ENVIRONMENT, python

NAME = "storm"
WHAT = (
    "whole sign-ins on new connections, 16 at a time: lyncdiscover on 80 and 443, user document (401), "
    "mex, web ticket by NTLM in three legs, user document, UCWA application, policies: 10 requests"
)
AT_ONCE = 16
VERSIONS = ("1.2", "1.3")  # of TLS, the newest that the front end speaks


def measure(field: Field) -> dict[str, Any]:
    """By what the front end speaks, then by peer. `strangers`: answers with another's identity, of which
    there may be none."""
    return {version: _storms(field, version) for version in VERSIONS}


def _storms(field: Field, version: str) -> Rounds:
    def act(one: Instance) -> Round:
        return _round(one, field.options.seconds)

    shown = "rate=/s cpu=us p50=ms"
    with field.lync_origin(load_processes(), tls=version) as origin, field.instances(NAME, origin) as those:
        return field.by_turns(f"{NAME}, TLS {version}", those, act, shown)


def _round(instance: Instance, seconds: int) -> Round:
    place = instance.place
    command = python("storm", place.https, place.http, AT_ONCE, seconds)
    usage = Usage(instance.pid)
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT).stdout
    usage.stop()
    said: Round = json.loads(out)
    # The generator's own start, in which the proxy has nothing to do, is not part of it.
    busy = usage.busy * usage.took / said["seconds"]
    return {**said, "cpu": usage.cpu / max(said["signed_in"], 1) * 1e6, "busy": min(busy, 1.0)}
