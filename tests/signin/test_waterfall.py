"""The view model of page and terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.lync.stages import Stage
from lyncgate.signin.diagnose import diagnose
from lyncgate.signin.events import Event, Handshake, HandshakeOutcome
from lyncgate.signin.hops import Column, hops
from lyncgate.signin.keys import Keys
from lyncgate.signin.lines import line
from lyncgate.signin.stages import assemble
from lyncgate.signin.stitch import stitch
from lyncgate.signin.story import Joined, SignIn, StageState
from lyncgate.signin.waterfall import MOST_LINES, Waterfall, waterfall
from support.changed import changed
from support.events import events
from support.stories import healthy, hostile, no_certificate, wrong_password


def fall_of(story: list[Event]) -> Waterfall:
    (sign_in,) = stitch(story)
    return waterfall(sign_in, diagnose(sign_in))


def test_a_healthy_one_has_fourteen_rows_that_were_seen() -> None:
    fall = fall_of(healthy())
    assert [view.row.number for view in fall.rows] == list(range(1, 15))
    assert {view.state for view in fall.rows} == {StageState.OK}
    assert all(view.track and view.moments and view.said and view.origins for view in fall.rows)
    assert fall.beside == ()


def test_both_stages_of_a_row_are_in_it() -> None:
    row = fall_of(healthy()).rows[8]
    assert [view.stage for view in row.views] == [Stage.TICKET, Stage.CERTIFICATE]
    assert row.seconds == pytest.approx(sum(view.seconds or 0 for view in row.views))
    assert len(row.moments) == 5


def test_a_poll_hangs_across_a_break_and_does_not_count_for_being_ready() -> None:
    fall = fall_of(healthy(poll=31.0))
    (gap,) = fall.scale.breaks
    assert gap.seconds > 30
    poll = next(moment for moment in fall.rows[12].moments if moment.line.waits)
    assert poll.bar.left + poll.bar.width == pytest.approx(100, abs=0.1)
    assert fall.ready_after is not None
    assert fall.ready_after < 0.4


def test_what_a_trace_saw_is_drawn_by_the_sign_ins_clock() -> None:
    """fe01 is 2.5 s ahead; its REGISTER lies inside the exchange that caused it."""
    moments = fall_of(healthy()).rows[9].moments
    session = next(moment for moment in moments if moment.line.origin == "edge")
    register = next(moment for moment in moments if moment.line.origin == "trace:fe01")
    assert session.start <= register.start <= session.start + (session.line.seconds or 0)


def test_evidence_points_at_its_row() -> None:
    fall = fall_of(wrong_password())
    quoted = [evidence.event for finding in fall.findings for evidence in finding.evidence if evidence.event]
    assert quoted
    for event in quoted:
        row = fall.row_of(event)
        assert row is not None
        assert any(moment.accused for moment in row.moments if moment.line.id == event)
    assert fall.row_of(None) is None
    assert fall.row_of("none such") is None


def test_the_refused_certificate_is_where_it_ended() -> None:
    fall = fall_of(no_certificate())
    assert fall.rows[8].state is StageState.FAILED
    assert {view.state for view in fall.rows[9:]} == {StageState.NOT_REACHED}
    assert fall.ready_after is None


def test_lines_carry_no_control_characters() -> None:
    said = [line(event) for event in hostile()]
    texts = [text for one in said for text in (one.said, one.result, one.origin, *sum(one.facts, ()))]
    assert texts
    assert not any(set(text) & set("\x1b\u202e\n") for text in texts)


def test_phases_fill_their_bar_in_order() -> None:
    for moment in (m for view in fall_of(healthy()).rows for m in view.moments if m.phases):
        assert sum(phase.bar.width for phase in moment.phases) == pytest.approx(100, abs=0.1)
        lefts = [phase.bar.left for phase in moment.phases]
        assert lefts == sorted(lefts)


def test_the_way_is_counted_from_events() -> None:
    (sign_in,) = stitch(healthy())
    way = hops(sign_in)
    assert [node.name for node in way.column(Column.CLIENT)] == ["198.51.100.23"]
    assert {node.kind for node in way.column(Column.ENTRY)} == {"DNS", "listener"}
    assert [node.name for node in way.column(Column.MEMBER)] == ["fe01"]
    counted = {(link.source.name, link.target.name): link.count for link in way.links}
    assert counted["198.51.100.23", "external view"] == 3
    assert counted["198.51.100.23", "https"] == counted["https", "pool01"] == counted["pool01", "fe01"]
    assert counted["fe02", "fe01"] == 3  # REGISTER and two SUBSCRIBEs; answers don't count
    assert not any(link.failed for link in way.links)


def test_what_is_denied_goes_no_further_than_the_edge() -> None:
    (sign_in,) = stitch(no_certificate())
    way = hops(sign_in)
    counted = {(link.source.name, link.target.name): link.count for link in way.links}
    assert counted["203.0.113.9", "https"] == counted["https", "pool01"] + 1


@pytest.mark.parametrize(("outcome", "broken"), [("refused", 1), ("untrusted", 0)])
def test_a_server_that_a_capture_does_not_get_to_is_a_broken_hop(outcome: str, broken: int) -> None:
    refused = Handshake(
        id="h",
        started=1000.0,
        origin="capture",
        keys=Keys(client="192.0.2.7"),
        side="upstream",
        server_name="lyncweb.contoso.example",
        outcome=HandshakeOutcome(outcome),
    )
    way = hops(assemble("0123456789abcdef", [refused], {}))
    assert [(link.target.name, link.failed) for link in way.links] == [
        ("lyncweb.contoso.example", 1)
    ] * broken


@given(st.lists(events(), min_size=1, max_size=12), st.data())
def test_any_events_can_be_shown(seen: list[Event], data: st.DataObject) -> None:
    unique = list({event.id: event for event in seen}.values())
    joined = {event.id: data.draw(st.sampled_from(Joined)) for event in unique}
    sign_in: SignIn = assemble("0123456789abcdef", unique, joined, {}, None)
    fall = waterfall(sign_in)
    assert len(fall.rows) == 14
    bars = [moment.bar for view in fall.rows for moment in view.moments]
    assert all(bar.left >= -0.01 and bar.left + bar.width <= 100.02 for bar in bars)
    assert hops(sign_in).nodes is not None


def test_many_events_of_a_row_are_counted_not_shown() -> None:
    (sign_in,) = stitch(healthy())
    first = sign_in.stage(Stage.READY)
    one = next(event for event in sign_in.events if event.id == first.events[0])
    more = [changed(one, id=f"{number:016x}") for number in range(100)]
    ready = changed(first, events=tuple(event.id for event in more))
    stages = tuple(ready if view.stage is Stage.READY else view for view in sign_in.stages)
    fall = waterfall(changed(sign_in, events=(*sign_in.events, *more), stages=stages))
    assert len(fall.rows[13].moments) == MOST_LINES
    assert fall.rows[13].hidden == 100 - MOST_LINES
