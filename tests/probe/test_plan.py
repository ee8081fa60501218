"""Options of a probe."""

import pytest

from lyncgate.probe.plan import Lead, Plan, PlanError, joined, read_dns, read_host, read_lead, read_user

ALICE = "alice@contoso.example"


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("lyncweb.Contoso.example:443:127.0.0.1:8443", ("lyncweb.contoso.example", 443, "127.0.0.1", 8443)),
        (":443::8443", (None, 443, None, 8443)),
        (":::", (None, None, None, None)),
        ("a.example::[::1]:", ("a.example", None, "::1", None)),
        ("[2001:db8::1]:443::4443", ("2001:db8::1", 443, None, 4443)),
    ],
)
def test_connect_to_is_as_curl_has_it(text: str, lead: tuple[object, ...]) -> None:
    found = read_lead(text)
    assert (found.host, found.port, found.to_host, found.to_port) == lead


@pytest.mark.parametrize("text", ["", "a", "a:b:c:d", "a:443:b", "a:0:b:1", "a:1:b:70000", "::1:443:b:1"])
def test_connect_to_that_is_none(text: str) -> None:
    with pytest.raises(PlanError):
        read_lead(text)


def test_the_first_lead_that_fits_counts_and_server_comes_last() -> None:
    plan = Plan(user=ALICE, leads=joined([read_lead("sip.contoso.example:443:192.0.2.9:")], "192.0.2.1:8443"))
    assert plan.address("sip.contoso.example", "198.51.100.1", 443) == ("192.0.2.9", 443)
    assert plan.address("lyncweb.contoso.example", "198.51.100.1", 443) == ("192.0.2.1", 8443)
    assert plan.address("lyncweb.contoso.example", "198.51.100.1", 80) == ("192.0.2.1", 80)
    assert plan.address("lyncweb.contoso.example", "198.51.100.1", 5061) == ("198.51.100.1", 5061)
    assert plan.led("lyncweb.contoso.example") == "192.0.2.1"


def test_a_lead_may_name_an_address_of_dns() -> None:
    plan = Plan(user=ALICE, leads=(Lead("127.0.0.71", 443, "127.0.0.71", 40443),))
    assert plan.address("lyncweb.contoso.example", "127.0.0.71", 443) == ("127.0.0.71", 40443)
    assert plan.led("lyncweb.contoso.example") is None  # so DNS is asked


def test_what_options_are_read_as() -> None:
    assert read_user("sip:Alice@Contoso.example") == ALICE
    assert read_dns("[::1]:5353") == ("::1", 5353)
    assert read_dns("192.0.2.53") == ("192.0.2.53", 53)
    assert read_host("--meet", "https://Meet.contoso.example/alice") == "meet.contoso.example"
    assert read_host("--meet", None) is None


def test_an_address_that_a_url_can_not_hold_is_escaped() -> None:
    assert Plan(user=ALICE).query == "?sipuri=alice@contoso.example"
    assert Plan(user="a&b#c?d@contoso.example").query == "?sipuri=a%26b%23c%3Fd@contoso.example"
