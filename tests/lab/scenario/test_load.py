"""Scenario files: ranges, defaults, and what is said about a bad one."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lab.scenario.files import OFFICE, office
from lyncgate.lab.scenario.load import load_scenario
from lyncgate.lab.scenario.model import Device, ScenarioFile
from lyncgate.policy.schema import with_reference

REFERENCE = Path(__file__).parents[3] / "docs" / "scenario.md"


def test_a_range_is_written_out_and_an_address_of_its_own_wins() -> None:
    users = {user.name: user for user in office().users if user.name.startswith("user")}
    assert sorted(users) == ["user08", "user09", "user10", "user11"]
    assert (users["user08"].display_name, users["user08"].line) == ("User 08", "tel:+31205550208")
    assert (users["user09"].display_name, users["user09"].home) == ("User09", "pool02")


def test_what_is_not_written() -> None:
    bob = office().by_sip["bob@contoso.example"]
    assert (bob.account, bob.password, bob.display_name) == ("bob@contoso.example", "P4ss-bob", "Bob")
    assert bob.devices == (Device.WP75, Device.DESKTOP)


def test_a_password_does_not_show() -> None:
    assert "Correct-horse" not in repr(office().by_sip["alice@contoso.example"])


def test_everything_is_said_at_once() -> None:
    text = (
        OFFICE.replace("site: london", "site: lodnon")
        .replace("NoFaces, ", "NoFcaes, ")
        .replace("pool: pool02}", "pool: pool3}")
    )
    scenario, problems = load_scenario(text, "x.yaml")
    assert scenario is None
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)
    assert {problem.key.split(".")[0] for problem in problems} == {"pools", "users"}
    assert len(problems) >= 4


@given(
    st.text(max_size=300) | st.sampled_from(OFFICE.splitlines()).map(lambda line: OFFICE.replace(line, ""))
)
def test_whatever_the_text_is_there_is_a_scenario_or_a_reason(text: str) -> None:
    scenario, problems = load_scenario(text, "x.yaml")
    assert (scenario is None) == bool(problems)


def test_the_reference_in_the_docs_is_current() -> None:
    written = REFERENCE.read_text()
    current = with_reference(written, ScenarioFile)
    if os.environ.get("UPDATE_GOLDEN"):
        REFERENCE.write_text(current)
    assert REFERENCE.read_text() == current


def test_the_example_in_the_docs_loads() -> None:
    example = REFERENCE.read_text().partition("```yaml\n")[2].partition("```")[0]
    scenario, problems = load_scenario(example, "example.yaml")
    assert scenario is not None, problems
    assert len(scenario.users) == 502
    assert not scenario.mobility(scenario.by_sip["bob@contoso.example"]).policy.enable_mobility
