"""lyncgate beside nginx, HAProxy and stock mitmdump: the same work in one run, ratios printed.

    make bench                          about a minute
    make bench ARGS="--rounds 5 --json bench/results/edge.json"

Work: small answers over kept-alive TLS, TLS to the origin as well, whose certificate all but mitmdump
verify. Targets take turns round by round, and the ratio is the median over rounds of each round's own
ratio: on a noisy machine the figures move, the ratios less. CPU is what the target's processes used,
user and system, read from /proc (10 ms ticks).

Needs the Debian packages nginx-light, haproxy and wrk; a target that is missing is left out and said.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from lyncgate.lab.authority import Authority, write_private

HOST = "lyncweb.contoso.example"
WRK = ("wrk", "-t1", "--latency", "-H", f"Host: {HOST}")
TICK = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Target:
    """A proxy under test. `command`: from its port and the origin's, after writing its files."""

    name: str
    command: Callable[[Path, int, int], list[str]]
    tool: str


@dataclasses.dataclass(frozen=True)
class Result:
    """`rate`: requests per second; `p50`, `p99`: milliseconds; `cpu`: microseconds per request."""

    rate: float
    p50: float
    p99: float
    cpu: float
    errors: int


def nginx_conf(directory: Path, port: int, name: str, location: str) -> list[str]:
    conf = directory / f"{name}.conf"
    conf.write_text(
        f"""daemon off; worker_processes 1; pid {directory}/{name}.pid; error_log {directory}/{name}.err;
events {{ worker_connections 4096; }}
http {{ access_log off;
  client_body_temp_path {directory}/{name}-body; proxy_temp_path {directory}/{name}-proxy;
  fastcgi_temp_path {directory}/{name}-f; uwsgi_temp_path {directory}/{name}-u;
  scgi_temp_path {directory}/{name}-s;
  keepalive_requests 1000000000;
  {location.format(port=port, d=directory)}
}}
"""
    )
    return ["nginx", "-p", str(directory), "-c", str(conf), "-e", str(directory / f"{name}.err")]


ORIGIN = """server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {d}/origin.pem; ssl_certificate_key {d}/origin.key;
    location / {{ default_type text/plain; return 200 "some fifty bytes, as small answers usually are"; }}
  }}"""


def nginx(directory: Path, port: int, origin: int) -> list[str]:
    return nginx_conf(
        directory,
        port,
        "nginx",
        f"upstream pool {{{{ server 127.0.0.1:{origin}; keepalive 64; }}}}\n"
        """  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {d}/edge.pem; ssl_certificate_key {d}/edge.key;
    location / {{ proxy_pass https://pool; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_ssl_verify on; proxy_ssl_trusted_certificate {d}/ca.pem;
      proxy_ssl_name localhost; proxy_ssl_server_name on; }} }}""",
    )


def haproxy(directory: Path, port: int, origin: int) -> list[str]:
    (directory / "edge-both.pem").write_bytes(
        (directory / "edge.pem").read_bytes() + (directory / "edge.key").read_bytes()
    )
    conf = directory / "haproxy.cfg"
    conf.write_text(
        f"""global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 1860s
  timeout server 1860s
listen edge
  bind 127.0.0.1:{port} ssl crt {directory}/edge-both.pem
  default-server ssl verify required ca-file {directory}/ca.pem verifyhost localhost sni str(localhost)
  server origin 127.0.0.1:{origin}
"""
    )
    return ["haproxy", "-db", "-f", str(conf)]


def lyncgate(directory: Path, port: int, origin: int) -> list[str]:
    tls = {"cert": str(directory / "edge.pem"), "key": str(directory / "edge.key")}
    rules = {
        "version": 1,
        "listeners": {
            "https": {
                "bind": [f"127.0.0.1:{port}"],
                "protocol": "https",
                "certificates": [{**tls, "root": str(directory / "ca.pem")}],
            }
        },
        "pools": {
            "pool01": {
                "members": [{"name": "origin", "host": "127.0.0.1"}],
                "bridge": {"https": origin},
                "tls": {"ca": str(directory / "ca.pem"), "name": "localhost"},
                "health": {"tcp": "off"},
            }
        },
        "publications": [{"name": "web services", "hosts": [HOST], "pool": "pool01"}],
        "access_log": {"path": str(directory / "access.log")},
        "admin": {"bind": "127.0.0.1:0"},
    }
    path = directory / "rules.yaml"
    path.write_text(yaml.safe_dump(rules, sort_keys=False))
    return [sys.executable, "-O", "-m", "lyncgate", "serve", "--rules", str(path)]


def mitmdump(directory: Path, port: int, origin: int) -> list[str]:
    (directory / "mitm.pem").write_bytes(
        (directory / "edge.key").read_bytes() + (directory / "edge.pem").read_bytes()
    )
    options = {
        "certs": f"*={directory}/mitm.pem",
        "confdir": str(directory / "mitm"),
        "keep_host_header": "true",
        "http2": "false",
        "connection_strategy": "lazy",
        # wrk sends the address as SNI and mitmdump passes that on: its upstream check could only fail.
        "ssl_insecure": "true",
    }
    sets = [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
    mode = f"reverse:https://localhost:{origin}@127.0.0.1:{port}"
    run = "from mitmproxy.tools.main import mitmdump; mitmdump()"
    return [sys.executable, "-c", run, "-q", "--mode", mode, *sets]


TARGETS = (
    Target("mitmdump", mitmdump, "mitmdump"),
    Target("lyncgate", lyncgate, "lyncgate"),
    Target("haproxy", haproxy, "haproxy"),
    Target("nginx", nginx, "nginx"),
)


@contextlib.contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[int]:
    """A process that listens on `port` of loopback; its pid."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "addons")}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=env)
    try:
        until = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} does not listen:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children, in seconds."""
    total = 0.0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in (pid, *map(int, children)):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(") ")[2].split()
        total += (int(fields[11]) + int(fields[12])) / TICK
    return total


def measure(pid: int, port: int, connections: int, seconds: int) -> Result:
    before = cpu_seconds(pid)
    out = subprocess.run(
        [*WRK, f"-c{connections}", f"-d{seconds}s", f"https://127.0.0.1:{port}/"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    used = cpu_seconds(pid) - before
    requests = int(found(r"(\d+) requests in", out))
    errors = int(found(r"Non-2xx or 3xx responses: (\d+)", out, "0"))
    return Result(
        rate=float(found(r"Requests/sec:\s+([\d.]+)", out)),
        p50=milliseconds(found(r"50%\s+([\d.]+\w+)", out)),
        p99=milliseconds(found(r"99%\s+([\d.]+\w+)", out)),
        cpu=used / max(requests, 1) * 1e6,
        errors=errors,
    )


def found(pattern: str, text: str, default: str | None = None) -> str:
    match = re.search(pattern, text)
    if match is None and default is None:
        raise RuntimeError(f"wrk said nothing of {pattern}:\n{text}")
    return match[1] if match else str(default)


def milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description="lyncgate beside its peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--json", type=Path, help="also write the results there")
    arguments = parser.parse_args()
    if not (shutil.which("wrk") and shutil.which("nginx")):
        sys.exit("bench needs wrk and nginx (Debian packages wrk, nginx-light): nginx is the origin as well")
    targets = [
        target for target in TARGETS if target.name in ("mitmdump", "lyncgate") or shutil.which(target.tool)
    ]
    for target in TARGETS:
        if target not in targets:
            print(f"left out: {target.name}, not installed")
    results: dict[str, list[Result]] = {target.name: [] for target in targets}
    with tempfile.TemporaryDirectory(prefix="lyncgate-bench-") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        make_certificates(directory)
        origin = free_port()
        stack.enter_context(
            running(nginx_conf(directory, origin, "origin", ORIGIN), origin, directory / "origin.log")
        )
        ports = {}
        for target in targets:
            port = free_port()
            command = target.command(directory, port, origin)
            pid = stack.enter_context(running(command, port, directory / f"{target.name}.log"))
            ports[target.name] = (pid, port)
            measure(pid, port, arguments.connections, 1)  # warm
        for turn in range(arguments.rounds):
            for target in targets:
                pid, port = ports[target.name]
                result = measure(pid, port, arguments.connections, arguments.seconds)
                results[target.name].append(result)
                print(f"round {turn + 1}: {target.name:9} {result.rate:9.0f} requests/s", flush=True)
    report(results, arguments)


def make_certificates(directory: Path) -> None:
    authority = Authority()
    (directory / "ca.pem").write_bytes(authority.pem)
    for name, hosts in (("origin", ["localhost"]), ("edge", [HOST])):
        certificate, key = authority.issue(hosts)
        (directory / f"{name}.pem").write_bytes(certificate)
        write_private(directory / f"{name}.key", key)


def report(results: dict[str, list[Result]], arguments: argparse.Namespace) -> None:
    print(
        f"\nkept-alive TLS, small answers, c={arguments.connections}, medians of {arguments.rounds} rounds\n"
    )
    print(
        f"{'':10}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}"
        f"{'lyncgate: rate ×':>18}{'CPU ×':>8}{'errors':>8}"
    )
    rows = []
    own = results["lyncgate"]
    for name, rounds in results.items():
        rate = statistics.median(o.rate / r.rate for o, r in zip(own, rounds, strict=True))
        cpu = statistics.median(o.cpu / r.cpu for o, r in zip(own, rounds, strict=True))
        middle = {
            field.name: statistics.median(getattr(r, field.name) for r in rounds)
            for field in dataclasses.fields(Result)
        }
        rows.append({"target": name, **middle, "lyncgate_rate_ratio": rate, "lyncgate_cpu_ratio": cpu})
        print(
            f"{name:10}{middle['rate']:9.0f}{middle['p50']:9.2f}{middle['p99']:9.2f}{middle['cpu']:9.0f}"
            f"{rate:18.2f}{cpu:8.2f}{middle['errors']:8.0f}"
        )
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
        document = {
            "command": "make bench",
            "machine": machine,
            "connections": arguments.connections,
            "rows": rows,
        }
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
