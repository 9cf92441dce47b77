"""How a job goes to a pixel process and how its result comes back: a message each way, over a Unix socket that keeps messages whole.

1. Bytes of an open file travel as its descriptor with offset and length. Bytes in memory travel in the message up to `INLINE`,
   more of them in one file in memory. So do the bytes of too many files.
2. Towards the process a job is pickled. Nothing that comes back is: it is a header, JSON and bytes, and each is checked, for damaged
   data may have taken the process over.
3. A large result is a file in memory that is sealed: nobody can shrink or change it under the reader.

Both sides import this module, so it imports neither asyncio nor metrics nor numpy.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import socket
import struct
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import orjson

from gateway.pixels.work import Fact, Given, Input, Made, Region, Result, Work

INLINE = 64 << 10
"""Bytes that travel in a message; for more, a file in memory costs less than copying through the socket."""

FACTS = 48 << 10
"""Bytes of JSON that come back at most: the lengths of thousands of frames."""

MESSAGE = 120 << 10
"""Bytes of a message at most: less than what a Unix socket takes by default (208 KiB), and than the 128 KiB from which on malloc
asks the kernel for each buffer."""

DESCRIPTORS = 100
"""Descriptors that a message carries at most; Linux ends at 253."""

PIECES = 500
"""Pieces of an input that the event loop packs itself; more of them take a millisecond."""

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL

_CHUNK = 1 << 30
_BUFFERS = 512  # pieces of one writev; Linux ends at 1024
_HERE, _ELSEWHERE = b"H", b"E"
_HEADER = struct.Struct("!cQI")  # end, bytes of content, bytes of facts

End = Literal["ready", "made", "undoable", "failed", "memory"]
"""What a process says: that it can begin, or how its job ended. `failed` is an error that nobody foresaw."""

_ENDS: dict[bytes, End] = {b"R": "ready", b"M": "made", b"U": "undoable", b"F": "failed", b"N": "memory"}
_LETTERS = {end: letter for letter, end in _ENDS.items()}

_Place = tuple[int, int, int]
"""Which descriptor of the message, offset, length."""


class Malformed(Exception):
    """A process answered with something that no sound process sends."""


# -- from the gateway to the process


class Parcel:
    """A job, ready to be sent, as often as it takes. Its descriptors are its own: the caller may close theirs once it is made."""

    def __init__(self, work: Work, inputs: Sequence[Input]) -> None:
        """Blocks where the inputs are not `light`.

        :raises OSError: when there are no descriptors or is no memory left.
        """
        self._descriptors: list[int] = []
        try:
            self._buffers = self._packed(work, inputs)
        except BaseException:
            self.close()
            raise

    def _packed(self, work: Work, inputs: Sequence[Input]) -> list[bytes]:
        many = len({piece.descriptor for piece in _pieces(inputs) if isinstance(piece, Region)}) > DESCRIPTORS - 2
        if many or sum(len(piece) for piece in _pieces(inputs) if isinstance(piece, bytes)) > INLINE:
            file = self._file()
            inputs = [_gathered(one, file, many) for one in inputs]
        seen: dict[int, int] = dict.fromkeys(self._descriptors, 0)
        places = [[piece if isinstance(piece, bytes) else self._place(piece, seen) for piece in one] for one in inputs]
        message = pickle.dumps((work, places), pickle.HIGHEST_PROTOCOL)
        if len(message) < MESSAGE:
            return [_HERE, message]
        _write(self._file(), [message])
        return [_ELSEWHERE, len(message).to_bytes(8, "big")]

    def _file(self) -> int:
        self._descriptors.append(memory_file())
        return self._descriptors[-1]

    def _place(self, region: Region, seen: dict[int, int]) -> _Place:
        index = seen.get(region.descriptor)
        if index is None:
            index = seen[region.descriptor] = len(self._descriptors)
            self._descriptors.append(os.dup(region.descriptor))
        return index, region.offset, region.length

    def send(self, sock: socket.socket) -> None:
        """:raises OSError: when the process is gone, or does not read."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", self._descriptors))] if self._descriptors else []
        sock.sendmsg(self._buffers, rights)

    def close(self) -> None:
        """Lets go of the descriptors."""
        while self._descriptors:
            os.close(self._descriptors.pop())


def light(inputs: Sequence[Input]) -> bool:
    """Whether a `Parcel` of them is made without copying or reading much."""
    size = number = 0
    for piece in _pieces(inputs):
        number += 1
        if isinstance(piece, bytes):
            size += len(piece)
        if number > PIECES or size > INLINE:
            return False
    return number <= DESCRIPTORS - 2 or len({piece.descriptor for piece in _pieces(inputs) if isinstance(piece, Region)}) <= DESCRIPTORS - 2


def _pieces(inputs: Sequence[Input]) -> Iterator[bytes | Region]:
    for one in inputs:
        yield from one


def _gathered(one: Input, file: int, all_of_it: bool) -> list[bytes | Region]:
    """An input whose bytes, or all of whose pieces, have gone to the end of a file."""
    found: list[bytes | Region] = []
    for piece in one:
        if isinstance(piece, bytes) or all_of_it:
            start = os.lseek(file, 0, os.SEEK_CUR)
            _write(file, [piece]) if isinstance(piece, bytes) else _copy(file, piece)
            found.append(Region(file, start, os.lseek(file, 0, os.SEEK_CUR) - start))
        else:
            found.append(piece)
    return found


def _copy(file: int, region: Region) -> None:
    at, end = region.offset, region.offset + region.length
    while at < end and (sent := os.sendfile(file, region.descriptor, at, min(_CHUNK, end - at))):
        at += sent


# -- in the process


class Pieces(Given):
    """An input in the process: pieces of bytes, and places in files."""

    def __init__(self, pieces: Sequence[bytes | Region]) -> None:
        self._pieces = pieces
        self._length = sum(len(piece) if isinstance(piece, bytes) else piece.length for piece in pieces)

    def __len__(self) -> int:
        return self._length

    def read(self) -> bytes:
        """All of it."""
        return self.at(0, self._length)

    def at(self, offset: int, length: int) -> bytes:
        """Some of it; fewer bytes where it ends, or where a file is shorter than it was said to be."""
        parts = list(self._parts(offset, length))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _parts(self, offset: int, length: int) -> Iterator[bytes]:
        for piece in self._pieces:
            size = len(piece) if isinstance(piece, bytes) else piece.length
            if length > 0 and offset < size:
                part = piece[offset : offset + length] if isinstance(piece, bytes) else _read(piece, offset, min(length, size - offset))
                length -= len(part)
                offset += len(part)
                yield part
                if offset < size:
                    return
            offset -= size


def _read(region: Region, offset: int, length: int) -> bytes:
    part = os.pread(region.descriptor, length, region.offset + offset)
    if len(part) in (0, length):
        return part
    return part + _read(region, offset + len(part), length - len(part))  # the kernel gives 2 GiB at a time


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it arrived; `descriptors` are to be closed after it."""

    work: Work
    inputs: Sequence[Given]
    descriptors: Sequence[int]


def next_job(sock: socket.socket) -> Job | None:
    """Waits for a job; None when the gateway wants no more of them."""
    message, rights, _, _ = sock.recvmsg(MESSAGE, socket.CMSG_SPACE(DESCRIPTORS * array("i").itemsize), socket.MSG_CMSG_CLOEXEC)
    if not message:
        return None
    descriptors = _descriptors(rights)
    pickled = message[1:]
    if message[:1] == _ELSEWHERE:
        pickled = os.pread(descriptors[-1], int.from_bytes(pickled, "big"), 0)
    work, places = pickle.loads(pickled)  # noqa: S301 - comes from the gateway, our own parent process
    inputs = [Pieces([one if isinstance(one, bytes) else Region(descriptors[one[0]], *one[1:]) for one in places_]) for places_ in places]
    return Job(work, inputs, descriptors)


def answer(sock: socket.socket, end: End, made: Made = Made()) -> None:  # noqa: B008 - frozen
    """Sends how a job ended.

    :raises ValueError: when there are more facts than a message takes, or others than `Fact` allows. :raises OSError: when the
        content has no room.
    """
    facts = orjson.dumps(dict(made.facts))
    if len(facts) > FACTS or not all(map(_is_fact, made.facts.values())):
        raise ValueError("facts that cannot be told")
    content = [memoryview(piece).cast("B") for piece in made.content if len(piece)]
    length = sum(map(len, content))
    header = _HEADER.pack(_LETTERS[end], length, len(facts))
    if length <= INLINE:
        sock.sendmsg([b"".join([header, facts, *content])])
        return
    file = memory_file()
    try:
        _write(file, content)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, SEALS)
        sock.sendmsg([header, facts], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [file]))])
    finally:
        os.close(file)


# -- back in the gateway


def received(sock: socket.socket, most: int) -> tuple[End, Result] | None:
    """What a process said, None when it is gone; checked, and without blocking.

    :param most: bytes of a result.
    :raises Malformed: when it makes no sense. :raises BlockingIOError: when nothing has come.
    """
    message, rights, flags, _ = sock.recvmsg(MESSAGE, socket.CMSG_SPACE(array("i").itemsize), socket.MSG_CMSG_CLOEXEC)
    descriptors = _descriptors(rights)
    try:
        if not message:
            return None
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(message) < _HEADER.size or len(descriptors) > 1:
            raise Malformed
        return _result(message, descriptors, most)
    finally:
        for descriptor in descriptors:  # what a result took is gone from the list
            os.close(descriptor)


def silent(sock: socket.socket) -> bool:
    """Whether a process has said nothing that was not read yet, as it should when it has nothing to do."""
    try:
        sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _result(message: bytes, descriptors: list[int], most: int) -> tuple[End, Result]:
    letter, length, told = _HEADER.unpack_from(message)
    end = _ENDS.get(letter)
    begin = _HEADER.size + told
    if end is None or length > most or begin > len(message):
        raise Malformed
    facts = _facts(message[_HEADER.size : begin])
    if not descriptors:
        if length != len(message) - begin:
            raise Malformed
        return end, Result(facts, message[begin:])
    if not _sealed(descriptors[0], length):
        raise Malformed
    return end, Result(facts, descriptor=descriptors.pop(), length=length)


def _sealed(descriptor: int, length: int) -> bool:
    """Whether it is a file in memory that has this length for ever."""
    with suppress(OSError):
        return fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & SEALS == SEALS and os.fstat(descriptor).st_size == length
    return False


def _facts(text: bytes) -> Mapping[str, Fact]:
    try:
        facts: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Malformed from None
    if not isinstance(facts, dict) or not all(map(_is_fact, facts.values())):
        raise Malformed
    return facts


def _is_fact(value: Any) -> bool:
    if isinstance(value, list):
        return all(type(one) is int for one in value) or all(type(one) is str for one in value)
    return value is None or isinstance(value, (str, int, float))


# -- both


def memory_file() -> int:
    """A file in memory that has no name and goes with its last descriptor."""
    return os.memfd_create("pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def _write(file: int, pieces: Iterable[bytes | memoryview]) -> None:
    left = deque(memoryview(piece) for piece in pieces)
    while left:
        written = os.writev(file, list(islice(left, _BUFFERS)))
        while left and written >= len(left[0]):
            written -= len(left.popleft())
        if written:
            left[0] = left[0][written:]


def _descriptors(rights: Sequence[tuple[int, int, bytes]]) -> list[int]:
    found = array("i")
    for level, kind, data in rights:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return found.tolist()
