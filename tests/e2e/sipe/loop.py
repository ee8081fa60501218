"""GLib's main loop, as libpurple's event loop and as our own.

GLib's timers have just the signatures that libpurple asks for, so those are handed through as they are.  Its
watched descriptors differ (arguments in another order, a return value that says "go on", other flags), so
these come by here.
"""

import ctypes
import itertools
from collections.abc import Callable

from .purple import (
    INPUT_READ,
    INPUT_WRITE,
    IO_ERR,
    IO_HUP,
    IO_IN,
    IO_NVAL,
    IO_OUT,
    IO_PRI,
    EventLoopOps,
    FdSourceFunc,
    InputAdd,
    SourceFunc,
    SourceRemove,
    TimeoutAdd,
    function_address,
)

# An error or a hang-up must reach a watcher whatever it waits for: the read or write it then does tells it.
_READABLE = IO_IN | IO_PRI | IO_HUP | IO_ERR
_WRITABLE = IO_OUT | IO_HUP | IO_ERR | IO_NVAL
_GO_ON, _DONE = 1, 0


class MainLoop:
    """One GLib main loop; `ops` is what libpurple is given."""

    def __init__(self, glib: ctypes.CDLL) -> None:
        self._glib = glib
        self._loop = glib.g_main_loop_new(None, False)
        self._numbers = itertools.count(1)
        self._calls: dict[int, Callable[[], None]] = {}
        self._watches: dict[int, Callable[[int, int], None]] = {}
        self._watch_of_source: dict[int, int] = {}
        # One C callback serves all calls and one all watches.  A callback of its own for each would have to
        # be freed when it ends, which is often while it runs.
        self._on_time = SourceFunc(self._call)
        self._on_ready = FdSourceFunc(self._ready)
        self.ops = EventLoopOps(
            timeout_add=TimeoutAdd(function_address(glib.g_timeout_add)),
            timeout_remove=SourceRemove(function_address(glib.g_source_remove)),
            input_add=InputAdd(self._add_watch),
            input_remove=SourceRemove(self._remove_watch),
            timeout_add_seconds=TimeoutAdd(function_address(glib.g_timeout_add_seconds)),
        )

    def run(self) -> None:
        """Serve libpurple until `stop()`."""
        self._glib.g_main_loop_run(self._loop)

    def stop(self) -> None:
        self._glib.g_main_loop_quit(self._loop)

    def call_later(self, seconds: float, function: Callable[[], None]) -> int:
        """Have `function` called once, from the loop; the number returned is for `cancel()`."""
        number = next(self._numbers)
        self._calls[number] = function
        self._glib.g_timeout_add(int(seconds * 1000), self._on_time, number)
        return number

    def cancel(self, number: int) -> None:
        """Forget a call.  Its timer still fires and finds nothing to do."""
        self._calls.pop(number, None)

    def _call(self, number: int) -> int:
        function = self._calls.pop(number, None)
        if function:
            function()
        return _DONE

    def _add_watch(self, fd: int, condition: int, function: Callable[..., None], data: int | None) -> int:
        number = next(self._numbers)
        self._watches[number] = lambda fd, ready: function(data, fd, ready)
        wanted = (_READABLE if condition & INPUT_READ else 0) | (_WRITABLE if condition & INPUT_WRITE else 0)
        source = self._glib.g_unix_fd_add(fd, wanted, self._on_ready, number)
        self._watch_of_source[source] = number
        return source

    def _remove_watch(self, source: int) -> int:
        self._watches.pop(self._watch_of_source.pop(source, 0), None)
        return self._glib.g_source_remove(source)

    def _ready(self, fd: int, condition: int, number: int) -> int:
        function = self._watches.get(number)
        if not function:
            return _DONE
        function(
            fd, (INPUT_READ if condition & _READABLE else 0) | (INPUT_WRITE if condition & _WRITABLE else 0)
        )
        return _GO_ON
