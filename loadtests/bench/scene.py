"""What the servers hold, and the requests that are sent to them: a function a workload, from a turn to its requests.

The requests of a turn are the same for every server, and others than in the turns before wherever nothing may have been kept: the
parameters differ, what they select does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from loadtests.bench import objects
from loadtests.bench.client import Ask, Piece, get
from loadtests.bench.objects import A_ROW, A_TURN, CT, JSON, SEED, SLICES, STORED
from loadtests.synthetic import Shape, Study

DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
FRAME = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
PAGE, RANGE = 50, 73
"""Results of a page, and days of a range of dates: at least as many studies."""

FAMILIES = ("Almond", "Birch", "Cedar", "Dogwood", "Elder", "Fir", "Gorse", "Hazel", "Ivy", "Juniper", "Larch", "Maple", "Oak")
"""Beginnings of the names in `loadtests.synthetic`: each matches a thirteenth of the patients."""

MANY = 10_000
"""Searches that are made ready for a turn; who is through with them before its time is up has a shorter turn."""


@dataclass(frozen=True)
class Scene:
    """How much there is of everything.

    :param studies: small studies in the index.
    :param frames: of the multi-frame object.
    :param turns: rounds of a workload on each server, the one included that is not counted.
    :param large: bytes of the one object whose memory is looked at.
    """

    studies: int = 1000
    frames: int = 400
    turns: int = 6
    large: int = 1 << 30


Asks = Callable[[Scene, int], Sequence[Ask]]
"""From a scene and the number of a turn, counted from 0, to its requests."""


# -- stores: every turn has studies of its own


def storing(row: int, shape: Shape, size: int, count: int) -> Asks:
    """`count` requests of `size` instances. :param row: tells the workloads apart."""

    def asks(_: Scene, turn: int) -> Sequence[Ask]:
        first = STORED + row * A_ROW + turn * A_TURN
        per_study = max(1, SLICES // size)
        made: list[Ask] = []
        for number in range(first, first + -(-count // per_study)):
            made += objects.batches(Study(SEED, number, SLICES, shape), size, count - len(made))
        return made

    return asks


def store_large(row: int) -> Asks:
    """One request with one large object."""

    def asks(scene: Scene, turn: int) -> Sequence[Ask]:
        return objects.batches(_large(scene, row, turn), 1, 1)

    return asks


def read_large(scene: Scene, _: int) -> Sequence[Ask]:
    """The instance of that study which the filling stored."""
    return [get(_instance(_large(scene, 0, 0), 0), DICOM)]


def _large(scene: Scene, row: int, turn: int) -> Study:
    return Study(SEED, STORED + 90 * 100_000 + row * 1000 + turn, 1, Shape(512, 512, max(1, scene.large // CT.frame_bytes)))


# -- bytes


def _instance(study: Study, index: int) -> str:
    return f"/dicom-web/studies/{study.uid}/series/{study.series_uid}/instances/{study.sop_uid(index)}"


def study(_: Scene, __: int) -> Sequence[Ask]:
    """All of a study."""
    return [get(f"/dicom-web/studies/{objects.scan().uid}", DICOM)]


def instances(_: Scene, __: int) -> Sequence[Ask]:
    """Each of a study."""
    return [get(_instance(objects.scan(), index), DICOM) for index in range(SLICES)]


def frames(_: Scene, __: int) -> Sequence[Ask]:
    """The only frame of each."""
    return [get(_instance(objects.scan(), index) + "/frames/1", FRAME) for index in range(SLICES)]


def few_frames(scene: Scene, turn: int) -> Sequence[Ask]:
    """Of so few instances that a cache in memory has room for them."""
    return frames(scene, turn)[:FEW]


FEW = 16
"""Frames of half a megabyte: an eighth of what the cache keeps in memory."""


def loop_frames(scene: Scene, turn: int) -> Sequence[Ask]:
    """Single frames of one large object, in no order that a disk would like."""
    path = _instance(objects.loop(scene.frames), 0)
    return [get(f"{path}/frames/{(turn + index * 7) % scene.frames + 1}", FRAME) for index in range(scene.frames)]


# -- metadata


def metadata(_: Scene, __: int) -> Sequence[Ask]:
    """Of the same study each time."""
    return [get(f"/dicom-web/studies/{objects.scan().uid}/metadata", JSON)]


UNREAD_A_TURN = 3
"""Studies whose metadata is asked for in a turn, and never again."""
LONG_SLICES = 2000


def metadata_unread(_: Scene, turn: int) -> Sequence[Ask]:
    """Of studies that nobody asked for before."""
    return [get(f"/dicom-web/studies/{one.uid}/metadata", JSON) for one in unread(turn)]


def unread(turn: int) -> list[Study]:
    """Those of a turn."""
    return [objects.small(objects.UNREAD + turn * UNREAD_A_TURN + index, SLICES) for index in range(UNREAD_A_TURN)]


def metadata_long(_: Scene, turn: int) -> Sequence[Ask]:
    """Of 2,000 instances that nobody asked for before."""
    return [get(f"/dicom-web/studies/{long(turn).uid}/metadata", JSON)]


def metadata_long_again(scene: Scene, _: int) -> Sequence[Ask]:
    """The same study each time."""
    return metadata_long(scene, 0)


def long(turn: int) -> Study:
    """That of a turn."""
    return objects.small(objects.LONG + turn, LONG_SLICES)


# -- searches; `number` counts on over all turns


def searching(path: Callable[[Scene, int], str], count: int = MANY) -> Asks:
    """A search that is another one each time."""

    def asks(scene: Scene, turn: int) -> Sequence[Ask]:
        return [get("/dicom-web" + path(scene, turn * count + index), JSON) for index in range(count)]

    return asks


def searching_again(path: Callable[[Scene, int], str], different: int = 8) -> Asks:
    """The same few searches in every turn."""
    return lambda scene, _: [get("/dicom-web" + path(scene, index), JSON) for index in range(different)]


TOLD = ("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID", "StudyID", "StudyInstanceUID")
"""Attributes of studies that are in every result: who asks for them asks differently, and gets the same (PS3.18 10.6.3.3)."""


def told(number: int) -> str:
    """A parameter that changes nothing, another one for each of 256 numbers; none for 0."""
    names = [name for bit, name in enumerate(TOLD) if number >> bit & 1]
    return f"&includefield={','.join(names)}" if names else ""


def page(scene: Scene, number: int) -> str:
    """The studies of one page."""
    again, offset = divmod(number, scene.studies - PAGE)
    return f"/studies?limit={PAGE}&offset={offset}{told(again)}"


def patient(scene: Scene, number: int) -> str:
    """The only study of a patient; the limit, which does not count here, makes it another request."""
    again, study = divmod(number, scene.studies)
    return f"/studies?PatientID={objects.small(study).patient_id}&limit={PAGE + again}"


def name(scene: Scene, number: int) -> str:
    """The first 50 of a thirteenth of all studies; of fewer than 650 studies all of it."""
    turn, family = divmod(number, len(FAMILIES))
    again, offset = divmod(turn, max(1, scene.studies // len(FAMILIES) - PAGE))
    return f"/studies?PatientName={FAMILIES[family]}*&limit={PAGE}&offset={offset}{told(again)}"


def dates(scene: Scene, number: int) -> str:
    """50 studies of two months and some days."""
    turn, first = divmod(number, min(840, scene.studies - RANGE))
    again, offset = divmod(turn, RANGE - PAGE)
    days = f"{objects.small(first).date}-{objects.small(first + RANGE - 1).date}"
    return f"/studies?StudyDate={days}&limit={PAGE}&offset={offset}{told(again)}"


def series(scene: Scene, number: int) -> str:
    """The only series of a study."""
    again, study = divmod(number, scene.studies)
    return f"/studies/{objects.small(study).uid}/series?limit={PAGE + again}"


def slices(_: Scene, number: int) -> str:
    """All 200 instances of a series."""
    return f"/studies/{objects.scan().uid}/series/{objects.scan().series_uid}/instances?limit={SLICES + number}"


BUSY = 4000
"""The same for `busy`."""


def busy(scene: Scene, turn: int) -> Sequence[Ask]:
    """What costs a server much and a client little, mixed: pages, names, series of 200."""
    numbers = range(turn * BUSY, (turn + 1) * BUSY)
    kinds: list[Callable[[Scene, int], str]] = [page, name, slices]
    return [get("/dicom-web" + kinds[number % len(kinds)](scene, number), JSON) for number in numbers]


# -- pictures

PICTURES = 98
"""Pictures of one workload in all its turns, none of which anybody asked for before: two workloads share a study of 200."""


def a_picture(scene: Scene) -> int:
    """How many of them are for one turn."""
    return max(1, min(16, PICTURES // scene.turns))


def pictures(media: str, index: int) -> Asks:
    """The same picture again; one of those that the other workloads leave alone."""
    return lambda _, __: [get(_instance(objects.scan(), 2 * PICTURES + index) + "/rendered", media)]


def new_pictures(number: int, media: str, first: int = 0) -> Asks:
    """Pictures that are drawn for the first time, of the study `number`, from the instance `first` on."""

    def asks(scene: Scene, turn: int) -> Sequence[Ask]:
        count = a_picture(scene)
        start = first + turn % PICTURES * count
        shown = objects.scan() if number == objects.SCAN else Study(SEED, number, max(compressed_count(scene), objects.VARIANTS), CT)
        return [get(_instance(shown, index) + "/rendered", media) for index in range(start, start + count)]

    return asks


def compressed_count(scene: Scene) -> int:
    """Instances of each compressed study: enough for all turns."""
    return min(scene.turns, PICTURES) * a_picture(scene)


# -- what has to be stored for them before


def held(scene: Scene, needs: Iterable[str]) -> list[Study]:
    """All studies that the filling stores."""
    turns = range(scene.turns)
    count = max(compressed_count(scene), objects.VARIANTS)
    by_need: dict[str, list[Study]] = {
        "index": [objects.small(number) for number in range(scene.studies)],
        "scan": [objects.scan()],
        "loop": [objects.loop(scene.frames)],
        "large": [_large(scene, 0, 0)],
        "jls": [Study(SEED, objects.JLS, count, CT)],
        "j2k": [Study(SEED, objects.J2K, count, CT)],
        "unread": [one for turn in turns for one in unread(turn)],
        "long": [long(turn) for turn in turns],
    }
    return [one for need in set(needs) for one in by_need[need]]


def filling(scene: Scene, needs: Iterable[str]) -> Iterable[Ask]:
    """Store requests, few instances each so that no server is asked for too much at once."""
    wanted = set(needs)
    if "scan" in wanted:
        uids = objects.scan().sop_uids()
        for at in range(0, SLICES, 20):
            yield objects.stored([objects.scanned(index) for index in range(at, at + 20)], uids[at : at + 20])
    if "loop" in wanted:
        yield from objects.batches(objects.loop(scene.frames), 1, 1)
    if "large" in wanted:
        yield from objects.batches(_large(scene, 0, 0), 1, 1)
    for need, number in (("jls", objects.JLS), ("j2k", objects.J2K)):
        if need in wanted:
            yield from _compressed(number, compressed_count(scene))
    if "unread" in wanted:
        for turn in range(scene.turns):
            for one in unread(turn):
                yield from objects.batches(one, 100, SLICES)
    if "long" in wanted:
        for turn in range(scene.turns):
            yield from objects.batches(long(turn), 100, LONG_SLICES)
    if "index" in wanted:
        for at in range(0, scene.studies, 50):
            some = [objects.small(number) for number in range(at, min(at + 50, scene.studies))]
            yield objects.stored([one.pieces(0) for one in some], [one.sop_uid(0) for one in some])


def _compressed(number: int, count: int) -> Iterable[Ask]:
    made = Study(SEED, number, max(count, objects.VARIANTS), CT)
    for at in range(0, count, 16):
        indexes = range(at, min(at + 16, count))
        parts: list[list[Piece]] = [[objects.compressed(number, index, count)] for index in indexes]
        yield objects.stored(parts, [made.sop_uid(index) for index in indexes])
