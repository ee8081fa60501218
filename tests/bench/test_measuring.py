"""What a proxy costs is counted of all its processes; and what the command refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from sidebyside.measuring import cpu_seconds, descriptors, memory, tree
from sidebyside.processes import ENVIRONMENT

TWO = """
import os, time
if os.fork():
    time.sleep(60)
held = open("/dev/null")
sum(range(10**7))
print("ready", flush=True)
time.sleep(60)
"""


def test_a_child_counts_with_its_parent() -> None:
    process = subprocess.Popen([sys.executable, "-c", TWO], stdout=subprocess.PIPE)
    try:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        parent, child = tree(process.pid)
        assert parent == process.pid
        assert cpu_seconds(parent) >= cpu_seconds(child) > 0.05  # who only waits has little of its own
        assert descriptors(parent) > descriptors(child) >= 4
        both, one = memory(parent), memory(child)
        assert both.rss > both.own > one.own > 0
    finally:
        for pid in reversed(tree(process.pid)):
            os.kill(pid, signal.SIGKILL)
        process.communicate()


def test_a_process_that_is_gone_costs_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert (cpu_seconds(process.pid), descriptors(process.pid)) == (0.0, 0)
    assert memory(process.pid).rss == 0.0


def test_a_work_that_does_not_exist_is_refused_with_those_that_do() -> None:
    command = [sys.executable, "-m", "sidebyside", "--only", "speed"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 2
    assert "--only: found speed; allowed: keepalive, connections, storm" in done.stderr
