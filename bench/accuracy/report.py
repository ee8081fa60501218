"""docs/accuracy.md and bench/results/accuracy.json."""

from __future__ import annotations

from collections import Counter
from typing import Any

import acts
from cases import CASES

from lyncgate.lab.faults.catalogue import CATALOGUE as FAULTS

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
HEADER = f"""# How often diagnosis is right

Each fault of the lab is met three times by a phone (or whoever meets it), while others sign in beside it, by
the same way and by one that is fine, and while healthy sign-ins go on at another site whose events are in the
same heap. Events are stitched and diagnosed as `lyncgate signins --from` does; nobody tells diagnosis which
fault there is. *First*: how often the right code came first.

All healthy sign-ins that were begun count. Edge, lab and phones share one process: a phone that does not get
in for want of an answer, while that process comes a second late or more, is said to have been stopped by
*overload*; any other is *unexplained*, and the measurement has failed.

From where it is watched (*vantage*): *edge*, our edge before the pool; *capture*, a capture before the bad
proxy, as `lyncgate capture --reverse` is; *probe*, `lyncgate probe`. The DNS log and the servers' traces are
read in all of them but by the probe.

`make accuracy` makes this page and `bench/results/accuracy.json`; `tests/e2e/test_accuracy.py` runs a part.

{BEGIN}
{END}

What the lab can't show is in [faults.md](faults.md): the figures are those of its faults, which are clean and
come one at a time. The field's are not, and a wire that looks the same for two causes stays that way: then
both are named, as possible.
"""


def first(runs: list[dict[str, Any]], code: str) -> int:
    """In how many runs `code` came first."""
    return sum(bool(run["codes"]) and run["codes"][0][0] == code for run in runs)


def summary(results: dict[str, list[dict[str, Any]]], healthy: dict[str, Any] | None) -> dict[str, Any]:
    """What it comes to."""
    runs = sum(map(len, results.values()))
    right = sum(first(of, code) for code, of in results.items())
    return {
        "runs": runs,
        "right_first": right,
        "share": round(right / runs, 4) if runs else None,
        "misjudged_beside": sum(run["misjudged"] for of in results.values() for run in of),
        "healthy": healthy,
        "faults": results,
    }


def all_well(healthy: dict[str, Any]) -> bool:
    """No finding, nobody made up, and whoever did not get in was kept out by the machine's load alone."""
    explained = all(visit["why"] == "overload" for visit in healthy["not_in"])
    return explained and not healthy["findings"] and not healthy["of_nobody"]


def well(healthy: dict[str, Any]) -> str:
    """What became of the healthy sign-ins: of all that were begun."""
    got_in = sum(healthy["got_in"].values())
    devices = ", ".join(f"{count} {device}" for device, count in sorted(healthy["got_in"].items()))
    said = [
        f"Of {healthy['begun']} healthy sign-ins, begun at {healthy['rate']:.1f} a second, {got_in} got in "
        f"({devices}); all of them together have **{len(healthy['findings'])} findings**."
    ]
    for why, count in sorted(Counter(visit["why"] for visit in healthy["not_in"]).items()):
        stopped = Counter(v["stopped"].partition(": ")[0] for v in healthy["not_in"] if v["why"] == why)
        stages = ", ".join(f"{n} at {stage}" for stage, n in stopped.most_common())
        said.append(f"{count} did not get in, reason: {why} ({stages}).")
    return " ".join(said)


def tables(told: dict[str, Any]) -> str:
    """The measured part of docs/accuracy.md."""
    healthy = told["healthy"]
    lines = [
        f"The right code came first in **{told['right_first']} of {told['runs']} runs** "
        f"({100 * told['share']:.1f} %)."
    ]
    if healthy:
        lines.append(well(healthy))
    lines.append(f"Others who got in beside a fault were given {told['misjudged_beside']} wrong findings.")
    table = [
        "",
        "| code | what is wrong | vantage | who meets it | first | certainty | others named | remarks |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for code, runs in sorted(told["faults"].items()):
        fault, case = FAULTS[code], CASES[code]
        certainties = {how for run in runs for found, how in run["codes"][:1] if found == code}
        named = Counter(c for run in runs for c, _ in run["codes"] if c != code)
        cells = (
            code,
            fault.title,
            case.vantage.value if case.vantage else "probe",
            f"{fault.user.partition('@')[0]}, {fault.device}" if case.act in acts.BY_PHONE else "see remarks",
            f"{first(runs, code)} of {len(runs)}",
            ", ".join(sorted(certainties)) or "–",
            ", ".join(sorted(named)) or "–",
            case.note or "–",
        )
        table.append(f"| {' | '.join(cell.replace('<', '&lt;') for cell in cells)} |")
    return "\n".join([" ".join(lines), *table])


def page(told: dict[str, Any]) -> str:
    """docs/accuracy.md."""
    return HEADER.replace(f"{BEGIN}\n", f"{BEGIN}\n{tables(told)}\n")
