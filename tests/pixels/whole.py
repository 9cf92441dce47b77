"""Whole instances in another transfer syntax, made in this process as a gateway and its pixel processes make them together."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from gateway.pixels import syntaxes
from gateway.pixels.exchange import Pieces
from gateway.pixels.instances import Begin
from gateway.pixels.plans import Plan, check
from gateway.pixels.work import Input, Made, Region, Result, Work
from tests.backends.made import dicom


@contextmanager
def region(data: bytes) -> Iterator[Region]:
    """Bytes as a file that is open."""
    descriptor = os.memfd_create("instance")
    try:
        os.write(descriptor, b"before" + data)
        yield Region(descriptor, 6, len(data))
    finally:
        os.close(descriptor)


def done(work: Work, inputs: Sequence[Input]) -> Result:
    """What comes of some work."""
    return result(work([Pieces(one) for one in inputs]))


def result(made: Made) -> Result:
    return Result(made.facts, b"".join(made.content))


def transcoded(data: bytes, target: str, quality: int | None = None) -> bytes:
    """An instance in another transfer syntax.

    :raises Undoable: when it cannot be had.
    """
    begin = Begin(target, quality)
    with region(data) as whole:
        plan = Plan.of(done(begin, [[whole]]), begin)
        if plan is None:
            return data
        pieces = [taken(plan.beginning)]
        for work, inputs in plan.jobs(whole):
            more = done(work, inputs)
            check(work, more)
            pieces.append(more.read())
        if not plan.finished:
            pieces.append(taken(plan.ending))
    made = b"".join(pieces)
    assert plan.length in (None, len(made))
    return made


def taken(part: bytes | Region) -> bytes:
    """What a socket would get of a part."""
    if isinstance(part, bytes):
        return part
    try:
        return os.pread(part.descriptor, part.length, part.offset)
    finally:
        os.close(part.descriptor)


def parsed(data: bytes) -> Any:
    """As pydicom reads it."""
    return pydicom.dcmread(io.BytesIO(data), force=True)


def written(ds: Dataset, syntax: str) -> bytes:
    """A data set as a file; pixel data of compressed transfer syntaxes is encapsulated already."""
    out = io.BytesIO()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds["PixelData"].is_undefined_length = syntax not in syntaxes.NATIVE
    order = {"implicit_vr": syntax == syntaxes.IMPLICIT, "little_endian": syntax != syntaxes.BIG_ENDIAN}
    pydicom.dcmwrite(out, ds, enforce_file_format=True, **({} if syntax == syntaxes.DEFLATED else order))
    return out.getvalue()


def encapsulated(frames: Sequence[bytes], syntax: str, *, offsets: bool = False, **attributes: Any) -> bytes:
    """An instance whose frames are these codestreams."""
    ds = parsed(dicom(**attributes))
    ds.PixelData = encapsulate(list(frames), has_bot=offsets)
    ds["PixelData"].VR = "OB"
    return written(ds, syntax)


def noise(*shape: int, bits: int = 16, signed: bool = False, seed: int = 1) -> np.ndarray[Any, Any]:
    """Pixels that are the same each time: a slope with a little noise, so that no codec gives up."""
    kind = f"{'i' if signed else 'u'}{8 if bits <= 8 else 16}"
    kind = {"u8": "u1", "i8": "i1", "u16": "u2", "i16": "i2"}[kind]
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    random = np.random.default_rng(seed)
    slope = np.linspace(low, high - 1, int(np.prod(shape)))
    return np.clip(slope + random.integers(-3, 4, slope.shape), low, high - 1).astype(kind).reshape(shape)


def picture(pixels: np.ndarray[Any, Any], *, bits: int | None = None, syntax: str = "1.2.840.10008.1.2.1", **attributes: Any) -> bytes:
    """A native instance of (rows, columns), (frames, rows, columns) or (frames, rows, columns, 3)."""
    if pixels.ndim == 2:
        pixels = pixels[np.newaxis]
    allocated = 8 * pixels.itemsize
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0} if pixels.ndim == 4 else {}
    order = pixels.astype(pixels.dtype.newbyteorder(">" if syntax == "1.2.840.10008.1.2.2" else "<"))
    data = order.tobytes()
    given = {
        "Rows": pixels.shape[1],
        "Columns": pixels.shape[2],
        "NumberOfFrames": len(pixels),
        "BitsAllocated": allocated,
        "BitsStored": bits or allocated,
        "HighBit": (bits or allocated) - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PixelData": data + bytes(len(data) % 2),
        **colour,
    }
    ds = parsed(dicom(**{**given, **attributes}))
    ds["PixelData"].VR = "OW" if allocated > 8 else "OB"
    return written(ds, syntax)
