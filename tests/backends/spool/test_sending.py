from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.backends.base import Matches
from gateway.backends.spool.deliveries import Parcel
from gateway.backends.spool.sending import Outcome, deliver, reachable
from gateway.dicomweb.query import Query
from gateway.dicomweb.reasons import Reason
from gateway.errors import (
    Busy,
    Conflict,
    Forbidden,
    GatewayError,
    InvalidQuery,
    OriginFailed,
    OriginTimeout,
    OutOfStorage,
    StoreUnavailable,
    TooLarge,
)
from tests.backends.made import dicom, identity, sops
from tests.backends.spool.spools import DOWN, Destination

FILES = [dicom(sop=f"1.1.1.{number}") for number in (1, 2, 3)]


@pytest.fixture
def batch(tmp_path: Path) -> list[Parcel]:
    for number, data in enumerate(FILES):
        (tmp_path / str(number)).write_bytes(data)
    return [Parcel(number, 0, False, identity(data)) for number, data in enumerate(FILES)]


async def sent(to: Destination, batch: Sequence[Parcel], folder: Path) -> Outcome:
    return await deliver(to, batch, lambda generation: str(folder / str(generation)))


async def test_what_is_stored_and_returned_has_arrived(batch: list[Parcel], tmp_path: Path) -> None:
    to = Destination()
    assert await sent(to, batch, tmp_path) == Outcome(arrived=[0, 1, 2])
    assert await sops(to) == [parcel.instance.sop for parcel in batch]


@pytest.mark.parametrize(
    ("reason", "passing"),
    [
        (Reason.CANNOT_UNDERSTAND, False),
        (Reason.SOP_CLASS_NOT_SUPPORTED, False),
        (Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, False),
        (Reason.DOES_NOT_MATCH_SOP_CLASS, False),
        (Reason.PROCESSING_FAILURE, True),
        (Reason.OUT_OF_RESOURCES, True),
    ],
)
async def test_a_refused_instance_keeps_its_reason(batch: list[Parcel], tmp_path: Path, reason: Reason, passing: bool) -> None:
    to = Destination()
    to.refuses["1.1.1.2"] = reason
    assert await sent(to, batch, tmp_path) == Outcome(arrived=[0, 2], refused={1: (f"{reason:04X}: not wanted", passing)})


async def test_what_is_not_returned_has_not_arrived(batch: list[Parcel], tmp_path: Path) -> None:
    to = Destination()
    to.forgets = True
    outcome = await sent(to, batch, tmp_path)
    assert not outcome.arrived and outcome.refused[1] == ("it is said to be stored, and is not returned", True)


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_read_will_do_where_searches_lag(batch: list[Parcel], tmp_path: Path, refuses: bool) -> None:
    class Lagging(Destination):
        async def search(self, query: Query) -> Matches:
            if refuses:
                raise InvalidQuery("no lists of UIDs")
            return Matches(())

    assert (await sent(Lagging(), batch, tmp_path)).arrived == [0, 1, 2]


@pytest.mark.parametrize("error", [OriginFailed("reset"), OriginTimeout("slow")])
async def test_a_broken_request_blames_nobody_yet(batch: list[Parcel], tmp_path: Path, error: GatewayError) -> None:
    to = Destination()
    to.store_error = error
    assert await sent(to, batch, tmp_path) == Outcome(away=error, broke=True)


@pytest.mark.parametrize("error", [Busy("full", 7), StoreUnavailable("no"), OutOfStorage("full"), Forbidden("no")])
async def test_a_destination_that_wants_nothing_now_blames_nobody(batch: list[Parcel], tmp_path: Path, error: GatewayError) -> None:
    to = Destination()
    to.store_error = error
    assert await sent(to, batch, tmp_path) == Outcome(away=error)


@pytest.mark.parametrize(("error", "said"), [(Conflict("no"), "409: no"), (TooLarge("big"), "413: big")])
async def test_what_is_refused_as_a_whole_counts_for_each(batch: list[Parcel], tmp_path: Path, error: GatewayError, said: str) -> None:
    to = Destination()
    to.refuses["1.1.1.2"] = error
    assert await sent(to, batch, tmp_path) == Outcome(refused=dict.fromkeys(range(3), (said, True)))


async def test_a_file_that_is_gone_harms_no_other(batch: list[Parcel], tmp_path: Path) -> None:
    (tmp_path / "1").unlink()
    outcome = await sent(Destination(), batch, tmp_path)
    assert outcome.arrived == [0, 2] and outcome.refused[1] == ("A700: the spool cannot read it: No such file or directory", True)


async def test_any_answer_is_a_sign_of_life() -> None:
    to = Destination()
    assert await reachable(to) is None
    to.error = InvalidQuery("not so")
    assert await reachable(to) is None
    to.error = DOWN
    assert await reachable(to) is DOWN
