"""What wrk prints, read."""

from __future__ import annotations

import pytest

from sidebyside import wrk

SAID = """Running 2s test @ https://127.0.0.1:1/
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    22.53ms   14.04ms 135.41ms   94.24%
    Req/Sec   650.15    466.52     1.66k    78.95%
  Latency Distribution
     50%  294.00us
     75%    4.34ms
     90%   10.42ms
     99%    1.02s
  1250 requests in 2.04s, 373.50KB read
{more}Requests/sec:    612.75
Transfer/sec:    183.28KB
"""


def test_all_that_is_told_is_read() -> None:
    assert wrk.parsed(SAID.format(more="")) == {
        **{"requests": 1250, "seconds": 2.04, "read": 382464, "rate": 612.75},
        **{"p50": 0.294, "p99": 1020.0, "errors": 0, "read_errors": 0},
    }


def test_errors_are_counted_unclean_ends_apart() -> None:
    """A connection may end without TLS's farewell after an answer that was whole."""
    more = "  Socket errors: connect 1, read 20, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n"
    said = wrk.parsed(SAID.format(more=more))
    assert (said["errors"], said["read_errors"]) == (1 + 3 + 4 + 5, 20)


def test_silence_is_no_result() -> None:
    with pytest.raises(ValueError, match="wrk said nothing"):
        wrk.parsed("unable to connect")


@pytest.mark.parametrize(
    ("text", "size"), [("0B", 0), ("512B", 512), ("1.5MB", 1572864), ("2GB", 2 * 1024**3)]
)
def test_sizes(text: str, size: int) -> None:
    assert wrk.size(text) == size
