"""MCX as a phone meets it: sessions, polls, commands, push, over TLS and with a ticket."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator

import pytest
from typer.testing import CliRunner

from lab.client import EMEA, WEB, Client
from lyncgate.cli.main import app
from lyncgate.client.http import Reply
from lyncgate.lab import authority
from lyncgate.lab.inside.push import PushChannel
from lyncgate.lab.mcxsessions import Sessions
from lyncgate.lab.phones.android2010 import Android2010
from lyncgate.lync import contacts, mcx, provisioning
from lyncgate.lync.contacts import Availability
from lyncgate.lync.stages import Stage
from support.estate import running_estate

SERVICE = mcx.SERVICE_PATH
XML = ("Content-Type", mcx.CONTENT_TYPE)
PNG = b"\x89PNG\r\n"


def send(client, ticket, request, form=mcx.DEFAULT, *, web=WEB, member="fe01") -> Reply:
    """A request to where the wire form has it."""
    poll = isinstance(request, mcx.GetNextEvents)
    url = f"{web}{SERVICE}{form.poll_suffix if poll else form.command_suffix}"
    headers = [XML, ("SOAPAction", form.action(request)), *([ticket] if ticket else [])]
    if poll and form.poll_method == "GET":
        return client.ask("GET", f"{url}?{mcx.encode_poll_query(request)}", headers, member=member)
    return client.ask("POST", url, headers, mcx.encode(request, form), member=member)


class Device:
    """A device with a session."""

    def __init__(self, client, user, kind="WindowsPhone", web=WEB):
        self.client, self.web = client, web
        self.ticket = client.ticket(user, web)
        self.session = ""
        self.started = self.ask(mcx.InitiateSession(kind, f"endpoint of {user}", "test"))
        assert isinstance(self.started, mcx.SessionInitiated), self.started
        self.session = self.started.session

    def ask(self, request, *, member="fe01"):
        reply = send(self.client, self.ticket, request, web=self.web, member=member)
        answer = mcx.decode_answer(reply.body)
        assert reply.status == (answer.status if isinstance(answer, mcx.Fault) else 200)
        return answer

    def command(self, name, **arguments):
        answer = self.ask(mcx.Command(self.session, name, arguments))
        assert isinstance(answer, mcx.CommandDone), answer
        return answer.document.encode()

    def poll(self, ack, timeout=1, *, member="fe01"):
        return self.ask(mcx.GetNextEvents(self.session, ack, timeout), member=member)

    def end(self):
        return self.ask(mcx.TerminateSession(self.session))

    @contextlib.asynccontextmanager
    async def held(self, lab, ack, seconds=60) -> AsyncIterator[asyncio.Task[Reply]]:
        """A poll that hangs; to be used on the lab's loop."""
        session = lab.estate.pools["pool01"].sessions.get(self.session)
        connection = await self.client.connect(self.web)
        body = mcx.encode(mcx.GetNextEvents(self.session, ack, seconds))
        headers = [XML, self.ticket]
        try:
            poll = asyncio.create_task(connection.request("POST", f"{SERVICE}/Poll", headers, body))
            await session.polling.wait()
            yield poll
        finally:
            await connection.close()


@pytest.fixture
def alice(client):
    device = Device(client, "alice@contoso.example")
    yield device
    device.end()


def fault(answer) -> str:
    assert isinstance(answer, mcx.Fault), answer
    return answer.code


class TestDoor:
    def test_liveness_page_needs_no_ticket(self, client):
        assert client.ask("GET", WEB + SERVICE).status == 200

    def test_everything_else_does(self, client):
        for request in (mcx.TerminateSession("s"), mcx.GetNextEvents("s", 1, 1)):
            reply = send(client, None, request)
            assert (reply.status, reply.header("x-ms-webticketurl")) == (
                401,
                f"{WEB}/WebTicket/WebTicketService.svc",
            )

    def test_ticket_of_another_pool_is_refused(self, client):
        reply = send(client, client.ticket("carol@emea.contoso.example", EMEA), mcx.TerminateSession("s"))
        assert (reply.status, reply.header("x-ms-diagnostics")[:5]) == (500, "28032")

    def test_director_has_no_mcx(self, client):
        director = "https://lyncweb-dir.contoso.example"
        assert client.ask("GET", f"{director}{SERVICE}", member="dir01").status == 404

    def test_stuck_application_pool_answers_503(self, lab, client):
        pool = lab.estate.pools["pool01"].mcx_pool
        pool.stuck.add("fe01.contoso.local")
        try:
            assert client.ask("GET", WEB + SERVICE).status == 503
            assert client.ask("GET", WEB + SERVICE, member="fe02").status == 200
        finally:
            pool.stuck.clear()

    @pytest.mark.parametrize("body", [b"", b"<a/>", b"nonsense", mcx.encode(mcx.GetNextEvents("s", 1, 1))])
    def test_what_is_no_request_for_this_address_is_a_fault(self, client, body):
        ticket = client.ticket("alice@contoso.example")
        reply = client.ask("POST", f"{WEB}{SERVICE}/WebTicket_Bearer", [ticket, XML], body)
        assert (reply.status, fault(mcx.decode_answer(reply.body))) == (500, "InvalidRequest")

    def test_no_poll_by_get_unless_the_form_says_so(self, client, alice):
        form = mcx.WireForm.from_text("poll_method=GET")
        assert send(client, alice.ticket, mcx.GetNextEvents(alice.session, 1, 1), form).status == 404

    def test_another_wire_form_is_spoken_when_the_pool_is_told(self, lab, client):
        form = mcx.WireForm.from_text(
            "poll_method=GET namespace=urn:x InitiateSession=Start poll_suffix=/wait"
        )
        pool = lab.estate.pools["pool01"]
        pool.mcx_form = form
        try:
            ticket = client.ticket("bob@contoso.example")
            started = send(client, ticket, mcx.InitiateSession("Android", "e", "test"), form)
            session = mcx.decode_answer(started.body, form).session
            poll = send(client, ticket, mcx.GetNextEvents(session, 1, 1), form)
            assert mcx.decode_answer(poll.body, form) == mcx.Events(2)
            end = send(client, ticket, mcx.TerminateSession(session), form)
            assert mcx.decode_answer(end.body, form) == mcx.SessionTerminated()
        finally:
            pool.mcx_form = mcx.DEFAULT


class TestSession:
    @pytest.mark.parametrize(
        ("kind", "seconds"),
        [("WindowsPhone", 259200), ("iPhone", 259200), ("Android", 3600), ("Nokia", 3600)],
    )
    def test_life_goes_by_the_device(self, client, kind, seconds):
        device = Device(client, "bob@contoso.example", kind)
        assert device.started.expires == seconds
        assert device.end() == mcx.SessionTerminated()

    def test_hands_out_the_mobility_policy_with_its_scope(self, client):
        alice = Device(client, "alice@contoso.example").started
        assert (alice.policy_name, alice.policy_scope) == ("global", "global")
        assert alice.policy["EnableMobility"] == "true"
        carol = Device(client, "carol@emea.contoso.example", web=EMEA).started
        assert (carol.policy_name, carol.policy_scope) == ("site:london", "site")
        erin = Device(client, "erin@contoso.example", web=EMEA).started
        assert (erin.policy_name, erin.policy_scope) == ("NoCallViaWork", "user")
        assert erin.policy["EnableOutsideVoice"] == "false"

    def test_user_who_is_not_enabled_is_told_so_and_not_registered(self, lab, client):
        ticket = client.ticket("frank@contoso.example")
        reply = send(client, ticket, mcx.InitiateSession("Android", "e", "test"))
        answer = mcx.decode_answer(reply.body)
        assert (reply.status, fault(answer)) == (403, "MobilityDisabled")
        assert "NoMobility" in answer.text
        assert not lab.estate.pools["pool01"].registrar.endpoints("frank@contoso.example")

    def test_guest_of_a_meeting_is_refused(self, lab, client, alice):
        """By its ticket, which is a good one, a guest gets no session, nor a hold of somebody else's."""
        guest = client.guest_ticket("alice@contoso.example")
        before = len(lab.estate.pools["pool01"].sessions)
        reply = send(client, guest, mcx.InitiateSession("Android", "e", "test"))
        assert (reply.status, fault(mcx.decode_answer(reply.body))) == (403, "MobilityDisabled")
        stolen = send(client, guest, mcx.GetNextEvents(alice.session, 1, 1))
        assert fault(mcx.decode_answer(stolen.body)) == "SessionNotFound"
        assert len(lab.estate.pools["pool01"].sessions) == before

    def test_registers_by_5087_from_outside_until_it_ends(self, lab, client):
        registrar = lab.estate.pools["pool01"].registrar
        device = Device(client, "user03@contoso.example")
        (registration,) = registrar.endpoints("user03@contoso.example")
        assert "sip:pool01.contoso.local:5087;" in registration.contact
        assert device.end() == mcx.SessionTerminated()
        assert not registrar.endpoints("user03@contoso.example")
        assert fault(device.poll(1)) == "SessionNotFound"

    def test_user_of_another_pool_is_not_registered_here(self, client):
        ticket = client.ticket("erin@contoso.example")
        answer = mcx.decode_answer(send(client, ticket, mcx.InitiateSession("Android", "e", "test")).body)
        assert fault(answer) == "RegistrationFailed"
        assert "301" in answer.text

    def test_unknown_device_is_refused(self, client):
        ticket = client.ticket("alice@contoso.example")
        reply = send(client, ticket, mcx.InitiateSession("Toaster", "e", "test"))
        assert fault(mcx.decode_answer(reply.body)) == "InvalidRequest"

    def test_somebody_elses_session_is_not_found(self, client, alice):
        bob = client.ticket("bob@contoso.example")
        reply = send(client, bob, mcx.GetNextEvents(alice.session, 1, 1))
        assert fault(mcx.decode_answer(reply.body)) == "SessionNotFound"

    def test_ends_when_the_policy_changes(self, lab, client, without_mobility):
        device = Device(client, "user07@contoso.example")
        with without_mobility:
            assert fault(device.poll(1)) == "MobilityDisabled"
        assert not lab.estate.pools["pool01"].registrar.endpoints("user07@contoso.example")
        assert fault(device.poll(1)) == "SessionNotFound"

    def test_ends_without_requests_but_not_while_a_poll_is_held(self, lab, client):
        now = [0.0]
        pool = lab.estate.pools["pool01"]
        sessions, pool.sessions = pool.sessions, Sessions(0.05, clock=lambda: now[0])
        try:
            device = Device(client, "user04@contoso.example", "Android")

            async def held_for_long() -> Reply:
                async with device.held(lab, 1, seconds=1800) as poll:
                    now[0] += 3601
                    pool.sessions.get(device.session).push(mcx.Event("message", {}))
                    return await poll

            assert mcx.decode_answer(lab.run(held_for_long()).body).events == (mcx.Event("message", {}),)
            now[0] += 3601
            assert fault(device.poll(2)) == "SessionNotFound"
            assert not pool.registrar.endpoints("user04@contoso.example")
        finally:
            pool.sessions = sessions


class TestPoll:
    def test_is_held_until_something_happens_on_either_member(self, lab, alice):
        async def run() -> Reply:
            async with alice.held(lab, alice.started.ack) as poll:
                assert not poll.done()
                assert lab.estate.send_message("alice@contoso.example", "bob@contoso.example", "lunch?") >= 1
                return await poll

        answer = mcx.decode_answer(lab.run(run()).body)
        assert answer.events == (mcx.Event("message", {"from": "sip:bob@contoso.example", "text": "lunch?"}),)
        assert alice.poll(answer.next_ack, member="fe02") == mcx.Events(answer.next_ack + 1)

    def test_lost_answer_is_given_again_and_a_bad_ack_resyncs(self, alice):
        alice.command("SetPresence", availability="Online")
        first = alice.poll(1)
        assert [event.kind for event in first.events] == ["presence"]
        assert alice.poll(1) == first
        assert alice.poll(9) == mcx.Events(2, resync=1)

    def test_newer_poll_replaces_the_held_one(self, lab, alice):
        async def run() -> tuple[Reply, Reply]:
            async with alice.held(lab, 1) as first, alice.held(lab, 1) as second:
                replaced = await first
                session = lab.estate.pools["pool01"].sessions.get(alice.session)
                await session.polling.wait()
                session.push(mcx.Event("message", {}))
                return replaced, await second

        replaced, second = lab.run(run())
        assert fault(mcx.decode_answer(replaced.body)) == "PollReplaced"
        assert mcx.decode_answer(second.body).next_ack == 2

    def test_presence_of_a_buddy_is_news(self, lab, alice):
        async def run() -> Reply:
            async with alice.held(lab, 1) as poll:
                lab.estate.set_presence("bob@contoso.example", Availability.Away)
                lab.estate.send_message("alice@contoso.example", "bob@contoso.example", "gone")
                lab.estate.set_presence("bob@contoso.example", Availability.Busy)
                return await poll

        events = mcx.decode_answer(lab.run(run()).body).events
        away = mcx.Event("presence", {"uri": "sip:bob@contoso.example", "availability": "Away"})
        assert [event.kind for event in events] == ["presence", "message", "presence"]
        assert events[0] == away


class TestCommands:
    def test_provisioning_is_what_the_registrar_told(self, alice):
        known = provisioning.parse(alice.command("GetProvisioning"))
        assert known.voicemail_uri == "sip:alice@contoso.example;opaque=app:voicemail"
        assert known.simultaneous_ring is True
        assert known.mobility is True
        assert known.dial_plan.normalise("0101").number == "+31205550101"
        assert known.url("abs", external=True) == f"{WEB}:443/abs/handler"

    def test_contacts_and_cards(self, alice):
        buddies = contacts.parse_roaming(alice.command("GetContacts"))
        assert [group.name for group in buddies.groups] == ["Team", "Partners"]
        presence = contacts.parse_presence(alice.command("GetContactCard", uri="sip:bob@contoso.example"))
        assert (presence.card.display_name, presence.availability) == ("Bob Brown", Availability.Busy)

    def test_photos(self, alice):
        assert base64.b64decode(alice.command("GetPhoto", uri="bob@contoso.example")).startswith(PNG)
        assert alice.command("GetPhoto", uri="dave@fabrikam.example") == b""

    def test_presence_is_what_others_see(self, client, alice):
        bob = Device(client, "bob@contoso.example")
        bob.command("SetPresence", availability="DoNotDisturb")
        try:
            card = alice.command("GetContactCard", uri="bob@contoso.example")
            assert contacts.parse_presence(card).availability is Availability.DoNotDisturb
        finally:
            bob.command("SetPresence", availability="Busy")
            bob.end()

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [
            ("Dance", {}),
            ("SetPresence", {"availability": "Asleep"}),
            ("GetContactCard", {"uri": "nobody@contoso.example"}),
            ("GetPhoto", {}),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, alice, name, arguments):
        assert fault(alice.ask(mcx.Command(alice.session, name, arguments))) == "InvalidRequest"


class TestPush:
    def test_comes_to_the_device_while_no_poll_is_held_and_waits_for_the_poll(self, lab, alice):
        async def open_line() -> PushChannel:
            return await PushChannel.open(lab.estate.push.device_address)

        async def notified(line: PushChannel) -> dict[str, object]:
            lab.estate.send_message("alice@contoso.example", "bob@contoso.example", "lunch?")
            return await line.next()

        line = lab.run(open_line())
        try:
            subscribed = alice.ask(mcx.SubscribePush(alice.session, "MPNS", line.token))
            assert isinstance(subscribed, mcx.PushSubscribed)
            notification = lab.run(notified(line))
            assert notification == {"kind": "message", "from": "sip:bob@contoso.example", "text": "lunch?"}
            assert [event.kind for event in alice.poll(1).events] == ["message"]
        finally:
            lab.run(line.close())

    def test_is_not_for_devices_that_poll(self, client):
        android = Device(client, "alice@contoso.example", "Android")
        assert fault(android.ask(mcx.SubscribePush(android.session, "MPNS", "t"))) == "PushNotAllowed"
        android.end()

    def test_wants_a_provider_and_a_token(self, alice):
        for provider, token in (("SMS", "t"), ("MPNS", "")):
            assert fault(alice.ask(mcx.SubscribePush(alice.session, provider, token))) == "InvalidRequest"


class TestTrace:
    def test_policy_session_and_registration_can_be_read_there(self, tmp_path):
        with running_estate(tmp_path / "lab", trace=True) as lab:
            client = Client(lab)
            Device(client, "user05@contoso.example").end()
            frank = client.ticket("frank@contoso.example")
            send(client, frank, mcx.InitiateSession("Android", "e", "test"))
        trace = (tmp_path / "lab" / "traces" / "fe01.log").read_text()
        told = [line for line in trace.splitlines() if "(MCXService," in line]
        places = [line.partition("(MCXService,")[2].partition(":McxSession.cs")[0] for line in told]
        assert places == [
            "McxSession::MobilityPolicy",
            "McxSession::SignIn",
            "McxSession::SignIn",
            "McxSession::InitiateSession",
            "McxSession::Terminate",
            "McxSession::SignOut",
            "McxSession::MobilityPolicy",
        ]
        assert "user05@contoso.example is enabled for mobility by policy global scope=global" in told[0]
        assert told[-1].startswith("TL_ERROR")
        assert "NoMobility" in told[-1]
        assert "provisionGroupList" in trace


def test_lab_and_phones_speak_another_wire_form_when_both_are_told(tmp_path):
    form = mcx.WireForm.from_text(
        "poll_method=GET namespace=urn:x InitiateSession=Start poll_suffix=/wait-poll"
    )

    class Other(Android2010):
        """An Android phone whose MCX is called otherwise."""

    Other.form = form
    with running_estate(tmp_path, poll_minimum=0.05, mcx_form=form) as lab:
        options = {
            "names": lab.estate.names_without_edge(),
            "tls": authority.client_context(lab.estate.directory),
        }
        alice = ("alice@contoso.example", "P4ss-alice")
        assert lab.run(Other(*alice, **options).sign_in()).ok
        assert lab.run(Android2010(*alice, **options).sign_in()).failed.stage is Stage.REGISTER


@pytest.mark.parametrize("command", ["lab", "phone"])
def test_wire_form_that_makes_no_sense_is_refused_on_the_command_line(command):
    result = CliRunner().invoke(app, [command, "--mcx", "poll_method=PUT"])
    assert result.exit_code == 2
    assert "poll_method is GET or POST" in result.output
