"""The bearer token of a server. It comes from a file or the environment: neither shows in a list of processes."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "DICOMWEB_TOKEN"
"""Environment variable with the token, where no file is named."""


class Token:
    """What is sent as `Authorization`. A file is read again when it has changed: tokens that live an hour are renewed in place.

    :param file: holds the token and maybe white space around it; an empty name is no file.
    :param fallback: the token where there is no file; empty for none.
    """

    def __init__(self, file: str = "", fallback: str = "") -> None:
        self._file = Path(file) if file else None
        self._read_at = -1
        self._token = "" if file else fallback

    @classmethod
    def of_host(cls, file: str) -> Token:
        """That of the server under load: of the file, or else of the environment."""
        return cls(file, os.environ.get(VARIABLE, ""))

    def headers(self) -> dict[str, str]:
        """Authorization, or nothing. While a file is being replaced, and is empty or away, the token that it held goes on.

        :raises OSError: when the file cannot be read at all.
        :raises ValueError: when it holds none, or more than one word; what it holds is not shown.
        """
        if self._file is not None:
            try:
                self._renew(self._file)
            except (OSError, ValueError):
                if not self._token:
                    raise
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _renew(self, file: Path) -> None:
        if (changed := file.stat().st_mtime_ns) != self._read_at:
            self._token, self._read_at = _token(file), changed


def _token(file: Path) -> str:
    words = file.read_text().split()
    if len(words) != 1:
        raise ValueError(f"{file} has to hold one token, and holds {len(words)}")
    return words[0]
