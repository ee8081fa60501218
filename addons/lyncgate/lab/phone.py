"""The phone that demo and tests use: a Lync 2013 mobile client that signs in and says how it went.

    report = await sign_in("alice@contoso.example", "P4ss-alice", names=…, tls=…)
    report.ok, report.steps

What it does is in `lab.phones`, where the other devices are too.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from lyncgate.lab.phones.line import Names
from lyncgate.lab.phones.lync2013 import Lync2013
from lyncgate.lab.report import SignInReport, Step

Phone = Lync2013


async def sign_in(
    user: str,
    password: str,
    *,
    names: Names,
    tls: ssl.SSLContext,
    poll_timeout: int = 180,
    on_step: Callable[[Step], None] | None = None,
) -> SignInReport:
    """Sign `user` (a SIP address) in once; `on_step` hears of each step as it ends."""
    phone = Phone(user, password, names=names, tls=tls, poll_timeout=poll_timeout, on_step=on_step)
    return await phone.sign_in()
