"""A DICOM file as the gateway sees it when it draws a picture of it: header, bulk data, frames."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image as Pillow

from gateway.dicom.elements import Walk
from gateway.dicom.frames import TABLE_TAGS, FrameTable, frame_table
from gateway.dicomweb.rendering import AS_IT_IS, Rendering
from gateway.pixels.decoding import Decoded
from gateway.pixels.image import Image
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.picture import Render
from gateway.pixels.render.pipeline import displayed
from gateway.pixels.render.wanted import narrowed, wanted
from tests.dicom.archive import inflate
from tests.flows.ours import described


class Whole:
    """An input that lies in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def read(self) -> bytes:
        return self.data

    def at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


@dataclass(frozen=True)
class Subject:
    """:param header: DICOM JSON. :param bulk: values by path. :param file: all of it."""

    header: Mapping[str, Any]
    bulk: Mapping[str, bytes]
    file: bytes
    table: FrameTable
    image: Image

    def frame(self, number: int = 1) -> bytes:
        return self.table.frame(number, lambda offset, length: self.file[offset : offset + length])

    def attributes(self) -> Attributes:
        return Attributes(self.header, self.bulk)

    def drawn(self, rendering: Rendering = AS_IT_IS, number: int = 1, media: str = "image/png", **more: Any) -> NDArray[np.uint8]:
        """The picture as it comes out of its file."""
        return np.asarray(Pillow.open(io.BytesIO(self.written(rendering, number, media, **more))))

    def written(self, rendering: Rendering = AS_IT_IS, number: int = 1, media: str = "image/png", **more: Any) -> bytes:
        """The file of the picture."""
        paths = tuple(path for path in wanted(narrowed(self.header, number)) if path in self.bulk)
        work = Render(self.image, number, media, rendering, paths, **more)
        inputs = [orjson.dumps(narrowed(self.header, number)), self.frame(number), *(self.bulk[path] for path in paths)]
        return b"".join(work([Whole(data) for data in inputs]).content)


def subject(file: bytes) -> Subject | None:
    """A picture, None for a file that is none."""
    walk = Walk(wanted=TABLE_TAGS, record=True)
    walk.feed(file)
    walk.finish()
    if walk.pixels is None:
        return None
    header, bulk = described(file)
    image = Image.of(header, walk.syntax)
    if image is None:
        return None
    seen = inflate(file, walk)
    table = frame_table(walk, lambda offset, length: seen[offset : offset + length])
    return Subject(header, {uri.rpartition("/bulkdata/")[2]: value for uri, value in bulk.items()}, seen, table, image)


def said(tags: Mapping[str, Any] = {}, **more: Any) -> Attributes:
    """A data set of values by tag, as a name with an underscore in front: bytes are binary, a list of data sets is a sequence."""
    named = {name.lstrip("_"): value for name, value in more.items()}
    return Attributes({tag: _element(value) for tag, value in {**tags, **named}.items()})


def _element(value: Any) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {"vr": "OW", "InlineBinary": b64encode(value).decode()}
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if not values:
        return {"vr": "DS"}
    if isinstance(values[0], Attributes):
        return {"vr": "SQ", "Value": [item.data for item in values]}
    return {"vr": "CS" if isinstance(values[0], str) else "DS", "Value": values}


def shown(
    array: NDArray[Any], tags: Mapping[str, Any] = {}, rendering: Rendering = AS_IT_IS, *, photometric: str = "MONOCHROME2", number: int = 1
) -> NDArray[np.uint8]:
    """What `displayed` makes of cells; what a header says of them is theirs unless `tags` say otherwise."""
    bits = array.dtype.itemsize * 8
    own = {"00280010": array.shape[0], "00280011": array.shape[1], "00280100": bits, "00280101": bits, "00280102": bits - 1}
    own |= {"00280002": 3 if array.ndim == 3 else 1, "00280004": photometric, "00280103": int(array.dtype.kind == "i")}
    return displayed(Decoded(array, photometric), said({**own, **tags}), number, rendering)
