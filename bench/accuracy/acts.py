"""What somebody does who meets a fault: mostly, a phone signs in. Nothing here knows which fault there is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import urllib.parse
import warnings
from collections.abc import Awaitable, Callable

from vantage import POLL, Site

from lyncgate.client.http import FAILURES, HttpConnection
from lyncgate.lab.phones.device import Device
from lyncgate.lab.phones.line import Line
from lyncgate.lab.report import Recorder, SignInFailedError, SignInReport
from lyncgate.lync.autodiscover import XML
from lyncgate.lync.stages import Stage

PATIENCE = 60.0  # seconds for all of it
AGENT = "web application/1"
type Act = Callable[[Site, str, str], Awaitable[None]]  # site, device, user


async def sign_in(site: Site, device: str, user: str) -> None:
    """A phone arrives and leaves."""
    await _patiently(site.phone(device, user).sign_in())


def logged_on_as(**options: str) -> Act:
    """A phone that gives another account or password."""

    async def act(site: Site, device: str, user: str) -> None:
        await _patiently(site.phone(device, user, **options).sign_in())

    return act


async def stay(site: Site, device: str, user: str) -> None:
    """A phone arrives and waits for news, twice, whatever becomes of the first time."""
    async with _arrived(site.phone(device, user)) as phone:
        for _ in range(2):
            await phone.stay(10.0)


async def background(site: Site, device: str, user: str) -> None:
    """A phone that sleeps, and is to be told by a push; somebody on its buddy list comes online meanwhile."""
    async with _arrived(site.phone(device, user, push=site.estate.push.device_address)) as phone:
        staying = asyncio.create_task(phone.stay(4.0))
        await _patiently(site.phone("lync2013", "bob@contoso.example").sign_in())
        await staying


async def in_a_crowd(site: Site, device: str, user: str) -> None:
    """Others hold polls, as many as find room, while a phone signs in."""
    async with contextlib.AsyncExitStack() as crowd:
        for number in range(31, 39):
            other = site.phone("lync2013", f"user{number}@contoso.example")
            if (await _patiently(other.arrive())) and other.report.ok:
                crowd.push_async_callback(other.close)
                staying = asyncio.create_task(other.stay(PATIENCE))
                crowd.callback(staying.cancel)
                await _until(lambda phone=other: phone.polling)
        await sign_in(site, device, user)


async def sip(site: Site, _device: str, user: str) -> None:
    """A desktop client that asks for the root, gets nowhere by what it says, and tries sip.<domain>."""
    domain = user.partition("@")[2]
    line = Line(site.resolver(), site.tls, Recorder(SignInReport(user), None), "desktop/1")
    with contextlib.suppress(SignInFailedError):
        host = f"lyncdiscover.{domain}"
        await line.look_up(host, Stage.DNS_DISCOVER)
        async with line.ask(Stage.DISCOVER, "GET", f"https://{host}/?sipuri={user}", [("Accept", XML)]):
            pass
    await line.close()
    name = f"sip.{domain}"
    resolver = site.resolver()
    await resolver.look_up(name)
    where = resolver.resolve(name, 443)
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection(*where, ssl=_anybody(), server_hostname=name)
        writer.write(f"REGISTER sip:{domain} SIP/2.0\r\nFrom: <sip:{user}>\r\nCall-ID: 1\r\n\r\n".encode())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                await reader.read()
        writer.close()


async def old_phone(site: Site, _device: str, user: str) -> None:
    """A client that knows TLS 1.0 and nothing newer asks for the root document."""
    host = f"lyncdiscover.{user.partition('@')[2]}"
    tls = _anybody()
    tls.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1
    resolver = site.resolver()
    await resolver.look_up(host)
    with contextlib.suppress(OSError, *FAILURES):
        connection = await HttpConnection.open_at(resolver.resolve(host, 443), host, tls)
        await connection.request("GET", f"/?sipuri={user}", [("Accept", XML)])
        await connection.close()


BY_PHONE: tuple[Act, ...] = (sign_in, stay, background, in_a_crowd)  # what one of our phones does


def application(grant: str, *, origin: str | None = None) -> Act:
    """A web application with OAuth: root, user resource, token by `grant`, what the token opens."""

    async def act(site: Site, _device: str, user: str) -> None:
        record = Recorder(SignInReport(user), None)
        line = Line(site.resolver(), site.tls, record, AGENT)
        try:
            await _application(line, user, grant, [("Origin", origin)] if origin else [])
        except SignInFailedError:
            pass
        finally:
            await line.close()

    return act


async def _application(line: Line, user: str, grant: str, origin: list[tuple[str, str]]) -> None:
    accept = [("Accept", "application/json"), *origin]
    root = f"https://lyncdiscover.{user.partition('@')[2]}/?sipuri={user}"
    await line.look_up(root.split("/")[2], Stage.DNS_DISCOVER)
    async with line.ask(Stage.DISCOVER, "GET", root, accept) as (_, reply):
        url = json.loads(reply.body)["_links"]["user"]["href"]
    async with line.ask(Stage.LOCATE, "GET", url, accept, expect=None) as (_, reply):
        pass
    base = "/".join(url.split("/")[:3])
    form = {"grant_type": grant, "username": user, "password": f"P4ss-{user.partition('@')[0]}"}
    kind = [("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8"), *origin]
    token = f"{base}/WebTicket/oauthtoken"
    body = urllib.parse.urlencode(form).encode()
    async with line.ask(Stage.TICKET, "POST", token, kind, body, expect=None) as (_, reply):
        told = json.loads(reply.body)
    if where := told.get("ms_rtc_passiveauthuri"):
        async with line.ask(Stage.TICKET, "GET", where, origin, expect=None):
            return
    if not isinstance(told.get("access_token"), str):
        return
    bearer = [("Authorization", f"Bearer {told['access_token']}"), *accept]
    async with line.ask(Stage.REGISTER, "GET", f"{base}/ucwa/oauth/v1/applications", bearer, expect=None):
        pass


@contextlib.asynccontextmanager
async def _arrived(phone: Device):  # type: ignore[no-untyped-def]
    await _patiently(phone.arrive())
    try:
        yield phone
    finally:
        await phone.close()


async def _patiently(doing: Awaitable[object]) -> bool:
    """Done in time."""
    try:
        async with asyncio.timeout(PATIENCE):
            await doing
    except TimeoutError:
        return False
    return True


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(POLL):
        while not condition():  # noqa: ASYNC110 (phones tell nobody)
            await asyncio.sleep(0.02)


def _anybody() -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    return tls
