"""Bytes that are held to be sent again and again.

Those of a large body lie where there is a descriptor for them, in memory or in a file, so that the kernel sends them without
copying them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from weakref import finalize

from gateway.backends.base import FileSlice, Piece

LARGE = 1 << 20
"""Bytes from which a body is sent by sendfile, which hands on 64 KiB at a time and wakes the reader for each: copied in one go, half a
MiB takes a quarter less of its request's CPU time, and a MiB half of it."""

VECTOR = 1000
"""Pieces that one call writes; the kernel takes 1024."""


class Held:
    """A whole body. Making a large one copies it: make it in a thread.

    :raises OSError: when there is no descriptor left for a large one.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.length = sum(map(len, pieces))
        self._data: bytes | None = None
        self._descriptor, self._offset = -1, 0
        if self.length < LARGE:
            self._data = b"".join(pieces)
        else:
            self._own(os.memfd_create("held", os.MFD_CLOEXEC))
            for start in range(0, len(pieces), VECTOR):
                os.writev(self._descriptor, pieces[start : start + VECTOR])

    @classmethod
    def in_file(cls, descriptor: int, offset: int, length: int) -> Held:
        """A body that lies in a file, of which the descriptor is closed with it."""
        held = Held(())
        held.length, held._offset, held._data = length, offset, None
        held._own(descriptor)
        return held

    def _own(self, descriptor: int) -> None:
        self._descriptor = descriptor
        finalize(self, os.close, descriptor)

    @property
    def small(self) -> bool:
        """Whether reading it costs nothing."""
        return self._data is not None

    def piece(self, start: int = 0, stop: int | None = None) -> Piece:
        """Some of it, to be sent; who takes it closes it, and may do so long after this is gone."""
        stop = self.length if stop is None else stop
        return self._data[start:stop] if self._data is not None else FileSlice(os.dup(self._descriptor), self._offset + start, stop - start)

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Some of it; in a thread where it is not small."""
        stop = self.length if stop is None else stop
        return self._data[start:stop] if self._data is not None else os.pread(self._descriptor, stop - start, self._offset + start)
