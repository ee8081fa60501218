"""`lyncgate serve` and its pages: a phone signs in, and the page tells it; who may ask is the rules' word."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
from pathlib import Path

from support.processes import LYNCGATE, ROOT, Edge, edge_process, lab_process, wait_until

SECRETS = re.compile(r"P4ss-|cwt=|TlRMTVNTU")


def ask(edge: Edge, path: str, host: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(*edge.admin, timeout=20)
    connection.request("GET", path, headers={"Host": host})
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def test_a_sign_in_becomes_a_page(tmp_path: Path) -> None:
    with lab_process(tmp_path) as lab:
        rules = lab.rules(admin={"hosts": ["edge.contoso.example"]})
        with edge_process(rules) as edge:
            (http_host, http_port), (https_host, https_port) = edge.http, edge.https
            phone = [*LYNCGATE, "phone", "--device", "lync2013", "--poll-timeout", "2", "--ca", str(lab.ca)]
            phone += ["--to", f"{https_host}:{https_port}", "--to", f"http://{http_host}:{http_port}"]
            done = subprocess.run(phone, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            wait_until(lambda: "alice@contoso.example" in edge.get("/signins"), "a row for alice")
            (id_,) = re.findall(r'<tr id="s-(\w+)"', edge.get("/"))
            # It is there while it goes on; contacts are the last of it.
            last = '<li class="stage ok" id="row-13">'
            wait_until(lambda: last in edge.get(f"/signins/{id_}"), "the whole sign-in")
            page = edge.get(f"/signins/{id_}")
            assert page.count('<li class="stage ') == 14
            for row in (7, 8, 9, 10, 13):  # what an edge sees of it alone
                assert f'<li class="stage ok" id="row-{row}">' in page
            document = json.loads(edge.get(f"/signins/{id_}.json"))
            assert {event["origin"] for event in document["events"]} == {"edge"}
            for path in ("/", f"/signins/{id_}", f"/signins/{id_}.json", f"/signins/{id_}.har"):
                assert not SECRETS.search(edge.get(path)), path
            # A reload may let others ask.
            assert ask(edge, "/", "edge.contoso.example")[0] == 200
            assert ask(edge, "/", "ops.contoso.example:9145")[0] == 421
            rules.write_text(rules.read_text().replace("edge.contoso.example", "ops.contoso.example"))
            wait_until(lambda: ask(edge, "/", "ops.contoso.example:9145")[0] == 200, "the new name")
            assert ask(edge, "/", "edge.contoso.example")[0] == 421
            # Metrics are for machines, which come by any name.
            assert ask(edge, "/metrics", "prometheus.contoso.example")[0] == 200
