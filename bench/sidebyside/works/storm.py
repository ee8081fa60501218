"""A storm of sign-ins: the whole sequence with NTLM, each on new connections."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from sidebyside.field import Field, Instance, Round, load_processes
from sidebyside.measuring import Usage
from sidebyside.processes import ENVIRONMENT, python

NAME = "storm"
WHAT = (
    "whole sign-ins on new connections, 16 at a time: lyncdiscover on 80 and 443, user document (401), "
    "mex, web ticket by NTLM in three legs, user document, UCWA application, policies: 10 requests"
)
AT_ONCE = 16


def measure(field: Field) -> dict[str, Any]:
    """By peer. `strangers`: answers with another's identity, of which there may be none."""
    with field.lync_origin(load_processes()) as origin, field.instances(NAME, origin) as instances:
        return field.by_turns(
            NAME, instances, lambda one: _round(one, field.options.seconds), "rate=/s cpu=us p50=ms"
        )


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
