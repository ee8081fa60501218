"""Five hundred phones are signed in at once, their polls held, and the lab stays small."""

import asyncio
from pathlib import Path

import pytest

from lyncgate.lab import authority
from lyncgate.lab.phones.android2010 import Android2010
from lyncgate.lab.phones.crowd import Crowd
from lyncgate.lab.phones.lync2013 import Lync2013
from lyncgate.lab.phones.target import target, users
from support.processes import lab_process

PHONES = 500
GIB = 1024**3
EVERYBODY = users("user[01-50]@contoso.example")


@pytest.mark.timeout(300)
def test_five_hundred_phones_at_once(tmp_path: Path) -> None:
    """Half of them hold UCWA's polls, half of them MCX's."""
    with lab_process(tmp_path) as lab:
        where = target([str(lab.directory)], None, None)
        tls = authority.client_context(lab.directory)

        def phone(number: int) -> Android2010 | Lync2013:
            user = EVERYBODY[number % len(EVERYBODY)]
            device = (Android2010, Lync2013)[number // len(EVERYBODY) % 2]
            return device(user, f"P4ss-{user.partition('@')[0]}", names=where.names(), tls=tls)

        crowd = Crowd(phone, count=PHONES, rate=50.0, hold=3600.0)

        async def until_all_are_there() -> int:
            """The lab's memory then, in bytes."""
            running = asyncio.create_task(crowd.run())
            while not running.done() and crowd.polls + crowd.summary.failed < PHONES:
                await asyncio.wait({running}, timeout=0.1)
                crowd.observe()
            memory = lab.processes["lab"].rss
            crowd.stop()
            await running
            return memory

        memory = asyncio.run(until_all_are_there())
        rate = crowd.summary.document()["sign_ins_per_second"]
        print(f"{PHONES} phones, {crowd.summary.most_polls} polls: {rate} sign-ins/s, lab {memory >> 20} MiB")
        assert crowd.summary.worst() == []
        assert (crowd.summary.ok, crowd.summary.most_polls) == (PHONES, PHONES)
        assert memory < GIB
