"""The C interface: functions of libpurple 2 and GLib with their types, the tables a user interface fills in.

Only shapes are here, no behaviour.  Source: the headers of libpurple 2.14 (core.h, debug.h, eventloop.h,
request.h, dnsquery.h, dnssrv.h), whose ABI has not changed since 2.0 but for filling reserved slots.

Importing this module needs no libpurple; `load_glib()` and `load_purple()` do.
"""

import ctypes
from ctypes import (
    CFUNCTYPE,
    Structure,
    c_char,
    c_char_p,
    c_int,
    c_size_t,
    c_uint,
    c_ulong,
    c_ushort,
    c_void_p,
)
from pathlib import Path

from .outcome import RunError, Status

SIPE_PROTOCOL = b"prpl-sipe"
STATUS_AVAILABLE = 2  # PURPLE_STATUS_AVAILABLE
DNS_TYPE_SRV = 33  # PurpleDnsTypeSrv; the other one is TXT, 16

# PurpleInputCondition
INPUT_READ, INPUT_WRITE = 1, 2

# GIOCondition
IO_IN, IO_PRI, IO_OUT, IO_ERR, IO_HUP, IO_NVAL = 1, 2, 4, 8, 16, 32

# PurpleConnectionError, in its order
CONNECTION_ERRORS = (
    "NETWORK_ERROR",
    "INVALID_USERNAME",
    "AUTHENTICATION_FAILED",
    "AUTHENTICATION_IMPOSSIBLE",
    "NO_SSL_SUPPORT",
    "ENCRYPTION_ERROR",
    "NAME_IN_USE",
    "INVALID_SETTINGS",
    "CERT_NOT_PROVIDED",
    "CERT_UNTRUSTED",
    "CERT_EXPIRED",
    "CERT_NOT_ACTIVATED",
    "CERT_HOSTNAME_MISMATCH",
    "CERT_FINGERPRINT_MISMATCH",
    "CERT_SELF_SIGNED",
    "CERT_OTHER_ERROR",
    "OTHER_ERROR",
)

# Functions that C calls.  ctypes reports an exception in one to sys.unraisablehook and returns 0.
Procedure = CFUNCTYPE(None)
SourceFunc = CFUNCTYPE(c_int, c_void_p)
FdSourceFunc = CFUNCTYPE(c_int, c_int, c_int, c_void_p)
PrintFunc = CFUNCTYPE(None, c_char_p)
TimeoutAdd = CFUNCTYPE(c_uint, c_uint, c_void_p, c_void_p)
SourceRemove = CFUNCTYPE(c_int, c_uint)
InputFunc = CFUNCTYPE(None, c_void_p, c_int, c_int)
InputAdd = CFUNCTYPE(c_uint, c_int, c_int, InputFunc, c_void_p)
DebugPrint = CFUNCTYPE(None, c_int, c_char_p, c_char_p)
DebugIsEnabled = CFUNCTYPE(c_int, c_int, c_char_p)
Resolve = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p)
QueryDestroy = CFUNCTYPE(None, c_void_p)
Resolved = CFUNCTYPE(None, c_void_p, c_void_p)
ResolveFailed = CFUNCTYPE(None, c_void_p, c_char_p)
ActionCallback = CFUNCTYPE(None, c_void_p, c_int)
SignedOn = CFUNCTYPE(None, c_void_p, c_void_p)
ConnectionError_ = CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_void_p)

# title, primary, secondary, default action, account, who, conversation, user data, action count, va_list
RequestAction = CFUNCTYPE(
    c_void_p, c_char_p, c_char_p, c_char_p, c_int, c_void_p, c_char_p, c_void_p, c_void_p, c_size_t, c_void_p
)
# title, primary, secondary, fields, OK text and callback, cancel text and callback, account, who,
# conversation, user data
RequestFields = CFUNCTYPE(
    c_void_p,
    *(c_char_p, c_char_p, c_char_p, c_void_p),
    *(c_char_p, c_void_p, c_char_p, c_void_p),
    *(c_void_p, c_char_p, c_void_p, c_void_p),
)


class CoreOps(Structure):
    """PurpleCoreUiOps: what libpurple calls while it starts."""

    _fields_ = [
        ("ui_prefs_init", c_void_p),
        ("debug_ui_init", Procedure),
        ("ui_init", Procedure),
        ("quit", c_void_p),
        ("get_ui_info", c_void_p),
        ("reserved", c_void_p * 3),
    ]


class DebugOps(Structure):
    """PurpleDebugUiOps: where debug texts go."""

    _fields_ = [("print", DebugPrint), ("is_enabled", DebugIsEnabled), ("reserved", c_void_p * 4)]


class EventLoopOps(Structure):
    """PurpleEventLoopUiOps: timers and watched descriptors."""

    _fields_ = [
        ("timeout_add", TimeoutAdd),
        ("timeout_remove", SourceRemove),
        ("input_add", InputAdd),
        ("input_remove", SourceRemove),
        ("input_get_error", c_void_p),
        ("timeout_add_seconds", TimeoutAdd),
        ("reserved", c_void_p * 3),
    ]


class RequestOps(Structure):
    """PurpleRequestUiOps: the dialogues; only those that signing in can open are typed."""

    _fields_ = [
        ("request_input", c_void_p),
        ("request_choice", c_void_p),
        ("request_action", RequestAction),
        ("request_fields", RequestFields),
        ("request_file", c_void_p),
        ("close_request", c_void_p),
        ("request_folder", c_void_p),
        ("request_action_with_icon", c_void_p),
        ("request_screenshare_media", c_void_p),
        ("reserved", c_void_p * 2),
    ]


class QueryOps(Structure):
    """PurpleDnsQueryUiOps and PurpleSrvTxtQueryUiOps, which have the same shape."""

    _fields_ = [("resolve", Resolve), ("destroy", QueryDestroy), ("reserved", c_void_p * 4)]


class SrvRecord(Structure):
    """PurpleSrvResponse."""

    _fields_ = [("hostname", c_char * 256), ("port", c_int), ("weight", c_int), ("preference", c_int)]


# name: (what it returns, what it takes...)
_GLIB = {
    "g_malloc0": (c_void_p, c_size_t),
    "g_slist_append": (c_void_p, c_void_p, c_void_p),
    "g_list_append": (c_void_p, c_void_p, c_void_p),
    "g_timeout_add": (c_uint, c_uint, SourceFunc, c_void_p),
    "g_timeout_add_seconds": (c_uint, c_uint, SourceFunc, c_void_p),
    "g_unix_fd_add": (c_uint, c_int, c_int, FdSourceFunc, c_void_p),
    "g_source_remove": (c_int, c_uint),
    "g_main_loop_new": (c_void_p, c_void_p, c_int),
    "g_main_loop_run": (None, c_void_p),
    "g_main_loop_quit": (None, c_void_p),
    "g_set_print_handler": (c_void_p, PrintFunc),
}
_PURPLE = {
    "purple_account_new": (c_void_p, c_char_p, c_char_p),
    "purple_account_set_bool": (None, c_void_p, c_char_p, c_int),
    "purple_account_set_enabled": (None, c_void_p, c_char_p, c_int),
    "purple_account_set_password": (None, c_void_p, c_char_p),
    "purple_account_set_string": (None, c_void_p, c_char_p, c_char_p),
    "purple_accounts_add": (None, c_void_p),
    "purple_blist_new": (c_void_p,),
    "purple_certificate_add_ca_search_path": (None, c_char_p),
    "purple_connections_get_handle": (c_void_p,),
    "purple_core_init": (c_int, c_char_p),
    "purple_core_set_ui_ops": (None, c_void_p),
    "purple_debug_set_enabled": (None, c_int),
    "purple_debug_set_ui_ops": (None, c_void_p),
    "purple_debug_set_unsafe": (None, c_int),
    "purple_dnsquery_get_host": (c_char_p, c_void_p),
    "purple_dnsquery_get_port": (c_ushort, c_void_p),
    "purple_dnsquery_set_ui_ops": (None, c_void_p),
    "purple_eventloop_set_ui_ops": (None, c_void_p),
    "purple_find_prpl": (c_void_p, c_char_p),
    "purple_network_force_online": (None,),
    "purple_plugins_add_search_path": (None, c_char_p),
    "purple_request_set_ui_ops": (None, c_void_p),
    "purple_savedstatus_activate": (None, c_void_p),
    "purple_savedstatus_new": (c_void_p, c_char_p, c_int),
    "purple_set_blist": (None, c_void_p),
    "purple_signal_connect": (c_ulong, c_void_p, c_char_p, c_void_p, c_void_p, c_void_p),
    "purple_srv_txt_query_get_query": (c_char_p, c_void_p),
    "purple_srv_txt_query_get_type": (c_int, c_void_p),
    "purple_srv_txt_query_set_ui_ops": (None, c_void_p),
    "purple_ssl_is_supported": (c_int,),
    "purple_util_set_user_dir": (None, c_char_p),
}


def load_glib() -> ctypes.CDLL:
    return _load("libglib-2.0.so.0", _GLIB)


def load_purple() -> ctypes.CDLL:
    return _load("libpurple.so.0", _PURPLE)


def find_plugin(file_name: str) -> Path | None:
    """Where Debian put a libpurple plug-in: SIPE beside the multiarch directory that holds the others."""
    folders = [Path("/usr/lib/purple-2"), *Path("/usr/lib").glob("*-linux-gnu*/purple-2")]
    return next((folder / file_name for folder in folders if (folder / file_name).is_file()), None)


def function_address(function: object) -> int:
    """The address of a C function, or of a callback that must outlive its use."""
    return ctypes.cast(function, c_void_p).value or 0


def text(value: bytes | None) -> str:
    """What a C string says; NULL says nothing."""
    return (value or b"").decode("utf-8", "replace")


def _load(file_name: str, prototypes: dict[str, tuple]) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(file_name, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise RunError(Status.MISSING, f"{error}: install the Debian package pidgin-sipe") from error
    for name, (returns, *takes) in prototypes.items():
        function = getattr(library, name)
        function.restype, function.argtypes = returns, takes
    return library
