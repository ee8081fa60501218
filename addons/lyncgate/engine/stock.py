"""The edge as a script for mitmdump and mitmweb: reads the option `rules`, opens its listeners.

The tools open their own proxy port before they load a script. It is closed as soon as the edge is there,
and nobody is served by it meanwhile; `-n` keeps them from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mitmproxy import connection, ctx, exceptions
from mitmproxy.addonmanager import Loader
from OpenSSL import SSL

from lyncgate.edge.addons import EdgeAddons
from lyncgate.engine.listeners import EdgeMode, mode_specs_of
from lyncgate.engine.master import StartError, proxy_options, require_versions
from lyncgate.engine.rules import read_rules
from lyncgate.observe.metrics import Metrics

# What the stock tools would add of their own: a page about themselves, and a block on public clients.
STOCK_OPTIONS = {"onboarding": False, "block_global": False}


class StockEdge:
    """An addon that holds the edge's addons once the rules are known. The policy is read once: a stock
    tool has no reload that keeps the last good one."""

    def __init__(self) -> None:
        self.addons: list[Any] = []

    def load(self, loader: Loader) -> None:
        loader.add_option("rules", str, "rules.yaml", "lyncgate: the rules.yaml to serve by.")

    def configure(self, updated: set[str]) -> None:
        if "rules" not in updated or self.addons:
            return
        try:
            loaded = read_rules(Path(ctx.options.rules))
            if loaded.policy is None:
                raise StartError("\n".join(str(problem) for problem in loaded.problems))
            require_versions()
            edge = EdgeAddons(loaded.policy, Metrics())
        except (OSError, SSL.Error, StartError) as error:
            raise exceptions.OptionsError(str(error)) from error
        ctx.master.addons.register(edge)
        self.addons.append(edge)

    def running(self) -> None:
        """Only now: a mode that is set earlier is not looked at again."""
        for edge in self.addons:
            policy = edge.edge.policy
            options = proxy_options(policy) | STOCK_OPTIONS
            ctx.options.update(**options, server=True, mode=mode_specs_of(policy))

    def client_connected(self, client: connection.Client) -> None:
        if not isinstance(client.proxy_mode, EdgeMode):
            client.error = "not by a listener of the edge"
