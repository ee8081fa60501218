"""Clients that we did not write sign in to the lab, with no edge in between."""

import subprocess

import pytest
import requests
import requests_ntlm

from e2e.sipe.run import requires_sipe, run_sipe
from lab.client import RST, TICKET, WEB
from lyncgate.lab import topology
from support.requirements import require

ALICE = "alice@contoso.example"


def sipe(lab, user, password=None, *, member="fe01", **options):
    return run_sipe(
        user,
        password or f"P4ss-{user.partition('@')[0]}",
        connect_to=lab.estate.names_without_edge(member).connect_to(),
        cafile=lab.estate.ca_file,
        **options,
    )


@requires_sipe
class TestSipe:
    @pytest.mark.parametrize("user", [ALICE, "dave@fabrikam.example", "erin@contoso.example"])
    def test_signs_in(self, lab, user):
        result = sipe(lab, user)
        assert result.signed_on, result
        assert result.saw(r"sip_sec_ntlm_message_describe: Challenge message is:")
        assert result.saw(r"lync_autodiscover_cb: got server list")
        assert not result.saw("no Lync Autodiscover servers found")
        assert result.saw("transport_connect - hostname: sip.contoso.example port: 5061")

    def test_asks_http_and_https_and_believes_our_signatures(self, lab):
        result = sipe(lab, ALICE, options=["--linger=0.5"])
        assert result.saw("sipe_lync_autodiscover_parse: user https://lyncweb")
        assert result.saw("sipe_lync_autodiscover_parse: redirect to https://lyncweb")
        assert result.saw("signature of incoming message validated")
        assert not result.saw("signature of incoming message is invalid")
        assert result.saw(r"process_input_message: msg->response\(200\),msg->method\(SUBSCRIBE\)")

    @pytest.mark.parametrize(
        ("user", "home"),
        [(ALICE, "lyncweb"), ("erin@contoso.example", "lyncweb-emea")],
    )
    def test_signs_in_by_the_directors_redirect(self, lab, user, home):
        result = sipe(lab, user, member="dir01")
        assert result.signed_on, result
        assert result.saw(r"sipe_lync_autodiscover_parse: user https://lyncweb-dir\.")
        assert result.saw(rf"sipe_lync_autodiscover_parse: redirect to https://{home}\.contoso\.example")

    def test_shows_contacts_with_presence_and_takes_its_provisioning(self, lab):
        result = sipe(lab, ALICE, options=["--linger=1"])
        assert result.saw("sipe_buddy_add_to_group: added buddy sip:bob@contoso.example to group Team")
        assert result.saw("overall 3 backend buddies")
        assert result.saw("ms-user-logon-data: RemoteUser")
        assert result.saw("dlx_uri=https://lyncweb.contoso.example:443/groupexpansion/service.svc")
        assert result.saw("process_incoming_notify_rlmi: do-not-disturb")
        assert not result.saw("error parsing xml string")

    def test_wrong_password_gets_no_ticket(self, lab):
        result = sipe(lab, ALICE, "wrong", timeout=15)
        assert not result.signed_on, result
        assert result.saw("authentication failed, throwing away context")

    def test_wrong_password_is_not_registered_by_sip_either(self, lab):
        result = sipe(lab, ALICE, "wrong", timeout=15, options=["--server=sip.contoso.example:5061"])
        assert not result.signed_on, result
        assert result.saw("authentication handshake failed - giving up")


def test_curl_gets_a_ticket_by_ntlm(lab, tmp_path):
    curl = require("curl", "curl")
    estate = lab.estate
    (tmp_path / "rst.xml").write_bytes(RST)
    address, port = topology.MEMBERS["fe01"].address, estate.ports.external_https
    command = [
        *(curl, "--silent", "--show-error", "--fail-with-body", "--cacert", str(estate.ca_file)),
        *("--connect-to", f"::{address}:{port}", "--ntlm", "--user", "CONTOSO\\alice:P4ss-alice"),
        *("--header", "Content-Type: text/xml", "--data-binary", f"@{tmp_path / 'rst.xml'}", WEB + TICKET),
    ]
    answer = subprocess.run(command, capture_output=True, timeout=30, check=True)
    assert b"sip:alice@contoso.example</saml:NameIdentifier>" in answer.stdout


def test_requests_ntlm_gets_a_ticket(lab):
    estate = lab.estate
    session = requests.Session()
    session.trust_env = False  # REQUESTS_CA_BUNDLE in the environment would beat `verify`
    session.verify = str(estate.ca_file)
    session.auth = requests_ntlm.HttpNtlmAuth("CONTOSO\\alice", "P4ss-alice")
    url = f"https://{topology.MEMBERS['fe01'].address}:{estate.ports.external_https}{TICKET}"
    session.mount("https://", _RealName("pool01.contoso.local"))
    with session:
        answer = session.post(
            url, data=RST, headers={"Content-Type": "text/xml", "Host": "lyncweb.contoso.example"}
        )
    assert answer.status_code == 200
    assert "sip:alice@contoso.example</saml:NameIdentifier>" in answer.text


class _RealName(requests.adapters.HTTPAdapter):
    """Connects to an address, and checks the certificate for the name that it stands for."""

    def __init__(self, name):
        self._name = name
        super().__init__()

    def init_poolmanager(self, *arguments, **keywords):
        super().init_poolmanager(
            *arguments, server_hostname=self._name, assert_hostname=self._name, **keywords
        )
