"""A UCWA client that we did not write: PyPI's `ucwa`."""

import json
import os
import subprocess
import sys
from pathlib import Path

from lab.client import AUTODISCOVER, WEB

DRIVER = Path(__file__).with_name("ucwa_client.py")


def test_creates_an_application_makes_itself_available_and_reads_an_event(lab):
    estate = lab.estate
    order = {
        "user": "alice@contoso.example",
        "password": "P4ss-alice",
        "origin": "https://portal.contoso.example",
        "connect": [
            [rule.host, rule.port, *(rule.to or (None, None))] for rule in estate.names_without_edge().rules
        ],
    }
    done = subprocess.run(
        [sys.executable, DRIVER],
        input=json.dumps(order),
        env=os.environ | {"REQUESTS_CA_BUNDLE": str(estate.ca_file)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["xframe"] == f"{WEB}/Autodiscover/XFrame/XFrame.html"
    assert said["user"].startswith(f"{WEB}{AUTODISCOVER}/oauth/user")
    assert said["applications"] == f"{WEB}/ucwa/oauth/v1/applications"
    events = said["events"]
    assert "next" in events["_links"]
    assert [event for sender in events["sender"] for event in sender["events"]]
