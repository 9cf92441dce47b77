"""The bearer tokens that are let in (RFC 6750): a file with one a line, read again whenever it changes, so that they can be rotated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import aiofiles
import aiofiles.os

from gateway import logs
from gateway.errors import StoreUnavailable

_BOM = b"\xef\xbb\xbf"

_log = logs.get_logger()


class TokenFile:
    """:param path: of the file. Empty lines, and lines that begin with ``#``, are no tokens."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._modified = -1
        self._known: tuple[bytes, ...] = ()
        self._failed = False

    async def __call__(self) -> Sequence[bytes]:
        """The tokens by now.

        :raises StoreUnavailable: when the file cannot be read. Nobody is let in by what it said before: it may be gone for a reason.
        """
        try:
            modified = (await aiofiles.os.stat(self._path)).st_mtime_ns
            if modified != self._modified or self._failed:
                async with aiofiles.open(self._path, "rb") as file:
                    self._known = tokens_of(await file.read())
                self._modified = modified
        except OSError as error:
            if not self._failed:  # once, and not for each request
                _log.error("the token file cannot be read", error=error.strerror)
            self._failed = True
            raise StoreUnavailable("the gateway cannot read who may come in (server.token_file)") from None
        self._failed = False
        return self._known


def tokens_of(text: bytes) -> tuple[bytes, ...]:
    """The tokens in a file, whatever editor wrote it."""
    lines = [line.strip() for line in text.removeprefix(_BOM).splitlines()]
    return tuple(line for line in lines if line and not line.startswith(b"#"))
