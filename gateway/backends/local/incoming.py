"""One file that is being received: written, walked and hashed piece by piece, synced when it is whole. Everything here blocks."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import xxhash

from gateway.backends.base import Upload
from gateway.backends.local.files import Files, discard
from gateway.backends.local.inspect import describe
from gateway.backends.local.prepared import Pixels, Prepared
from gateway.dicom.attributes import INDEX_TAGS, IndexAttributes
from gateway.dicom.elements import Limits, Walk
from gateway.dicom.frames import TABLE_TAGS
from gateway.dicom.part10 import DEFLATED
from gateway.errors import GatewayError, OutOfStorage

_WANTED = INDEX_TAGS | TABLE_TAGS


@dataclass(frozen=True, slots=True)
class Rules:
    """What a store lets in.

    :param limits: of an instance's structure. :param room: whether the disk has room.
    :param refuse: the error for a system call that failed.
    """

    limits: Limits
    room: Callable[[], bool]
    refuse: Callable[[OSError], GatewayError]


class Incoming:
    """Its methods are called from worker threads, one at a time. One that raises leaves a file for `discard`, unless it says otherwise.

    :param take: is told how much memory the index's part of it takes; see `waiting`.

    The errors of all of them: `InstanceError` when the bytes are no whole data set, `OutOfStorage` when they have no room, what the
    rules say of other system calls that failed, and that of `take`.
    """

    def __init__(self, files: Files, upload: Upload, rules: Rules, take: Callable[[int], None]) -> None:
        self.path = files.incoming()
        self._take = take
        self._files = files
        self._upload = upload
        self._rules = rules
        self._descriptor = -1
        self._walk = Walk(wanted=_WANTED, limits=rules.limits)
        self._hash = xxhash.xxh3_128()
        self._size = 0
        self._prepared: Prepared | None = None

    @property
    def quick(self) -> bool:
        """Whether its last pieces say how long `finish` takes: nothing was written before, and nothing of it has to be inflated."""
        return not self._size and self._upload.instance.transfer_syntax not in DEFLATED

    def write(self, pieces: list[bytes]) -> None:
        """The next pieces."""
        for piece in pieces:
            self._walk.feed(piece)
            self._hash.update(piece)
        if self._descriptor < 0 and not self._rules.room():
            raise OutOfStorage("too little free disk space (stores.NAME.min_free_bytes)")
        try:
            if self._descriptor < 0:
                self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
            _write_all(self._descriptor, pieces)
        except OSError as error:
            raise self._rules.refuse(error) from error
        self._size += sum(map(len, pieces))

    def complete(self, pieces: list[bytes]) -> None:
        """The last pieces: it is whole then, and not synced. Leaves nothing behind when it raises."""
        try:
            self.write(pieces)
            self._walk.finish()
            self._prepared = self._told(*describe(self._walk, self._descriptor))
            del self._walk  # it holds every raw value, and others may be waited for now
            self._take(self._prepared.weight)
        except BaseException:
            self.discard()
            raise

    def _told(self, attributes: IndexAttributes, pixels: Pixels | None) -> Prepared:
        upload = self._upload
        return Prepared(upload.part, upload.instance, self.path, self._size, self._hash.digest(), attributes, pixels, upload.replace)

    def begin_sync(self) -> None:
        """Lets the disk begin with a complete file of several; `settle` waits for it."""
        self._files.begin_sync(self._descriptor)

    def settle(self) -> Prepared:
        """Syncs a complete file. Leaves nothing behind when it raises."""
        assert self._prepared is not None  # noqa: S101 - `complete` came before; narrows the type
        try:
            self._files.sync_file(self._descriptor)
        except OSError as error:
            self.discard()
            raise self._rules.refuse(error) from error
        self._close()
        return self._prepared

    def finish(self, pieces: list[bytes]) -> Prepared:
        """`complete` and `settle`."""
        self.complete(pieces)
        return self.settle()

    def discard(self) -> None:
        """Takes it away."""
        self._prepared = None  # an error that somebody will look at later keeps this object
        self._close()
        discard(self.path)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _write_all(descriptor: int, pieces: list[bytes]) -> None:
    written = os.writev(descriptor, pieces)
    missing = sum(map(len, pieces)) - written
    if missing:  # a signal, or the end of the disk: the rest says which
        rest = memoryview(b"".join(pieces))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
