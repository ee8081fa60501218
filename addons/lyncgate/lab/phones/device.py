"""What every phone is: a user on a device, who arrives, stays, and leaves.

    phone = Wp75("alice@contoso.example", password, names=…, tls=…)
    report = await phone.sign_in()                  # arrive and leave: report.ok, report.steps

    if (await phone.arrive()).ok: await phone.stay(seconds); await phone.leave()

`arrive` ends when the phone is ready, or with the first step that fails and has no way round. A device
of its own is a subclass that says who it is (`name`, `agent`), whether it follows redirects of HTTP, and
what it does with the user document: `register`, `stay_on`, `unregister`.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

from lyncgate.client.http import Reply
from lyncgate.client.names import Address
from lyncgate.lab.phones.discovery import Discovery
from lyncgate.lab.phones.line import Line, Names
from lyncgate.lab.phones.ticket import TicketDesk
from lyncgate.lab.report import Recorder, SignInFailedError, SignInReport, Step
from lyncgate.lync.autodiscover import Located
from lyncgate.lync.stages import Stage

POLL_SLACK = 60.0  # seconds: how much later than its own time-out a poll may be answered


class Device(abc.ABC):
    """One device of one user. `names`: its resolver, `tls`: whom it trusts, `poll_timeout`: seconds that
    it asks the server to hold a poll, `dialled`: a number that its user calls, to see the dial plan work,
    `push`: where the push service of its maker is, None: nowhere; `on_step` hears of each step as it ends.
    `polling`: a poll is up at this moment, or the line to the push service in its stead."""

    name: ClassVar[str]
    agent: ClassVar[str]
    follows: ClassVar[bool] = True  # redirects of HTTP within the SIP domain
    saml: ClassVar[bool] = False  # the form of its tickets

    def __init__(
        self,
        user: str,
        password: str,
        *,
        names: Names,
        tls: ssl.SSLContext,
        poll_timeout: int = 180,
        dialled: str = "5550100",
        push: Address | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        self.report = SignInReport(user)
        self.polling = False
        self.poll_timeout = poll_timeout
        self.dialled = dialled
        self.push = push
        self.record = Recorder(self.report, on_step)
        self.line = Line(names, tls, self.record, self.agent)
        self.desk = TicketDesk(self.line, user, password, saml=self.saml)

    @property
    def user(self) -> str:
        """The SIP address."""
        return self.report.user

    async def sign_in(self) -> SignInReport:
        """Arrive, and leave at once."""
        if (await self.arrive()).ok:
            await self.leave()
        return self.report

    async def arrive(self) -> SignInReport:
        """Everything from discovery on, until the phone is ready."""
        began = time.perf_counter()
        try:
            self.record.saw(Stage.START, f"{self.user} on {self.name}", self.agent)
            document = await Discovery(self.line, self.desk, self.user, follows=self.follows).run()
            await self.register(document)
            self.report.ok = True
        except SignInFailedError:
            pass
        finally:
            self.report.seconds = time.perf_counter() - began
            if not self.report.ok:
                await self.close()
        return self.report

    async def stay(self, seconds: float) -> SignInReport:
        """Stay signed in, as one does in the background. Not at all means no poll either: it would meet the
        end of its session on the way."""
        if not seconds:
            return self.report
        try:
            async with asyncio.timeout(seconds):
                await self.stay_on()
        except TimeoutError:
            pass
        except SignInFailedError:
            self.report.ok = False
        return self.report

    async def leave(self) -> SignInReport:
        """Sign out, unless something failed before, and close all connections."""
        try:
            if self.report.ok:
                await self.unregister()
        except SignInFailedError:
            self.report.ok = False
        finally:
            await self.close()
        return self.report

    async def close(self) -> None:
        """Close all connections."""
        await self.line.close()

    @abc.abstractmethod
    async def register(self, document: Located) -> None:
        """From the user document to ready. Raises SignInFailedError."""

    @abc.abstractmethod
    async def stay_on(self) -> None:
        """Keep the session alive, without an end. Raises SignInFailedError."""

    @abc.abstractmethod
    async def unregister(self) -> None:
        """Sign out. Raises SignInFailedError."""

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """A poll is up meanwhile, or what stands for it."""
        self.polling = True
        try:
            yield
        finally:
            self.polling = False

    async def get_ticket(self, service: str, applies_to: str) -> None:
        """A web ticket, see TicketDesk."""
        await self.desk.get(service, applies_to)

    async def request_token(
        self, location: str, applies_to: str, got: Callable[..., Reply] | None = None
    ) -> str:
        """RST by NTLM on one connection; the compact token, see TicketDesk."""
        return await self.desk.request_token(location, applies_to, got)
