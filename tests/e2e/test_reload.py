"""New rules and certificates while connections are open; bad ones change nothing but the log and a metric."""

import asyncio
import contextlib
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e import clients, phones
from e2e.clients import curl
from e2e.phones import Application
from lyncgate.lab import topology
from lyncgate.lab.authority import Authority, client_context
from support.processes import Edge, Lab, edge_process, merged, wait_until

ALICE = "alice@contoso.example"
SUCCESSFUL = "lyncgate_config_last_reload_successful"
ACCEPTED = "lyncgate_connections_accepted_total"
RELOADS = "lyncgate_config_reloads_total"


@pytest.fixture(scope="module")
def reloaded(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with edge_process(lab.rules(tmp_path_factory.mktemp("edge"))) as edge:
        yield edge


@pytest.fixture
def edge(reloaded: Edge) -> Iterator[Edge]:
    """An edge that gets its rules back after each test."""
    edge = reloaded
    good, good_version = edge.rules.read_text(), version(edge)
    yield edge
    replace(edge.rules, good)
    wait_until(lambda: version(edge) == good_version, "the rules are not as before")
    edge.wait_for(SUCCESSFUL, 1)


def version(edge: Edge) -> str:
    """Of the rules in force."""
    (labels,) = [labels for name, labels, _ in edge.samples() if name == "lyncgate_config_info"]
    return labels["version"]


def adopted(edge: Edge, **changes: object) -> None:
    """Change the rules, and wait until they are in force."""
    before = version(edge)
    change(edge, **changes)
    wait_until(lambda: version(edge) != before, edge.process.log.read_text)


def change(edge: Edge, **changes: object) -> None:
    document = merged(yaml.safe_load(edge.rules.read_text()), changes)
    replace(edge.rules, yaml.safe_dump(document, sort_keys=False))


def replace(path: Path, content: str | bytes) -> None:
    """As editors do: never half-written."""
    new = path.with_name(f"new-{path.name}")
    new.write_bytes(content if isinstance(content, bytes) else content.encode())
    new.rename(path)


def without_meet(edge: Edge) -> list[object]:
    """The publications, the meeting pages left out."""
    publications = yaml.safe_load(edge.rules.read_text())["publications"]
    return [publication for publication in publications if topology.MEET_HOST not in publication["hosts"]]


def meet(edge: Edge, lab: Lab) -> int:
    """What a new client gets that wants to join a meeting."""
    return curl("https://meet.contoso.example/", clients.Edge(edge.http[1], edge.https[1], lab.ca)).status


def test_changed_rules_leave_connections_open(lab: Lab, edge: Edge) -> None:
    """The poll that hangs goes on, the kept-alive connection has the new rules with its next request."""
    tls, names = client_context(lab.directory), lab.names(edge)

    async def reload() -> tuple[int, int, bool]:
        async with (
            phones.opened(names, tls) as connection,
            phones.opened(names, tls) as lane,
            phones.opened(names, tls, topology.MEET_HOST) as kept,
        ):
            application = await Application.create(connection, await phones.get_ticket(connection, ALICE))
            poll = asyncio.create_task(application.poll(lane, 1800))
            await asyncio.to_thread(edge.wait_for, "lyncgate_polls_held", 1)
            before = await kept.request("GET", "/")

            accepted = edge.metric(ACCEPTED)
            await asyncio.to_thread(adopted, edge, publications=without_meet(edge))
            after = await kept.request("GET", "/")
            assert not poll.done()
            await application.happen(connection)
            event = await poll
            assert edge.metric(ACCEPTED) == accepted, "nobody had to connect again"
            return before.status, after.status, event

    assert asyncio.run(reload()) == (200, 404, True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param("version: 1\nlistners: {}\n", "rules.yaml:2:1: listners", id="a key that is none"),
        pytest.param("version: [1\n", "rules.yaml:2:1:", id="no YAML"),
        pytest.param("", "rules.yaml:1:1:", id="empty, as while it is written"),
    ],
)
def test_bad_rules_are_reported_and_not_served(content: str, told: str, lab: Lab, edge: Edge) -> None:
    served = version(edge)
    replace(edge.rules, content)
    edge.wait_for(SUCCESSFUL, 0)
    assert f"rules not adopted: {edge.rules.parent}/{told}" in edge.process.log.read_text()
    assert version(edge) == served
    assert meet(edge, lab) == 200, "the last good ones serve on"


def test_rules_that_are_gone(lab: Lab, edge: Edge) -> None:
    edge.rules.unlink()
    edge.wait_for(SUCCESSFUL, 0)
    assert meet(edge, lab) == 200


def test_a_route_test_that_fails_refuses_the_rules(lab: Lab, edge: Edge) -> None:
    """What the operator said must hold holds, whatever else is changed."""
    test = {"url": "https://meet.contoso.example/", "expect": {"forward": "pool01"}}
    adopted(edge, tests=[test])

    change(edge, publications=without_meet(edge))
    edge.wait_for(SUCCESSFUL, 0)
    assert meet(edge, lab) == 200
    assert "rules.yaml:" in edge.process.log.read_text()
    assert "tests[0]" in edge.process.log.read_text()


def test_sighup(lab: Lab, tmp_path: Path) -> None:
    """Loads the rules again, changed or not, and opens the access log again, for logrotate."""
    with edge_process(lab.rules(tmp_path)) as edge:
        log = tmp_path / "access.log"
        assert meet(edge, lab) == 200
        edge.settled(1)
        log.rename(tmp_path / "access.log.1")

        edge.process.tell(signal.SIGHUP)
        edge.wait_for(RELOADS, 2, result="success")
        wait_until(log.exists, "no new access log")
        assert meet(edge, lab) == 200
        assert [record["host"] for record in edge.settled(1)] == ["meet.contoso.example"]

        # Bad ones don't get better by being asked for.
        replace(edge.rules, "version: 2\n")
        edge.wait_for(RELOADS, 1, result="failure")
        edge.process.tell(signal.SIGHUP)
        edge.wait_for(RELOADS, 2, result="failure")
        assert meet(edge, lab) == 200


class Certificates:
    """The files of a listener's certificate, which can be renewed."""

    def __init__(self, directory: Path) -> None:
        self._authority = Authority()
        self._directory = directory
        replace(self.root, self._authority.pem)
        self.renew()

    @property
    def root(self) -> Path:
        return self._directory / "root.pem"

    @property
    def section(self) -> dict[str, str]:
        files = {"cert": "public.pem", "key": "public.key", "root": "root.pem"}
        return {name: str(self._directory / file) for name, file in files.items()}

    def renew(self) -> bytes:
        """Put a new certificate with its key in place; it, in DER."""
        certificate, key = self._authority.issue(topology.public_names())
        replace(self._directory / "public.key", key)
        (self._directory / "public.key").chmod(0o600)
        replace(self._directory / "public.pem", certificate)
        return ssl.PEM_cert_to_DER_cert(certificate.decode())

    async def shown(self, edge: Edge) -> bytes:
        """The certificate that a new client sees, in DER."""
        tls = ssl.create_default_context(cafile=str(self.root))
        _, writer = await asyncio.open_connection(*edge.https, ssl=tls, server_hostname=topology.MEET_HOST)
        with contextlib.closing(writer):
            der: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return der


def test_a_renewed_certificate_is_shown_to_new_clients(lab: Lab, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    listener = {"certificates": [certificates.section]}
    with edge_process(lab.rules(tmp_path, listeners={"https": listener})) as edge:
        names, tls = lab.names(edge), ssl.create_default_context(cafile=str(certificates.root))

        async def renew() -> tuple[bytes, bytes, int]:
            async with phones.opened(names, tls, topology.MEET_HOST) as kept:
                assert (await kept.request("GET", "/")).status == 200
                old = await certificates.shown(edge)
                new = certificates.renew()
                await asyncio.to_thread(
                    wait_until, lambda: asyncio.run(certificates.shown(edge)) == new, "the old one is shown"
                )
                return old, new, (await kept.request("GET", "/")).status

        old, new, status = asyncio.run(renew())
        assert old != new
        assert status == 200, "the open connection stays"
        edge.wait_for(SUCCESSFUL, 1)

        # One that does not fit its key is refused, and the one before it shown on.
        replace(tmp_path / "public.key", Authority().issue(["www.contoso.example"])[1])
        edge.wait_for(SUCCESSFUL, 0)
        assert asyncio.run(certificates.shown(edge)) == new
