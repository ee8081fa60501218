"""What a test needs from the machine beyond Python: a Debian package, or a right.

A developer without it gets a skipped test that names the package.  In CI (`CI=true`) nothing is skipped:
there the package belongs to what `.ci/run` installs, and its absence is a failure.

    promtool = require("promtool", "prometheus")           # the tool's path
    require(os.geteuid() == 0, "iproute2 (run as root)")

    @requires("faketime", "faketime")                      # the same, as a marker
    def test_...
"""

import os
import shutil
from typing import overload

import pytest


@overload
def require(need: str, package: str) -> str: ...
@overload
def require(need: bool, package: str) -> None: ...
def require(need: str | bool, package: str) -> str | None:
    """Return the path of the tool `need`, or None for a condition that holds; else skip, or fail in CI."""
    found = _which(need) if isinstance(need, str) else need
    if found:
        return found if isinstance(found, str) else None
    if _in_ci():
        pytest.fail(_reason(package) + ", and in CI it must be there", pytrace=False)
    pytest.skip(_reason(package))


def requires(need: str | bool, package: str) -> pytest.MarkDecorator:
    """A marker that skips like `require`.  In CI it lets the test run: what it lacks then fails it."""
    missing = not (_which(need) if isinstance(need, str) else need)
    return pytest.mark.skipif(missing and not _in_ci(), reason=_reason(package))


def _which(tool: str) -> str | None:
    """Also where Debian has what only root needs, which may not be on the path of whoever runs the tests."""
    return shutil.which(tool, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def _in_ci() -> bool:
    return os.environ.get("CI") == "true"


def _reason(package: str) -> str:
    return f"needs Debian package {package}"
