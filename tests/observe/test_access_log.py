"""What the access log says of an exchange: golden lines, and that nothing from outside breaks one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncgate.observe.access_log import FIELDS, FORMATS, open_access_log, render_json, render_line
from lyncgate.policy import policy
from lyncgate.signin.exchange import Exchange, Phase
from observe.samples import EXCHANGES, TICKET
from support.changed import changed

GOLDEN = Path(__file__).parent / "golden"
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "access-log.md"

text = st.text(max_size=40)
anything = st.builds(
    Exchange,
    id=text,
    listener=text,
    scheme=text,
    source_ip=text,
    connection=text,
    started=st.floats(0, 4e9),
    method=text,
    host=text,
    path=text,
    stage=st.none() | text,
    rule=text,
    publication=text,
    sip_user=st.none() | text,
    ntlm_user=st.none() | text,
    pool=st.none() | text,
    member=st.none() | text,
    reused=st.none() | st.booleans(),
    reason=st.none() | text,
    server_fqdn=st.none() | text,
    user_agent=st.none() | text,
    phases=st.dictionaries(st.sampled_from(Phase), st.none() | st.floats(0, 2000)),
)


@pytest.mark.parametrize(("log_format", "file"), [("json", "access_log.json"), ("line", "access_log.line")])
def test_golden(log_format: str, file: str) -> None:
    lines = [FORMATS[log_format](exchange) for exchange in EXCHANGES]
    assert lines == (GOLDEN / file).read_text().splitlines()


def columns(line: str) -> list[str]:
    """Read a line back as docs/access-log.md says to."""
    return [
        json.loads(word) if word.startswith('"') else word
        for word in re.findall(r'"(?:[^"\\]|\\.)*"|[^ ]+', line)
    ]


@given(anything)
def test_json_is_one_line_of_printable_ascii_and_reads_back(exchange: Exchange) -> None:
    line = render_json(exchange)
    assert re.fullmatch("[ -~]+", line)
    record = json.loads(line)
    for field in FIELDS:
        assert record.get(field) == getattr(exchange, field)
    assert record["phases"].keys() == exchange.phases.keys()


@given(anything)
def test_line_is_printable_ascii_and_keeps_its_columns(exchange: Exchange) -> None:
    line = render_line(exchange)
    assert re.fullmatch("[ -~]+", line)
    words = columns(line)
    assert len(words) == 24
    assert words[19] == f"{exchange.scheme}://{exchange.host}{exchange.path}"
    if exchange.user_agent is not None:
        assert words[23] == exchange.user_agent


@given(text)
def test_no_text_is_mistaken_for_nothing(user_agent: str) -> None:
    assert render_line(changed(TICKET, user_agent=user_agent)).split(" ", 23)[23] != "-"


def test_each_field_is_documented_and_nothing_else_is() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", DOCUMENTATION.read_text(), re.MULTILINE))
    assert documented == {"time", "phases", *FIELDS, *Phase}
    for_the_journal = {"origin", "keys", "facts"}
    fields = set(Exchange.__struct_fields__)
    assert fields == {"started", "phases", *FIELDS, *for_the_journal}


def test_the_rules_choose_file_and_format(tmp_path: Path) -> None:
    assert open_access_log(policy.AccessLog(path=None), lambda count: None) is None

    path = tmp_path / "access.log"
    log = open_access_log(policy.AccessLog(str(path), "line"), lambda count: None)
    assert log is not None
    log.write(TICKET)
    log.close()
    assert path.read_text() == render_line(TICKET) + "\n"
