"""Lines reach the reader; a reader that is slow or gone holds nobody up."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gateway.logwriter import Writer


@dataclass
class Pipe:
    reader: int
    writer: int

    def read_all(self) -> bytes:
        os.close(self.writer)
        data = b""
        while piece := os.read(self.reader, 1 << 20):
            data += piece
        return data


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe(*os.pipe())
    yield pipe
    for descriptor in (pipe.reader, pipe.writer):
        try:
            os.close(descriptor)
        except OSError:
            continue  # the test closed it


def report(dropped: int) -> bytes:
    return b"dropped %d\n" % dropped


def test_lines_are_written_in_order_and_close_waits_for_them(pipe: Pipe) -> None:
    writer = Writer(pipe.writer, report=report)
    lines = [b"%d\n" % number for number in range(1000)]
    for line in lines:
        writer.put(line)
    writer.close(10)
    assert pipe.read_all() == b"".join(lines)


def test_lines_of_many_threads_stay_whole(pipe: Pipe) -> None:
    writer = Writer(pipe.writer, report=report)

    def put(name: int) -> None:
        for number in range(100):
            writer.put(b"%d.%d\n" % (name, number))

    threads = [threading.Thread(target=put, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close(10)
    assert sorted(pipe.read_all().split()) == sorted(b"%d.%d" % (name, number) for name in range(4) for number in range(100))


def test_a_full_pipe_never_blocks_and_what_was_dropped_is_counted_and_told(pipe: Pipe) -> None:
    drops: list[None] = []
    writer = Writer(pipe.writer, report=report, on_drop=lambda: drops.append(None), lines=10)
    line = bytes(1 << 16) + b"\n"
    for _ in range(100):  # a pipe holds 64 KiB: nothing here can be written without a reader
        writer.put(line)
    assert 89 <= len(drops) <= 99
    received = bytearray()

    def read() -> None:
        while piece := os.read(pipe.reader, 1 << 20):
            received.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    writer.close(10)
    writer_gone = Writer(pipe.writer, report=report)
    writer_gone.close(10)
    os.close(pipe.writer)
    reader.join()
    assert received.count(line) == 100 - len(drops)
    assert b"dropped %d\n" % len(drops) in received


def test_close_gives_up_on_a_reader_that_does_not_read(pipe: Pipe) -> None:
    writer = Writer(pipe.writer, report=report)
    writer.put(bytes(1 << 20))
    writer.close(0.05)
    os.close(pipe.reader)  # lets the thread end


def test_a_reader_that_is_gone_is_no_error(pipe: Pipe) -> None:
    os.close(pipe.reader)
    drops: list[None] = []
    writer = Writer(pipe.writer, report=report, on_drop=lambda: drops.append(None), lines=2)
    writer.put(b"x\n")
    writer.close(10)
    for _ in range(5):
        writer.put(b"x\n")
    assert len(drops) >= 3


def test_a_descriptor_that_does_not_block_is_tried_again(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    writer = Writer(pipe.writer, report=report)
    line = bytes(1 << 18) + b"\n"
    writer.put(line)
    received = b""
    while len(received) < len(line):
        received += os.read(pipe.reader, 1 << 20)
    writer.close(10)
    assert received == line
