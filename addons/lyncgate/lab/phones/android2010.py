"""Lync Mobile 2010 on Android: MCX, pull, and never push (protocol reference §7)."""

from __future__ import annotations

from lyncgate.lab.phones.mcx import McxDevice


class Android2010(McxDevice):
    """MCX, pull. Its sessions live an hour."""

    name = "android2010"
    agent = "lyncgate-phone/1 (MCX Android)"
    kind = "Android"
