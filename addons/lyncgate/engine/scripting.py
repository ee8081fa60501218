"""Operators' addon scripts, as `mitmdump -s` takes them.

Loaded by ourselves, not by mitmproxy's loader: that one logs what is wrong with a script and goes on without
it. An edge whose script redacts or refuses something must not serve without it.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from mitmproxy import hooks
from mitmproxy.addonmanager import AddonManager
from mitmproxy.master import Master


class ScriptError(Exception):
    """A script can't be used: which, and why, in one line."""


class WatchedAddons(AddonManager):
    """Tells when another addon is there or one is gone."""

    def __init__(self, master: Master, changed: Callable[[], None]) -> None:
        super().__init__(master)  # type: ignore[no-untyped-call]  # mitmproxy does not type it
        self._changed = changed

    def register(self, addon: Any) -> Any:
        """Its parent may put it in place after this, so the telling waits for the loop's next turn."""
        registered = super().register(addon)  # type: ignore[no-untyped-call]
        self.master.event_loop.call_soon(self._changed)
        return registered

    def remove(self, addon: Any) -> None:
        super().remove(addon)  # type: ignore[no-untyped-call]
        self.master.event_loop.call_soon(self._changed)

    def clear(self) -> None:
        super().clear()  # type: ignore[no-untyped-call]
        self.master.event_loop.call_soon(self._changed)


def load_script(master: Master, path: Path) -> None:
    """Run the script and add what it defines to the addons. Raises ScriptError."""
    if not path.is_file():
        raise ScriptError(f"script {path}: no such file")
    before = sys.path[:]
    sys.path.insert(0, str(path.parent))
    try:
        module = _module(path)
        master.addons.add(module)
        master.addons.invoke_addon_sync(module, hooks.ConfigureHook(set(master.options.keys())))
    except (Exception, SystemExit) as error:
        raise ScriptError(f"script {path}: {_where(path, error)}{type(error).__name__}: {error}") from error
    finally:
        sys.path[:] = before


def _module(path: Path) -> ModuleType:
    name = f"lyncgate_script.{path.stem}"
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    if spec is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    if not getattr(module, "name", None):
        module.name = str(path)  # type: ignore[attr-defined]  # what mitmproxy knows an addon by
    return module


def _where(path: Path, error: BaseException) -> str:
    """The line of the script that led to it."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f"line {line}: " if line else ""
