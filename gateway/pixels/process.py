"""A pixel process: does one job after the other until the gateway closes the socket, or is gone.

It is started with ``python -m gateway.pixels.process SOCKET PARENT MEMORY RESULT SECONDS``: the descriptor of a Unix socket, the
gateway's process id, the bytes that it may use, the bytes that a result may have, the seconds that a job may take. It shares nothing else
with the gateway: no other descriptor, no secret of the environment, no log.

1. Whatever a job does must end in one answer, or in the end of this process.
2. What is said of an error that nobody foresaw is its type and its places in the code: its text may hold values of a patient.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import math
import os
import resource
import signal
import socket
import sys
import time
import traceback
import warnings
from contextlib import suppress
from pathlib import PurePath

from gateway.pixels import exchange
from gateway.pixels.work import Made, Misasked, Undoable

PRELOADED = """
    imagecodecs._jpeg8 imagecodecs._jpeg2k imagecodecs._jpegls imagecodecs._htj2k imagecodecs._imcd imagecodecs._png PIL.ImageFile
    gateway.pixels.transcode gateway.pixels.decoding gateway.pixels.encoding gateway.pixels.native
    gateway.pixels.render.picture gateway.pixels.render.aspect gateway.pixels.render.finishing gateway.pixels.render.pipeline
""".split()
"""What nearly every job needs: imported before the first one arrives."""

ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
}
"""One thread: the processes share the CPUs as they are, and each thread of a pool would take address space. And memory that one picture
was made in is kept for the next: with fresh pages each time a picture of 512 x 512 costs 3.0 ms of CPU time, and so 1.25."""

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_FRAMES = 4
_GRACE = 2
"""Seconds of CPU beyond a job's time: the gateway is to end it; the kernel does where the gateway cannot."""


def main(arguments: list[str]) -> None:
    """Runs the process."""
    descriptor, parent, memory, result, seconds = map(int, arguments)
    confine(parent, memory, result)
    with socket.socket(fileno=descriptor) as sock:
        preload()
        exchange.answer(sock, "ready")
        while (job := exchange.next_job(sock)) is not None:
            _may_take(seconds)
            work(sock, job)
            del job


def confine(parent: int, memory: int, result: int) -> None:
    """What keeps a process that runs wild from hurting others."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # also while a codec loops and looks at no socket
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:  # it died before it was watched
        sys.exit()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the gateway, which lets requests end first
        signal.signal(number, signal.SIG_IGN)
    for limit, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, result), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(limit)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))
    os.nice(5)  # answers that are ready go first
    os.umask(0o077)
    warnings.simplefilter("ignore")


def preload() -> None:
    """Imports what jobs need, so that the first one is as quick as the others."""
    for name in PRELOADED:
        with suppress(Exception):  # a job that needs it says what is wrong with it
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # none of it is ever garbage


def _may_take(seconds: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(time.process_time()) + seconds + _GRACE
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def work(sock: socket.socket, job: exchange.Job) -> None:
    """Does a job and answers."""
    end, made = outcome(job)
    for descriptor in job.descriptors:
        os.close(descriptor)
    try:
        exchange.answer(sock, end, made)
    except (MemoryError, OSError):
        exchange.answer(sock, "memory")
    except Exception as error:
        exchange.answer(sock, "failed", _unforeseen(error))


def outcome(job: exchange.Job) -> tuple[exchange.End, Made]:
    """What comes of a job. A panic of a codec written in Rust is no `Exception`, so everything is caught."""
    try:
        return "made", job.work(job.inputs)
    except Misasked as error:
        return "undoable", Made(facts={"message": error.message, "misasked": True})
    except Undoable as error:
        return "undoable", Made(facts={"message": error.message})
    except MemoryError:
        return "memory", Made()
    except BaseException as error:
        return "failed", _unforeseen(error)


def _unforeseen(error: BaseException) -> Made:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames]
    return Made(facts={"error": type(error).__name__, "places": places})


if __name__ == "__main__":
    main(sys.argv[1:])
