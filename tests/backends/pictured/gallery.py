"""Things that can be shown, built in memory, and a place where they are asked for."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image as Picture
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as Items

from gateway.backends.base import Backend, Body, Retrieve, View
from gateway.backends.memory import MemoryBackend
from gateway.backends.pictured.rendering import rendered
from gateway.backends.pictured.sources import Sources
from gateway.backends.pictured.studio import Studio
from gateway.backends.pictured.subject import Subject
from gateway.backends.policy import OnDuplicate
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.rendering import AS_IT_IS, Rendering
from gateway.dicomweb.resources import Resource
from gateway.pixels.limits import PixelLimits
from tests.backends.made import FIRST, identity, read, store
from tests.backends.pictured.picturing import Counting, sources_of

EXPLICIT = "1.2.840.10008.1.2.1"
PNG = "image/png"
CT, SC = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"
MANY = "1.2.840.10008.5.1.4.1.1.7.2"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
STATE = "1.2.840.10008.5.1.4.1.1.11.1"
ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
PDF = "1.2.840.10008.5.1.4.1.1.104.1"
REPORT = "1.2.840.10008.5.1.4.1.1.88.11"
H264 = "1.2.840.10008.1.2.4.102"


class Gallery:
    """A store, in memory unless another is given, and pictures of what is in it."""

    def __init__(self, folder: Path, limits: PixelLimits | None = None, inner: Backend | None = None) -> None:
        self.pool = Counting()
        self.inner: Backend = inner or MemoryBackend(on_duplicate=OnDuplicate.REPLACE)
        self.sources: Sources = sources_of(self.inner, folder)
        self.studio = Studio(self.sources, self.pool, limits or PixelLimits())

    async def add(self, *files: bytes) -> Resource:
        """Stores files; what the last one is asked for by."""
        result = await store(self.inner, *files)
        assert not result.failed
        last = identity(files[-1])
        return Resource(last.study, last.series, last.sop)

    async def body(
        self, resource: Resource, accept: str = PNG, rendering: Rendering = AS_IT_IS, view: View = View.RENDERED, header: str = ""
    ) -> Body:
        """:param header: the Accept header where `accept` is what the URL says."""
        accepted = parse_accept([header], accept) if header else parse_accept([accept])
        studio = self.studio
        return await rendered(studio.sources, studio.pool, studio.limits, Retrieve(resource, view, accepted, None, rendering))

    async def thumbnail(self, resource: Resource, rendering: Rendering = AS_IT_IS) -> NDArray[np.uint8]:
        return pixels(await read(await self.body(resource, PNG, rendering, View.THUMBNAIL)))

    async def picture(self, resource: Resource, rendering: Rendering = AS_IT_IS) -> NDArray[np.uint8]:
        return pixels(await read(await self.body(resource, PNG, rendering)))

    async def subject(self, resource: Resource, media: str = PNG, rendering: Rendering = AS_IT_IS, *, thumbnail: bool = False) -> Subject:
        return Subject(resource, await self.sources.header(resource), media, rendering, thumbnail)


def pixels(file: bytes) -> NDArray[np.uint8]:
    """The pixels of a picture file."""
    return np.asarray(Picture.open(io.BytesIO(file)))


# -- instances


def item(**attributes: Any) -> Dataset:
    """An item of a sequence."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, Items(value) if isinstance(value, list) and value and isinstance(value[0], Dataset) else value)
    return made


def instance(sop_class: str, modality: str, uids: tuple[str, str, str] = FIRST, *, syntax: str = EXPLICIT, **attributes: Any) -> bytes:
    """A whole Part 10 file of these attributes."""
    ds = item(SOPClassUID=sop_class, Modality=modality, PatientName="Doe^Jane", PatientID="P1", **attributes)
    for keyword, uid in zip(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), uids, strict=True):
        setattr(ds, keyword, uid)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    if "PixelData" in ds:
        ds["PixelData"].VR = "OB"
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def image(array: NDArray[np.uint8], uids: tuple[str, str, str] = FIRST, *, sop_class: str = SC, modality: str = "OT", **more: Any) -> bytes:
    """An image of 8 bits.

    :param array: (frames, rows, columns), of colours (frames, rows, columns, 3).
    """
    colour = array.ndim == 4
    described: dict[str, Any] = {
        "Rows": array.shape[1],
        "Columns": array.shape[2],
        "NumberOfFrames": array.shape[0],
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "PixelData": array.tobytes() + b"\0" * (array.size % 2),
    }
    if colour:
        described["PlanarConfiguration"] = 0
    return instance(sop_class, modality, uids, **(described | more))


def grey(*levels: int, size: int = 8) -> NDArray[np.uint8]:
    """Frames of one level each."""
    return np.stack([np.full((size, size), level, np.uint8) for level in levels])


def segmentation(frames: Sequence[tuple[int, float]], masks: NDArray[np.uint8], uids: tuple[str, str, str] = FIRST, **more: Any) -> bytes:
    """A binary one of two segments: red, and one without a colour.

    :param frames: segment and position of each. :param masks: (frames, rows, columns) of 0 and 1; rows x columns a multiple of 8.
    """
    own = [
        item(
            SegmentIdentificationSequence=[item(ReferencedSegmentNumber=segment)],
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, position])],
        )
        for segment, position in frames
    ]
    described: dict[str, Any] = {
        "SegmentationType": "BINARY",
        "SegmentSequence": [
            item(SegmentNumber=1, SegmentLabel="one", RecommendedDisplayCIELabValue=[35579, 53664, 50857]),  # sRGB red
            item(SegmentNumber=2, SegmentLabel="two"),
        ],
        "PerFrameFunctionalGroupsSequence": own,
        "BitsAllocated": 1,
        "BitsStored": 1,
        "HighBit": 0,
        "PixelData": np.packbits(masks.ravel(), bitorder="little").tobytes(),
    }
    return image(masks, uids, sop_class=SEG, modality="SEG", **(described | more))


def slide(tiles: NDArray[np.uint8], rows: int, columns: int, uids: tuple[str, str, str] = FIRST, **more: Any) -> bytes:
    """Tiles of a slide, row by row."""
    described = {"TotalPixelMatrixRows": rows, "TotalPixelMatrixColumns": columns, "DimensionOrganizationType": "TILED_FULL"}
    return image(tiles, uids, sop_class=SLIDE, modality="SM", **(described | more))


def channel(label: str, unit: str = "uV", sensitivity: float = 5.0, **more: Any) -> Dataset:
    """A channel of a waveform."""
    units = [item(CodeValue=unit, CodingSchemeDesignator="UCUM", CodeMeaning=unit)]
    return item(ChannelLabel=label, ChannelSensitivity=sensitivity, ChannelSensitivityUnitsSequence=units, **more)


def group(samples: NDArray[Any], channels: Sequence[Dataset], rate: float = 500, kind: str = "SS", **more: Any) -> Dataset:
    """A multiplex group. :param samples: (samples, channels)."""
    bits = samples.dtype.itemsize * 8
    made = item(
        NumberOfWaveformChannels=samples.shape[1],
        NumberOfWaveformSamples=samples.shape[0],
        SamplingFrequency=rate,
        ChannelDefinitionSequence=list(channels),
        WaveformBitsAllocated=bits,
        WaveformSampleInterpretation=kind,
        WaveformData=samples.tobytes(),
        **more,
    )
    made["WaveformData"].VR = "OB" if bits == 8 else "OW"
    return made


def waveform(*groups: Dataset, uids: tuple[str, str, str] = FIRST) -> bytes:
    return instance(ECG, "ECG", uids, WaveformSequence=list(groups))


def document(data: bytes, media: str = "application/pdf", uids: tuple[str, str, str] = FIRST, **more: Any) -> bytes:
    """An encapsulated document; its length is made even."""
    padded = data + b"\0" * (len(data) % 2)
    described: dict[str, Any] = {
        "MIMETypeOfEncapsulatedDocument": media,
        "EncapsulatedDocument": padded,
        "EncapsulatedDocumentLength": len(data),
    }
    return instance(PDF, "DOC", uids, **(described | more))


def video(stream: bytes, uids: tuple[str, str, str] = FIRST, syntax: str = H264) -> bytes:
    more = {"PhotometricInterpretation": "YBR_PARTIAL_420", "NumberOfFrames": 25, "PixelData": encapsulate([stream])}
    return image(np.zeros((1, 8, 8, 3), np.uint8), uids, sop_class=SC, modality="ES", **(more | {"syntax": syntax}))


def state(of: Resource, uids: tuple[str, str, str] = ("1.1", "1.1.9", "1.1.9.1"), sop_class: str = STATE, **more: Any) -> bytes:
    """A presentation state that refers to an image."""
    named = item(ReferencedSOPClassUID=SC, ReferencedSOPInstanceUID=of.instance)
    series = [item(SeriesInstanceUID=of.series, ReferencedImageSequence=[named])]
    described: dict[str, Any] = {"ReferencedSeriesSequence": series, "PresentationLUTShape": "IDENTITY"}
    return instance(sop_class, "PR", uids, **(described | more))
