"""A missing package skips a developer's test and fails CI's."""

import pytest

from support.requirements import require, requires

ABSENT = "no-such-tool"


def test_what_is_there_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert require("sh", "dash").endswith("/sh")
    assert require(True, "dash") is None


@pytest.mark.parametrize("need", [ABSENT, False])
def test_a_developer_is_told_the_package(need: str | bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs Debian package prometheus"):
        require(need, "prometheus")
    assert requires(need, "prometheus").mark.args == (True,)


@pytest.mark.parametrize("need", [ABSENT, False])
def test_in_ci_nothing_is_skipped(need: str | bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="needs Debian package prometheus"):
        require(need, "prometheus")
    assert requires(need, "prometheus").mark.args == (False,)
