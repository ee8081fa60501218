"""The driver's command line."""

import argparse
import os
import re
from pathlib import Path
from typing import NoReturn

from .client import Client, SignIn
from .journal import Journal
from .names import Names
from .outcome import Result, RunError

_EPILOGUE = """\
exit status: 0 signed on, or --until was seen; 1 the client gave up; 2 usage; 3 --timeout ran out;
4 libpurple, SIPE or TLS is missing.  The last line of output is RESULT <status> <text>.
"""


def main(arguments: list[str]) -> NoReturn:
    """Run the client once and leave the process with its status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        sign_in = _sign_in(options)
        journal = Journal(quiet=options.quiet, events=options.events, messages=options.messages)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    try:
        result = Client(sign_in, journal).run()
    except RunError as error:
        result = error.result
    _leave(result)


def _leave(result: Result) -> NoReturn:
    print(result, flush=True)
    # Python would take apart callbacks that libpurple's threads and exit handlers may still use.
    os._exit(result.status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sipe",
        description="Sign in once with the real SIPE client, print its log, and say how it went.",
        epilog=_EPILOGUE,
    )
    who = parser.add_argument_group("who signs in")
    who.add_argument("--user", required=True, help="user, or user@domain")
    who.add_argument("--domain", help="SIP domain, where --user has none")
    who.add_argument("--password", default=os.environ.get("SIPE_PASSWORD"), help="or $SIPE_PASSWORD")
    who.add_argument("--login", default="", help=r"a separate login name, such as CONTOSO\alice")
    who.add_argument("--auth", default="ntlm", choices=["automatic", "ntlm", "krb5", "tls-dsk"])
    where = parser.add_argument_group("where")
    where.add_argument(
        "--connect-to",
        action="append",
        default=[],
        metavar="HOST:PORT:ADDRESS:PORT",
        help='where a name is found; HOST is a glob, an empty PORT means any and "the same", '
        'ADDRESS "fail" that it does not exist; the first match counts, names without one do not exist',
    )
    where.add_argument("--srv", action="append", default=[], metavar="NAME=HOST:PORT", help="an SRV record")
    where.add_argument("--server", default="", help="SIP host[:port], instead of auto-discovery")
    where.add_argument("--transport", default="auto", choices=["auto", "tls", "tcp"])
    where.add_argument("--cafile", type=Path, help="PEM file of authorities to trust")
    where.add_argument(
        "--accept-bad-certs", action="store_true", help="accept what libpurple would ask about"
    )
    when = parser.add_argument_group("when it ends")
    when.add_argument(
        "--timeout", type=float, default=30, metavar="S", help="for the whole run (%(default)s)"
    )
    when.add_argument("--until", metavar="REGEX", help="also end well at the first log text that matches")
    when.add_argument("--linger", type=float, default=0, metavar="S", help="go on this long after a good end")
    told = parser.add_argument_group("what is written")
    told.add_argument("--messages", type=Path, metavar="DIR", help="a file for each HTTP and SIP message")
    told.add_argument("--events", type=Path, metavar="FILE", help="what happened, as JSON lines")
    told.add_argument("--quiet", action="store_true", help="no log, only the last line")
    return parser


def _sign_in(options: argparse.Namespace) -> SignIn:
    if not options.password:
        raise ValueError("--password or $SIPE_PASSWORD is needed")
    return SignIn(
        address=_address(options.user, options.domain),
        password=options.password,
        login=options.login,
        authentication=options.auth,
        transport=options.transport,
        server=options.server,
        names=Names.parse(options.connect_to, options.srv),
        authorities=options.cafile.read_text(encoding="utf-8") if options.cafile else "",
        accept_bad_certificates=options.accept_bad_certs,
        until=_pattern(options.until) if options.until else None,
        linger=options.linger,
        timeout=options.timeout,
    )


def _address(user: str, domain: str | None) -> str:
    name, at, own_domain = user.partition("@")
    if not at:
        if not domain:
            raise ValueError("--domain is needed, or --user user@domain")
        return f"{name}@{domain}"
    if domain and domain.lower() != own_domain.lower():
        raise ValueError(f"--user {user} is not of --domain {domain}")
    return user


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"--until {text!r}: {error}") from error
