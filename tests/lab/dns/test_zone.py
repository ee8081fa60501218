"""The answer to a question, from records alone."""

import pytest

from lyncgate.lab.dns.estate import View, zone
from lyncgate.lab.dns.zone import Record, Zone

ZONE = Zone(
    ("contoso.example", "contoso.local"),
    (
        Record("lyncdiscover.contoso.example", "CNAME", "web.contoso.example"),
        Record("web.contoso.example", "A", "127.0.0.1"),
        Record("inside.contoso.example", "CNAME", "pool.contoso.local"),
        Record("pool.contoso.local", "A", "127.0.0.11"),
        Record("pool.contoso.local", "A", "127.0.0.12"),
        Record("away.contoso.example", "CNAME", "web.fabrikam.example"),
        Record("dangling.contoso.example", "CNAME", "nothing.contoso.example"),
        Record("round.contoso.example", "CNAME", "round.contoso.example"),
        Record("_sip._tls.contoso.example", "SRV", "0 0 443 sip.contoso.example"),
    ),
)


@pytest.mark.parametrize(
    ("name", "kind", "rcode", "data"),
    [
        ("WEB.contoso.example.", "A", "NOERROR", ["127.0.0.1"]),
        ("lyncdiscover.contoso.example", "A", "NOERROR", ["web.contoso.example", "127.0.0.1"]),
        ("lyncdiscover.contoso.example", "CNAME", "NOERROR", ["web.contoso.example"]),
        ("lyncdiscover.contoso.example", "AAAA", "NOERROR", ["web.contoso.example"]),
        ("inside.contoso.example", "A", "NOERROR", ["pool.contoso.local", "127.0.0.11", "127.0.0.12"]),
        ("away.contoso.example", "A", "NOERROR", ["web.fabrikam.example"]),
        ("dangling.contoso.example", "A", "NXDOMAIN", ["nothing.contoso.example"]),
        ("_sip._tls.contoso.example", "SRV", "NOERROR", ["0 0 443 sip.contoso.example"]),
        ("_tls.contoso.example", "A", "NOERROR", []),  # exists, for something is below it
        ("web.contoso.example", "ANY", "NOERROR", ["127.0.0.1"]),
        ("nobody.contoso.example", "A", "NXDOMAIN", []),
        ("contoso.example", "A", "NOERROR", []),
        ("notcontoso.example", "A", "REFUSED", []),
        ("example", "A", "REFUSED", []),
    ],
)
def test_answer(name, kind, rcode, data):
    answer = ZONE.answer(name, kind)
    assert (answer.rcode, [record.data for record in answer.records]) == (rcode, data)


def test_aliases_in_a_circle_end():
    assert len(ZONE.answer("round.contoso.example", "A").records) == 8


@pytest.mark.parametrize("name", ["nobody.contoso.local", "dangling.contoso.example"])
def test_negative_answer_names_the_zone_that_denies(name):
    assert ZONE.answer(name, "A").origin == name.partition(".")[2]


class TestTheEstatesZones:
    @pytest.mark.parametrize("domain", ["contoso.example", "fabrikam.example", "emea.contoso.example"])
    def test_lyncdiscoverinternal_is_for_those_inside_only(self, domain):
        outside, inside = (zone(view, "127.0.0.1") for view in (View.EXTERNAL, View.INTERNAL))
        assert outside.answer(f"lyncdiscoverinternal.{domain}", "A").rcode == "NXDOMAIN"
        addresses = [r.data for r in inside.answer(f"lyncdiscoverinternal.{domain}", "A").records[1:]]
        assert addresses in (["127.0.0.11", "127.0.0.12"], ["127.0.0.21"])

    @pytest.mark.parametrize("view", list(View))
    def test_public_names_lead_to_the_proxy_from_either_side(self, view):
        found = zone(view, "127.0.0.1")
        for name in (
            "lyncdiscover.contoso.example",
            "lyncdiscover.fabrikam.example",
            "lyncweb-emea.contoso.example",
        ):
            assert found.answer(name, "A").records[-1].data == "127.0.0.1"

    def test_lyncdiscover_is_an_alias_within_its_domain_and_an_address_elsewhere(self):
        outside = zone(View.EXTERNAL, "127.0.0.1")
        kinds = {
            domain: [r.kind for r in outside.answer(f"lyncdiscover.{domain}", "A").records]
            for domain in ("contoso.example", "fabrikam.example")
        }
        assert kinds == {"contoso.example": ["CNAME", "A"], "fabrikam.example": ["A"]}

    def test_without_a_proxy_each_pool_stands_for_itself(self):
        outside = zone(View.EXTERNAL, None)
        assert outside.answer("lyncweb.contoso.example", "A").records[-1].data == "127.0.0.11"
        assert outside.answer("lyncweb-emea.contoso.example", "A").records[-1].data == "127.0.0.21"

    def test_the_forest_is_unknown_outside(self):
        assert zone(View.EXTERNAL, None).answer("pool01.contoso.local", "A").rcode == "NXDOMAIN"
        assert zone(View.INTERNAL, None).answer("fe02.contoso.local", "A").records[0].data == "127.0.0.12"
