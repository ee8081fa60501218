"""What an administrator sets for the web services of a pool (Set-CsWebServiceConfiguration and its kin), as
far as the lab plays it. Can be changed while the lab runs."""

from __future__ import annotations

import dataclasses

PASSWORD = "password"  # noqa: S105 (the name of a grant)
WINDOWS = "urn:microsoft.rtc:windows"
ANONYMOUS = "urn:microsoft.rtc:anonmeeting"
PASSIVE = "urn:microsoft.rtc:passive"


@dataclasses.dataclass(slots=True)
class WebSettings:
    """`grants`: what oauthtoken gives tokens for, in the order in which challenges list it. `origins`: the
    CrossDomainAuthorizationList, from where pages of other sites may call."""

    grants: tuple[str, ...] = (WINDOWS, ANONYMOUS, PASSWORD)
    origins: frozenset[str] = frozenset({"https://portal.contoso.example"})
