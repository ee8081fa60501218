from __future__ import annotations

import pytest

from lyncgate.lync.stages import Stage, classify

ROOT = "/autodiscover/autodiscoverservice.svc/root"
APP = "/ucwa/oauth/v1/applications/105"


def test_the_words_in_order() -> None:
    words = (
        "start dns_internal dns_discover dns_web connect redirect discover locate ticket certificate "
        "register mobility_policy provisioning notifications ready"
    )
    assert " ".join(Stage) == words


@pytest.mark.parametrize(
    ("method", "path", "stage", "poll"),
    [
        ("GET", "/", None, False),
        ("GET", ROOT, Stage.LOCATE, False),
        ("GET", ROOT + "/user", Stage.LOCATE, False),
        ("GET", ROOT + "/oauth/user", Stage.LOCATE, False),
        ("GET", ROOT + "/domain", Stage.LOCATE, False),
        ("GET", "/autodiscover/xframe/xframe.html", None, False),
        ("GET", ROOT + "users", None, False),
        ("GET", ROOT + "/username", None, False),
        ("GET", "/webticket/webticketservice.svc/mex", Stage.TICKET, False),
        ("POST", "/webticket/oauthtoken", Stage.TICKET, False),
        ("GET", "/passiveauth/passiveauth.aspx", Stage.TICKET, False),
        ("POST", "/certprov/certprovisioningservice.svc/webticket_proof", Stage.CERTIFICATE, False),
        ("POST", "/mcx/mcxservice.svc", Stage.REGISTER, False),
        ("POST", "/mcx/mcxservice.svc/poll", Stage.NOTIFICATIONS, True),
        ("GET", "/ucwa/v1/applications", Stage.REGISTER, False),
        ("POST", "/ucwa/v1/applications", Stage.REGISTER, False),
        ("POST", "/ucwa/oauth/v1/applications", Stage.REGISTER, False),
        ("OPTIONS", "/ucwa/v1/applications", None, False),
        ("DELETE", APP, None, False),
        ("GET", APP + "/events", Stage.NOTIFICATIONS, True),
        ("OPTIONS", APP + "/events", None, False),
        ("GET", "/ucwa/v1/applications/105/policies", Stage.MOBILITY_POLICY, False),
        ("POST", APP + "/me/makemeavailable", Stage.READY, False),
        ("GET", APP + "/people/contacts", Stage.READY, False),
        ("GET", APP + "/photos/alice@contoso.example", Stage.READY, False),
        ("POST", APP + "/me/reportmyactivity", None, False),
        ("POST", APP + "/batch", None, False),
        ("GET", "/ucwa", None, False),
        ("GET", "/abs/handler/f-1.lsabs", Stage.READY, False),
        ("POST", "/groupexpansion/service.svc", Stage.READY, False),
        ("GET", "/absolutely", None, False),
        ("GET", "/meet/poll", None, False),
        ("GET", "/webtickets", None, False),
    ],
)
def test_path(method: str, path: str, stage: Stage | None, poll: bool) -> None:
    assert classify(method, path, False, "forward") == (stage, poll)
    assert classify(method, path, False, "deny") == (stage, poll)
    assert classify(method, path, False, "redirect") == (Stage.REDIRECT, False)


@pytest.mark.parametrize("path", ["/", ROOT])
@pytest.mark.parametrize("kind", ["forward", "answer"])
def test_root_at_lyncdiscover_is_discovery(path: str, kind: str) -> None:
    assert classify("GET", path, True, kind) == (Stage.DISCOVER, False)


def test_user_document_at_lyncdiscover_is_location() -> None:
    assert classify("GET", ROOT + "/user", True, "forward") == (Stage.LOCATE, False)
