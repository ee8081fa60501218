"""`--mcx`: the names on MCX's wire, for the commands that speak it."""

from __future__ import annotations

import typer

from lyncgate.lync.mcx import WireForm


def read_wire_form(given: str) -> WireForm:
    """What --mcx says: `poll_method=GET InitiateSession=Start`."""
    try:
        return WireForm.from_text(given)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--mcx") from None
