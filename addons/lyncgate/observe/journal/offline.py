"""A journal of events that are all there already: files are read, stitched, and asked like a live journal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from lyncgate.observe.journal.reader import Reader
from lyncgate.observe.journal.schema import Place
from lyncgate.observe.journal.store import Store
from lyncgate.signin import codec
from lyncgate.signin.diagnose import diagnose
from lyncgate.signin.events import Event
from lyncgate.signin.stitch import stitch


@contextlib.contextmanager
def reader_of(events: Iterable[Event]) -> Iterator[Reader]:
    """A reader that lives as long as the context; all is in memory."""
    events = list(events)
    sign_ins = stitch(events)
    store = Store(Place.of(None))
    try:
        store.add_events([(event, codec.dumps(event)) for event in events], {})
        store.put((sign_in, diagnose(sign_in, sign_ins)) for sign_in in sign_ins)
        yield Reader(store.place)
    finally:
        store.close()
