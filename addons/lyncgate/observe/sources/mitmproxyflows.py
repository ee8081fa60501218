"""Files of mitmproxy's flows, as `mitmdump -w`, mitmweb and `lyncgate capture` write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from mitmproxy.dns import DNSFlow
from mitmproxy.exceptions import FlowReadException
from mitmproxy.flow import Flow
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowReader

from lyncgate.observe.flows import Teller
from lyncgate.signin.events import Event
from lyncgate.signin.keys import Hasher

ORIGIN = "flows"
_HOPELESS = "not a tnetstring"  # mitmproxy's words; where the next flow would begin can't be known


def flow_events(path: Path, hasher: Hasher, tell: Callable[[str], None]) -> Iterator[Event]:
    """HTTP and DNS flows; other ones tell nothing. A flow that can't be read is passed over, and so is all
    behind one that is cut off."""
    teller = Teller(hasher, ORIGIN, lambda flow: hasher(f"{ORIGIN}\n{flow.id}"))
    for number, flow in _flows(path, tell):
        try:
            if isinstance(flow, HTTPFlow):
                yield teller.exchange(flow, ended=bool(flow.response or flow.error))
            elif isinstance(flow, DNSFlow):
                yield teller.query(flow)
        except (ValueError, TypeError, AttributeError, LookupError) as error:  # states of no flow that was
            tell(f"flow {number} makes no sense: {error!r:.200}")


def _flows(path: Path, tell: Callable[[str], None]) -> Iterator[tuple[int, Flow]]:
    number = 0
    with path.open("rb") as file:
        while True:
            begun = file.tell()
            try:
                for flow in FlowReader(file).stream():
                    number += 1
                    yield number, flow
                    begun = file.tell()
                return
            except FlowReadException as error:
                number += 1
                tell(f"flow {number}, at byte {begun}, can't be read: {error}")
                if str(error.__cause__).startswith(_HOPELESS) or file.tell() == begun:
                    return
            except Exception as error:  # mitmproxy raises anything on a state that is none
                number += 1
                tell(f"flow {number}, at byte {begun}, is none: {error!r:.200}")
                if file.tell() == begun:
                    return
