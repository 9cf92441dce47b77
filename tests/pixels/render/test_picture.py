"""One picture as a pixel process makes it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from pydicom.data import get_testdata_file

from gateway.dicomweb.rendering import Rendering, Viewport
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.picture import Render, parsed
from gateway.pixels.work import Undoable
from tests.pixels.render.subject import Subject, Whole, subject


def seen(name: str) -> Subject:
    found = subject(Path(str(get_testdata_file(name))).read_bytes())
    assert found is not None
    return found


def test_a_frame_becomes_a_file_with_its_size_as_facts() -> None:
    ct = seen("CT_small.dcm")
    work = Render(ct.image, 1, "image/png")
    made = pickle.loads(pickle.dumps(work))([Whole(orjson.dumps(ct.header)), Whole(ct.frame())])  # noqa: S301 - our own bytes
    assert made.facts == {"width": 128, "height": 128} and bytes(made.content[0]).startswith(b"\x89PNG")


def test_bulk_data_comes_behind_the_frame_in_the_order_of_its_paths() -> None:
    """The palette of an image from its bulk data; what could not be had is missing, and said so."""
    us = seen("OBXXXX1A.dcm")
    assert us.drawn().shape == (600, 800, 3)
    with pytest.raises(Undoable, match="palette could not be had"):
        Subject(us.header, {}, us.file, us.table, us.image).drawn()


def test_each_frame_of_many() -> None:
    us = seen("OBXXXX1A_2frame.dcm")
    one, two = us.drawn(number=1), us.drawn(number=2)
    assert one.shape == two.shape and not np.array_equal(one, two)


def test_thumbnails_are_small_unless_told_otherwise() -> None:
    ct = seen("CT_small.dcm")
    assert ct.drawn(thumbnail=True).shape == (128, 128)
    assert ct.drawn(Rendering(viewport=Viewport(50, 70)), thumbnail=True).shape == (50, 50)
    assert seen("OBXXXX1A.dcm").drawn(thumbnail=True).shape == (96, 128, 3)


def test_too_large_a_picture_is_refused_before_its_frame_is_looked_at() -> None:
    ct = seen("CT_small.dcm")
    work = Render(ct.image, 1, "image/png", Rendering(viewport=Viewport(5000, 5000)), limits=PixelLimits(picture_pixels=1_000_000))
    with pytest.raises(Undoable, match="a picture of 5000 x 5000 pixels is too large"):
        work([Whole(orjson.dumps(ct.header)), Whole(b"not looked at")])


def test_a_frame_that_is_cut_is_refused() -> None:
    ct = seen("CT_small.dcm")
    with pytest.raises(Undoable, match="cut"):
        Render(ct.image, 1, "image/png")([Whole(orjson.dumps(ct.header)), Whole(b"\0" * 100)])
    with pytest.raises(Undoable):
        Render(replace(ct.image, syntax="1.2.3"), 1, "image/png")([Whole(orjson.dumps(ct.header)), Whole(ct.frame())])


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"7", b"[1]"])
def test_a_header_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(Undoable, match="header"):
        parsed(raw)


def test_a_header_may_be_in_a_list() -> None:
    assert parsed(b'[{"00280010":{}}]') == parsed(b'{"00280010":{}}') == {"00280010": {}}


def test_the_gateway_knows_the_work_without_numpy() -> None:
    code = "import sys, gateway.pixels.render.picture, gateway.pixels.render.wanted; "
    code += "sys.exit(bool({'numpy', 'PIL', 'imagecodecs'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
