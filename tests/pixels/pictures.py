"""Pictures that other people made, cut into frames by the gateway and decoded by others: pydicom, GDCM, OpenJPEG, Pillow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from gateway.dicom.elements import Walk
from gateway.dicom.frames import TABLE_TAGS, FrameTable, frame_table
from gateway.errors import InstanceError
from gateway.pixels import native, syntaxes
from gateway.pixels.decoding import Decoded
from gateway.pixels.headers import IMAGE_TAGS, image_of
from gateway.pixels.image import Image
from tests.dicom.archive import inflate, readable

PLUGINS = {
    syntaxes.RLE: "pydicom",
    **dict.fromkeys(syntaxes.JPEG_DCT, "pillow"),
    **dict.fromkeys(syntaxes.JPEG_PREDICTED | syntaxes.JPEG_LS_ALL, "gdcm"),
    **dict.fromkeys(syntaxes.J2K_ALL | syntaxes.HTJ2K_ALL, "pylibjpeg"),
}
"""Who judges: by name, since pydicom would ask whatever happens to be installed."""


@dataclass(frozen=True)
class Picture:
    path: Path
    image: Image
    data: bytes
    table: FrameTable

    def frame(self, number: int = 1) -> bytes:
        return self.table.frame(number, lambda offset, length: self.data[offset : offset + length])

    @property
    def dataset(self) -> pydicom.Dataset:
        return pydicom.dcmread(self.path, force=True)

    def judged(self, number: int = 1, *, rgb: bool = False) -> native.Array:
        """What another decoder makes of a frame; unused bits of a cell taken out.

        :param rgb: whether YBR is to be transformed.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of data sets that are not quite right
            decoder, plugin = get_decoder(UID(self.image.syntax)), PLUGINS.get(self.image.syntax, "")
            array, _ = decoder.as_array(self.dataset, index=number - 1, raw=not rgb, decoding_plugin=plugin)
        return array


def named(name: str) -> Picture:
    """The first picture of a name."""
    return next(picture for picture in pictures(name))


def pictures(name: str = "") -> Iterator[Picture]:
    """All of them, or those of a file name."""
    for path in readable():
        if not name or path.name == name:
            picture = _picture(path)
            if picture is not None:
                yield picture


def _picture(path: Path) -> Picture | None:
    walk, data = Walk(wanted=TABLE_TAGS | IMAGE_TAGS, record=True), path.read_bytes()
    walk.feed(data)
    walk.finish()
    image = image_of(walk)
    if image is None:
        return None
    seen = inflate(data, walk)
    try:
        table = frame_table(walk, lambda offset, length: seen[offset : offset + length])
    except InstanceError:
        return None
    return Picture(path, image, seen, table) if table.frames else None


def judged(frame: bytes, image: Image) -> tuple[native.Array, str]:
    """What another decoder makes of a frame of ours, and its photometric interpretation."""
    options: Any = {
        "pixel_keyword": "PixelData",
        "number_of_frames": 1,
        "rows": image.rows,
        "columns": image.columns,
        "samples_per_pixel": image.samples,
        "planar_configuration": 0,
        "photometric_interpretation": image.photometric,
        "bits_allocated": image.allocated,
        "bits_stored": image.stored,
        "pixel_representation": int(image.signed),
    }
    decoder, plugin = get_decoder(UID(image.syntax)), PLUGINS[image.syntax]
    array, said = decoder.as_array(encapsulate([frame]), index=0, raw=True, validate=False, decoding_plugin=plugin, **options)
    return array, str(said["photometric_interpretation"])


def difference(one: native.Array, other: native.Array) -> float:
    """The largest one of any value."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())


def values(decoded: Decoded, image: Image) -> native.Array:
    return native.values(decoded.array, image)
