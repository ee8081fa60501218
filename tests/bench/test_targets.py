"""What must be shown, and the verdict on it."""

from __future__ import annotations

from typing import Any

import pytest

from bench.document import load, results, sign_ins
from sidebyside import targets


def row(works: dict[str, Any], beginning: str) -> dict[str, Any]:
    [found] = [row for row in targets.table(works) if row["work"].startswith(beginning)]
    return found


def test_each_target_of_the_issue_has_a_row_and_a_verdict() -> None:
    met = {row["work"]: (row["measured"], row["met"]) for row in targets.table(results())}
    assert met == {
        "keepalive c=16, requests/s against stock mitmdump": ("20×", "hoped for"),
        "keepalive c=16, CPU a request against nginx": ("2.50×", "hoped for"),
        "c=1, median latency added, against HAProxy's": ("2.00×", "yes"),
        "new TLS connections/s against HAProxy": ("0.60×", "yes"),
        "sign-in storm, sign-ins/s against stock mitmdump": ("13.33×", "hoped for"),
        "the same, front end of TLS 1.3": ("7×", "no"),
        "sign-in storm, sign-ins/s against HAProxy": ("0.50×", "yes"),
        "the same against HAProxy, front end of TLS 1.3": ("0.70×", "hoped for"),
        "sign-in storm, answers with another's identity": ("0", "yes"),
        "50 MB bodies down, MB/s against nginx": ("0.96×", "yes"),
        "50 MB bodies up, MB/s against nginx": ("0.96×", "yes"),
        "memory of a held TLS poll against nginx": ("1.20×", "yes"),
        "held polls lost": ("0", "yes"),
        "memory with 300 MB up and down, slow readers": ("5 MiB", "yes"),
        "two workers against one": ("1.80×", "yes"),
        "CPU a request, 5,000 connections against 16": ("1.10×", "yes"),
    }


def test_nothing_measured_is_nothing_met() -> None:
    assert {row["met"] for row in targets.table({})} == {"not measured"}


def test_less_than_the_least_and_more_than_the_most_are_missed() -> None:
    works = results()
    works["connections"]["lyncgate"] = [load(700, 1100)]
    works["polls"]["lyncgate"][0]["memory"] = 76.0
    assert row(works, "new TLS")["met"] == "no"
    assert row(works, "memory of a held")["met"] == "no"


def test_one_answer_with_anothers_identity_is_one_too_many() -> None:
    works = results()
    works["storm"]["1.3"]["lyncgate"] = [sign_ins(400, 2500, strangers=1)]
    found = row(works, "sign-in storm, answers")
    assert (found["measured"], found["met"]) == ("1", "no")


def test_a_peer_that_was_not_the_limit_is_judged_by_cpu_and_the_note_says_so() -> None:
    works = results()
    works["connections"]["haproxy"] = [load(1500, 300, busy=0.5)]
    found = row(works, "new TLS")
    assert found["value"] == pytest.approx(300 / 1100)
    assert found["note"] == "by CPU, for haproxy was busy 50 % of the time; rates as measured 0.60×"


def test_workers_without_room_are_not_condemned() -> None:
    """Two cores, of which the load takes one and a half: no number of workers could show 1.6."""
    works = results()
    for rounds in works["workers"]["kept"].values():
        rounds[0]["load"] = 800
    works["workers"]["kept"]["two"][0]["rate"] = 510
    found = row(works, "two workers")
    assert found["met"] == "can't be told here"
    assert "room for 1.00×" in found["note"]


def test_workers_are_judged_by_the_load_that_leaves_most_room() -> None:
    works = results()
    tight = {
        name: [rounds[0] | {"load": 800, "rate": 500}] for name, rounds in works["workers"]["kept"].items()
    }
    works["workers"] = {"new": tight, "kept": works["workers"]["kept"]}
    assert row(works, "two workers")["note"].startswith("kept connections")
