"""Loading rules.yaml: text → checked, compiled Policy, or everything that is wrong with it.

    loaded = load(text, filename="rules.yaml", read=read_file, now=time.time(), anchors=bundle)
    if loaded.policy is None:
        print(*loaded.problems, sep="\\n")

Pure: `read` is the shell's, and so is the time. Whatever the text is, the outcome is a `Loaded`.
"""

from __future__ import annotations

import dataclasses
import os.path
from collections.abc import Callable

from lyncgate.policy import checks, journalchecks, lyncbreakers, routetests, timeoutchecks, tlsfiles
from lyncgate.policy.compile import compile_rules
from lyncgate.policy.model import Rules, TestFile
from lyncgate.policy.policy import Policy
from lyncgate.policy.problem import Problem, Report
from lyncgate.policy.shape import Shaped, shaped
from lyncgate.policy.tlsfiles import Files, Read

# Each check with the sections it looks at: it runs when those are sound.
CHECKS: tuple[tuple[Callable[[Rules, Report], None], str], ...] = (
    (checks.check_listeners, "listeners"),
    (checks.check_binds, "listeners admin"),
    (checks.check_pools, "pools"),
    (checks.check_pool_names, "pools publications lync"),
    (checks.check_publication_names, "publications"),
    (checks.check_reach, "publications"),
    (checks.check_bridging, "publications pools lync"),
    (checks.check_web_services, "publications lync"),
    (checks.check_users, "lync"),
    (checks.check_limits, "limits"),
    (timeoutchecks.check_general, "timeouts"),
    (timeoutchecks.check_listeners, "listeners"),
    (timeoutchecks.check_publications, "publications"),
    (timeoutchecks.check_pools, "pools"),
    (journalchecks.check_journal, "journal access_log"),
    (lyncbreakers.check_bridges, "pools publications"),
    (lyncbreakers.check_publications, "publications"),
    (lyncbreakers.check_affinity, "pools"),
    (lyncbreakers.check_listeners, "listeners"),
    (lyncbreakers.check_upstream_tls, "pools"),
    (lyncbreakers.check_lyncdiscover, "lync"),
    (routetests.check_expectations, "tests"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Loaded:
    """`policy`: None if any problem is an error. `problems`: in the order of the text. `files`: all that
    the outcome depends on beside the text itself; a tests file that may yet appear is among them. `tests`:
    number of route tests. `rules`: what was written, with every default; None if its shape is wrong."""

    policy: Policy | None
    problems: tuple[Problem, ...]
    files: tuple[str, ...] = ()
    tests: int = 0
    rules: Rules | None = None


def load(
    text: str, *, filename: str, read: Read, now: float, anchors: bytes | None, directory: str | None = None
) -> Loaded:
    """`filename`: as problems show it. `directory`: where relative file names begin, by default the
    directory of `filename`. `read`: content of a file, or OSError. `now`: Unix time. `anchors`: PEM bundle
    of the authorities that clients trust; None: none but those that the rules name."""
    files = Files(read, os.path.dirname(filename) if directory is None else directory)  # noqa: PTH120 (no I/O)
    files.digest.update(text.encode("utf-8", "surrogatepass"))
    written = shaped(text, filename, Rules)
    beside = _tests_beside(filename, files)
    rules, broken, report = written.model, written.broken, written.report
    if rules is None:
        return _loaded(None, written, beside, files)
    for check, sections in CHECKS:
        if broken.isdisjoint(sections.split()):
            check(rules, report)
    shown: tlsfiles.Shown = {}
    if "listeners" not in broken:
        shown = tlsfiles.read_certificates(rules, report, files, anchors=anchors or b"", now=now)
    if "pools" not in broken:
        tlsfiles.check_authorities(rules, report, files)
    if broken.isdisjoint(("listeners", "lync", "pools", "publications")):
        tlsfiles.check_names(rules, shown, report)
    if broken or report.failed or beside.report.failed:
        return _loaded(None, written, beside, files)
    version = files.digest.hexdigest()[:12]
    policy = compile_rules(rules, version=version, directory=files.directory, certificates=shown)
    routetests.run(policy, rules.tests, report)
    routetests.run(policy, beside.model.tests if beside.model else [], beside.report)
    return _loaded(policy, written, beside, files)


def _loaded(policy: Policy | None, written: Shaped[Rules], beside: Shaped[TestFile], files: Files) -> Loaded:
    """The outcome: no policy if there was any error."""
    failed = written.report.failed or beside.report.failed
    tests = sum(len(file.model.tests) for file in (written, beside) if file.model)
    return Loaded(
        policy=None if failed else policy,
        problems=(*sorted(written.report.problems), *sorted(beside.report.problems)),
        files=tuple(dict.fromkeys(files.paths)),
        tests=tests,
        rules=None if written.broken else written.model,
    )


def _tests_beside(filename: str, files: Files) -> Shaped[TestFile]:
    """rules.tests.yaml, if there is one."""
    name = f"{os.path.splitext(filename)[0]}.tests.yaml"  # noqa: PTH122 (no I/O)
    nothing = Shaped[TestFile](None, frozenset(), Report(name, {}, {}))
    try:
        content = files.get(os.path.basename(name))  # noqa: PTH119 (no I/O)
    except FileNotFoundError:
        return nothing
    except OSError as error:
        nothing.report.error((), f"{error.strerror or error}; allowed: a readable file, or none")
        return nothing
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        nothing.report.error((), f"found the byte {content[error.start]:#04x}; allowed: UTF-8 text")
        return nothing
    tests = shaped(text, name, TestFile)
    if tests.model and not tests.broken:
        routetests.check_expectations(tests.model, tests.report)
    return tests
