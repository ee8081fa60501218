"""A lab for tests that block: it runs on an event loop of its own thread.

with running_estate(tmp_path) as lab:
    subprocess.run(["curl", "--cacert", lab.estate.ca_file, ...])
    lab.run(lab.estate.kill("fe01"))
"""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lyncgate.lab.estate import Estate


@dataclass(frozen=True)
class RunningEstate:
    """An Estate, and the loop it runs on."""

    estate: Estate
    loop: asyncio.AbstractEventLoop

    def run[T](self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine where the estate is, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


@contextlib.contextmanager
def running_estate(directory: Path, **options: Any) -> Iterator[RunningEstate]:
    """Start an Estate in a thread; `options` are those of `Estate.start`."""
    started: concurrent.futures.Future[tuple[Estate, asyncio.AbstractEventLoop, asyncio.Event]]
    started = concurrent.futures.Future()

    async def serve() -> None:
        try:
            async with Estate.start(directory, **options) as estate:
                stop = asyncio.Event()
                started.set_result((estate, asyncio.get_running_loop(), stop))
                await stop.wait()
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="lab")
    thread.start()
    try:
        estate, loop, stop = started.result()
    except BaseException:
        thread.join()
        raise
    try:
        yield RunningEstate(estate, loop)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
