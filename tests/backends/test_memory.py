"""What is the reference's own; the rest is in the contract suite."""

from __future__ import annotations

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from gateway.backends.base import View
from gateway.backends.memory import MemoryBackend
from gateway.backends.policy import OnDuplicate
from gateway.dicom.elements import Limits
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.reasons import Reason
from gateway.errors import NotFound
from tests.backends.made import FIRST, content, dicom, found, read, store, study, wants

DICOM = parse_accept(["application/dicom"])


async def test_limits_of_structure_are_those_it_was_given() -> None:
    result = await store(MemoryBackend(limits=Limits(elements=5)), dicom())
    assert [failed.reason for failed in result.failed] == [Reason.CANNOT_UNDERSTAND]
    assert "limits.elements" in result.failed[0].detail


@pytest.mark.parametrize(("default", "as_stored"), [("*", True), ("1.2.840.10008.1.2.1", False)])
async def test_the_default_transfer_syntax_can_be_chosen(default: str, as_stored: bool) -> None:
    backend = MemoryBackend(default_transfer_syntax=default)
    data = dicom(syntax=ImplicitVRLittleEndian)
    await store(backend, data)
    body = await backend.retrieve(wants(View.INSTANCES, DICOM, *FIRST))
    assert (await read(body) == data) is as_stored
    assert ("transfer-syntax" in body.media_type) is as_stored


async def test_the_validator_changes_with_the_bytes() -> None:
    backend = MemoryBackend(on_duplicate=OnDuplicate.REPLACE)
    tags = []
    for data in (dicom(), dicom(), dicom(PatientID="P2")):
        await store(backend, data)
        body = await backend.retrieve(wants(View.INSTANCES, DICOM, *FIRST))
        tags.append(body.etag)
        await body.aclose()
    assert tags[0] == tags[1] != tags[2]


async def test_the_earliest_instance_that_is_left_speaks_for_its_study() -> None:
    backend = MemoryBackend(on_duplicate=OnDuplicate.REPLACE)
    await store(backend, *study("1.1", series=1, instances=2, StudyDescription="old"))
    await store(backend, dicom("1.1", "1.1.1", "1.1.1.1", StudyDescription="new"))
    assert await found(backend, "study", "00081030") == ["old"]


async def test_nothing_is_left_after_closing() -> None:
    backend = MemoryBackend()
    await store(backend, dicom())
    await backend.aclose()
    with pytest.raises(NotFound):
        await content(backend)
