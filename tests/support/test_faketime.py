"""libfaketime does what we build on: an asyncio program's hours pass in seconds, all clocks agreeing."""

import json
import subprocess
import sys
import time

import pytest

from support.faketime import faketime

SLEEPER = """
import asyncio, json, time

async def main():
    loop = asyncio.get_running_loop()
    started, wall, monotonic = loop.time(), time.time(), time.monotonic()
    await asyncio.sleep(100)
    print(json.dumps([loop.time() - started, time.time() - wall, time.monotonic() - monotonic]))

asyncio.run(main())
"""

# A peer that never says anything: only epoll's own time-out can end the wait.
SILENT_PEER = """
import asyncio, json, socket

async def main():
    loop = asyncio.get_running_loop()
    ours, _theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    started = loop.time()
    try:
        await asyncio.wait_for(reader.read(1), 1860)
    except TimeoutError:
        print(json.dumps([loop.time() - started]))
    writer.close()

asyncio.run(main())
"""


@pytest.mark.parametrize(("program", "seconds", "speed"), [(SLEEPER, 100, 50), (SILENT_PEER, 1860, 1000)])
def test_a_long_wait_is_short(program: str, seconds: int, speed: int) -> None:
    started = time.monotonic()
    command = [*faketime(speed=speed), sys.executable, "-c", program]
    output = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout
    took = time.monotonic() - started
    assert all(elapsed >= seconds for elapsed in json.loads(output))
    assert seconds / speed <= took < seconds / 5


def test_a_forked_child_has_its_parents_clock() -> None:
    program = """
import os, time
time.sleep(1000)
print(time.time(), flush=True)
if os.fork() == 0:
    print(time.time(), flush=True)
"""
    command = [*faketime(speed=1000), sys.executable, "-c", program]
    output = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout
    parent, child = map(float, output.split())
    assert parent - time.time() > 900
    assert child >= parent


def test_a_signal_reaches_the_command_itself() -> None:
    command = [*faketime(speed=2), sys.executable, "-c", "import os; print(os.getpid(), flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert int(process.stdout.readline()) == process.pid
        process.communicate("\n")
