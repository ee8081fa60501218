"""Our listeners as a mitmproxy mode: `edge:<listener name>@<address>:<port>`.

Importing this module registers mode and server with mitmproxy, so they work in `lyncgate serve`
and, once addons/edge.py is loaded, in mitmdump and mitmweb as well. TCP only: the stock reverse
mode also opens a UDP port for HTTP/3.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Literal

from mitmproxy import ctx
from mitmproxy.proxy import mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.mode_servers import AsyncioServerInstance

from lyncgate.edge.addons import EdgeAddons
from lyncgate.engine.handler import EdgeConnectionHandler
from lyncgate.engine.http_layer import EdgeHttpLayer
from lyncgate.engine.sockets import BACKLOG, bound
from lyncgate.engine.tls_layer import EdgeTlsLayer
from lyncgate.policy.policy import Policy, Scheme


class EdgeMode(mode_specs.ProxyMode):
    """`data` is the listener's name in rules.yaml."""

    description = "lyncgate listener"
    transport_protocol: Literal["tcp"] = "tcp"

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("an edge mode names its listener: edge:<listener>@<address>:<port>")


def mode_specs_of(policy: Policy) -> list[str]:
    """The mode specs for every address of every listener."""
    return [
        f"edge:{listener.name}@{host}:{port}"
        for listener in policy.listeners.values()
        for host, port in listener.bind
    ]


class EdgeServer(AsyncioServerInstance[EdgeMode]):
    def make_top_layer(self, context: Context) -> Layer:
        addons = _edge_addons()
        listener = addons.edge.policy.listeners[self.mode.data]
        if listener.scheme is Scheme.HTTP:
            return EdgeHttpLayer(context, addons.flows)
        tls = EdgeTlsLayer(context, addons.edge, addons.identity, listener)
        tls.child_layer = EdgeHttpLayer(context, addons.flows)
        return tls

    async def listen(self, host: str, port: int) -> list[Any]:
        host = host.strip("[]")
        sockets = getattr(ctx.master, "sockets", None)  # not so in the stock tools
        lane = getattr(ctx.master, "lane", None)
        if handed := sockets.copies(self.mode.data, host, self.mode.custom_listen_port) if sockets else None:
            if lane is not None:
                return [lane.listen(self.mode.data, one) for one in handed]
            return [
                await asyncio.start_server(self.handle_stream, sock=one, backlog=BACKLOG) for one in handed
            ]
        if lane is not None:
            return [lane.listen(self.mode.data, one) for one in await bound(host, port)]
        return [await asyncio.start_server(self.handle_stream, host, port, backlog=BACKLOG)]

    async def handle_stream(self, reader: Any, writer: Any = None) -> None:
        handler = EdgeConnectionHandler(ctx.master, reader, writer, ctx.options, self.mode)
        handler.connect_timeout = _edge_addons().edge.policy.timeouts.connect
        context = handler.layer.context
        try:
            handler.layer = self.make_top_layer(context)
        except KeyError:  # the listener went with a reload while this connection was being accepted
            writer.close()
            return
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.manager.register_connection(context.client.id, handler))
            await handler.handle_client()


def _edge_addons() -> EdgeAddons:
    addons = ctx.master.addons.get(EdgeAddons.name)
    if not isinstance(addons, EdgeAddons):
        raise RuntimeError("the edge's addons are not loaded")
    return addons
