"""A real Prometheus watches a live edge, with the configuration and the rules that we ship."""

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import clients
from e2e.clients import curl
from sidebyside.ports import free_port
from support.processes import ROOT, Edge, Lab, wait_until
from support.requirements import require

SHIPPED = ROOT / "deploy" / "prometheus"


class Prometheus:
    """A running server; `call` asks its HTTP API."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._base}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def call(self, path: str, **query: str) -> Any:
        url = f"{self._base}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            document = json.load(answer)
        assert document["status"] == "success", document
        return document["data"]

    def value(self, query: str) -> float | None:
        """The one value that a query has now; None where it has none."""
        result = self.call("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else None


@pytest.fixture(scope="module")
def prometheus(edge: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    command = require("prometheus", "prometheus")
    directory = tmp_path_factory.mktemp("prometheus")
    port = free_port()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                command,
                f"--config.file={configuration(directory, edge)}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            running = Prometheus(port)
            wait_until(running.ready, lambda: (directory / "log").read_text())
            yield running
        finally:
            process.terminate()
            process.wait(20)


def configuration(directory: Path, edge: Edge) -> Path:
    """The shipped one, every second and with this edge for a target."""
    document = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    document["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    document["rule_files"] = [str(SHIPPED / name) for name in document["rule_files"]]
    (job,) = document["scrape_configs"]
    job["static_configs"] = [{"targets": [f"{edge.admin[0]}:{edge.admin[1]}"]}]
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_it_is_up(prometheus: Prometheus) -> None:
    wait_until(lambda: prometheus.value('up{job="lyncgate"}') == 1, "up is not 1")
    (target,) = prometheus.call("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")


def test_traffic_can_be_asked_for(prometheus: Prometheus, lab: Lab, edge: Edge) -> None:
    requests = 'sum(lyncgate_requests_total{publication="simple urls",code_class="2xx",source="upstream"})'
    before = prometheus.value(requests) or 0
    front = clients.Edge(edge.http[1], edge.https[1], lab.ca)
    for _ in range(3):
        assert curl("https://meet.contoso.example/alice/K2J7", front).status == 200
    wait_until(lambda: prometheus.value(requests) == before + 3, lambda: str(prometheus.value(requests)))
    assert prometheus.value('min(lyncgate_upstream_up{pool="pool01"})') == 1


def test_the_shipped_rules_run(prometheus: Prometheus) -> None:
    """Each was evaluated without an error, and none fires for an edge that is well."""

    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus.call("rules")["groups"] for rule in group["rules"]]

    assert rules()
    wait_until(lambda: {rule["health"] for rule in rules()} == {"ok"}, lambda: str(rules()))
    assert [
        alert["labels"] for alert in prometheus.call("alerts")["alerts"] if alert["state"] == "firing"
    ] == []


def test_promtool_has_no_complaint(lab: Lab, edge: Edge) -> None:
    promtool = require("promtool", "prometheus")
    front = clients.Edge(edge.http[1], edge.https[1], lab.ca)
    curl("https://meet.contoso.example/", front)
    curl("https://lyncweb.contoso.example/cscp", front)
    result = subprocess.run(
        [promtool, "check", "metrics"],
        input=edge.get("/metrics"),
        text=True,
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
