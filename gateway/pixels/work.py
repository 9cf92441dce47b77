"""What is handed to a pixel process, and what comes back.

A piece of `Work` is a frozen value that travels by pickle from the gateway to the process, and only in this direction: a process
that damaged data took over must not be able to make the gateway run anything. Bytes travel as places: of a file that is
open anyway, or of one in memory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from weakref import finalize

from gateway.errors import NotAcceptable

Fact = str | int | float | bool | None | list[int] | list[str]
"""What a process may tell beside bytes; it comes as JSON, and whoever reads it checks it."""


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes of an open file. Whoever makes it keeps the descriptor open until the work is done.

    :param descriptor: as the side knows it that holds the value.
    """

    descriptor: int
    offset: int
    length: int


Input = Sequence[bytes | Region]
"""Bytes that belong together, in order."""


class Given(Protocol):
    """An input as the process sees it."""

    def __len__(self) -> int: ...

    def read(self) -> bytes:
        """All of it."""
        ...

    def at(self, offset: int, length: int) -> bytes:
        """Some of it; fewer bytes where it ends."""
        ...


@dataclass(frozen=True, slots=True)
class Made:
    """What a process made.

    :param content: its bytes, in order.
    :param facts: what else there is to say.
    """

    content: Sequence[bytes | memoryview] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)


class Work(Protocol):
    """Something to be done; a frozen dataclass of plain values, importable without numpy. What it needs it imports when called."""

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        """Runs in a pixel process.

        :raises Undoable: when it cannot be done, with the reason.
        """
        ...


class Undoable(Exception):
    """Pixels that cannot be had as asked: a codec that is not there, data that is damaged, more of it than is allowed.

    :param message: one sentence for people, without values of a patient.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Misasked(Undoable):
    """What was asked for does not go with these pixels: a part that they do not have, a size beyond all limits. The caller is to ask for
    something else (PS3.18 8.3.5.1.3)."""


class NotDrawable(NotAcceptable):
    """The pixels exist, and nothing can be made of them: `Undoable`, seen from outside. So is a process that crashed or ran out of
    time or memory: the next try would end the same way."""


class Result:
    """What came back. The bytes lie in memory; those of a large result in a file there.

    :param facts: see `Made`.
    """

    __slots__ = ("__weakref__", "_data", "_descriptor", "facts", "length")

    def __init__(self, facts: Mapping[str, Fact], data: bytes = b"", *, descriptor: int | None = None, length: int = 0) -> None:
        self.facts = facts
        self.length = len(data) if descriptor is None else length
        self._data = data
        self._descriptor = descriptor
        if descriptor is not None:
            finalize(self, os.close, descriptor)

    def region(self, offset: int = 0, length: int | None = None) -> bytes | Region:
        """Some of the bytes to be sent or worked on. A region's descriptor is a duplicate: who takes it closes it. None at all are never
        a region: as a chunk of HTTP/1.1 that would be the last one."""
        length = self.length - offset if length is None else length
        if self._descriptor is None or not length:
            return self._data[offset : offset + length]
        return Region(os.dup(self._descriptor), offset, length)

    def read(self) -> bytes:
        """All bytes; copies what lies in a file."""
        return self._data if self._descriptor is None else os.pread(self._descriptor, self.length, 0)
