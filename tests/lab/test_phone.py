"""The phone signs in without an edge, and says truthfully where it failed."""

import asyncio

import pytest

from lyncgate.client.names import NameMap, NameRule
from lyncgate.lab import authority
from lyncgate.lab.phone import sign_in
from lyncgate.lync.stages import Stage


def stages(report):
    return list(dict.fromkeys(step.stage for step in report.steps))


@pytest.fixture(scope="module")
def tls(lab):
    return authority.client_context(lab.estate.directory)


def test_every_stage_that_a_phone_sees_happens_in_order(lab, client):
    report = lab.run(client.phone("alice@contoso.example").sign_in())
    assert report.ok, report.failed
    assert stages(report)[:9] == [
        Stage.START,
        Stage.DNS_INTERNAL,
        Stage.DNS_DISCOVER,
        Stage.CONNECT,
        Stage.DISCOVER,
        Stage.REDIRECT,
        Stage.DNS_WEB,
        Stage.LOCATE,
        Stage.TICKET,
    ]
    assert {Stage.REGISTER, Stage.READY, Stage.NOTIFICATIONS} <= set(stages(report)[9:])
    assert len(lab.estate.pools["pool01"].applications) == 0  # signed out


@pytest.mark.parametrize(
    "user",
    ["bob@contoso.example", "dave@fabrikam.example", "carol@emea.contoso.example", "erin@contoso.example"],
)
def test_each_kind_of_user_ends_at_the_own_pool(lab, client, user):
    report = lab.run(client.phone(user).sign_in())
    assert report.ok, report.failed
    home = lab.estate.people.by_sip(user).home
    (created,) = [step for step in report.steps if step.status == 201]
    assert created.detail.startswith("application at fe0" if home == "pool01" else "application at fe21")


def test_steps_are_heard_as_they_end_and_hold_no_secret(lab, tls):
    heard = []
    names = lab.estate.names_without_edge()
    report = lab.run(sign_in("bob@contoso.example", "P4ss-bob", names=names, tls=tls, on_step=heard.append))
    assert heard == report.steps
    assert not any(secret in repr(report) for secret in ("P4ss", "cwt=", "NTLM T"))


def test_wrong_password_fails_at_the_ticket(lab, client):
    report = lab.run(client.phone("alice@contoso.example", "wrong").sign_in())
    assert not report.ok
    assert (report.failed.stage, report.failed.status) == (Stage.TICKET, 401)


def test_discovery_by_http_alone_is_enough(lab, tls):
    """HTTPS of lyncdiscover is not published: the Redirect document of port 80 leads on."""
    rules = lab.estate.names_without_edge().rules
    names = NameMap((NameRule("lyncdiscover.*", 443, None), *rules))
    report = lab.run(sign_in("alice@contoso.example", "P4ss-alice", names=names, tls=tls))
    assert report.ok, report.failed
    assert not next(
        step for step in report.steps if step.what == "connect lyncdiscover.contoso.example:443"
    ).ok


def test_name_that_does_not_exist_is_a_failed_look_up(lab, tls):
    report = lab.run(sign_in("alice@contoso.example", "P4ss-alice", names=NameMap(()), tls=tls))
    assert report.failed.stage is Stage.DNS_DISCOVER
    assert "no such name" in report.failed.detail


def test_certificate_of_an_unknown_authority_is_not_trusted(lab, tmp_path):
    authority.write_certificates(tmp_path)
    stranger = authority.client_context(tmp_path)
    names = NameMap((NameRule("*", 80, None), *lab.estate.names_without_edge().rules))
    report = lab.run(sign_in("alice@contoso.example", "P4ss-alice", names=names, tls=stranger))
    assert report.failed.stage is Stage.CONNECT
    assert "certificate verify failed" in report.failed.detail


def test_fifty_phones_at_once_all_sign_in(lab, client):
    async def everybody():
        phones = [client.phone(f"user{n:02}@contoso.example") for n in range(1, 51)]
        return await asyncio.gather(*(phone.sign_in() for phone in phones))

    reports = lab.run(everybody())
    assert [report.failed for report in reports if not report.ok] == []


def test_tickets_asked_for_at_once_are_never_mixed_up(lab, client):
    """Ten connections with ten handshakes each: each ticket is its asker's."""

    async def tickets(user):
        phone = client.phone(user)
        try:
            url = "https://lyncweb.contoso.example/WebTicket/WebTicketService.svc"
            return [await phone.request_token(url, url) for _ in range(10)]
        finally:
            await phone.close()

    async def everybody():
        return await asyncio.gather(*map(tickets, users))

    users = [f"user{n:02}@contoso.example" for n in range(1, 11)]
    office = lab.estate.pools["pool01"].tickets
    for user, got in zip(users, lab.run(everybody()), strict=True):
        assert {office.holder(ticket, None, 0.0) for ticket in got} == {user}
        assert len(set(got)) == 10
