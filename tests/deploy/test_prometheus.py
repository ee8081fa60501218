"""The alerts fire when they should, ask for metrics that exist, and say what to do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.promql import RULES, complaints, scraped, stored
from support.requirements import require

ROOT = Path(__file__).parents[2]
HERE = ROOT / "deploy" / "prometheus"
ALERTS = [rule for rule in RULES if "alert" in rule]


@pytest.mark.parametrize(
    "command", ["check config prometheus.yml", "check rules rules.yaml", "test rules rules.test.yaml"]
)
def test_promtool(command: str) -> None:
    promtool = require("promtool", "prometheus")
    result = subprocess.run(
        [promtool, *command.split()], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("record") or rule["alert"])
def test_each_rule_asks_for_what_a_scrape_has(rule: dict[str, Any]) -> None:
    assert complaints(rule["expr"], stored()) == []


def test_the_check_itself_finds_dead_names_labels_and_values() -> None:
    """Traefik's mixin alerted on a metric that was gone: this is what would have told."""
    series = scraped()
    assert complaints('rate(lyncgate_requests_total{code_class="5xx", source="proxy"}[5m])', series) == []
    for dead in (
        "lyncgate_requests_failed_total > 0",
        'lyncgate_requests_total{code="5xx"}',
        'lyncgate_requests_total{code_class="599"}',
        "sum by (publisher) (lyncgate_requests_total)",
    ):
        assert complaints(dead, series), dead


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert['alert']}-{alert['labels']['severity']}")
def test_each_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("warning", "critical")
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    path, anchor = alert["annotations"]["runbook"].split("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / path).read_text(), re.MULTILINE)
    assert anchor == alert["alert"].lower()
    assert alert["alert"] in headings


def test_the_unit_tests_see_each_alert_fire() -> None:
    tests = yaml.safe_load((HERE / "rules.test.yaml").read_text())["tests"]
    fired = {
        (case["alertname"], expected["exp_labels"]["severity"])
        for test in tests
        for case in test["alert_rule_test"]
        for expected in case["exp_alerts"]
    }
    assert fired == {(alert["alert"], alert["labels"]["severity"]) for alert in ALERTS}
