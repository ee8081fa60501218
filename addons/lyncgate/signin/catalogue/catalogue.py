"""All entries by code."""

from __future__ import annotations

from lyncgate.signin.catalogue import (
    affinity,
    connections,
    discovery,
    homes,
    logon,
    mobility,
    names,
    notifications,
    tickets,
)
from lyncgate.signin.catalogue.entry import Entry

_GROUPS = (names, connections, discovery, homes, logon, tickets, mobility, affinity, notifications)

CATALOGUE: dict[str, Entry] = {
    entry.code: entry
    for entry in sorted((e for group in _GROUPS for e in group.ENTRIES), key=lambda entry: entry.code)
}
