"""What of an edge's traffic goes into the journal."""

from __future__ import annotations

import pytest

from lyncgate.engine.journaling import concerns_sign_ins
from lyncgate.signin.events import DnsQuery
from lyncgate.signin.exchange import Outcome
from lyncgate.signin.keys import Keys
from observe.samples import TICKET
from support.changed import changed

PAGE = changed(TICKET, path="/meet/alice", stage=None, status=200, outcome=Outcome.OK, keys=Keys())


@pytest.mark.parametrize(
    "event",
    [
        TICKET,
        changed(PAGE, keys=Keys(application="0" * 16)),
        changed(PAGE, status=502),
        changed(PAGE, status=None, outcome=Outcome.CLIENT_GONE),
        DnsQuery(id="0" * 16, started=0.0, name="lyncdiscover.contoso.example", kind="A", rcode="NXDOMAIN"),
    ],
)
def test_what_may_tell_of_a_sign_in_is_kept(event: object) -> None:
    assert concerns_sign_ins(event)  # type: ignore[arg-type]  # a list of several kinds


def test_other_traffic_that_went_well_is_not() -> None:
    assert not concerns_sign_ins(PAGE)
