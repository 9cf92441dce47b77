"""What an instance is written as, by ``mimeType`` (GcsDestination of the Cloud Healthcare API's discovery document).

nothing                                      INSTANCE.dcm          as it is stored
application/dicom; transfer-syntax=UID|*     INSTANCE.dcm
image/jpeg, image/png                        INSTANCE.jpg, .png    a picture; of several frames INSTANCE/FRAME.jpg
application/octet-stream; transfer-syntax=.. INSTANCE              pixels of a frame; of several INSTANCE/FRAME
application/dicom+json                       STUDY.ndjson          metadata, an instance a line; this gateway's own
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from gateway.backends.base import Retrieve, View
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, Accept, Range, parse_media_type
from gateway.dicomweb.resources import Resource, is_uid
from gateway.errors import BadRequest

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"

Kind = Literal["instance", "frame", "metadata"]


@dataclass(frozen=True, slots=True)
class Form:
    """:param kind: what becomes a file: an instance, each frame of one, or the metadata of a study.
    :param view: what is asked for. :param media: as what. :param extension: of the name of a file.
    """

    kind: Kind
    view: View
    media: Range
    extension: str

    def files(self, resource: Resource, frames: int) -> Iterator[tuple[str, Retrieve]]:
        """The files of an instance: their names below the folder of the export, and what is in them.

        :param frames: how many it has; 0 and 1 are the same.
        """
        base = f"{resource.study}/{resource.series}/{resource.instance}"
        if self.kind != "frame":
            yield base + self.extension, self.retrieve(resource)
            return
        for frame in range(1, max(1, frames) + 1):
            name = f"{base}/{frame}" if frames > 1 else base
            yield name + self.extension, self.retrieve(replace(resource, frames=(frame,)))

    def retrieve(self, resource: Resource) -> Retrieve:
        """The read of it."""
        return Retrieve(resource, self.view, Accept((self.media,)))


STORED = Form("instance", View.INSTANCES, Range("application/dicom", transfer_syntax="*"), ".dcm")
METADATA = Form("metadata", View.METADATA, Range("application/dicom+json"), ".ndjson")


def parse_form(text: object) -> Form:
    """:param text: a ``mimeType``; None or empty for as stored.

    :raises BadRequest: when it is none that instances can be written as.
    """
    if text is None or text == "":
        return STORED
    media = parse_media_type(text if isinstance(text, str) else "")
    syntax = media.param("transfer-syntax")
    if syntax is not None and syntax != "*" and not is_uid(syntax):
        raise BadRequest("the transfer-syntax of mimeType is a UID or *")
    match media.type:
        case "application/dicom":
            return replace(STORED, media=Range(media.type, transfer_syntax=syntax or EXPLICIT_LITTLE_ENDIAN))
        case "application/octet-stream" if syntax in (None, "*", EXPLICIT_LITTLE_ENDIAN):
            return Form("frame", View.FRAMES, Range(media.type, transfer_syntax=syntax or EXPLICIT_LITTLE_ENDIAN), "")
        case "image/jpeg" if syntax in (None, JPEG_BASELINE):
            return Form("frame", View.RENDERED, Range(media.type), ".jpg")
        case "image/png" if syntax is None:
            return Form("frame", View.RENDERED, Range(media.type), ".png")
        case "application/dicom+json" if syntax is None:
            return METADATA
    raise BadRequest(
        "mimeType is none of application/dicom; transfer-syntax=UID, application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1,"
        " image/jpeg, image/png, application/dicom+json"
    )
