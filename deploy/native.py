"""Compiles the modules that every request passes through: the same source, two fifths less CPU a request.

    python deploy/native.py DIRECTORY   leaves DIRECTORY/lyncgate, the package with its hot modules compiled

DIRECTORY may be the site-packages of an environment in which lyncgate is installed: it is replaced there.

mypyc makes C of typed Python; it comes with mypy, so the environment must be that of requirements-dev.lock,
and there must be a C compiler and the headers of this Python (Debian: gcc, python3-dev). What comes out runs
on this version of Python and this kind of machine only. The other modules are copied as they are.

Status 1: it can't be made here, and why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "addons" / "lyncgate"

# What each request passes through, as far as it gets faster. Not what msgspec makes (signin/exchange, facts,
# keys), nor what goes between processes as a frozen dataclass (policy/policy): mypyc's classes can't. And not
# what does little but ask those (observe/): that gets slower. engine/lane/tls could be, and was not tried.
HOT = {
    "edge": "client course framing guard handshakes headers heads lyncdiscover outcomes pool publish records "
    "redirect route state story",
    "engine/lane": "client deadline demoted exchange greeting lane messages owner pace private queues "
    "requests responses scripted stream upstream upstreams watch wire",
    "lync": "autodiscover names ntlm safejson safexml stages",
    "policy": "asked decide decision discover forwarded hosts paths publish request",
    "signin": "documents headers plain reading seen soap tickets told ucwa",
}
OPTIONS = """[mypy]
cache_dir = scratch/cache
strict = True
untyped_calls_exclude = mitmproxy
[mypy-httptools.*,spnego.*,dnslib.*]
ignore_missing_imports = True
"""


def main(directory: Path) -> None:
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if not shutil.which(compiler):
        raise SystemExit(f"there is no C compiler: {compiler} (Debian: apt-get install gcc)")
    if not headers.exists():
        raise SystemExit(f"the headers of this Python are missing: {headers} (Debian: python3-dev)")
    package = directory / "lyncgate"
    if package.exists():
        shutil.rmtree(package)
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    compile_in(directory, [f"lyncgate/{name}/{one}.py" for name, hot in HOT.items() for one in hot.split()])


def compile_in(directory: Path, modules: list[str]) -> None:
    """Leaves an extension module beside each of `modules`, which are paths below `directory`."""
    scratch = directory / "scratch"
    scratch.mkdir(exist_ok=True)
    (scratch / "mypy.ini").write_text(OPTIONS)
    (scratch / "setup.py").write_text(
        "from mypyc.build import mypycify\nfrom setuptools import setup\n"
        f"setup(ext_modules=mypycify({['--config-file', 'scratch/mypy.ini', *modules]!r}, debug_level='0',"
        " target_dir='scratch/c', group_name='lyncgate'))\n"
    )
    into = ["--build-temp", "scratch/o", "--build-lib", "scratch/lib"]
    made = subprocess.run(  # noqa: S603 (this Python, and files of ours)
        [sys.executable, "scratch/setup.py", "-q", "build_ext", "--inplace", *into],
        cwd=directory,
        env={**os.environ, "MYPYPATH": str(directory), "PYTHONPATH": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if made.returncode:
        raise SystemExit(f"the modules can't be compiled:\n{made.stdout[-4000:]}")
    shutil.rmtree(scratch)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]).resolve())
