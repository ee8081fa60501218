"""The process that `lyncgate serve` is: it opens the sockets, starts workers and an admin, and sees to them.

It serves nobody and reads no request, so nothing from outside can bring it down. One thread, no event loop of
asyncio's: it forks whenever a worker is to be replaced.
"""

from __future__ import annotations

import gc
import itertools
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

from lyncgate.engine.master import Engine, StartError, require_versions
from lyncgate.engine.supervisor import process
from lyncgate.engine.supervisor.adminprocess import run_admin
from lyncgate.engine.supervisor.asking import Asking
from lyncgate.engine.supervisor.begin import Started, admin_socket, worker_count
from lyncgate.engine.supervisor.channel import Channel
from lyncgate.engine.supervisor.children import Child, Children
from lyncgate.engine.supervisor.control import Control, Reply
from lyncgate.engine.supervisor.crew import FIRST_PAUSE, LONGEST_PAUSE, Crew
from lyncgate.engine.supervisor.inherited import Inherited, inherited
from lyncgate.engine.supervisor.messages import (
    AdoptAll,
    Adopted,
    Answers,
    AskAll,
    Counted,
    Drain,
    Loads,
    Ready,
    Reload,
    Reloaded,
    Reopen,
    Topic,
    WorkerAnswer,
)
from lyncgate.engine.supervisor.notify import Notifier
from lyncgate.engine.supervisor.pidfile import PidFile
from lyncgate.engine.supervisor.reactor import Reactor
from lyncgate.engine.supervisor.scratch import Scratch
from lyncgate.engine.supervisor.upgrade import Upgrade, say_ready
from lyncgate.engine.tls.ticketkeys import KEY_BYTES
from lyncgate.observe.admin import Readiness
from lyncgate.observe.metrics import Metrics, WorkerState
from lyncgate.policy.load import Loaded

ANSWERS_WITHIN = 1.0  # seconds: a worker that hangs must not keep a scrape waiting
ADMIN_ENDS_WITHIN = 16.0  # seconds: more than it takes for its last answers and a journal that is locked
TICKETS_LAST = 12 * 3600.0  # seconds until session ticket keys are renewed

log = logging.getLogger(__name__)


class Supervisor:
    """`started` is called once all serve. `pid_file`: written then, removed at the end. `scripts`: of
    the operator's, in the order they are to hear."""

    def __init__(
        self,
        path: Path,
        loaded: Loaded,
        *,
        started: Callable[[Started], None],
        pid_file: Path | None = None,
        engine: Engine = Engine.LANE,
        scripts: tuple[Path, ...] = (),
    ) -> None:
        if loaded.policy is None:
            raise StartError("the rules have errors")
        require_versions()
        self._path = path
        self._loaded = loaded
        self._started = started
        self._engine = engine
        self._scripts = scripts
        self._pid_file = PidFile(pid_file)
        self._notifier = Notifier(os.environ.get("NOTIFY_SOCKET"))
        self._policy = loaded.policy
        self._metrics = Metrics()
        self._metrics.configure(self._policy)
        self._metrics.reload(True, time.time(), self._policy.version)
        self._numbers = itertools.count(1)
        self._reloads: dict[int, Reply] = {}
        self._admin: Child | None = None
        self._admin_pause = FIRST_PAUSE
        self._upgrade: Upgrade | None = None
        self._stopping = False
        self._failed: str | None = None
        self._serving = False  # all have been ready
        self._ready: int | None = None  # where to tell the edge before us
        self._reactor = Reactor()
        self._children = Children(self._reactor)

    def run(self) -> int:
        """Serve until told to stop; the exit status. Raises StartError."""
        given = inherited(self._policy, os.environ)
        self._scratch = Scratch(given.journal)
        try:
            self._begin(given)
            self._reactor.run()
        except OSError as error:
            raise StartError(str(error)) from error
        finally:
            self._children.kill_all()
            self._reactor.close()
            self._scratch.remove()
            self._pid_file.remove()
        if self._failed is not None:
            raise StartError(self._failed)
        return 0

    def _begin(self, given: Inherited) -> None:
        self._reactor.on_signal(signal.SIGCHLD, self._child_ended)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._reactor.on_signal(number, self._stop)
        self._reactor.on_signal(signal.SIGHUP, lambda: self._hang_up(_unheard))
        self._reactor.on_signal(signal.SIGUSR2, lambda: self._begin_upgrade(_unheard))
        self._ready = given.ready
        policy = self._scratch.policy(self._policy)
        size = worker_count(policy)
        bank = given.bank.prepared(policy, size)
        self._admin_socket = given.admin or admin_socket(policy)
        self._control = Control(self._reactor, {"reload": self._hang_up, "upgrade": self._begin_upgrade})
        tickets = given.tickets or secrets.token_bytes(KEY_BYTES)
        self._crew = Crew(
            self,
            self._reactor,
            self._children,
            self._metrics,
            policy=policy,
            bank=bank,
            size=size,
            tickets=tickets,
            engine=self._engine,
            scripts=self._scripts,
        )
        self._reactor.later(TICKETS_LAST, self._renew_tickets)
        gc.collect()
        gc.freeze()  # what is there now is shared by all processes, for as long as nobody touches it
        self._crew.start()

    # -- the crew's owner ------------------------------------------------------------------------

    def crew_is_ready(self) -> None:
        self._start_admin()

    def crew_failed(self, why: str) -> None:
        self._failed = self._failed or why
        self._reactor.stop()

    def crew_is_gone(self) -> None:
        if self._admin is None:
            self._reactor.stop()
        else:
            self._end_admin(self._admin)

    def close_in_worker(self) -> None:
        """What only the supervisor and its admin have."""
        self._control.close()
        if self._admin_socket is not None:
            self._admin_socket.close()
        if self._ready is not None:
            os.close(self._ready)

    # -- the admin -------------------------------------------------------------------------------

    def _start_admin(self) -> None:
        journal = self._crew.policy.journal

        def close() -> None:
            self._crew.bank.close()
            self._control.close()
            if self._ready is not None:
                os.close(self._ready)

        def run(channel: Channel) -> int:
            return run_admin(channel, self._path, self._loaded, self._admin_socket, journal)

        self._admin = self._children.spawn(
            "admin", run, close=close, heard=self._heard, ended=self._admin_ended
        )

    def _end_admin(self, child: Child) -> None:
        """It is killed if it takes longer than it may."""
        self._children.send(child, Drain())

        def late() -> None:
            if self._admin is child:
                log.error("admin has not ended and is killed")
                self._children.kill(child)

        self._reactor.later(ADMIN_ENDS_WITHIN, late)

    def _admin_ended(self, child: Child, status: int) -> None:
        self._admin = None
        self._metrics.absorb(child.counted)
        for reply in self._reloads.values():
            reply({"ok": False, "problems": ["the admin process ended while it read the rules"]})
        if self._reloads:
            self._reloads.clear()
            self._say_ready()
        if self._stopping:
            if not list(self._crew.children()):
                self._reactor.stop()
            return
        _, words = process.how(status)
        if not self._serving:
            self.crew_failed(f"admin {words}")
            return
        if child.lived > 2 * LONGEST_PAUSE:
            self._admin_pause = FIRST_PAUSE
        log.error("admin %s; started again in %g s", words, self._admin_pause)
        self._reactor.later(self._admin_pause, lambda: None if self._stopping else self._start_admin())
        self._admin_pause = min(LONGEST_PAUSE, 2 * self._admin_pause)

    def _heard(self, child: Child, message: object) -> None:
        match message:
            case Ready():
                child.state = WorkerState.READY
                if not self._serving and not self._stopping:
                    self._serving = True
                    self._serves()
            case AskAll():
                child.counted = message.mine
                self._crew.ask(
                    message.topic, ANSWERS_WITHIN, lambda asking: self._answer(child, message, asking)
                )
            case Counted(mine):
                child.counted = mine
            case AdoptAll():
                self._adopt_all(child, message)
            case Loads(successful, when, version):
                self._metrics.reload(successful, when, version)
                self._say_ready()
            case Reloaded(number, successful, version, why):
                if reply := self._reloads.pop(number, None):
                    reply({"ok": successful, "version": version, "problems": list(why)})

    def _answer(self, child: Child, question: AskAll, asking: Asking) -> None:
        if child is not self._admin:
            return
        workers = []
        for slot, worker in self._crew.places():
            content = asking.answers.get(worker) if worker else None
            workers.append(
                WorkerAnswer(
                    slot,
                    worker.pid if worker else 0,
                    worker.state if worker else WorkerState.WAITING,
                    content if isinstance(content, Readiness) else None,
                )
            )
        counted = []
        if question.topic is Topic.METRICS:
            self._metrics.workers(self._crew.states())
            counted = [self._metrics.snapshots(), child.counted]
            counted += [worker.counted for worker in self._crew.children()]
        self._children.send(
            child,
            Answers(
                question.number,
                self._stopping,
                self._policy.version,
                self._crew.bank.addresses(),
                tuple(workers),
                counted,
            ),
        )

    def _adopt_all(self, child: Child, message: AdoptAll) -> None:
        def done(error: str | None) -> None:
            if error is None:
                self._policy = message.policy
                self._loaded = Loaded(message.policy, (), message.files)
                self._metrics.configure(message.policy)
            if child is self._admin:
                self._children.send(child, Adopted(message.number, error))

        try:
            policy = self._scratch.policy(message.policy)
            self._crew.adopt(policy, worker_count(policy), done)
        except (OSError, StartError) as error:
            done(str(error))

    # -- signals and commands --------------------------------------------------------------------

    def _serves(self) -> None:
        try:
            self._pid_file.write()
        except OSError as error:
            self.crew_failed(f"pid file: {error}")
            return
        say_ready(self._ready)
        self._ready = None
        self._scratch.take()
        self._started(Started(self._crew.bank.addresses(), self._admin_address(), self._policy.version))
        self._say_ready()

    def _say_ready(self) -> None:
        if not self._stopping:
            self._notifier.ready(f"{len(self._crew.places())} workers, rules {self._policy.version}")

    def _admin_address(self) -> tuple[str, int] | None:
        if self._admin_socket is None:
            return None
        host, port, *_ = self._admin_socket.getsockname()
        return host, port

    def _hang_up(self, reply: Reply) -> None:
        self._crew.tell(Reopen())
        if self._stopping or self._admin is None:
            why = "the edge is stopping" if self._stopping else "the admin process is being started again"
            log.error("rules not read: %s", why)
            reply({"ok": False, "problems": [why]})
            return
        self._notifier.reloading()
        number = next(self._numbers)
        self._reloads[number] = reply
        self._children.send(self._admin, Reload(number))

    def _renew_tickets(self) -> None:
        self._crew.renew_tickets(secrets.token_bytes(KEY_BYTES))
        self._reactor.later(TICKETS_LAST, self._renew_tickets)

    def _stop(self) -> None:
        if self._stopping:
            log.warning("told again to stop: at once")
            self._children.kill_all()
            self._reactor.stop()
            return
        log.info("stopping: no new connections, exchanges in flight may end")
        if self._upgrade is not None:
            self._upgrade.cancel()
        self._notifier.stopping()
        self._end()

    def _end(self) -> None:
        self._stopping = True
        self._crew.bank.close()
        self._crew.drain()

    def _child_ended(self) -> None:
        self._children.reap()

    # -- upgrade ---------------------------------------------------------------------------------

    def _begin_upgrade(self, reply: Reply) -> None:
        why = "" if self._serving else "the edge is starting"
        if self._stopping or self._upgrade is not None:
            why = "the edge is stopping" if self._stopping else "an upgrade is under way"
        if why:
            log.error("no upgrade: %s", why)
            reply({"ok": False, "problems": [why]})
            return

        def done(pid: int | None, why: str) -> None:
            self._upgrade = None
            if pid is None:
                log.error("no upgrade: %s; this edge serves on", why)
                reply({"ok": False, "problems": [why]})
                return
            log.info("process %d has taken over; exchanges in flight may end here", pid)
            self._notifier.main_process(pid)
            reply({"ok": True, "pid": pid})
            self._hand_over()

        given = Inherited(
            self._crew.bank, self._admin_socket, journal=self._scratch.folder, tickets=self._crew.tickets
        )
        log.info("upgrading: the new edge is started")
        try:
            self._upgrade = Upgrade(self._reactor, self._crew.bank, given, done)
        except OSError as error:
            done(None, str(error))

    def _hand_over(self) -> None:
        self._scratch.give_away()
        if self._admin_socket is not None:
            self._admin_socket.close()
            self._admin_socket = None
        if self._admin is not None:  # the address is the next edge's
            self._end_admin(self._admin)
        self._end()


def _unheard(said: object) -> None:
    """Who sends a signal hears nothing; the log says it."""
