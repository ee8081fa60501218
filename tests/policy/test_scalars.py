"""The words of rules.yaml: each way to write one, and that what is printed is read back."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from lyncgate.policy import scalars
from lyncgate.policy.scalars import path_prefix, read_duration, read_size, show_duration, show_size


@given(st.integers(0, 10**9))
def test_durations_print_exactly(milliseconds: int) -> None:
    assert read_duration(show_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.integers(0, 10**12))
def test_sizes_print_exactly(size: int) -> None:
    assert read_size(show_size(size)) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("500ms", 0.5), ("31m", 1860), ("1h", 3600), ("365d", 31536000)]
)
def test_durations(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [("/*", ""), ("/", ""), ("/Abs", "/abs"), ("/abs/", "/abs"), ("/a/B.svc/*", "/a/b.svc")],
)
def test_path_prefixes(pattern: str, prefix: str) -> None:
    assert TypeAdapter(scalars.PathPattern).validate_python(pattern) == pattern
    assert path_prefix(pattern) == prefix


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (scalars.Duration, ["5", "5 s", "-5s", "5sec", "1.5s", "5S", "٥s", 5, None, True]),
        (scalars.Size, ["64", "64kib", "64K", "-1KiB", 64]),
        (
            scalars.HostName,
            ["", ".", "a..b", "-a.example", "a.example.", "é.example", "a" * 64, "1.2.3.4", "::1"],
        ),
        (scalars.PublicHost, ["*", "*.", "*.*.example", "a.*.example", "*a.example"]),
        (scalars.Server, ["fe01:4443", "[::1]", "http://fe01", ""]),
        (
            scalars.Bind,
            ["443", ":443", "[::]", "0.0.0.0:65536", "0.0.0.0:x", "[1.2.3.4]:1", "::1", "[::1%lo]:1"],
        ),
        (scalars.NetworkText, ["10.0.0.1/8", "10.0.0.0/33", "host", 10]),
        (
            scalars.PathPattern,
            ["abs", "//", "/a//b", "/./a", "/a/..", "/a?b", "/a#b", "/a%20b", "/*.x", "/a\\b", "/a;b"],
        ),
        (scalars.Pin, ["", "sha256:", "sha256:zz", "sha1:" + "0" * 64, "0" * 64]),
        (scalars.Name, ["", " a", "_none", "a" * 65, 'a"b', "a\nb"]),
    ],
)
def test_refused(kind: object, text: list[object]) -> None:
    reader: TypeAdapter[object] = TypeAdapter(kind)
    for value in text:
        with pytest.raises(ValidationError):
            reader.validate_python(value)


@pytest.mark.parametrize("read", [scalars.PathPattern, scalars.HostName, scalars.Name, scalars.Pin])
def test_long_junk_is_refused_in_no_time(read: object) -> None:
    reader: TypeAdapter[object] = TypeAdapter(read)
    for junk in ("/a" * 100_000 + "?", "a-" * 100_000, "a" * 200_000 + "!"):
        with pytest.raises(ValidationError):
            reader.validate_python(junk)


@pytest.mark.parametrize(
    ("kind", "pattern_of"),
    [(scalars.Duration, read_duration), (scalars.Size, read_size)],
    ids=["duration", "size"],
)
@given(st.text("0123456789smhdkKMGiB", max_size=6))
def test_the_schema_s_pattern_is_the_reader(
    kind: object, pattern_of: Callable[[object], object], text: str
) -> None:
    pattern = TypeAdapter[object](kind).json_schema()["pattern"]
    try:
        pattern_of(text)
        read = True
    except ValueError:
        read = False
    assert (re.search(pattern, text) is not None) == read
