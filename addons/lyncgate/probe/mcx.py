"""MCX, the mobility service of Lync 2010. Its wire form is our guess (`lync.mcx`), so a session is made only
when asked for; that the service is there shows without one."""

from __future__ import annotations

import uuid

from lyncgate.lync import mcx
from lyncgate.lync.mcx import WireForm
from lyncgate.lync.stages import Stage
from lyncgate.probe import judge
from lyncgate.probe.answer import Answer
from lyncgate.probe.check import Verdict
from lyncgate.probe.kit import Home, Kit
from lyncgate.probe.plan import AGENT

DEVICE = "Android"  # whose sessions live shortest


async def use_mcx(kit: Kit, home: Home) -> None:
    """A session, made and terminated."""
    form, url = kit.plan.mcx, home.document.href("External/Mcx")
    if form is None:
        return
    if url is None:
        said = "the user document has no link External/Mcx"
        kit.record.check(Stage.REGISTER, "MCX", Verdict.SKIPPED, said)
        return
    if judge.unusable(url) or not url.startswith("https://"):
        return  # said of the document's URLs
    answer = await _post(kit, home, url, form, mcx.InitiateSession(DEVICE, str(uuid.uuid4()), AGENT))
    session, said = _session(answer, form)
    if session is None:
        kit.say(Stage.REGISTER, "MCX InitiateSession", Verdict.FAIL, said, answer)
        return
    kit.say(Stage.REGISTER, "MCX InitiateSession", Verdict.OK, said, answer)
    gone = await _post(kit, home, url, form, mcx.TerminateSession(session))
    verdict = Verdict.OK if gone.status == 200 else Verdict.WARN
    kit.say(Stage.REGISTER, "MCX TerminateSession", verdict, gone.said, gone)


async def _post(kit: Kit, home: Home, url: str, form: WireForm, request: mcx.Request) -> Answer:
    headers = [
        ("Content-Type", mcx.CONTENT_TYPE),
        ("SOAPAction", form.action(request)),
        *home.ticket.headers,
    ]
    return await kit.web.ask(url + form.command_suffix, "POST", headers, mcx.encode(request, form))


def _session(answer: Answer, form: WireForm) -> tuple[str | None, str]:
    """The session, and what is to be said."""
    try:
        told = mcx.decode_answer(answer.body, form)
    except mcx.McxError as error:
        return None, f"{answer.said}: {error}"
    if isinstance(told, mcx.SessionInitiated) and answer.status == 200:
        return told.session, f"a session; mobility policy {told.policy_name} ({told.policy_scope})"
    if isinstance(told, mcx.Fault):
        return None, f"{answer.status}, {told.code}: {told.text}"
    return None, f"{answer.said}, and no session"
