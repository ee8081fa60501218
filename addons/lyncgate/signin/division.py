"""Whose each event is where events of several people are tied together."""

from __future__ import annotations

from lyncgate.signin.events import Event
from lyncgate.signin.strands import Key, personal

_KINDS = ("application", "dialog", "ticket", "connection")  # the surest first


def divide(
    timed: list[tuple[float, Event]], said: dict[str, str | None], shared: set[Key]
) -> dict[str, str | None]:
    """Event id → whose it is, of events with the times they began; `said`: whom each is taken for.

    Whom it names as user; else to whom its surest keys lead; else whom its account is taken for; else whose
    event is nearest in time.
    """
    persons = {event.id: event.keys.user for _, event in timed}
    _spread(timed, persons, shared)
    if None in persons.values():
        persons = {id: person or said[id] for id, person in persons.items()}
        _spread(timed, persons, shared)
    known = [(at, person) for at, event in timed if (person := persons[event.id]) is not None]
    for at, event in timed:
        if persons[event.id] is None:
            persons[event.id] = min(known, key=lambda one: (abs(one[0] - at), one[0]))[1]
    return persons


def _spread(timed: list[tuple[float, Event]], persons: dict[str, str | None], shared: set[Key]) -> None:
    """Gives events of nobody to whom their keys lead, the surest kind of key first, as far as that goes."""
    nameless = [event for _, event in timed if persons[event.id] is None]
    keys_of = {event.id: personal(event) for _, event in timed} if nameless else {}
    grew = True
    while nameless and grew:
        grew = False
        for kind in _KINDS:
            claims: dict[Key, set[str]] = {}
            for _, event in timed:
                if (person := persons[event.id]) is not None:
                    for key in keys_of[event.id]:
                        if key[0] == kind and key not in shared:
                            claims.setdefault(key, set()).add(person)
            found: dict[str, str] = {}
            for event in nameless:
                by = [claims[key] for key in keys_of[event.id] if key in claims]
                if by and len(only := set.union(*by)) == 1:
                    found[event.id] = next(iter(only))
            if found:
                persons.update(found)
                nameless = [event for event in nameless if event.id not in found]
                grew = True
                break
