"""The workloads, as a table: what is done, by how many clients, who can do it beside the gateway, and what is to be reached.

A goal that names a peer is a ratio in one run, of medians; those without are bounds on the gateway itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from loadtests.bench import checking, objects, scene
from loadtests.bench.checking import Check
from loadtests.bench.figures import Goal
from loadtests.bench.objects import CT, SLICES, SMALL
from loadtests.bench.peers import BARE, NGINX, ORTHANC
from loadtests.bench.scene import LONG_SLICES, Asks, Scene

MANY_STUDIES = 20_000
"""From so many studies on, searches have goals of their own: there a peer slows down."""


class Way(Enum):
    """How a peer takes part."""

    SAME = "the same requests"
    FILE = "the same bytes out of files"
    DOCUMENT = "the same bytes out of memory"
    CACHE = "the same requests, answered from its cache in front of the gateway"
    SINK = "the same bodies, read and forgotten"


class Cast(Enum):
    """Which gateway it is."""

    STORE = "with an embedded store"
    FRONT = "in front of an origin, as a cache"
    FRESH = "with an embedded store, and nothing done before: for its memory"
    WORKERS = "two workers, beside one"


@dataclass(frozen=True)
class Workload:
    """One line of the table.

    :param unit: of the rate; ``MB`` moved, or what a request counts `units` of.
    :param needs: what has to be stored before (`scene.filling`).
    :param many: goals from `MANY_STUDIES` on, where they are others.
    :param once: each request is sent once, and a turn ends when there is no other.
    :param warm: the first turn is not counted.
    :param documents: how many different answers a peer gets that gives files.
    :param keep: how many answers of a turn are looked at.
    :param least: bytes that an answer has at least.
    :param defers: what a server still does after its last answer counts.
    """

    name: str
    suite: str
    unit: str
    asks: Asks
    check: Check
    clients: int = 1
    units: int = 1
    peers: Mapping[str, Way] = field(default_factory=dict)
    goals: Sequence[Goal] = ()
    many: Sequence[Goal] = ()
    needs: Sequence[str] = ()
    cast: Cast = Cast.STORE
    once: bool = False
    warm: bool = True
    documents: int = 1
    keep: int = 4
    least: Callable[[Scene], float] = lambda _: 1
    defers: bool = False

    @property
    def slug(self) -> str:
        """Its name for files."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def goals_at(self, studies: int) -> Sequence[Goal]:
        """Its goals with so many studies in the index."""
        return self.many if self.many and studies >= MANY_STUDIES else self.goals


def _stow(row: int, what: str, clients: int, size: int, count: int, *goals: Goal) -> Workload:
    return Workload(
        name=f"STOW {what} x {size}, {_clients(clients)}",
        suite="stow",
        unit="instances",
        clients=clients,
        units=size,
        asks=scene.storing(row, CT if what == "0.5 MB" else SMALL, size, count),
        check=checking.stored,
        keep=count,
        peers={ORTHANC: Way.SAME, BARE: Way.SINK},
        goals=goals,
        once=True,
        defers=True,
    )


def _clients(count: int) -> str:
    return "1 client" if count == 1 else f"{count} clients"


def _orthanc(rate: float, cpu: float | None = None) -> list[Goal]:
    return [Goal(ORTHANC, "rate", rate), *([] if cpu is None else [Goal(ORTHANC, "cpu", cpu)])]


def _miss(what: str, path: Callable[[Scene, int], str], *, clients: int = 16, need: str = "index") -> Workload:
    return Workload(
        name=f"search {what}",
        suite="qido",
        unit="requests",
        clients=clients,
        asks=scene.searching(path),
        check=checking.results,
        peers={ORTHANC: Way.SAME},
        goals=_orthanc(30),
        many=_orthanc(100),
        needs=(need,),
        once=True,
    )


_HIT = (*_orthanc(100), Goal(NGINX, "rate", 0.3, stretch=0.8), Goal(BARE, "rate", 0.85))
_HIT_PEERS = {ORTHANC: Way.SAME, NGINX: Way.CACHE, BARE: Way.DOCUMENT}


def _hit(what: str, asks: Asks, check: Check, *, clients: int = 16, need: str = "index") -> Workload:
    return Workload(
        name=f"kept: {what}",
        suite="hits",
        unit="requests",
        clients=clients,
        asks=asks,
        check=check,
        peers=_HIT_PEERS,
        goals=_HIT,
        needs=(need,),
        cast=Cast.FRONT,
        documents=8,
    )


def _drawn(media: str, index: int) -> Workload:
    return Workload(
        name=f"rendered {media} again",
        suite="rendered",
        unit="requests",
        clients=16,
        asks=scene.pictures(f"image/{media}", index),
        check=checking.picture,
        peers=_HIT_PEERS,
        goals=_HIT,
        needs=("scan",),
    )


def _cold(what: str, number: int, media: str, goal: float, need: str, first: int = 0) -> Workload:
    return Workload(
        name=f"rendered {media} of {what}, first time",
        suite="rendered",
        unit="requests",
        asks=scene.new_pictures(number, f"image/{media}", first),
        check=checking.picture,
        peers={ORTHANC: Way.SAME},
        goals=_orthanc(goal),
        needs=(need,),
        once=True,
    )


_STATIC = (Goal(NGINX, "rate", 0.45),)
_FILES = {ORTHANC: Way.SAME, NGINX: Way.FILE, BARE: Way.FILE}

WADO = [
    Workload(
        name="study of 200 x 0.5 MB",
        suite="wado",
        unit="MB",
        asks=scene.study,
        check=checking.whole_study,
        keep=1,
        peers=_FILES,
        goals=(Goal(ORTHANC, "rate", 2), Goal(NGINX, "cpu", round(1 / 1.4, 2)), Goal(BARE, "rate", 2)),
        needs=("scan",),
    ),
    Workload(
        name="instance of 0.5 MB, 16 clients",
        suite="wado",
        unit="requests",
        clients=16,
        asks=scene.instances,
        check=checking.one_instance,
        peers=_FILES,
        goals=(*_orthanc(20), *_STATIC),
        needs=("scan",),
        documents=SLICES,
    ),
    Workload(
        name="frame of 0.5 MB, 16 clients",
        suite="wado",
        unit="requests",
        clients=16,
        asks=scene.frames,
        check=checking.one_frame,
        peers=_FILES,
        goals=(*_orthanc(30), *_STATIC),
        needs=("scan",),
        documents=SLICES,
    ),
    Workload(
        name="frame of a 400-frame object, 4 clients",
        suite="wado",
        unit="requests",
        clients=4,
        asks=scene.loop_frames,
        check=checking.loop_frame,
        peers={ORTHANC: Way.SAME},
        goals=_orthanc(1500),
        needs=("loop",),
    ),
]

_METADATA_FILE = Goal(NGINX, "rate", 0.5)


def _long(when: str, asks: Asks, *goals: Goal, once: bool) -> Workload:
    return Workload(
        name=f"metadata of {LONG_SLICES} instances, {when}",
        suite="metadata",
        unit="MB",
        asks=asks,
        check=checking.metadata,
        peers={NGINX: Way.FILE, BARE: Way.FILE},
        goals=goals,
        needs=("long",),
        once=once,
    )


METADATA = [
    Workload(
        name="metadata of 200 instances again, 4 clients",
        suite="metadata",
        unit="requests",
        clients=4,
        asks=scene.metadata,
        check=checking.metadata,
        peers={ORTHANC: Way.SAME, NGINX: Way.FILE, BARE: Way.DOCUMENT},
        goals=(*_orthanc(100), _METADATA_FILE),
        needs=("scan",),
    ),
    Workload(
        name="metadata of 200 instances, first time",
        suite="metadata",
        unit="MB",
        asks=scene.metadata_unread,
        check=checking.metadata,
        peers={ORTHANC: Way.SAME},
        goals=_orthanc(100),
        needs=("unread",),
        once=True,
    ),
    _long("first time", scene.metadata_long, Goal("", "first byte", 20), once=True),
    _long("again", scene.metadata_long_again, Goal("", "first byte", 20), _METADATA_FILE, once=False),
]

QIDO = [
    _miss("of studies, limit=50", scene.page),
    _miss("by PatientID", scene.patient),
    _miss("by PatientName*, limit=50", scene.name),
    _miss("by StudyDate range, limit=50", scene.dates),
    _miss("for the series of a study", scene.series),
    _miss("for 200 instances of a series", scene.slices, clients=4, need="scan"),
]

HITS = [
    _hit("studies, limit=50", scene.searching_again(scene.page), checking.results),
    _hit("PatientID", scene.searching_again(scene.patient), checking.results),
    _hit("PatientName*, limit=50", scene.searching_again(scene.name), checking.results),
    _hit("StudyDate range, limit=50", scene.searching_again(scene.dates), checking.results),
    _hit("series of a study", scene.searching_again(scene.series), checking.results),
    _hit("200 instances of a series", scene.searching_again(scene.slices), checking.results, clients=4, need="scan"),
    _hit("frame of 0.5 MB", scene.few_frames, checking.one_frame, need="scan"),
    _hit("metadata of 200 instances", scene.metadata, checking.metadata, clients=4, need="scan"),
]

RENDERED = [
    _drawn("jpeg", 0),
    _drawn("png", 1),
    _cold("native", objects.SCAN, "jpeg", 4, "scan"),
    _cold("native", objects.SCAN, "png", 3.5, "scan", first=scene.PICTURES),
    _cold("JPEG-LS", objects.JLS, "jpeg", 2, "jls"),
    _cold("JPEG 2000", objects.J2K, "jpeg", 1.1, "j2k"),
]

STOW = [
    _stow(0, "0.5 MB", 1, 1, 200, *_orthanc(1.75, 2)),
    _stow(1, "0.5 MB", 8, 1, 200, *_orthanc(1.75, 2)),
    _stow(2, "0.5 MB", 8, 10, 40, *_orthanc(2.2, 3.4)),
    _stow(3, "0.5 MB", 1, 200, 2, *_orthanc(3.4, 4.2)),
    _stow(4, "2.8 kB", 32, 1, 2000, *_orthanc(4)),
    _stow(5, "2.8 kB", 1, 100, 40, *_orthanc(8)),
]


def _large(what: str, asks: Asks, check: Check, need: Sequence[str], *, keep: int = 0, least: float = 0) -> Workload:
    return Workload(
        name=f"memory: {what} of one large object",
        suite="memory",
        unit="MB",
        asks=asks,
        check=check,
        peers={ORTHANC: Way.SAME},
        goals=(Goal("", "over idle", 32), Goal(ORTHANC, "memory", 20)),
        needs=need,
        cast=Cast.FRESH,
        once=True,
        warm=False,
        keep=keep,
        least=lambda scene: scene.large * least,
    )


MEMORY = [
    _large("STOW", scene.store_large(1), checking.stored, (), keep=1),
    _large("WADO", scene.read_large, checking.ok_only, ("large",), least=0.9),
]

WORKERS = [
    Workload(
        name="two workers, searches and pages that cost CPU time",
        suite="workers",
        unit="requests",
        clients=32,
        asks=scene.busy,
        check=checking.results,
        peers={"one": Way.SAME},
        goals=(Goal("one", "rate", 1.7),),
        needs=("index", "scan"),
        cast=Cast.WORKERS,
        once=True,
    )
]

WORKLOADS = [*WADO, *METADATA, *QIDO, *RENDERED, *HITS, *STOW, *MEMORY, *WORKERS]
"""In the order in which they run: what stores goes last, so that all searches find the same."""

PASSING = "passing"
"""The suite of `passing.py`, which has a gateway and an origin of its own."""

SUITES = (*dict.fromkeys(workload.suite for workload in WORKLOADS), PASSING)
