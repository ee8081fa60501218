"""Which series a PromQL expression asks for, read well enough for our own rules and panels.

Expressions are checked for syntax by promtool; this finds their selectors and groupings.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from observe.samples import exercised

# A name that is not part of a longer one or a function, and its braces.
_SELECTOR = re.compile(r"(?<![\w:$])((?:lyncgate|process)[\w:]+|up)(?![\w(])\s*(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on|without|group_left|group_right)\s*\(([^)]*)\)")

RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load(
        (Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yaml").read_text()
    )["groups"]
    for rule in group["rules"]
]
SCRAPE_LABELS = {"job": "lyncgate", "instance": "127.0.0.1:9145"}  # what Prometheus adds


type Series = dict[str, list[dict[str, str]]]  # name -> labels of each of its series


@dataclasses.dataclass(frozen=True)
class Selector:
    """A metric's name and its matchers: (label, operator, value)."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]

    def selects(self, labels: dict[str, str]) -> bool:
        return all(_matches(labels.get(label, ""), op, value) for label, op, value in self.matchers)


def _matches(actual: str, operator: str, value: str) -> bool:
    equal = re.fullmatch(value, actual) is not None if "~" in operator else actual == value
    return equal != operator.startswith("!")


def selectors(expression: str) -> list[Selector]:
    return [
        Selector(name, tuple(_MATCHER.findall(inside or "")))
        for name, inside in _SELECTOR.findall(expression)
    ]


def groupings(expression: str) -> set[str]:
    """Labels that are named in by(), on() and their like."""
    names = (word.strip() for inside in _GROUPING.findall(expression) for word in inside.split(","))
    return {name for name in names if name}


def scraped() -> Series:
    """A scrape of exercised metrics as Prometheus stores it: name -> labels of each of its series."""
    series: Series = {"up": [SCRAPE_LABELS]}
    page = generate_latest(exercised().registry).decode()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            series.setdefault(sample.name, []).append(sample.labels | SCRAPE_LABELS)
    return series


def _recorded(series: Series) -> Series:
    """What our recording rules make of `series`: what they select, by what they group by."""
    return {
        rule["record"]: [
            {label: labels[label] for label in groupings(rule["expr"]) - {"le"}}
            for selector in selectors(rule["expr"])
            for labels in series[selector.name]
            if selector.selects(labels)
        ]
        for rule in RULES
        if "record" in rule
    }


def stored() -> Series:
    """All that a Prometheus with our rules holds of our edge."""
    series = scraped()
    return series | _recorded(series)


def complaints(expression: str, series: Series) -> list[str]:
    """What of `expression` would never find anything among `series`."""
    found = []
    for selector in selectors(expression):
        if not any(selector.selects(labels) for labels in series.get(selector.name, [])):
            found.append(f"{selector} selects nothing")
        for label, _, _ in selector.matchers:
            if not any(label in labels for labels in series.get(selector.name, [])):
                found.append(f"{selector.name} has no label {label}")
    known = {
        label
        for selector in selectors(expression)
        for labels in series.get(selector.name, [])
        for label in labels
    }
    found += [f"nothing has the label {label}" for label in groupings(expression) - known]
    return found
