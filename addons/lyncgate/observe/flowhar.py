"""mitmproxy's flows as entries of a HAR, whole: they are to be redacted before."""

from __future__ import annotations

from mitmproxy.addons.savehar import SaveHar
from mitmproxy.connection import Connection
from mitmproxy.http import HTTPFlow

from lyncgate.observe.har import UNKNOWN, Json, total


def entry_of(flow: HTTPFlow, told: set[Connection]) -> Json:
    """A flow as an entry. `told`: the connections whose making was told; kept from call to call.

    `_client` is the client's address, `_client_tls` the milliseconds of its TCP and TLS.
    """
    client = flow.client_conn
    entry: Json = SaveHar().flow_entry(flow, told)  # type: ignore[arg-type]  # a set of servers, among others
    timings = {"blocked": UNKNOWN, "dns": UNKNOWN} | {
        name: round(max(took, UNKNOWN), 3) for name, took in entry["timings"].items()
    }
    if timings["connect"] >= 0 and timings["ssl"] >= 0:  # mitmproxy's `connect` is without `ssl`
        timings["connect"] = round(timings["connect"] + timings["ssl"], 3)
    entry |= {"timings": timings, "time": total(timings), "connection": client.id}
    if not flow.response:
        entry["response"]["content"] = {"size": 0, "mimeType": "x-unknown"}
    if client.peername:
        entry["_client"] = client.peername[0]
    if client.timestamp_tls_setup and client.timestamp_start and client not in told:
        entry["_client_tls"] = round(1000 * (client.timestamp_tls_setup - client.timestamp_start), 3)
        told.add(client)
    return entry
