"""One sign-in of the real client: start libpurple with SIPE in it, enable an account, wait for the end."""

import ctypes
import os
import re
import sys
from ctypes import c_char_p
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from .certificates import Prompts, write_authorities
from .journal import Journal
from .loop import MainLoop
from .names import Names
from .outcome import Result, RunError, Status
from .purple import (
    CONNECTION_ERRORS,
    SIPE_PROTOCOL,
    STATUS_AVAILABLE,
    ConnectionError_,
    CoreOps,
    DebugIsEnabled,
    DebugOps,
    DebugPrint,
    PrintFunc,
    Procedure,
    SignedOn,
    find_plugin,
    function_address,
    load_glib,
    load_purple,
    text,
)
from .resolver import Resolver
from .xmlfix import repair

_US = b"lyncgate-sipe"
_SIPE = "libsipe.so"
# TLS comes as two plug-ins: the interface and its implementation with NSS.
_PLUGINS = (_SIPE, "ssl.so", "ssl-nss.so")


@dataclass(frozen=True)
class SignIn:
    """What to do: who signs in, how, where names lead, and when it is over.

    `login` is a separate name for authentication (`CONTOSO\\alice`), `server` a SIP `host[:port]` to use
    instead of auto-discovery; times are in seconds.
    """

    address: str
    password: str = field(repr=False)
    login: str = ""
    authentication: str = "ntlm"
    transport: str = "auto"
    server: str = ""
    names: Names = field(default_factory=Names)
    authorities: str = ""
    accept_bad_certificates: bool = False
    until: re.Pattern[str] | None = None
    linger: float = 0
    timeout: float = 30


class Client:
    """libpurple and SIPE in this process.  There can be one only, and it runs once."""

    def __init__(self, sign_in: SignIn, journal: Journal) -> None:
        self._sign_in, self._journal = sign_in, journal
        self._result: Result | None = None
        self._glib, self._purple = load_glib(), load_purple()
        self._loop = MainLoop(self._glib)
        self._resolver = Resolver(sign_in.names, journal, self._loop, self._purple, self._glib)
        self._prompts = Prompts(journal, self._loop, accept=sign_in.accept_bad_certificates)
        # C keeps the addresses of these for as long as the process lives, so they are kept here.
        self._ignore_print = PrintFunc(lambda _: None)
        self._debug_ops = DebugOps(
            print=DebugPrint(self._debug), is_enabled=DebugIsEnabled(lambda _level, _category: True)
        )
        self._core_ops = CoreOps(
            debug_ui_init=Procedure(
                lambda: self._purple.purple_debug_set_ui_ops(ctypes.byref(self._debug_ops))
            ),
            ui_init=Procedure(self._set_interface),
        )
        self._signed_on = SignedOn(self._on_signed_on)
        self._connection_error = ConnectionError_(self._on_connection_error)

    def run(self) -> Result:
        """Sign in and say how it went.  Nothing is signed off: that would be more traffic for nobody."""
        sys.unraisablehook = self._on_exception_in_callback
        with TemporaryDirectory(prefix="lyncgate-sipe-") as directory:
            self._start(Path(directory))
            self._loop.call_later(self._sign_in.timeout, self._on_timeout)
            self._enable_account()
            self._loop.run()
        return self._result or Result(Status.MISSING, "the main loop ended by itself")

    # Starting

    def _start(self, directory: Path) -> None:
        purple = self._purple
        plugins = self._gather_plugins(directory / "plugins")
        self._keep_to_ourselves()
        self._glib.g_set_print_handler(self._ignore_print)  # libpurple also prints what it hands to debug_ops
        purple.purple_util_set_user_dir(os.fsencode(directory))
        purple.purple_debug_set_enabled(True)  # SIPE logs its messages only with this,
        purple.purple_debug_set_unsafe(True)  # and what they say only with this
        purple.purple_core_set_ui_ops(ctypes.byref(self._core_ops))
        purple.purple_eventloop_set_ui_ops(ctypes.byref(self._loop.ops))
        purple.purple_plugins_add_search_path(os.fsencode(directory / "plugins"))
        if self._sign_in.authorities:
            if not write_authorities(self._sign_in.authorities, directory / "authorities"):
                raise RunError(Status.USAGE, "the CA file holds no certificate")
            purple.purple_certificate_add_ca_search_path(os.fsencode(directory / "authorities"))
        if not purple.purple_core_init(_US):
            raise RunError(Status.MISSING, "libpurple does not start")
        if not purple.purple_ssl_is_supported():
            raise RunError(Status.MISSING, "libpurple has no TLS")
        if not purple.purple_find_prpl(SIPE_PROTOCOL):
            raise RunError(Status.MISSING, "libpurple does not load SIPE")
        purple.purple_network_force_online()  # it would ask NetworkManager
        purple.purple_set_blist(purple.purple_blist_new())
        repair(plugins[_SIPE], self._journal)

    def _gather_plugins(self, directory: Path) -> dict[str, Path]:
        """Link the plug-ins that we want to one directory: libpurple would load its many others too."""
        directory.mkdir()
        found = {}
        for name in _PLUGINS:
            plugin = find_plugin(name)
            if not plugin:
                raise RunError(Status.MISSING, f"{name} is missing: install the Debian package pidgin-sipe")
            found[name] = plugin.resolve()
            (directory / name).symlink_to(found[name])
        return found

    def _keep_to_ourselves(self) -> None:
        """No session bus, no display, and none of GStreamer's plug-ins, which it would scan for and cache."""
        os.environ.pop("DISPLAY", None)
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = "disabled:"
        os.environ["GST_REGISTRY_DISABLE"] = "yes"
        os.environ["GST_PLUGIN_SYSTEM_PATH_1_0"] = os.environ["GST_PLUGIN_PATH_1_0"] = ""

    def _set_interface(self) -> None:
        self._purple.purple_request_set_ui_ops(ctypes.byref(self._prompts.ops))
        self._purple.purple_dnsquery_set_ui_ops(ctypes.byref(self._resolver.host_ops))
        self._purple.purple_srv_txt_query_set_ui_ops(ctypes.byref(self._resolver.service_ops))

    def _enable_account(self) -> None:
        purple, wish = self._purple, self._sign_in
        connections, us = purple.purple_connections_get_handle(), c_char_p(_US)
        for signal, callback in (
            (b"signed-on", self._signed_on),
            (b"connection-error", self._connection_error),
        ):
            purple.purple_signal_connect(connections, signal, us, function_address(callback), None)

        user = f"{wish.address},{wish.login}" if wish.login else wish.address
        account = purple.purple_account_new(user.encode(), SIPE_PROTOCOL)
        purple.purple_account_set_password(account, wish.password.encode())
        settings = {"transport": wish.transport, "authentication": wish.authentication, "server": wish.server}
        for name, value in settings.items():
            purple.purple_account_set_string(account, name.encode(), value.encode())
        purple.purple_account_set_bool(account, b"dont-publish", True)  # nor look for an Exchange calendar
        purple.purple_accounts_add(account)
        purple.purple_account_set_enabled(account, _US, True)
        purple.purple_savedstatus_activate(purple.purple_savedstatus_new(None, STATUS_AVAILABLE))

    # What happens then

    def _debug(self, _level: int, category: bytes | None, message: bytes | None) -> None:
        line = text(message).rstrip("\n")
        self._journal.log(text(category), line)
        if self._sign_in.until and self._sign_in.until.search(line):
            self._finish(Status.REACHED, f"--until was seen: {line}")

    def _on_signed_on(self, _connection: int, _data: int) -> None:
        self._journal.log("driver", "SIGNED ON")
        self._journal.event("signed-on")
        self._finish(Status.REACHED, "signed on")

    def _on_connection_error(
        self, _connection: int, number: int, description: bytes | None, _data: int
    ) -> None:
        name = CONNECTION_ERRORS[number] if number < len(CONNECTION_ERRORS) else f"ERROR_{number}"
        self._journal.event("error", name=name, text=text(description))
        self._finish(Status.GAVE_UP, f"{name}: {text(description)}")

    def _on_timeout(self) -> None:
        self._finish(Status.TIMED_OUT, f"no end after {self._sign_in.timeout:g} s")

    def _on_exception_in_callback(self, unraisable: object) -> None:
        """Our own code failed under C, where nothing can be raised: the run is worthless."""
        error = getattr(unraisable, "exc_value", unraisable)
        self._journal.complaint(f"exception in a callback: {error!r}")
        self._finish(Status.MISSING, f"the driver failed: {error!r}")

    def _finish(self, status: Status, reason: str) -> None:
        """Settle the result, once, and stop: at once, or after lingering where the goal was reached."""
        if self._result:
            return
        self._result = Result(status, reason)
        self._journal.event("end", status=status.value, text=reason)
        self._loop.call_later(self._sign_in.linger if status is Status.REACHED else 0, self._loop.stop)
