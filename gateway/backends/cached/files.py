"""A file of the disk tier: the bytes of an answer, what is known of it, and at the end a digest of both. Blocks.

    body       as it goes out, from the first byte of the file on
    about      a JSON object: name, kind, stamp, time, head, cuts
    footer     magic, length of the body, length of `about`, XXH3 of all that is before

What was cut off, or has changed on the disk, does not fit its footer and is never sent; nor is what got the name of another.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import xxhash

from gateway.backends.cached.entries import Head, Read
from gateway.backends.held import Held

_FOOTER = struct.Struct("<8sQQ8s")
_MAGIC = b"DGCACHE1"
_BLOCK = 4096
_READ = 1 << 20

LONGEST_ABOUT = 1 << 20
"""Bytes of `about` that are believed; real ones have some hundred."""


class Damaged(Exception):
    """The file is not what was written."""


def room_of(length: int) -> int:
    """Bytes of disk that a body takes with all that belongs to it, about."""
    return (length + length // 8192 + 1024) // _BLOCK * _BLOCK + _BLOCK  # cuts are some ten bytes for every quarter of a MiB


class Writer:
    """A file that is being written; not by two threads at once."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._hash = xxhash.xxh3_64()
        self.length = 0

    def add(self, pieces: Sequence[bytes]) -> None:
        """The next bytes."""
        for piece in pieces:
            self._write(piece)
            self.length += len(piece)

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        self._put(data)

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def finish(self, entry: Read, name: str) -> int:
        """The body is whole; returns the size of the file.

        :param name: under which it will be looked for.
        """
        about = {"name": name, "kind": entry.kind, "stamp": entry.stamp, "made": entry.made, "head": asdict(entry.head), "cuts": entry.cuts}
        data = orjson.dumps(about)
        self._write(data)
        self._put(_FOOTER.pack(_MAGIC, self.length, len(data), self._hash.digest()))
        self.close()
        return self.length + len(data) + _FOOTER.size

    def close(self) -> None:
        """Safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read(path: Path, *, in_memory: int, known: tuple[int, int] | None = None) -> tuple[Read, tuple[int, int]]:
    """An answer and what tells its file from another; that is checked all through unless it is `known`.

    :param in_memory: bytes up to which a body is read into memory; a larger one stays where it is.
    :raises FileNotFoundError: when there is none. :raises Damaged: when the file is not what was written.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)  # neither a link nor a pipe
    try:
        status = os.fstat(descriptor)
        identity = status.st_ino, status.st_mtime_ns
        length, about, digest = _ends(descriptor, status.st_size)
        keep = length <= in_memory
        pieces: list[bytes] = []
        if keep or identity != known:
            pieces = _checked(descriptor, length, about, digest, keep=keep)
        held = Held(pieces)
        if not keep:
            held, descriptor = Held.in_file(descriptor, 0, length), -1
        known_as = orjson.loads(about)
        if known_as["name"] != path.name:
            raise Damaged("a file has the name of another")
        return _entry(known_as, held), identity
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _ends(descriptor: int, size: int) -> tuple[int, bytes, bytes]:
    footer = os.pread(descriptor, _FOOTER.size, max(0, size - _FOOTER.size))
    if len(footer) < _FOOTER.size:
        raise Damaged("a file is too short")
    magic, length, count, digest = _FOOTER.unpack(footer)
    if magic != _MAGIC or length + count + _FOOTER.size != size or count > LONGEST_ABOUT:
        raise Damaged("the end of a file is missing")
    return length, os.pread(descriptor, count, length), digest


def _checked(descriptor: int, length: int, about: bytes, digest: bytes, *, keep: bool) -> list[bytes]:
    """The body where it is to be kept."""
    made, pieces = xxhash.xxh3_64(), []
    for at in range(0, length, _READ):
        piece = os.pread(descriptor, min(_READ, length - at), at)
        made.update(piece)
        if keep:
            pieces.append(piece)
    made.update(about)
    if made.digest() != digest:
        raise Damaged("a file has changed")
    return pieces


def _entry(about: dict[str, Any], held: Held) -> Read:
    return Read(about["kind"], about["stamp"], about["made"], Head(**about["head"]), held, about["cuts"])
