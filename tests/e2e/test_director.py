"""Discovery at a Director, behind the edge: SIPE is sent home, and gets its certificate there."""

import pytest

from e2e.sipe.run import requires_sipe, run_sipe
from support.estate import running_estate
from support.processes import edge_process


@pytest.fixture(scope="module")
def connect_to(tmp_path_factory):
    """(rules of the SIPE driver, the lab's root) for an edge whose lyncdiscover leads to the Director."""
    directory = tmp_path_factory.mktemp("director")
    with running_estate(directory / "lab") as lab:
        rules = directory / "rules.yaml"
        rules.write_text(lab.estate.rules_yaml(discovery="director"))
        with edge_process(rules) as edge:
            yield lab.estate.names(edge.http, edge.https).connect_to(), lab.estate.ca_file


def sign_in(connect_to, user, **options):
    rules, ca = connect_to
    password = f"P4ss-{user.partition('@')[0]}"
    result = run_sipe(user, password, connect_to=rules, cafile=ca, **options)
    assert result.saw(r"sipe_lync_autodiscover_parse: user https://lyncweb-dir\."), result
    return result


@requires_sipe
@pytest.mark.parametrize(
    ("user", "home"), [("alice@contoso.example", "lyncweb"), ("erin@contoso.example", "lyncweb-emea")]
)
def test_user_signs_in_at_home(connect_to, user, home):
    result = sign_in(connect_to, user)
    assert result.signed_on, result
    assert result.saw(rf"sipe_lync_autodiscover_parse: redirect to https://{home}\.contoso\.example/")


@requires_sipe
def test_certificate_comes_through_the_edge(connect_to):
    result = sign_in(connect_to, "carol@emea.contoso.example", options=["--auth=tls-dsk"], timeout=20)
    assert result.saw("certificate for target 'sip.contoso.example' added"), result
