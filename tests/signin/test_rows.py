"""The fourteen rows, and what their marks say."""

from __future__ import annotations

from lyncgate.lync.stages import Stage
from lyncgate.signin.rows import MARKS, PLAIN_MARKS, ROWS, STATE_WORDS, outcome_words, row_states, strip
from lyncgate.signin.story import SignInOutcome, StageState


def test_every_stage_has_its_place_in_fourteen_rows() -> None:
    assert [row.number for row in ROWS] == list(range(1, 15))
    assert [stage for row in ROWS for stage in row.stages] == list(Stage)
    assert ROWS[8].stages == (Stage.TICKET, Stage.CERTIFICATE)


def test_states_differ_in_word_and_shape() -> None:
    for marks in (MARKS, PLAIN_MARKS, STATE_WORDS):
        assert set(marks) == set(StageState)
        assert len(set(marks.values())) == len(StageState)
    assert "".join(PLAIN_MARKS.values()).isascii()


def test_a_row_of_two_stages_fails_with_either() -> None:
    certificate = {Stage.TICKET: StageState.OK, Stage.CERTIFICATE: StageState.FAILED}
    assert row_states(certificate)[8] is StageState.FAILED
    ticket_only = {Stage.TICKET: StageState.OK, Stage.CERTIFICATE: StageState.NOT_OBSERVED}
    assert row_states(ticket_only)[8] is StageState.OK


def test_a_line_of_marks() -> None:
    states = dict.fromkeys(Stage, StageState.OK)
    states |= {Stage.TICKET: StageState.FAILED, Stage.DNS_WEB: StageState.NOT_OBSERVED}
    states |= dict.fromkeys(list(Stage)[9:], StageState.NOT_REACHED)
    assert strip(states) == "●●●○●●●●✕·····"
    assert strip(states, plain=True) == "+++o++++X....."
    assert strip({}) == "○" * 14


def test_outcomes_in_words() -> None:
    assert outcome_words(SignInOutcome.OK, None) == "signed in"
    assert outcome_words(SignInOutcome.FAILED, Stage.CERTIFICATE) == "failed at Certificate"
