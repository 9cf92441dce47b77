"""Fills the folder of a local store with a made-up hospital: the files, and an index with every row that stores would have made.

What a request costs besides is left out: sockets, multipart, a sync for each file, a commit for each request. The rows come out of
the store's own code (`Walk`, `describe`, `transactions.store`), a thousand instances and more a transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

import xxhash

from gateway.backends.local import schema, transactions
from gateway.backends.local.files import BLOCK_BITS, Files
from gateway.backends.local.inspect import describe
from gateway.backends.local.prepared import Prepared
from gateway.backends.policy import OnDuplicate
from gateway.backends.sqlite import transaction
from gateway.dicom.attributes import INDEX_TAGS, IndexAttributes
from gateway.dicom.elements import Walk
from gateway.dicom.frames import TABLE_TAGS
from gateway.dicom.header import Instance
from loadtests.scale.hospital import Hospital
from loadtests.scale.written import EXPLICIT, series_files, sop_class

AT_ONCE = 4096
"""Instances of a transaction, four folders of files."""

_WANTED = INDEX_TAGS | TABLE_TAGS


def fill(folder: Path, instances: int, progress: Callable[[int], None] = lambda done: None) -> float:
    """Makes a store of so many instances; `folder` must not be one yet. Returns the seconds that it took.

    :param progress: is told how many are there.
    """
    hospital = Hospital(instances)
    files = Files(folder, durable=False)
    start = time.monotonic()
    try:
        with closing(schema.connect(files.root / "index.sqlite", durable=False)) as db:
            schema.migrate(db)
            made, done = _made(hospital), 0
            while some := list(islice(made, AT_ONCE)):
                data = {one.path: content for one, content in some}
                batch = [one for one, _ in some]
                publish = partial(_publish, files, data)
                transaction(db, lambda db, batch=batch, publish=publish: transactions.store(db, batch, OnDuplicate.REJECT, publish, _never))  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
                done += len(batch)
                progress(done)
    finally:
        files.close()
    return time.monotonic() - start


def _made(hospital: Hospital) -> Iterator[tuple[Prepared, bytes]]:
    """Each instance as a store has it when it has received it, and its bytes."""
    for study in hospital.studies():
        for index, (modality, _) in enumerate(study.series):
            for sop, data in series_files(study, index):
                named = Instance(study.uid, study.series_uid(index), sop, sop_class(modality), EXPLICIT)
                yield prepared(named, data), data


def prepared(named: Instance, data: bytes) -> Prepared:
    """As `receive` has it; what would be the path of a received file is the SOP Instance UID."""
    walk = Walk(wanted=_WANTED)
    walk.feed(data)
    walk.finish()
    attributes, pixels = describe(walk, -1)
    return Prepared(1, named, named.sop, len(data), xxhash.xxh3_128(data).digest(), attributes, pixels)


def _publish(files: Files, data: dict[str, bytes], moves: list[tuple[str, int]]) -> None:
    """The files are written where they belong, and moved nowhere."""
    block = -1
    for sop, generation in moves:
        path = Path(files.path(generation))
        if generation >> BLOCK_BITS != block:
            block = generation >> BLOCK_BITS
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb", buffering=0) as file:
            file.write(data[sop])


def _never(generation: int) -> IndexAttributes | None:
    raise AssertionError(f"nothing is replaced here, but generation {generation} is")
