"""Whose is what: ground truth against stitching, in any order, interleaved, with parts missing."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lyncgate.lync.stages import Stage
from lyncgate.signin.events import DnsQuery, Event
from lyncgate.signin.exchange import Exchange, Kind, Outcome
from lyncgate.signin.facts import Document, Facts
from lyncgate.signin.stitch import offsets, stitch
from lyncgate.signin.story import Joined, SignIn, SignInOutcome
from support.changed import changed
from support.plays import AGENTS, WEB, Fault, Play, hex_of

USERS = tuple(f"user{number}@contoso.example" for number in range(6))


def ids(events: Iterable[Event]) -> frozenset[str]:
    return frozenset(event.id for event in events)


def together(*plays: Play) -> list[Event]:
    return [event for play in plays for event in play.events]


def of(sign_ins: Sequence[SignIn], event: str) -> SignIn:
    return next(sign_in for sign_in in sign_ins if event in ids(sign_in.events))


def assert_told_apart(plays: Sequence[Play], sign_ins: Sequence[SignIn], left: frozenset[str]) -> None:
    """What exact keys tie is together, as far as it is there, and nothing of another play's beside it, but
    for what names nobody and is tied to nobody (it is there by address, and says so)."""
    for play in plays:
        for mine in (play.keyed & left, play.dialog & left):
            homes = [sign_in for sign_in in sign_ins if ids(sign_in.events) & mine]
            assert len(homes) <= 1, f"{play.name} is in {len(homes)} sign-ins"
        for home in (sure(home) for home in sign_ins):
            if home & play.keyed:
                strangers = [other.name for other in plays if other is not play and other.keyed & home]
                assert not strangers, f"{play.name} is with {strangers}"


def sure(sign_in: SignIn) -> frozenset[str]:
    """Events that belong to it for a better reason than an address or the time."""
    return frozenset(id for id, why in sign_in.joined if why in (Joined.KEY, Joined.USER))


FAULTS = st.sampled_from(Fault.__value__.__args__)


@st.composite
def crowds(draw: st.DrawFn) -> list[Play]:
    """Plays of several people, each with up to two devices, all at about the same time, behind few addresses.
    Each device signs in once."""
    devices = draw(
        st.lists(
            st.tuples(st.sampled_from(USERS), st.sampled_from(["ucwa", "mcx"])),
            min_size=1,
            max_size=7,
            unique=True,
        )
    )
    return [
        Play(
            f"{user} {device}",
            user=user,
            device=device,  # type: ignore[arg-type]
            at=1000 + draw(st.integers(0, 300)) / 100,
            client=f"192.0.2.{draw(st.integers(1, 2))}",
            fault=draw(FAULTS),
            named=draw(st.booleans()),
            dns=draw(st.booleans()),
            resolver=draw(st.sampled_from([None, "203.0.113.53"])),
            trace=draw(st.booleans()),
            polls=draw(st.integers(0, 3)),
            certificate=draw(st.booleans()),
            upn=draw(st.booleans()),
            pace=draw(st.sampled_from([0.005, 0.02, 0.3])),
            server=draw(st.sampled_from(["fe01", "fe02"])),
        )
        for user, device in devices
    ]


@given(crowds(), st.randoms(use_true_random=False), st.floats(0, 0.5))
@settings(max_examples=150, deadline=None)
def test_nobodys_events_go_to_another(plays: list[Play], chance: random.Random, missing: float) -> None:
    events = [event for event in together(*plays) if chance.random() >= missing]
    chance.shuffle(events)
    sign_ins = stitch(events)
    assert_told_apart(plays, sign_ins, ids(events))
    users = {play.user for play in plays}
    for sign_in in sign_ins:
        assert len({event.keys.user for event in sign_in.events} & users) <= 1
    given_away = [event.id for sign_in in sign_ins for event in sign_in.events]
    assert len(given_away) == len(set(given_away))


@given(crowds(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_does_not_matter(plays: list[Play], chance: random.Random) -> None:
    events = together(*plays)
    expected = stitch(events)
    for _ in range(2):
        chance.shuffle(events)
        assert stitch(events + events[: len(events) // 2]) == expected


@given(
    st.lists(st.sampled_from(USERS), min_size=1, unique=True), st.randoms(use_true_random=False), st.data()
)
@settings(max_examples=60, deadline=None)
def test_people_at_home_are_told_apart_to_the_last_event(
    users: list[str], chance: random.Random, data: st.DataObject
) -> None:
    """Everybody has an address of their own: queries, discovery and traces go where they belong too."""
    plays = [
        Play(
            user,
            user=user,
            at=1000 + chance.random(),
            client=f"192.0.2.{number}",
            fault=data.draw(FAULTS),
            named=data.draw(st.booleans()),
            polls=data.draw(st.integers(0, 2)),
        )
        for number, user in enumerate(users)
    ]
    events = together(*plays)
    chance.shuffle(events)
    assert {ids(sign_in.events) for sign_in in stitch(events)} == {ids(play.events) for play in plays}


def test_five_hundred_behind_one_address() -> None:
    plays = [
        Play(f"nat{number}", user=f"user{number}@contoso.example", at=1000 + number / 100, polls=1)
        for number in range(500)
    ]
    sign_ins = stitch(reversed(together(*plays)))
    assert len(sign_ins) == 500
    assert_told_apart(plays, sign_ins, ids(together(*plays)))
    assert all(sign_in.outcome is SignInOutcome.OK for sign_in in sign_ins)
    assert sum(sign_in.stage(Stage.DNS_DISCOVER).started is not None for sign_in in sign_ins) > 490


def test_two_devices_of_one_user_at_once() -> None:
    one, two = Play("phone"), Play("tablet", device="mcx", at=1000.03)
    sign_ins = stitch(together(one, two))
    assert [sign_in.device for sign_in in sign_ins] == [AGENTS["ucwa"], AGENTS["mcx"]]
    assert_told_apart([one, two], sign_ins, ids(together(one, two)))
    assert [len(sign_in.events) for sign_in in sign_ins] == [len(one.events), len(two.events)]


@pytest.mark.parametrize("later", [0.003, 0.05, 0.11, 0.25, 1.0])
def test_two_devices_of_one_make_and_one_user_at_once(later: float) -> None:
    """Nothing but tickets, applications and dialogues tells them apart."""
    one, two = Play("phone"), Play("other phone", at=1000 + later)
    sign_ins = stitch(together(one, two))
    assert_told_apart([one, two], sign_ins, ids(together(one, two)))
    if later > 0.02:  # their registrations don't overlap: traces say whose is whose
        assert [len(sign_in.events) for sign_in in sign_ins] == [len(one.events), len(two.events)]


# -- attempts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["password", "register", "poll"])
def test_who_fails_and_begins_anew_has_signed_in_twice(fault: Fault) -> None:
    sign_ins = stitch(together(Play("first", fault=fault), Play("again", at=1015.0)))
    assert [sign_in.outcome for sign_in in sign_ins] == [SignInOutcome.FAILED, SignInOutcome.OK]
    assert [len(sign_in.events) for sign_in in sign_ins] == [
        len(Play("first", fault=fault).events),
        len(Play("again").events),
    ]


@pytest.mark.parametrize("fault", ["dns", "connect", "discover"])
def test_who_gets_nowhere_and_tries_later_has_signed_in_twice(fault: Fault) -> None:
    sign_ins = stitch(together(Play("first", fault=fault), Play("again", fault=fault, at=1100.0)))
    assert [sign_in.outcome for sign_in in sign_ins] == [SignInOutcome.FAILED] * 2
    assert len({sign_in.id for sign_in in sign_ins}) == 2


def exchange(play: Play, name: str) -> Exchange:
    found = next(event for event in play.events if event.id == hex_of(play.name, name))
    assert isinstance(found, Exchange)
    return found


def test_a_new_attempt_may_show_the_old_ticket_on_the_old_connection() -> None:
    """Discovery begins anew; then all goes on as before, with what the device still has."""
    first, again = Play("first", fault="register"), Play("again", at=1030.0, dns=False, trace=False)
    ticket, connection = (hex_of("first", "ticket"),), hex_of("first", "c", "c")
    events: list[Event] = list(first.events)
    for event in again.events:
        if isinstance(event, Exchange) and event.host == WEB:
            if event.stage == "ticket" or event.status == 401:
                continue
            keys = changed(event.keys, tickets=ticket)
            if event.keys.connection == hex_of("again", "c", "c"):
                keys = changed(keys, connection=connection)
            event = changed(event, keys=keys)
        events.append(event)
    sign_ins = stitch(events)
    assert [sign_in.outcome for sign_in in sign_ins] == [SignInOutcome.FAILED, SignInOutcome.OK]
    assert [sign_in.failed_stage for sign_in in sign_ins] == [Stage.REGISTER, None]


def test_retries_stay_in_the_attempt() -> None:
    """A password refused again and again, as by a proxy that mixes connections (F20)."""
    play = Play("loop", fault="password")
    more = [
        changed(exchange(play, "rst2"), id=f"more{number:012}", started=1000.2 + number / 10)
        for number in range(30)
    ]
    (sign_in,) = stitch([*play.events, *more])
    assert (sign_in.outcome, sign_in.failed_stage) == (SignInOutcome.FAILED, Stage.TICKET)


def test_a_circle_of_redirects_is_one_sign_in() -> None:
    """F18: each root leads to lyncdiscover again."""
    play = Play("circle", fault="discover", dns=False)
    root = exchange(play, "find2")
    facts = Facts(document=Document.REDIRECT, redirect="https://lyncdiscover.contoso.example/")
    roots = [
        changed(
            root,
            id=f"root{number:012}",
            started=root.started + number / 10,
            status=200,
            facts=facts,
            keys=changed(root.keys, connection=f"r{number}"),
        )
        for number in range(10)
    ]
    (sign_in,) = stitch([exchange(play, "find1"), *roots])
    assert (sign_in.outcome, sign_in.failed_stage) == (SignInOutcome.FAILED, Stage.DISCOVER)
    assert "circle" in sign_in.stage(Stage.DISCOVER).said


def test_polls_for_hours_and_a_ticket_used_again_belong_to_the_sign_in() -> None:
    play = Play("hours", polls=30, held=900.0)
    later = changed(
        exchange(play, "more2"),
        id="later00000000000",
        started=1000 + 40_000.0,
        keys=changed(exchange(play, "more2").keys, connection="another", application=None),
    )
    (sign_in,) = stitch([*play.events, later])
    assert (len(sign_in.events), sign_in.outcome) == (len(play.events) + 1, SignInOutcome.OK)


def test_an_early_end_of_a_poll_after_an_hour_does_not_undo_a_sign_in() -> None:
    play = Play("ends", polls=3, held=1800.0)
    events = [
        changed(event, status=404) if event.id == exchange(play, "poll2").id else event
        for event in play.events
    ]
    (sign_in,) = stitch(events)
    assert sign_in.outcome is SignInOutcome.OK


# -- keys that lie --------------------------------------------------------------------------------------


@given(st.randoms(use_true_random=False), st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_connections_that_a_load_balancer_mixes_glue_nobody_together(
    chance: random.Random, people: int
) -> None:
    plays = [Play(user, user=user, at=1000 + chance.random(), pace=0.05) for user in USERS[:people]]
    events = [
        changed(event, keys=changed(event.keys, connection=f"lb{chance.randrange(2)}"))
        if isinstance(event, Exchange)
        else event
        for event in together(*plays)
    ]
    sign_ins = stitch(events)
    users = [{event.keys.user for event in sign_in.events} - {None} for sign_in in sign_ins]
    assert all(len(names) <= 1 for names in users)
    for play in plays:  # tickets, applications and dialogues are still good
        exact = {e.id for e in events if e.id in ids(play.events) and (e.keys.tickets or e.keys.dialog)}
        assert exact <= ids(of(sign_ins, min(exact)).events)


def test_a_ticket_that_two_people_show_glues_nobody_together() -> None:
    plays = [Play(user, user=user, named=True) for user in USERS[:2]]
    events = [
        changed(event, keys=changed(event.keys, tickets=("shared",))) if event.keys.tickets else event
        for event in together(*plays)
    ]
    sign_ins = stitch(events)
    assert [sign_in.user for sign_in in sign_ins] == list(USERS[:2])
    for sign_in, play in zip(sign_ins, plays, strict=True):
        assert {e.keys.user for e in sign_in.events} - {None} == {play.user}
        assert sign_in.outcome is SignInOutcome.OK


# -- who is who -----------------------------------------------------------------------------------------


def test_an_account_is_its_users() -> None:
    """NTLM names an account; a connection shows that it is alice's, so another one is hers too."""
    play = Play("alice", dns=False, trace=False)
    photo = changed(
        exchange(play, "more3"),
        id="photo00000000000",
        keys=changed(
            exchange(play, "more3").keys,
            connection="own",
            tickets=(),
            application=None,
            account=r"CONTOSO\Alice",
        ),
    )
    (sign_in,) = stitch([*play.events, photo])
    assert photo in sign_in.events
    assert (sign_in.user, sign_in.account) == ("alice@contoso.example", r"CONTOSO\alice")
    assert dict(sign_in.joined)["photo00000000000"] is Joined.USER


def test_a_upn_that_is_not_the_address_is_the_users() -> None:
    (sign_in,) = stitch(Play("upn", upn=True).events)
    assert sign_in.account == "alice.upn@contoso.example"


# -- honesty --------------------------------------------------------------------------------------------


def test_why_an_event_belongs_is_said() -> None:
    play = Play("why", resolver="203.0.113.53", named=False)
    (sign_in,) = stitch(play.events)
    why = dict(sign_in.joined)
    assert {why[id] for id in play.keyed if id in ids(e for e in play.events if e.origin == "edge")} == {
        Joined.KEY
    }
    assert why[exchange(play, "find2").id] is Joined.ADDRESS
    assert {why[event.id] for event in play.events if isinstance(event, DnsQuery)} == {Joined.TIME}
    assert {why[event.id] for event in play.events if event.origin == "trace:fe01"} == {Joined.USER}


def test_what_is_no_sign_in_makes_none() -> None:
    other = changed(exchange(Play("x"), "more3"), stage=None, path="/meet/x")
    query = DnsQuery(id="q", started=1.0, name="www.contoso.example", kind="A", rcode="NOERROR")
    assert stitch([other, query]) == []


def test_the_second_telling_of_a_poll_wins_whichever_comes_first() -> None:
    play = Play("poll")
    ended = exchange(play, "poll0")
    begun = changed(ended, outcome=None, status=None, phases={})
    rest = [event for event in play.events if event is not ended]
    assert stitch([*rest, begun, ended]) == stitch([ended, *rest, begun]) == stitch([*rest, ended])


def test_an_id_stays_when_queries_and_traces_are_added() -> None:
    play = Play("later")
    web = [event for event in play.events if isinstance(event, Exchange)]
    (first,), (all_,) = stitch(web), stitch(play.events)
    assert first.id == all_.id


# -- over or not ----------------------------------------------------------------------------------------


def test_a_sign_in_is_open_until_nothing_new_comes() -> None:
    play = Play("open", open=True)
    begun = exchange(play, "poll0")
    assert begun.kind is Kind.POLL
    assert begun.outcome is None
    assert stitch(play.events, now=1001.0)[0].outcome is SignInOutcome.OPEN
    assert stitch(play.events, now=1012.0)[0].outcome is SignInOutcome.OK
    failed = Play("failed", fault="password").events
    assert stitch(failed, now=1001.0)[0].outcome is SignInOutcome.OPEN
    assert stitch(failed, now=1001.0)[0].failed_stage is None
    assert stitch(failed, now=1012.0)[0].failed_stage is Stage.TICKET


# -- clocks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", [0.0, 2.5, -40.0, 3600.0, 2 * 3600 + 2.5, -10 * 3600.0])
@pytest.mark.parametrize("people", [1, 4])
def test_the_clock_of_a_trace_is_set_right(skew: float, people: int) -> None:
    plays = [
        Play(user, user=user, at=1000 + 37.0 * number, skew=skew)
        for number, user in enumerate(USERS[:people])
    ]
    assert offsets(together(*plays)) == {"trace:fe01": pytest.approx(skew, abs=0.02)}
    sign_ins = stitch(together(*plays))
    assert {ids(sign_in.events) for sign_in in sign_ins} == {ids(play.events) for play in plays}
    assert dict(sign_ins[0].offsets)["trace:fe01"] == pytest.approx(skew, abs=0.02)
    assert sign_ins[0].seconds < 200


def test_a_trace_of_other_people_sets_no_clock() -> None:
    alice = [event for event in Play("alice").events if event.origin != "trace:fe01"]
    bob = [event for event in Play("bob", user=USERS[1], skew=99.0).events if event.origin == "trace:fe01"]
    assert offsets([*alice, *bob]) == {}


def test_an_answer_cut_by_the_client_says_nothing() -> None:
    play = Play("gone", polls=1)
    gone = changed(exchange(play, "poll0"), outcome=Outcome.CLIENT_GONE, status=None)
    (sign_in,) = stitch([*(e for e in play.events if e.id != gone.id), gone])
    assert sign_in.outcome is SignInOutcome.OK
