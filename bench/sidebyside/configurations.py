"""What each peer is told, for the same work: TLS on both sides with the same EC certificate, the origin's
certificate verified, requests written to a file, bodies streamed, plain HTTP beside it. Each function
writes its files to the place's directory and returns the command."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

import yaml

from sidebyside.certificates import ORIGIN, WEB
from sidebyside.processes import ROOT


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where an instance of a peer stands. `directory` is its own, `certificates` everyone's; the origin's
    ports behind its own. `workers`: processes that it serves with; None: as it does
    by itself."""

    directory: Path
    certificates: Path
    https: int
    http: int
    origin_https: int
    origin_http: int
    workers: int | None = None


def nginx(place: Place) -> list[str]:
    tls = place.certificates
    return nginx_command(
        place.directory,
        f"""access_log {place.directory}/access.log combined buffer=64k flush=1s;
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $remote_addr; proxy_read_timeout 1860s; proxy_send_timeout 1860s;
  proxy_max_temp_file_size 0; proxy_request_buffering off; client_max_body_size 0;
  upstream secure {{ server 127.0.0.1:{place.origin_https}; keepalive 64; keepalive_requests 100000000; }}
  upstream plain {{ server 127.0.0.1:{place.origin_http}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{place.https} ssl backlog=4096;
    ssl_certificate {tls}/edge.pem; ssl_certificate_key {tls}/edge.key;
    location / {{ proxy_pass https://secure; proxy_ssl_verify on; proxy_ssl_trusted_certificate {tls}/ca.pem;
      proxy_ssl_name {ORIGIN}; proxy_ssl_server_name on; }}
  }}
  server {{ listen 127.0.0.1:{place.http}; location / {{ proxy_pass http://plain; }} }}""",
    )


def nginx_origin(place: Place, body: Path) -> list[str]:
    """A light origin for what needs no memory: small answers, and one large body at /large."""
    tls = place.certificates
    return nginx_command(
        place.directory,
        f"""access_log off;
  server {{
    listen 127.0.0.1:{place.https} ssl backlog=4096;
    ssl_certificate {tls}/origin.pem; ssl_certificate_key {tls}/origin.key;
    location / {{ default_type text/plain; return 200 "some fifty bytes, as small answers usually are"; }}
    location = /large {{ alias {body}; default_type application/octet-stream; sendfile off;
      output_buffers 2 256k; }}
  }}
  server {{ listen 127.0.0.1:{place.http}; location / {{ return 200 "plain"; }} }}""",
    )


def nginx_command(directory: Path, http: str) -> list[str]:
    user = "user root;" if os.geteuid() == 0 else ""
    paths = "".join(
        f"{kind}_temp_path {directory}/{kind}; "
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = directory / "nginx.conf"
    conf.write_text(
        f"""daemon off; {user} worker_processes 1; worker_rlimit_nofile 20000;
pid {directory}/nginx.pid; error_log {directory}/nginx.err;
events {{ worker_connections 16000; }}
http {{ {paths}
  keepalive_requests 100000000; keepalive_timeout 3600s; tcp_nodelay on;
  {http}
}}
"""
    )
    return ["nginx", "-p", str(directory), "-c", str(conf), "-e", str(directory / "nginx.err")]


def haproxy(place: Place) -> list[str]:
    tls = place.certificates
    conf = place.directory / "haproxy.cfg"
    conf.write_text(
        f"""global
  nbthread 1
  maxconn 8000
  log stdout format raw local0 info
defaults
  mode http
  log global
  option httplog
  option forwardfor
  timeout connect 5s
  timeout client 1860s
  timeout server 1860s
  timeout http-request 10s
  default-server pool-max-conn 100
listen secure
  bind 127.0.0.1:{place.https} ssl crt {tls}/edge.both.pem
  server origin 127.0.0.1:{place.origin_https} ssl verify required ca-file {tls}/ca.pem \
verifyhost {ORIGIN} sni str({ORIGIN})
listen plain
  bind 127.0.0.1:{place.http}
  server origin 127.0.0.1:{place.origin_http}
"""
    )
    return ["haproxy", "-db", "-f", str(conf)]


def rules(place: Place) -> dict[str, Any]:
    """rules.yaml with everything on: guard, rules, metrics, access log, journal, all into files."""
    tls = place.certificates
    written: dict[str, Any] = {
        "version": 1,
        "lync": {
            "domains": {
                "contoso.example": {
                    "web_services": WEB,
                    "pool": "pool01",
                    # So that all peers do the same: by default the edge would answer by itself.
                    "lyncdiscover": {"http": "forward", "https": "forward"},
                }
            }
        },
        "listeners": {
            "http": {"bind": [f"127.0.0.1:{place.http}"], "protocol": "http"},
            "https": {
                "bind": [f"127.0.0.1:{place.https}"],
                "protocol": "https",
                "certificates": [
                    {"cert": f"{tls}/edge.pem", "key": f"{tls}/edge.key", "root": f"{tls}/ca.pem"}
                ],
            },
        },
        "pools": {
            "pool01": {
                "members": [{"name": "fe01", "host": "127.0.0.1"}],
                "bridge": {"http": place.origin_http, "https": place.origin_https},
                "tls": {"ca": f"{tls}/ca.pem", "name": ORIGIN},
                "health": {"tcp": "off"},  # nothing speaks SIP here
            }
        },
        "publications": [
            {"name": "web services", "hosts": [WEB], "except": ["/cscp", "/ocspowershell"], "pool": "pool01"}
        ],
        "access_log": {"path": str(place.directory / "access.log")},
        "journal": {"path": str(place.directory / "journal.db")},
        "admin": {"bind": "127.0.0.1:0"},
    }
    if place.workers:
        written["workers"] = place.workers
    return written


def _rules_file(place: Place) -> str:
    path = place.directory / "rules.yaml"
    path.write_text(yaml.safe_dump(rules(place), sort_keys=False))
    return str(path)


def lyncgate(place: Place, *options: str) -> list[str]:
    """As deploy/ runs it, with -O."""
    return [sys.executable, "-O", "-m", "lyncgate", "serve", "--rules", _rules_file(place), *options]


def lyncgate_stock(place: Place) -> list[str]:
    return lyncgate(place, "--engine", "stock")


def check(place: Place) -> list[str]:
    """The command that says whether this lyncgate knows such rules."""
    return [sys.executable, "-m", "lyncgate", "check", _rules_file(place)]


def mitmdump(place: Place) -> list[str]:
    """Stock, without anything of ours. Bodies are buffered: that is its default, and part of what it is."""
    tls = place.certificates
    modes = [
        f"reverse:https://127.0.0.1:{place.origin_https}@127.0.0.1:{place.https}",
        f"reverse:http://127.0.0.1:{place.origin_http}@127.0.0.1:{place.http}",
    ]
    options = {
        "certs": f"*={tls}/edge.both.pem",
        "confdir": str(place.directory / "mitm"),
        "ssl_verify_upstream_trusted_ca": f"{tls}/ca.pem",
        "keep_host_header": "true",
        "http2": "false",
        "connection_strategy": "lazy",
        "tcp_timeout": "1860",
    }
    words = [word for mode in modes for word in ("--mode", mode)]
    words += [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
    return [*_MITMDUMP, *words]


def mitmdump_addons(place: Place) -> list[str]:
    """Stock, with our addons as its script; listeners and upstreams come from the rules."""
    script = ROOT / "addons" / "edge.py"
    sets = {"rules": _rules_file(place), "confdir": str(place.directory / "mitm")}
    words = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    return [*_MITMDUMP, "-n", "-s", str(script), *words]


_MITMDUMP = (sys.executable, "-c", "from mitmproxy.tools.main import mitmdump; mitmdump()", "-q")
