"""An edge with workers in front of one plain member, as processes, for tests of the processes themselves.

with member() as origin, crew(tmp_path, origin, workers=2) as edge:
    edge.ask("/")                # over a new connection; (status, body)
    edge.workers()               # process ids by worker, from /readyz
    origin.hold.clear()          # /held waits from now on
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from support.processes import LYNCGATE, PACKAGE, ROOT, Address, Process, merged, wait_until

WEB = "lyncweb.contoso.example"
PATIENCE = 100.0  # seconds: two busy cores, and an upgrade starts a whole edge


class Origin:
    """Answers `/held` once `hold` is set, everything else at once. `asked`: requests for /held so far."""

    def __init__(self) -> None:
        self.hold = threading.Event()
        self.hold.set()
        self.asked = 0
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/held":
                    origin.asked += 1
                    origin.hold.wait(PATIENCE)
                body = self.path.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # who is cut is gone
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()


class Crew:
    """`process`: what was started; after an upgrade `pid` is another one's."""

    def __init__(self, process: Process, directory: Path) -> None:
        self.process = process
        self.directory = directory
        self.rules = directory / "rules.yaml"
        self.pid_file = directory / "pid"
        self.http: Address = tuple(process.said["listeners"]["http"][0])
        self.admin: Address = tuple(process.said["admin"])

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text())

    @property
    def log(self) -> str:
        return self.process.log.read_text()

    def get(self, path: str) -> str:
        """A page of the admin listener, whatever its status."""
        try:
            with urllib.request.urlopen(f"http://{self.admin[0]}:{self.admin[1]}{path}", timeout=10) as page:
                text: str = page.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()
        return text

    def ready(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.get("/readyz"))
        return said

    def workers(self) -> dict[int, int]:
        """Process ids of those that are ready."""
        return {
            one["worker"]: one["pid"] for one in self.ready()["details"]["workers"] if one["state"] == "ready"
        }

    def wait_for_workers(self, count: int, *, none_of: Sequence[int] = ()) -> dict[int, int]:
        wait_until(
            lambda: len(found := self.workers()) == count and not set(none_of) & set(found.values()),
            lambda: f"workers are {self.ready()}, log: {self.log}",
        )
        return self.workers()

    def metric(self, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.get("/metrics"))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def wait_for(self, name: str, wanted: float, **labels: str) -> None:
        wait_until(
            lambda: self.metric(name, **labels) == wanted,
            lambda: f"{name}{labels} is {self.metric(name, **labels)}, not {wanted}; log: {self.log}",
        )

    def connect(self, address: Address | None = None) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(*(address or self.http), timeout=PATIENCE)
        connection.connect()
        return connection

    def ask(self, path: str = "/", connection: http.client.HTTPConnection | None = None) -> tuple[int, bytes]:
        """Over a new connection, or that one."""
        over = connection or self.connect()
        try:
            over.request("GET", path, headers={"Host": WEB})
            answer = over.getresponse()
            return answer.status, answer.read()
        finally:
            if connection is None:
                over.close()

    def change(self, **changes: Any) -> None:
        """Other rules, put in place whole; they are adopted by themselves."""
        document = merged(yaml.safe_load(self.rules.read_text()), changes)
        new = self.rules.with_name("new.yaml")
        new.write_text(yaml.safe_dump(document, sort_keys=False))
        new.rename(self.rules)

    def command(self, *command: str) -> subprocess.CompletedProcess[str]:
        """`lyncgate <command> --pid-file …`."""
        return subprocess.run(
            [*LYNCGATE, *command, "--pid-file", str(self.pid_file)],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        )


@contextlib.contextmanager
def member() -> Iterator[Origin]:
    with contextlib.closing(Origin()) as origin:
        yield origin


def rules(directory: Path, origin: Origin, **changes: Any) -> Path:
    document = {
        "version": 1,
        "listeners": {"http": {"bind": ["127.0.0.1:0"], "protocol": "http"}},
        "pools": {
            "pool01": {
                "members": [{"name": "fe01", "host": "127.0.0.1"}],
                "bridge": {"http": origin.port, "https": "off"},
                "health": {"tcp": "off", "https": "off"},
            }
        },
        "publications": [{"name": "web", "hosts": [WEB], "pool": "pool01"}],
        "access_log": {"path": "access.log"},
        "timeouts": {"drain": "100s"},
        "admin": {"bind": "127.0.0.1:0"},
    }
    path = directory / "rules.yaml"
    path.write_text(yaml.safe_dump(merged(document, changes), sort_keys=False))
    return path


@contextlib.contextmanager
def crew(
    directory: Path,
    origin: Origin,
    *,
    prefix: Sequence[str] = (),
    more: Sequence[str] = (),
    **changes: Any,
) -> Iterator[Crew]:
    """`changes` are laid over the rules. `prefix`: what stands before the command; `more`: its further
    options."""
    path = rules(directory, origin, **changes)
    options = ("serve", "--json", "--rules", str(path), "--pid-file", str(directory / "pid"), *more)
    with contextlib.closing(Process(*prefix, *LYNCGATE, *options, log=directory / "edge.log")) as process:
        edge = Crew(process, directory)
        try:
            yield edge
        finally:
            end(edge)


def end(edge: Crew) -> None:
    """Whoever has taken over by now. `close` ends the one that was started."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        if edge.pid != edge.process.popen.pid:
            os.kill(edge.pid, 9)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
