"""A lab for the phones of a module, and devices that go straight to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lyncgate.lab import authority
from lyncgate.lab.phones.device import Device
from support.estate import RunningEstate, running_estate


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEstate]:
    """A running lab whose polls may be short."""
    with running_estate(Path(tmp_path_factory.mktemp("lab")), poll_minimum=0.05) as running:
        yield running


@pytest.fixture(scope="module")
def made(lab: RunningEstate) -> Callable[..., Device]:
    """Makes a device of a user: `made(Lync2013, "alice@contoso.example", names=…)`."""
    tls = authority.client_context(lab.estate.directory)

    def make(device: type[Device], user: str, **options: Any) -> Device:
        options.setdefault("names", lab.estate.names_without_edge())
        options.setdefault("password", f"P4ss-{user.partition('@')[0]}")
        options.setdefault("poll_timeout", 30)
        return device(user, tls=tls, **options)

    return make
