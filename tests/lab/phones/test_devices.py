"""Each device signs in, and reports the stages that it can see, by their evidence."""

import asyncio
import contextlib

import pytest

from lyncgate.lab.phones.android2010 import Android2010
from lyncgate.lab.phones.crowd import Crowd
from lyncgate.lab.phones.desktop import Desktop
from lyncgate.lab.phones.devices import DEVICES
from lyncgate.lab.phones.lync2013 import Lync2013
from lyncgate.lab.phones.wp75 import Wp75
from lyncgate.lync.mcx import Event
from lyncgate.lync.stages import Stage
from support.processes import wait_until

ALICE = "alice@contoso.example"
FOR_EVER = 3600.0  # seconds
MESSAGE = Event("message", {"text": "hello"})
DESKTOP_STAGES = {stage for stage in Stage if stage.value in (
    "start", "dns_internal", "dns_discover", "dns_web", "connect", "redirect", "discover", "locate", "ticket",
    "certificate",
)}  # fmt: skip
SEEN = {
    Wp75: set(Stage),
    Android2010: set(Stage) - {Stage.CERTIFICATE},
    Lync2013: set(Stage) - {Stage.CERTIFICATE},
    Desktop: DESKTOP_STAGES,
}


@pytest.fixture
def signed_in(lab, made):
    """Signs a user in on a device; the report, which has to be good."""

    def sign_in(device, user=ALICE, **options):
        report = lab.run(made(device, user, **options).sign_in())
        assert report.ok, report.failed
        return report

    return sign_in


def said(report, stage):
    return [(step.what, step.detail) for step in report.steps if step.stage is stage]


def test_every_device_is_known_by_its_name():
    assert set(DEVICES.values()) == set(SEEN)
    assert all(DEVICES[device.name] is device for device in SEEN)


@pytest.mark.parametrize("device", SEEN, ids=lambda device: device.name)
@pytest.mark.parametrize("user", [ALICE, "erin@contoso.example", "carol@emea.contoso.example"])
def test_device_reports_the_stages_that_it_sees_in_every_pool(lab, signed_in, device, user):
    report = signed_in(device, user, push=lab.estate.push.device_address)
    assert {step.stage for step in report.steps} == SEEN[device]


def test_windows_phone_proves_each_stage(lab, signed_in):
    report = signed_in(Wp75, push=lab.estate.push.device_address, dialled="1234")
    evidence = {
        Stage.START: "alice@contoso.example on wp75",
        Stage.DNS_INTERNAL: "no such name",
        Stage.DNS_DISCOVER: "look up lyncdiscover.contoso.example",
        Stage.DNS_WEB: "look up lyncweb.contoso.example",
        Stage.CONNECT: "connect lyncdiscover.contoso.example:443",
        Stage.REDIRECT: "leads to https://lyncweb.contoso.example/",
        Stage.DISCOVER: "/?sipuri=alice@contoso.example",
        Stage.LOCATE: "AccessLocation External",
        Stage.TICKET: "web ticket issued",
        Stage.CERTIFICATE: "CN=alice@contoso.example",
        Stage.REGISTER: "lives 259200 s",
        Stage.MOBILITY_POLICY: "EnableMobility=true",
        Stage.PROVISIONING: "simultaneous ring True",
        Stage.NOTIFICATIONS: "push subscribed, by sip:push@",
        Stage.READY: "contacts in",
    }
    for stage, word in evidence.items():
        assert any(word in f"{what} {detail}" for what, detail in said(report, stage)), (
            stage,
            said(report, stage),
        )


def test_phone_applies_the_dial_plan_to_what_is_dialled(lab, signed_in):
    scenario = lab.estate.people.scenario
    plan = scenario.dial_plan(lab.estate.people.by_sip(ALICE)).policy
    dialled = "1234"
    calls = dict(said(signed_in(Android2010, dialled=dialled), Stage.PROVISIONING))[f"dial {dialled}"]
    assert calls.startswith(f"calls {plan.normalise(dialled).number} by ")


def test_provisioning_names_services_by_their_external_urls(signed_in):
    told = dict(said(signed_in(Android2010), Stage.PROVISIONING))
    for word in ("address book https://lyncweb.contoso.example:443/abs", "group expansion https://lyncweb."):
        assert word in told["addresses"]
    assert "not told" not in told["voice"]


@pytest.mark.parametrize("device", [Wp75, Android2010, Lync2013], ids=lambda device: device.name)
def test_user_who_may_have_no_mobility_is_told_so_by_the_policy(lab, made, device):
    disabled = next(
        u
        for u in lab.estate.people.users
        if not lab.estate.people.scenario.mobility(u).policy.enable_mobility
    )
    report = lab.run(made(device, disabled.sip, push=lab.estate.push.device_address).sign_in())
    assert report.failed.stage is Stage.MOBILITY_POLICY


def test_android_holds_polls_and_its_sessions_are_gone_when_it_leaves(lab, made):
    sessions = lab.estate.pools["pool01"].sessions
    crowd = Crowd(
        lambda n: made(Android2010, f"user{n + 1:02}@contoso.example"), count=10, rate=1000.0, hold=FOR_EVER
    )
    running = asyncio.run_coroutine_threadsafe(crowd.run(), lab.loop)
    wait_until(lambda: sessions.polls_held == 10, lambda: f"{sessions.polls_held} polls are held")
    lab.loop.call_soon_threadsafe(crowd.stop)
    summary = running.result()
    assert (summary.ok, summary.failed, len(sessions)) == (10, 0, 0)


@pytest.fixture
def staying(lab, made):
    """Alice's Windows phone that has push, signed in until the end of the test; `options` as `made`'s."""

    @contextlib.contextmanager
    def stay(**options):
        phone = made(Wp75, ALICE, push=lab.estate.push.device_address, **options)
        crowd = Crowd(lambda _: phone, count=1, rate=1.0, hold=FOR_EVER)
        running = asyncio.run_coroutine_threadsafe(crowd.run(), lab.loop)
        try:
            yield phone
        finally:
            lab.loop.call_soon_threadsafe(crowd.stop)
            summary = running.result()
        assert (summary.ok, summary.failed) == (1, 0)
        assert lab.estate.pools["pool01"].sessions.of(ALICE) == ()

    return stay


def told(phone):
    """What it heard, by pushes and polls."""
    return [detail for _, detail in said(phone.report, Stage.NOTIFICATIONS)]


def if_asleep(lab, phone, tell):
    """Tells the phone's session something if the phone sleeps; whether it did. Both in one step of the loop:
    a push for its own presence, which came before the sign-in's poll, may be under way and wake it."""

    async def look():
        sessions = lab.estate.pools["pool01"].sessions
        if not phone.asleep or sessions.polls_held:
            return False
        (session,) = sessions.of(ALICE)
        tell(session)
        return True

    return lab.run(look())


def test_windows_phone_sleeps_until_a_push_comes_and_asks_what_it_is(lab, staying):
    with staying(poll_timeout=1) as phone:
        wait_until(lambda: if_asleep(lab, phone, lambda session: session.push(MESSAGE)), "it does not sleep")
        wait_until(lambda: {"message hello", "events: message"} <= set(told(phone)), lambda: told(phone))
        steps = said(phone.report, Stage.NOTIFICATIONS)
        assert steps[told(phone).index("events: message") - 1][0] == "push", steps


def test_windows_phone_that_has_been_told_what_a_push_is_about_sleeps_again(lab, staying):
    with staying() as phone:  # its polls last for 30 s
        phone.awake = 0.2
        wait_until(
            lambda: if_asleep(lab, phone, lambda session: session.push_to_device(MESSAGE)),
            "it does not sleep",
        )
        wait_until(lambda: "message hello" in told(phone), lambda: told(phone))
        phone.awake = Wp75.awake
        wait_until(
            lambda: if_asleep(lab, phone, lambda session: session.push(MESSAGE)), "it does not sleep again"
        )
        assert [detail for detail in told(phone) if detail.startswith("timed out")] == []
        wait_until(lambda: "events: message" in told(phone), lambda: told(phone))


def test_windows_phone_without_push_service_polls(lab, made):
    sessions = lab.estate.pools["pool01"].sessions
    crowd = Crowd(lambda _: made(Wp75, ALICE), count=1, rate=1.0, hold=FOR_EVER)
    running = asyncio.run_coroutine_threadsafe(crowd.run(), lab.loop)
    wait_until(lambda: crowd.polls == sessions.polls_held == 1, "no poll is held")
    lab.loop.call_soon_threadsafe(crowd.stop)
    assert running.result().ok == 1


def test_desktop_shows_a_saml_ticket_and_a_phone_a_compact_one(lab, made):
    async def ticket(device):
        phone = made(device, ALICE)
        try:
            assert (await phone.arrive()).ok, phone.report.failed
            return phone.desk.ticket[1]
        finally:
            await phone.leave()

    assert lab.run(ticket(Desktop)).startswith("opaque=")
    assert lab.run(ticket(Lync2013)).startswith("cwt=")


@pytest.mark.parametrize("device", SEEN, ids=lambda device: device.name)
def test_reports_hold_no_secret(lab, signed_in, device):
    report = repr(signed_in(device, push=lab.estate.push.device_address))
    assert not any(secret in report for secret in ("P4ss", "cwt=", "opaque=P", "NTLM T", "Assertion"))
