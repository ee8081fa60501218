"""Page and plot are made of the JSON alone, and what is committed is."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from bench.document import document
from sidebyside import plot, report
from support.processes import ROOT

RESULTS = ROOT / "bench" / "results"
SVG = "{http://www.w3.org/2000/svg}"


def test_the_committed_page_and_plot_are_those_of_the_committed_figures() -> None:
    """Nobody has written a figure by hand."""
    committed = json.loads((RESULTS / "edge.json").read_text())
    assert (RESULTS / "README.md").read_text() == report.page(committed)
    assert (RESULTS / "edge.svg").read_text() == plot.drawn(committed)


def test_the_page_has_targets_circumstances_and_a_table_for_all_that_was_measured() -> None:
    page = report.page(document())
    assert "| keepalive c=16, requests/s against stock mitmdump |    ≥ 10× |     ≥ 18× |" in page
    for heading in (
        "Kept connections, c=16",
        "Storm of sign-ins, front end of TLS 1.3",
        "50 MB up",
        "Held polls",
    ):
        assert f"\n## {heading}\n" in page
    assert "c=64" not in page.partition("## How")[2].replace("c=1, 16 and 64", ""), "was not measured"
    assert "- left out – storm: nginx: no NTLM" in page
    assert "quick run" not in page


def test_a_quick_run_says_that_it_is_one() -> None:
    quick = document(quick=True)
    assert "too short to quote" in report.page(quick)
    assert "NOT TO BE QUOTED" in plot.drawn(quick)


def test_tables_say_how_we_stand_to_each() -> None:
    section = report.page(document()).partition("## Kept connections, c=16\n")[2].partition("\n## ")[0]
    [line] = [line for line in section.splitlines() if line.startswith("| nginx")]
    cells = [cell.strip() for cell in line.strip("| ").split("|")]
    assert cells == ["nginx", "30,000", "1.00", "2.00", "24", "100", "0", "0", "0.40", "2.50"]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    lines = report.aligned(["", "a"], [["x", "1,000"], ["long", "–"]]).splitlines()
    assert lines == ["|      |     a |", "|------|------:|", "| x    | 1,000 |", "| long |     – |"]


def test_the_plot_is_svg_with_a_bar_for_each_peer_and_ours_stands_out() -> None:
    svg = ET.fromstring(plot.drawn(document()))
    texts = ["".join(text.itertext()) for text in svg.iter(f"{SVG}text")]
    assert "commit abc, A <CPU>" in texts
    assert texts.count("Small requests, kept connections (c=16)") == 1
    bars = [rect for rect in svg.iter(f"{SVG}rect") if rect.get("height") == str(plot.BAR)]
    longest = max(bars, key=lambda bar: float(bar.get("width", 0)))
    assert float(longest.get("x", 0)) + float(longest.get("width", 0)) <= plot.WIDTH
    assert {bar.get("fill") for bar in bars} == {plot.OWN, plot.OTHER}


def test_the_plot_leaves_out_what_was_not_measured() -> None:
    some = document()
    some["works"] = {"storm": some["works"]["storm"]}
    texts = plot.drawn(some)
    assert "Whole sign-ins" in texts
    assert "50 MB" not in texts
