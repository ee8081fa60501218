"""What it ran on: for the reader of the results, who has another machine."""

from __future__ import annotations

import os
import platform
import re
import ssl
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sidebyside.processes import COMPILED, LOAD_CORES, PINNED, PROXY_CORES, ROOT


def described() -> dict[str, Any]:
    cpu = re.search(r"model name\s*: (.*)", _read("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+)", _read("/proc/meminfo"))
    return {
        "cpu": " ".join(cpu[1].split()) if cpu else platform.machine(),
        "cpus": os.cpu_count(),
        "memory_mib": int(memory[1]) // 1024 if memory else None,
        "system": f"{platform.system()} {platform.release()}",
        "pinned": (
            f"each proxy to core {PROXY_CORES[0]}, generators and origins to "
            + ", ".join(map(str, LOAD_CORES))
            if PINNED
            else "nothing: there is one core"
        ),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    found = {
        "lyncgate": f"{version('lyncgate')}, {'compiled (make native)' if COMPILED else 'interpreted'}",
        "mitmproxy": version("mitmproxy"),
        "python": platform.python_version(),
        "openssl (Python)": ssl.OPENSSL_VERSION,
    }
    for tool, flag, pattern in (
        ("nginx", "-v", r"nginx/(\S+)"),
        ("haproxy", "-v", r"version (\S+)"),
        ("wrk", "-v", r"wrk (\S+)"),
    ):
        found[tool] = _said([tool, flag], pattern)
    return found


def commit() -> str:
    """The commit, and `+` when files differ from it."""
    at = _said(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"], r"(\w+)")
    changed = ["git", "-C", str(ROOT), "status", "--porcelain", "--", "addons", "bench/sidebyside"]
    return at + ("+" if _said(changed, r"(\S+)") != "?" else "")


def command() -> str:
    arguments = " ".join(sys.argv[1:])
    return f'make bench ARGS="{arguments}"' if arguments else "make bench"


def _said(command: list[str], pattern: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "?"
    match = re.search(pattern, done.stdout + done.stderr)
    return match[1] if match else "?"


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
