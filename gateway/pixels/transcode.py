"""Frames into another transfer syntax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.pixels import syntaxes
from gateway.pixels.conversion import converted
from gateway.pixels.image import Image
from gateway.pixels.limits import PixelLimits
from gateway.pixels.work import Given, Made


@dataclass(frozen=True, slots=True)
class Transcode:
    """Frames of an image in another transfer syntax, one by one: no more than one is held decoded.

    Inputs are the frames, in ``image.syntax``. Content is the frames in `target`, without padding to an even length; the fact
    ``lengths`` says how long each is.

    :param quality: of lossy targets, 1 to 100; None for what is usual. :param frame_bytes: limit of a decoded frame.
    """

    image: Image
    target: str
    quality: int | None = None
    frame_bytes: int = PixelLimits().frame_bytes

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        """The frames.

        :raises Undoable: when the target cannot hold them, or one of them cannot be decoded.
        """
        after = converted(self.image, self.target)
        frames = [self._frame(given.read(), after) for given in inputs]
        return Made(frames, {"lengths": [len(frame) for frame in frames]})

    def _frame(self, data: bytes, after: Image) -> bytes | memoryview:
        return transcoded(data, self.image, after, self.quality, self.frame_bytes)


def transcoded(data: bytes, image: Image, after: Image, quality: int | None, frame_bytes: int) -> bytes | memoryview:
    """One frame.

    :param image: as `data` comes. :param after: what `conversion.converted` says of it.
    :raises Undoable: when it cannot be decoded.
    """
    from gateway.pixels import codestreams, decoding, encoding, native  # the gateway's own process does without codecs

    if after.syntax == image.syntax:
        return data
    if after.syntax == syntaxes.EXPLICIT and image.syntax in syntaxes.UNCOMPRESSED:
        return memoryview(data)[: image.frame_bytes]  # a fragment may be padded
    if after.syntax == syntaxes.EXPLICIT and image.syntax == syntaxes.DEFLATED_FRAMES:
        codestreams.check_size(image, frame_bytes)
        return decoding.inflated(data, image)
    found = decoding.decoded(data, image, frame_bytes)
    if after.syntax == syntaxes.EXPLICIT:
        return native.cells(found.array, after)
    if after.syntax == syntaxes.RLE:
        return encoding.encoded(found, after, quality)
    return encoding.encoded(decoding.Decoded(native.values(found.array, image), found.photometric), after, quality)
