"""A pixel process: what it may, what it answers, and that it goes when nobody needs it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from gateway.pixels import syntaxes
from gateway.pixels.child import COMMAND, Allowance, start
from gateway.pixels.exchange import INLINE, End, Parcel, received
from gateway.pixels.image import Image
from gateway.pixels.render.picture import Render
from gateway.pixels.transcode import Transcode
from gateway.pixels.work import Input, Region, Result, Work
from tests.pixels.works import QUICK, Big, Crash, Echo, Fail, Hoard, Imported, Look, Loop, Talk, header

ALLOWED = Allowance(seconds=20, memory=1 << 30, result=8 << 20)


class Running:
    """A process, asked without an event loop."""

    def __init__(self, allowed: Allowance = ALLOWED, command: Sequence[str] = QUICK) -> None:
        self.process, self.sock = start(allowed, command)
        self.sock.settimeout(60)
        assert self.answer()[0] == "ready"

    def answer(self) -> tuple[End, Result]:
        self.sock.recv(1, socket.MSG_PEEK)
        said = received(self.sock, 1 << 30)
        assert said is not None, "the process is gone"
        return said

    def ask(self, work: Work, inputs: Sequence[Input] = ()) -> tuple[End, Result]:
        with closing(Parcel(work, inputs)) as parcel:
            parcel.send(self.sock)
        return self.answer()

    def facts(self, work: Work) -> dict[str, Any]:
        return dict(self.ask(work)[1].facts)

    def end(self) -> int:
        self.sock.close()
        return self.process.wait(60)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    made = Running()
    yield made
    assert made.end() == 0, "it goes by itself once the socket is closed"


def test_it_does_one_job_after_the_other(running: Running) -> None:
    for number in range(3):
        end, result = running.ask(Echo(str(number)), [[b"abc"], [b"d" * INLINE * 2]])
        assert (end, result.facts["said"], result.facts["lengths"]) == ("made", str(number), [3, 2 * INLINE])
        assert result.read() == b"abc" + b"d" * INLINE * 2
        assert result.facts["pid"] == running.process.pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_the_gateway_lets_it_finish(running: Running, number: signal.Signals) -> None:
    running.process.send_signal(number)
    end, result = running.ask(Echo("still here"))
    assert (end, result.facts["said"]) == ("made", "still here")


def test_it_has_little_and_may_little(running: Running) -> None:
    seen = running.facts(Look())
    assert len(seen["descriptors"]) <= 5, "three that lead nowhere, the socket, and the one that lists them"
    assert seen["std"] == ["/dev/null"] * 3
    memory, result, core, cpu = seen["limits"]
    assert (memory, result, core) == (ALLOWED.memory, ALLOWED.result, 0)
    assert ALLOWED.seconds < cpu < ALLOWED.seconds + 60
    assert seen["nice"] >= min(19, os.nice(0) + 5)
    assert seen["umask"] == 0o077
    assert seen["ignored"] == [1, 1], "signals to the whole group are meant for the gateway"


def test_it_gets_no_environment_that_may_hold_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_STORES__A__URL", "https://user:secret@pacs")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    running = Running()
    names = running.facts(Look())["environment"]
    assert "PATH" in names and not {"GATEWAY_STORES__A__URL", "AWS_SECRET_ACCESS_KEY", "PROMETHEUS_MULTIPROC_DIR"} & set(names)
    running.end()


def test_why_something_cannot_be_done_comes_as_it_was_said(running: Running) -> None:
    end, result = running.ask(Fail("undoable"))
    assert (end, result.facts) == ("undoable", {"message": "the syntax is\nnot known"})
    end, result = running.ask(Fail("misasked"))
    assert (end, result.facts) == ("undoable", {"message": "the region is\nelsewhere", "misasked": True})


@pytest.mark.parametrize(
    ("how", "error"), [("value", "ValueError"), ("panic", "Panic"), ("exit", "SystemExit"), ("recursion", "RecursionError")]
)
def test_of_what_nobody_foresaw_the_type_and_the_places_are_told(running: Running, how: str, error: str) -> None:
    end, result = running.ask(Fail(how))
    assert (end, result.facts["error"]) == ("failed", error)
    places = result.facts["places"]
    assert isinstance(places, list) and all(str(place).startswith("works.py:") for place in places[1:])
    assert "DOE" not in str(result.facts)
    assert running.ask(Echo())[0] == "made"


def test_warnings_go_nowhere(running: Running) -> None:
    assert running.ask(Fail("warning"))[0] == "made"


def test_more_memory_than_it_may_have_is_refused_and_it_lives_on(running: Running) -> None:
    assert running.ask(Hoard(16 << 30))[0] == "memory"
    assert running.ask(Hoard(16 << 20))[0] == "made"


def test_a_result_that_is_too_large_is_refused(running: Running) -> None:
    assert running.ask(Big(ALLOWED.result))[0] == "made"
    assert running.ask(Big(ALLOWED.result + 1))[0] == "memory"
    assert running.ask(Talk(1_000_000))[0] == "failed"
    assert running.ask(Echo())[0] == "made"


def test_descriptors_of_a_job_are_closed_after_it(running: Running) -> None:
    before = running.facts(Look())["descriptors"]
    with open(__file__, "rb") as file:  # noqa: PTH123 - its descriptor is wanted
        assert running.ask(Echo(), [[Region(file.fileno(), 0, 3)], [b"x" * INLINE, b"y"]])[0] == "made"
        assert running.ask(Fail("value"), [[Region(file.fileno(), 0, 3)]])[0] == "failed"
    assert running.facts(Look())["descriptors"] == before


def test_the_kernel_ends_a_job_that_takes_too_much_of_the_cpu() -> None:
    """The gateway would do it before; here it does not."""
    hasty = QUICK[2].replace("process.main", "process._GRACE = 0; process.main")
    running = Running(Allowance(seconds=0, memory=1 << 30, result=1 << 20), [*QUICK[:2], hasty])
    with closing(Parcel(Loop(), [])) as parcel:
        parcel.send(running.sock)
    assert running.process.wait(60) == -signal.SIGXCPU
    running.sock.close()


def test_a_crash_ends_the_process_without_a_core() -> None:
    running = Running()
    with closing(Parcel(Crash(), [])) as parcel:
        parcel.send(running.sock)
    assert running.process.wait(60) == -signal.SIGSEGV
    assert received(running.sock, 1) is None
    running.sock.close()


def test_who_finds_the_gateway_gone_does_not_begin() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        arguments = [str(theirs.fileno()), "1", str(1 << 30), "1", "1"]
        done = subprocess.run([*QUICK, *arguments], pass_fds=(theirs.fileno(),), check=False, capture_output=True)
        assert done.returncode == 0 and done.stderr == b""
        with pytest.raises(BlockingIOError):
            ours.recv(1, socket.MSG_DONTWAIT)


def test_limits_are_lowered_and_never_raised() -> None:
    """A hard limit that the administrator set stands."""
    code = (
        "import os, resource; from gateway.pixels import process; "
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 28, 3 << 28)); process.confine(os.getppid(), 1 << 40, 5); "
        "print(resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_FSIZE))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.split("\n")[0] == f"{(3 << 28, 3 << 28)} (5, 5)"


def test_what_nearly_every_job_needs_is_imported_first() -> None:
    """Or the first job of each process would take as long as all that."""
    running, cells = Running(command=COMMAND), bytes(64)
    image = Image(syntaxes.EXPLICIT, 8, 8, 1, "MONOCHROME2", False, 8, 8, 7, False, 1)
    targets = (syntaxes.JPEG_LS, syntaxes.J2K_LOSSLESS, syntaxes.HTJ2K_LOSSLESS, syntaxes.JPEG_BASELINE, syntaxes.RLE)
    jobs: list[tuple[Work, list[Input]]] = [(Transcode(image, target), [[cells]]) for target in targets]
    jobs += [
        (Render(image, 1, media, thumbnail=small), [[header(image)], [cells]])
        for media in ("image/jpeg", "image/png")
        for small in (True, False)
    ]
    for work, inputs in jobs:
        end, result = running.ask(Imported(work), inputs)
        assert (end, result.facts) == ("made", {"imported": []}), work
    assert running.end() == 0
