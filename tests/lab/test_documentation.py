"""docs/lab.md names what there is: whoever adds a server, a device or a stage has to say so."""

from pathlib import Path

import pytest

from lyncgate.lab import topology
from lyncgate.lab.directory import NOT_ENABLED, Directory
from lyncgate.lab.phones.devices import DEVICES
from lyncgate.lync.stages import Stage

PAGE = (Path(__file__).parents[2] / "docs" / "lab.md").read_text()
SERVERS = [word for member in topology.MEMBERS.values() for word in (member.name, member.address)]
WEB = [pool.web for pool in topology.POOLS.values()]
PEOPLE = [user.sip for user in Directory().users if not user.sip.startswith(("user", "alice", "bob"))]
ACCOUNTS = [upn for upn, _, _ in NOT_ENABLED]


@pytest.mark.parametrize(
    "word",
    [*SERVERS, *WEB, topology.PUSH_ADDRESS, *topology.DOMAINS, *PEOPLE, *ACCOUNTS, *DEVICES, *Stage],
)
def test_page_names(word: str) -> None:
    assert word in PAGE
