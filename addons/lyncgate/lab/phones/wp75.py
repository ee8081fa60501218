"""Lync Mobile 2010 on Windows Phone 7.5: MCX, a client certificate, and push (protocol reference §4, §7).

In the foreground it polls like any other. In the background nothing of it runs: it is woken by a push, and
asks what has happened with one poll. Its line to the push service never crosses the reverse proxy.
"""

from __future__ import annotations

import asyncio

from lyncgate.lab.inside.push import PushChannel
from lyncgate.lab.phones.certificate import get_certificate
from lyncgate.lab.phones.mcx import McxDevice
from lyncgate.lync import mcx
from lyncgate.lync.stages import Stage


class Wp75(McxDevice):
    """MCX, certificate, push; without a push service it polls. `awake`: seconds for which it is left to run
    after a push (our guess); `asleep`: it waits for one at this moment."""

    name = "wp75"
    agent = "lyncgate-phone/1 (MCX WindowsPhone)"
    kind = "WindowsPhone"
    awake = 15.0
    asleep = False

    _channel: PushChannel | None = None

    async def before_session(self, service: str) -> None:
        """The client certificate."""
        await get_certificate(self.line, self.desk, self.user, service)

    async def subscribe(self) -> None:
        """Open the line to the push service, and tell the mobility service how to reach it."""
        if self.push is None:
            return
        async with self.record.step(Stage.NOTIFICATIONS, f"open push channel at {self.push[0]}") as step:
            self._channel = await PushChannel.open(self.push)
            step.detail = "token issued"
        request = mcx.SubscribePush(self._session, "MPNS", self._channel.token)
        async with self.ask(Stage.NOTIFICATIONS, request, mcx.PushSubscribed) as (step, answer):
            step.detail = f"push subscribed, by {answer.proxy}"

    async def stay_on(self) -> None:
        """Sleep until a push comes, and look what it is about."""
        if self._channel is None:
            return await super().stay_on()
        while True:
            with self.waiting():
                async with self.record.step(Stage.NOTIFICATIONS, "push", None, poll=True) as step:
                    told = await self._sleep(self._channel)
                    step.detail = " ".join(str(value) for value in told.values())
            try:
                async with asyncio.timeout(self.awake):
                    await self._poll()
            except TimeoutError:
                await self.line.close(lane="poll")  # the poll before has told it already

    async def _sleep(self, channel: PushChannel) -> dict[str, object]:
        self.asleep = True
        try:
            return await channel.next()
        finally:
            self.asleep = False

    async def close(self) -> None:
        """Close all connections, that to the push service too."""
        if self._channel:
            await self._channel.close()
        await super().close()
