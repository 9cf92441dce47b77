"""A whole instance in another transfer syntax, as work for pixel processes (PS3.10 7.1, PS3.5 A, PS3.18 8.7.3).

1. `Begin` walks over the file, writes its data set anew (`headers`) and turns the first frames over: what cannot be done at all shows
   before anything is sent, and a small instance is finished. It tells where the other frames lie, and what goes behind them.
2. `Further` turns over the frames after these, some at a time. What a job makes is the next part of the new file, which the gateway
   hands to the socket unread.
3. Number of Frames may claim more than there is. Such an instance is refused, as pydicom does: a new file would hold either a number
   that is wrong or one that its writer never meant. As stored it can be had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.dicom.elements import Limits, Walk
from gateway.dicom.frames import TABLE_TAGS, FrameTable, frame_table
from gateway.dicom.native import inflated
from gateway.dicom.part10 import DEFLATED
from gateway.dicom.structure import UNDEFINED
from gateway.errors import InstanceError
from gateway.pixels import syntaxes
from gateway.pixels.conversion import check_whole, converted
from gateway.pixels.headers import IMAGE_TAGS, Change, header_of, image_of, rewritten
from gateway.pixels.icons import decode_icons
from gateway.pixels.image import Image
from gateway.pixels.limits import PixelLimits
from gateway.pixels.recoding import Coded, Recoding
from gateway.pixels.work import Fact, Given, Made, Undoable

WALK = Limits(elements=1 << 21, items=1 << 20, fragments=1 << 23, inflated=512 << 20, value_kept=1 << 20, header=256 << 20)
"""Of the walk. The store that holds the instance has its own; behind these stand the time and memory of a pixel process."""

WINDOW, BETWEEN = 64 << 10, 4 << 10
"""Bytes that are read at once where headers are walked over, and between fragments."""

NUMBERS = ("rows", "columns", "samples", "planar", "allocated", "stored", "high", "signed", "frames", "floating")
"""Fields of an `Image` in the fact ``image``; its words are transfer syntax and photometric interpretation."""

Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Begin:
    """The beginning of an instance in another transfer syntax. Its input is the whole instance.

    Content is the file up to the pixels, the first pixels, what comes behind all pixels, and the frame table. Facts: ``sizes`` of the
    first three in bytes, ``done`` frames, and ``image`` with ``words``, the pixels as they are stored; or nothing but ``as_stored``.

    :param target: the transfer syntax. :param quality: 1 to 100, of lossy encodings; None for the server's own.
    :param frame_bytes: limit of a decoded frame.
    """

    target: str
    quality: int | None = None
    frame_bytes: int = PixelLimits().frame_bytes

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        """See above.

        :raises Undoable: when the instance cannot be had in this transfer syntax.
        """
        try:
            return self._begun(_File.opened(inputs[0]))
        except InstanceError as error:
            raise Undoable(f"the instance cannot be written anew: {error.message}") from None

    def _begun(self, file: _File) -> Made:
        stored = file.walk.syntax
        if stored == self.target:
            return Made(facts={"as_stored": True})
        if file.walk.pixels is None:
            return self._without_pixels(file)
        before = image_of(file.walk)
        if before is None:
            raise Undoable(f"stored as {stored}, and nothing tells how large its pictures are: Rows or Columns are missing")
        after = converted(before, self.target)
        check_whole(after)
        table = frame_table(file.walk, file.read)
        if table.frames < before.frames:
            raise Undoable(f"stored as {stored}, with {table.frames} frames where Number of Frames says {before.frames}")
        return self._with_pixels(file, Recoding(before, after, self.quality, self.frame_bytes), table)

    def _with_pixels(self, file: _File, recoding: Recoding, table: FrameTable) -> Made:
        done = recoding.count(1)
        coded = recoding.coded([table.frame(number, file.read) for number in range(1, done + 1)])
        ratio = _ratio(recoding.before, coded) if syntaxes.is_lossy(self.target) else None
        head, tail = self._around(file, Change(recoding.before, recoding.after, self.target, ratio))
        laid = recoding.laid(coded)
        sizes = [len(head) + len(recoding.head), sum(map(len, laid)), len(recoding.tail) + len(tail)]
        content = [head, recoding.head, *laid, recoding.tail, tail, table.to_bytes()]
        return Made(content, {"sizes": sizes, "done": done, **_told(recoding.before)})

    def _without_pixels(self, file: _File) -> Made:
        if self.target not in syntaxes.NATIVE:
            raise Undoable(f"stored as {file.walk.syntax}, without pixels that could be compressed")
        head, tail = self._around(file, Change(None, None, self.target))
        return Made([head, tail], {"sizes": [len(head), 0, len(tail)], "done": 0})

    def _around(self, file: _File, change: Change) -> tuple[bytes, bytes]:
        header = header_of(file.read, file.walk, file.end, WALK)
        return rewritten(header, change, lambda editor: decode_icons(editor, header, file.walk.syntax, self.frame_bytes))


@dataclass(frozen=True, slots=True)
class Further:
    """More frames of an instance. Content is the next part of the new file.

    :param table: of native frames, which may begin within a byte or be big endian: the input is the whole instance, to be cut by it.
        Empty for codestreams, which are the inputs.
    :param first: number of the first frame.
    """

    recoding: Recoding
    table: bytes
    first: int
    count: int

    def __call__(self, inputs: Sequence[Given], /) -> Made:
        """See above.

        :raises Undoable: when a frame is damaged.
        """
        return Made(self.recoding.laid(self.recoding.coded(list(self._frames(inputs)))))

    def _frames(self, inputs: Sequence[Given]) -> Sequence[bytes]:
        if not self.table:
            return [given.read() for given in inputs]
        read = _inflated(inputs[0]) if self.recoding.before.syntax in DEFLATED else inputs[0].at
        table = FrameTable.from_bytes(self.table)
        return [table.frame(number, read) for number in range(self.first, self.first + self.count)]


@dataclass(frozen=True, slots=True)
class _File:
    """An instance that was walked over.

    :param read: its bytes by offset and length; those of a deflated data set are inflated. :param end: where its data set ends.
    """

    read: Read
    walk: Walk
    end: int

    @classmethod
    def opened(cls, given: Given) -> _File:
        """:raises InstanceError: when the file is damaged."""
        walk = Walk(record=True, wanted=IMAGE_TAGS | TABLE_TAGS, limits=WALK)
        while walk.position < len(given):
            if walk.skip > WINDOW:
                walk.jump(min(walk.skip, len(given) - walk.position))
            else:
                in_fragments = bool(walk.events) and walk.events[-1][3] == UNDEFINED
                walk.feed(given.at(walk.position, BETWEEN if in_fragments else WINDOW))
        walk.finish()
        if walk.syntax not in DEFLATED:
            return cls(given.at, walk, len(given) - walk.trailing)
        data = inflated(given.read(), WALK)
        return cls(lambda offset, length: data[offset : offset + length], walk, len(data))


def _inflated(given: Given) -> Read:
    data = inflated(given.read(), WALK)
    return lambda offset, length: data[offset : offset + length]


def _ratio(image: Image, coded: Coded) -> float:
    """Of the first frames: that of all is known when they have been sent, and the attribute is approximate by definition."""
    return len(coded) * image.frame_bytes / max(sum(map(len, coded)), 1)


def _told(image: Image) -> dict[str, Fact]:
    return {"image": [int(getattr(image, name)) for name in NUMBERS], "words": [image.syntax, image.photometric]}
