"""The dashboard is one that Grafana can load, and each of its panels can show something."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from deploy.promql import complaints, scraped, stored
from support.requirements import require

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "deploy" / "grafana" / "lyncgate.json").read_text()
)
PANELS = DASHBOARD["panels"]
GRAPHS = [panel for panel in PANELS if panel["type"] != "row"]


def plain(expression: str) -> str:
    """`expression` with Grafana's variables filled in."""
    for variable, value in (("$__rate_interval", "5m"), ("$instance", ".*"), ("$publication", ".*")):
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


def expressions() -> list[str]:
    panels = [target["expr"] for panel in GRAPHS for target in panel["targets"]]
    return [plain(text) for text in [*panels, *(a["expr"] for a in DASHBOARD["annotations"]["list"])]]


def test_it_has_what_grafana_wants_of_a_dashboard() -> None:
    assert DASHBOARD["id"] is None  # imported, not overwritten
    assert DASHBOARD["uid"] == "lyncgate"
    assert DASHBOARD["schemaVersion"] >= 39
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "instance", "publication"}
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in GRAPHS:
        assert panel["type"] in {"timeseries", "stat", "state-timeline", "heatmap"}
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"]
        ids = [target["refId"] for target in panel["targets"]]
        assert len(ids) == len(set(ids)) > 0


def test_no_panel_covers_another() -> None:
    cells = [
        (x, y)
        for panel in PANELS
        for place in [panel["gridPos"]]
        for x, y in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_each_panel_asks_for_what_a_scrape_has() -> None:
    series = stored()
    assert {text: found for text in expressions() if (found := complaints(text, series))} == {}
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            name, label = variable["definition"].removeprefix("label_values(").removesuffix(")").split(", ")
            assert label in series[name][0]


def test_promtool_can_read_each_expression(tmp_path: Path) -> None:
    promtool = require("promtool", "prometheus")
    rules = [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(expressions())]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    result = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(rules)} rules found" in result.stdout


def test_it_shows_every_metric_of_the_edge() -> None:
    """What nobody looks at needn't be measured. These two are for alerts and queries."""
    asked = " ".join(expressions())
    names = {name for name in scraped() if name.startswith("lyncgate_")}
    families = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in names}
    elsewhere = {
        "lyncgate_config_reloads_total",
        "lyncgate_access_log_dropped_total",
    }
    assert {family for family in families if family not in asked} == elsewhere
