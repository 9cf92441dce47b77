"""What came back can be read, cut and passed on, and its file is closed with it."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from gateway.errors import NotAcceptable
from gateway.pixels.exchange import memory_file
from gateway.pixels.work import NotDrawable, Region, Result, Undoable


def in_file(content: bytes) -> Result:
    file = memory_file()
    os.write(file, content)
    return Result({"a": 1}, descriptor=file, length=len(content))


@pytest.mark.parametrize("made", [in_file, lambda content: Result({"a": 1}, content)], ids=["file", "memory"])
@pytest.mark.parametrize(("offset", "length", "cut"), [(0, None, b"0123456789"), (3, 4, b"3456"), (8, None, b"89"), (10, None, b"")])
def test_a_result_is_cut_alike_wherever_it_lies(made: type[Result], offset: int, length: int | None, cut: bytes) -> None:
    result: Result = made(b"0123456789")  # type: ignore[arg-type]  # functions that make one
    assert (result.length, result.read(), result.facts) == (10, b"0123456789", {"a": 1})
    region = result.region(offset, length)
    if isinstance(region, Region):
        assert region.length
        assert os.pread(region.descriptor, region.length, region.offset) == cut
        os.close(region.descriptor)
    else:
        assert region == cut


def test_a_region_outlives_its_result_and_the_file_goes_with_the_last_of_them() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    result = in_file(b"abc")
    region = result.region()
    assert isinstance(region, Region)
    del result
    gc.collect()
    assert os.pread(region.descriptor, 9, 0) == b"abc"
    os.close(region.descriptor)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_cannot_be_drawn_is_not_acceptable() -> None:
    assert NotDrawable("why").status == NotAcceptable.status == 406
    assert Undoable("why").message == "why"
