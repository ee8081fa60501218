"""The key of the journal's hashes: `<journal>.key`, made at first start, for us alone.

Who shares a journal shares its key, so that the hash of a ticket is the same at every worker and after a
restart. Without a file the key lives as long as the process.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
from pathlib import Path

from lyncgate.observe.journal.schema import JournalError
from lyncgate.signin.keys import Hasher

KEY_BYTES = 32

log = logging.getLogger(__name__)


def key_file(path: str | Path) -> Path:
    path = Path(path)
    return path.with_name(f"{path.name}.key")


def hasher_of(path: str | Path | None) -> Hasher:
    """`path`: the journal's; None: one in memory. Raises OSError if there is no key and none can be made."""
    if path is None:
        return Hasher(secrets.token_bytes(KEY_BYTES))
    try:
        return Hasher(_read(key_file(path)) or _make(key_file(path)))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
    log.warning(
        "%s: the disk is full; until a restart hashes are made with a key of their own", key_file(path)
    )
    return Hasher(secrets.token_bytes(KEY_BYTES))


def existing_hasher(path: Path) -> Hasher | None:
    """For readers: None if there is no key, or it is not for us to read."""
    try:
        key = _read(key_file(path))
    except OSError:
        return None
    return Hasher(key) if key else None


def _read(file: Path) -> bytes | None:
    try:
        key = file.read_bytes()
    except FileNotFoundError:
        return None
    if len(key) != KEY_BYTES:
        raise JournalError(f"{file}: found {len(key)} bytes; allowed: {KEY_BYTES}. Remove it for a new one")
    return key


def _make(file: Path) -> bytes:
    """Whole or not at all: two workers may start at once, and the first one's key is everybody's."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    key = secrets.token_bytes(KEY_BYTES)
    descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        file.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    made = _read(file)
    if made is None:
        raise JournalError(f"{file}: gone as soon as it was made")
    return made
