from __future__ import annotations

from pathlib import Path

import pytest

from gateway.backends.base import Backend, Matches
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.policy import OnDuplicate
from gateway.backends.spool.comparing import (
    KEPT,
    NOTHING,
    UNREADABLE,
    Digest,
    can_be_read,
    digest_of_file,
    digests,
    judged,
    refusal,
    searched,
    there,
)
from gateway.backends.spool.deliveries import Parcel
from gateway.backends.spool.sending import Outcome, deliver
from gateway.dicomweb.query import Query
from gateway.errors import Conflict, InvalidQuery, OriginFailed
from tests.backends.made import dicom, identity, store
from tests.backends.spool.spools import DOWN, Destination

FILES = [dicom(sop=f"1.1.1.{number}") for number in (1, 2, 3)]
PARCELS = [Parcel(number, 0, False, identity(data)) for number, data in enumerate(FILES)]
OWN, OLDER, CHANGED = (1, b"own"), (1, b"older"), (2, b"own")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (OLDER, OWN, None),
        (OWN, OWN, None),
        (NOTHING, OWN, None),
        (NOTHING, CHANGED, None),  # it changes what it takes
        (OLDER, CHANGED, None),
        (OLDER, OLDER, (KEPT, False)),
        (None, OWN, None),
        (None, OLDER, (KEPT, False)),  # nobody knows: nothing is lost for people have a look at it
        (OLDER, None, (UNREADABLE, True)),
        (OLDER, NOTHING, (UNREADABLE, True)),
    ],
)
def test_what_tells_that_another_version_was_kept(before: Digest | None, after: Digest | None, expected: tuple[str, bool] | None) -> None:
    assert refusal(OWN, before, after) == expected
    assert judged({"1": OWN}, {"1": before}, {"1": after}) == ({} if expected is None else {"1": expected})


async def test_what_is_there_is_found_or_read() -> None:
    class Unsearchable(Destination):
        async def search(self, query: Query) -> Matches:
            self._check()
            raise InvalidQuery("no lists of UIDs")

    for to in (Destination(), Unsearchable()):
        assert await there(to, []) == await there(to, PARCELS) == set()
        await store(to, FILES[0], FILES[2])
        assert await there(to, PARCELS) == {"1.1.1.1", "1.1.1.3"}
        assert [await can_be_read(to, one) for one in PARCELS] == [True, False, True]
        assert (await searched(to, PARCELS) is None) is isinstance(to, Unsearchable)
        to.error = DOWN
        for asking in (there(to, PARCELS), digests(to, PARCELS), can_be_read(to, PARCELS[0])):
            with pytest.raises(OriginFailed):
                await asking


async def test_bytes_of_a_destination_are_those_of_the_file(tmp_path: Path) -> None:
    local = LocalStore(tmp_path / "local", durable=False)
    each: tuple[Backend, ...] = (MemoryBackend(), local)
    for to in each:
        await store(to, *FILES[:2])
        found = await digests(to, PARCELS)
        assert found.pop("1.1.1.3") == NOTHING
        for parcel in PARCELS[:2]:
            (tmp_path / "file").write_bytes(FILES[parcel.generation])
            assert digest_of_file(str(tmp_path / "file")) == found[parcel.instance.sop]
        assert len(set(found.values())) == 2
    await local.aclose()
    assert digest_of_file(str(tmp_path / "none")) is None


async def test_what_cannot_be_read_is_unknown() -> None:
    to = Destination()
    to.error = Conflict("not so")
    assert await digests(to, PARCELS[:1]) == {"1.1.1.1": None}


@pytest.mark.parametrize(("policy", "arrived"), [(OnDuplicate.SKIP, [1, 2]), (OnDuplicate.REPLACE, [0, 1, 2])])
async def test_only_what_was_preceded_is_compared(tmp_path: Path, policy: OnDuplicate, arrived: list[int]) -> None:
    to = Destination(policy)
    await store(to, dicom(sop="1.1.1.1", PatientID="P9"), FILES[1])
    for number, data in enumerate(FILES):
        (tmp_path / str(number)).write_bytes(data)
    batch = [parcel._replace(preceded=number < 2) for number, parcel in enumerate(PARCELS)]
    refused = {} if 0 in arrived else {0: (KEPT, False)}
    assert await deliver(to, batch, lambda generation: str(tmp_path / str(generation))) == Outcome(arrived, refused)
