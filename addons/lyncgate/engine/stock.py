"""The edge as a script for mitmdump and mitmweb: reads the option `rules`, opens its listeners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader
from OpenSSL import SSL

from lyncgate.edge.addons import EdgeAddons
from lyncgate.engine.listeners import mode_specs_of
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
        loaded = read_rules(Path(ctx.options.rules))
        if loaded.policy is None:
            raise exceptions.OptionsError("\n".join(str(problem) for problem in loaded.problems))
        try:
            require_versions()
            edge = EdgeAddons(loaded.policy, Metrics())
        except (OSError, SSL.Error, StartError) as error:
            raise exceptions.OptionsError(str(error)) from error
        ctx.master.addons.register(edge)
        self.addons.append(edge)
        modes = mode_specs_of(loaded.policy)
        ctx.options.update(**proxy_options(loaded.policy), **STOCK_OPTIONS, mode=modes)
