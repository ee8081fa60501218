"""A flow file, a DNS log and front ends' traces, taken together: what none of them tells alone is one sign-in
with every stage, and no journal was kept."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

from e2e.mitmdump import mitmdump
from lyncgate.lync.stages import Stage
from support.processes import LYNCGATE, ROOT, Lab, edge_process


def test_every_stage_of_a_phone_of_2010(tmp_path: Path) -> None:
    options = ("--poll-minimum", "1", "--dns", "127.0.0.1", "--traces", str(tmp_path / "traces"))
    command = [
        *LYNCGATE,
        "lab",
        "--json",
        "--dir",
        str(tmp_path),
        *options,
        "--skew",
        "fe01=40",
        "--skew",
        "fe02=40",
    ]
    with contextlib.closing(Lab(tmp_path, command)) as lab:
        told = lab.start("lab").said
        with (
            edge_process(lab.rules()) as edge,
            mitmdump(lab, edge.http, edge.https, tmp_path, trusted=lab.ca) as front,
        ):
            phone = ["phone", "--device", "wp75", "--poll-timeout", "2", "--ca", str(lab.ca)]
            phone += ["--to", f"127.0.0.1:{front.https[1]}", "--to", f"http://127.0.0.1:{front.http[1]}"]
            run(*phone, "--dns", "{}:{}".format(*told["dns"]["external"]), "--push", told["push"])
    files = [front.file, tmp_path / "dns.log", *sorted((tmp_path / "traces").glob("fe0*.log"))]
    said = run("signins", "--json", *(word for file in files for word in ("--from", str(file))))
    (row,) = map(json.loads, said.splitlines())
    assert (row["user"], row["outcome"], row["findings"]) == ("alice@contoso.example", "ok", [])
    seen = {stage for stage, view in row["stages"].items() if view["state"] == "ok"}
    assert seen == {*Stage}


def run(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "addons")}
    done = subprocess.run(
        [*LYNCGATE, *arguments], capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
