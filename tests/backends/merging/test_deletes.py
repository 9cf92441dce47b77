from __future__ import annotations

import pytest

from gateway.backends.memory import MemoryBackend
from gateway.backends.merging.deletes import delete_everywhere
from gateway.backends.merging.members import Member
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, NotFound, OriginFailed
from tests.backends.made import dicom, named, sops, store, study
from tests.backends.spool.spools import DOWN, Destination


async def two() -> list[Member]:
    members = [Member(name, MemoryBackend()) for name in "ab"]
    await store(members[0].backend, *study("1.1"))
    await store(members[1].backend, *study("1.1")[:1], dicom("1.1", "1.1.9", "1.1.9.1"))
    return members


@pytest.mark.parametrize(("uids", "count"), [(("1.1",), 5), (("1.1", "1.1.1"), 2), (("1.1", "1.1.1", "1.1.1.1"), 1), (("1.1", "1.1.9"), 1)])
async def test_each_instance_counts_once_wherever_it_was(uids: tuple[str, ...], count: int) -> None:
    members = await two()
    assert await delete_everywhere(members, named(*uids)) == count
    for member in members:
        assert not [sop for sop in await sops(member.backend) if sop.startswith(uids[-1])]
    with pytest.raises(Gone):
        await delete_everywhere(members, named(*uids))


async def test_the_unknown_is_not_found() -> None:
    with pytest.raises(NotFound):
        await delete_everywhere(await two(), Resource("9"))


async def test_nothing_is_deleted_where_one_does_not_answer() -> None:
    gone = Destination()
    gone.error = DOWN
    members = [*await two(), Member("gone", gone)]
    with pytest.raises(OriginFailed):
        await delete_everywhere(members, Resource("1.1"))
    assert len(await sops(members[0].backend)) == 4
