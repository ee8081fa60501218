"""F01, F02, F14, F45, F46: who has the symptom, and who nearly has it."""

import pytest

from lyncgate.signin.events import HandshakeOutcome as Outcome
from lyncgate.signin.finding import Certainty
from lyncgate.signin.story import SignInOutcome
from signin.catalogue.made import (
    ALICE,
    DISCOVER,
    INTERNAL,
    LATER,
    WEB,
    XML,
    codes,
    dns,
    first,
    healthy,
    made,
    root,
    shake,
    user,
    web,
)

CLOUD = ("*.online.lync.com",)


def test_a_healthy_sign_in_has_no_finding() -> None:
    assert codes(healthy()) == []
    assert codes(healthy(), healthy("bob@contoso.test")) == []
    assert codes(made(user=None)) == []


class TestF01:
    def test_no_such_name_and_no_traffic(self) -> None:
        found = first(made(dns(INTERNAL, "NXDOMAIN"), dns(DISCOVER, "NXDOMAIN")))
        assert (found.code, found.certainty) == ("F01", Certainty.CERTAIN)
        assert "NXDOMAIN" in found.evidence[0].said
        assert "lyncdiscover.contoso.test. 3600 IN CNAME" in (found.fixes[0].command or "")

    def test_a_server_that_does_not_answer_is_likely_only(self) -> None:
        assert first(made(dns(DISCOVER, None))).certainty is Certainty.LIKELY

    @pytest.mark.parametrize(
        "events",
        [
            [dns(INTERNAL, "NXDOMAIN")],
            [dns(DISCOVER, "NOERROR", "A 203.0.113.1"), dns(DISCOVER, "NOERROR", kind="AAAA")],
            [dns(DISCOVER, "NXDOMAIN"), dns(DISCOVER, "NOERROR", "A 203.0.113.1")],
            [dns(DISCOVER, "NXDOMAIN"), root()],
        ],
    )
    def test_not_so(self, events) -> None:
        assert "F01" not in codes(made(*events))


class TestF02:
    def test_public_record(self) -> None:
        events = [
            dns(INTERNAL, "NOERROR", "A 10.0.0.1", view="external"),
            dns(DISCOVER, "NOERROR", "A 1.2.3.4"),
        ]
        assert codes(made(*events, root(), user())) == ["F02"]

    def test_a_connection_that_leads_nowhere(self) -> None:
        events = [dns(INTERNAL, "NOERROR", "A 10.0.0.1"), shake(INTERNAL, Outcome.UNREACHABLE)]
        found = first(made(*events, root(), outcome=SignInOutcome.OK))
        assert (found.code, found.certainty) == ("F02", Certainty.LIKELY)

    def test_a_long_silence(self) -> None:
        asked = dns(INTERNAL, "NOERROR", "A 10.0.0.1", started=LATER)
        late = root(started=LATER + 30)
        assert codes(made(asked, late, outcome=SignInOutcome.OK)) == ["F02"]

    @pytest.mark.parametrize(
        "events",
        [
            [dns(INTERNAL, "NXDOMAIN"), root()],
            [dns(INTERNAL, "NOERROR", "A 10.0.0.1", view="internal"), root()],
            [dns(INTERNAL, "NOERROR", "A 10.0.0.1"), root(host=INTERNAL)],
            [dns(INTERNAL, "NOERROR", "A 10.0.0.1"), root()],
        ],
    )
    def test_not_so(self, events) -> None:
        assert codes(made(*events, outcome=SignInOutcome.OK)) == []


class TestF14:
    def test_the_cloud_s_certificate(self) -> None:
        wrong = shake(DISCOVER, Outcome.ALERT, names=CLOUD)
        assert codes(made(wrong, root(403, by=None, scheme="http"))) == ["F14"]

    def test_an_alias_and_a_refusal(self) -> None:
        alias = dns(DISCOVER, "NOERROR", "CNAME webdir.online.lync.com")
        assert first(made(alias, root(403, by=None))).certainty is Certainty.LIKELY

    def test_a_refusal_alone_is_possible_only(self) -> None:
        assert first(made(root(403, by=None))).certainty is Certainty.POSSIBLE

    def test_users_in_the_cloud_are_fine(self) -> None:
        alias = dns(DISCOVER, "NOERROR", "CNAME webdir.online.lync.com")
        assert codes(made(alias, root(), user(401), outcome=SignInOutcome.OK)) == []

    def test_refused_by_the_pool_or_by_this_edge(self) -> None:
        assert "F14" not in codes(made(root(403)))
        assert "F14" not in codes(made(root(403, by=None, decision="deny")))


class TestF45:
    def test_inside_the_web_services_can_t_be_reached(self) -> None:
        asked = dns(WEB, "NOERROR", "A 203.0.113.1", view="internal")
        found = first(made(asked, shake(WEB, Outcome.UNREACHABLE, origin="probe")))
        assert (found.code, found.certainty) == ("F45", Certainty.CERTAIN)

    def test_after_the_internal_name_answered(self) -> None:
        inside = [dns(INTERNAL, "NOERROR", "A 10.0.0.1"), root(host=INTERNAL, access_location="Internal")]
        found = first(made(*inside, shake(WEB, Outcome.UNREACHABLE, origin="capture", side="upstream")))
        assert (found.code, found.certainty) == ("F45", Certainty.LIKELY)

    def test_an_internal_authority(self) -> None:
        wrong = shake(
            INTERNAL, Outcome.UNTRUSTED, origin="probe", certificate_problem="self_signed", names=(INTERNAL,)
        )
        assert codes(made(wrong)) == ["F45"]

    def test_outside_it_is_no_hairpin(self) -> None:
        asked = dns(WEB, "NOERROR", "A 203.0.113.1", view="external")
        assert "F45" not in codes(made(asked, shake(WEB, Outcome.UNREACHABLE)))

    def test_inside_and_fine(self) -> None:
        inside = [dns(INTERNAL, "NOERROR", "A 10.0.0.1", view="internal"), root(host=INTERNAL)]
        assert codes(made(*inside, user(401), outcome=SignInOutcome.OK)) == []


class TestF46:
    LINKS = (
        ("Internal/Ucwa", "https://pool.corp.test/ucwa/v1/applications"),
        ("External/Ucwa", f"https://{WEB}/ucwa/v1/applications"),
        ("External/Mcx", "https://pool.corp.test/Mcx/McxService.svc"),
    )

    def test_the_internal_name_is_looked_up(self) -> None:
        found = first(made(root(), user(links=self.LINKS), dns("pool.corp.test", "NXDOMAIN")))
        assert (found.code, found.certainty) == ("F46", Certainty.CERTAIN)
        assert found.fixes[0].command == "Set-CsMcxConfiguration -Identity Global -ExposedWebURL External"

    def test_the_phone_is_not_heard_of_again(self) -> None:
        assert first(made(root(), user(links=self.LINKS))).certainty is Certainty.LIKELY

    def test_lync_2013_does_not_care(self) -> None:
        events = [root(), user(links=self.LINKS), web("POST", "/ucwa/v1/applications", 201)]
        assert codes(made(*events, outcome=SignInOutcome.OK)) == []

    def test_the_external_name_is_right(self) -> None:
        assert codes(made(root(content_type=XML), user(), user=ALICE)) == []
