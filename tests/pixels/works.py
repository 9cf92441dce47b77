"""Pieces of work for tests of the pool: harmless ones, and some that do harm."""

from __future__ import annotations

import ctypes
import itertools
import os
import resource
import signal
import socket
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from gateway.pixels.exchange import memory_file
from gateway.pixels.image import Image
from gateway.pixels.work import Given, Made, Misasked, Undoable, Work

QUICK = (sys.executable, "-c", "import sys; from gateway.pixels import process; process.PRELOADED = []; process.main(sys.argv[1:])")
"""Starts a process that imports nothing before its first job."""


@dataclass(frozen=True, slots=True)
class Echo:
    """Gives back what it was given, and says who did it."""

    said: str = ""

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        return Made([one.read() for one in inputs], {"said": self.said, "lengths": [len(one) for one in inputs], "pid": os.getpid()})


@dataclass(frozen=True, slots=True)
class Cut:
    """Some bytes of each input."""

    offset: int
    length: int

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        return Made([one.at(self.offset, self.length) for one in inputs])


@dataclass(frozen=True, slots=True)
class Sleep:
    """Takes its time, having left a sign of life."""

    seconds: float
    sign: str = ""

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        if self.sign:
            with Path(self.sign).open("a") as file:
                file.write(f"{os.getpid()}\n")
        time.sleep(self.seconds)
        return Made(facts={"pid": os.getpid()})


@dataclass(frozen=True, slots=True)
class Loop:
    """Never ends, and never gives the interpreter away, as a codec may do."""

    sign: str = ""

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        Sleep(0, self.sign)(inputs)
        return Made(facts={"most": max(itertools.count())})


@dataclass(frozen=True, slots=True)
class Crash:
    """Reads where nothing is: SIGSEGV. With a file to count in it does so the first time only."""

    once: str = ""

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        if self.once and Path(self.once).exists():
            return Made(facts={"pid": os.getpid()})
        Sleep(0, self.once)(inputs)
        ctypes.string_at(0)
        return Made()


@dataclass(frozen=True, slots=True)
class Hoard:
    """Takes memory."""

    size: int
    keep: bool = False

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        taken = bytes(self.size)  # zeros that nobody touches: address space, and hardly any memory
        if self.keep:
            globals().setdefault("HOARD", []).append(taken)
        return Made(facts={"size": len(taken), "pid": os.getpid()})


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A decoder without the look at the header before it, as if that had been deceived."""

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        import imagecodecs

        return Made(facts={"shape": list(imagecodecs.jpeg8_decode(inputs[0].read()).shape)})


@dataclass(frozen=True, slots=True)
class Big:
    """Makes many bytes, in several pieces."""

    size: int
    pieces: int = 1

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        piece = b"p" * (self.size // self.pieces)
        return Made([memoryview(piece)] * self.pieces)


@dataclass(frozen=True, slots=True)
class Talk:
    """Makes facts, as many as it is told to."""

    number: int

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        return Made(facts={"numbers": list(range(self.number))})


class Panic(BaseException):
    """Like those of codecs that are written in Rust: no `Exception`."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Fails in one of many ways; the texts of foreign errors are not to be passed on."""

    how: str

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        match self.how:
            case "undoable":
                raise Undoable("the syntax is\nnot known")
            case "misasked":
                raise Misasked("the region is\nelsewhere")
            case "panic":
                raise Panic("DOE^JANE")
            case "exit":
                sys.exit("DOE^JANE")
            case "gone":
                os._exit(0)
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "recursion":
                return self(inputs)
            case "warning":
                import warnings

                warnings.warn("DOE^JANE", stacklevel=1)
                return Made()
        raise ValueError("DOE^JANE")


@dataclass(frozen=True, slots=True)
class Mad:
    """What a process might say that somebody took over: any message, with any descriptors."""

    message: bytes
    files: tuple[int, ...] = ()
    sealed: bool = True
    times: int = 1

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        import fcntl

        from gateway.pixels import exchange

        files = []
        for size in self.files:
            file = memory_file() if size >= 0 else os.open("/dev/zero", os.O_RDONLY)
            if size >= 0:
                os.ftruncate(file, size)
            if size >= 0 and self.sealed:
                fcntl.fcntl(file, fcntl.F_ADD_SEALS, exchange.SEALS)
            files.append(file)
        with socket.socket(fileno=os.dup(int(sys.argv[1]))) as sock:
            for _ in range(self.times):
                sock.sendmsg([self.message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", files))] if files else [])
        time.sleep(30)
        return Made()


@dataclass(frozen=True, slots=True)
class Look:
    """What a process can see and may use."""

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        mask = os.umask(0)
        os.umask(mask)
        limits = [resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_CPU]
        return Made(
            facts={
                "descriptors": [int(path.name) for path in sorted(Path("/proc/self/fd").iterdir()) if path.exists()],
                "environment": list(os.environ),
                "limits": [resource.getrlimit(limit)[0] for limit in limits],
                "nice": os.nice(0),
                "umask": mask,
                "std": [str(Path(f"/proc/self/fd/{number}").readlink()) for number in range(3)],
                "group": os.getpgid(0),
                "ignored": [int(signal.getsignal(number) == signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)],
            }
        )


@dataclass(frozen=True, slots=True)
class Imported:
    """Does another piece of work and tells what had to be imported for it."""

    work: Work

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        before = set(sys.modules)
        self.work(inputs)
        return Made(facts={"imported": sorted(set(sys.modules) - before)})


def header(image: Image) -> bytes:
    """The DICOM JSON of an image."""
    values = {
        "00280002": image.samples,
        "00280008": image.frames,
        "00280010": image.rows,
        "00280011": image.columns,
        "00280100": image.allocated,
        "00280101": image.stored,
        "00280102": image.high,
        "00280103": int(image.signed),
        "00280006": int(image.planar),
    }
    data: dict[str, object] = {tag: {"vr": "US", "Value": [value]} for tag, value in values.items()}
    return orjson.dumps(data | {"00280004": {"vr": "CS", "Value": [image.photometric]}})
