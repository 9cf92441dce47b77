"""Instances in the transfer syntax that a caller wants."""

from __future__ import annotations

import io

import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from gateway.backends.upstream import converting
from gateway.backends.upstream.converting import NotConvertible, Wish, converted, wish_of
from gateway.dicom.elements import Limits
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, parse_accept
from gateway.errors import NotAcceptable, OriginFailed
from tests import samples
from tests.backends.made import dicom, parts, read
from tests.backends.upstream.scripted import answering, whole

EXPLICIT = Wish(True, False, (EXPLICIT_LITTLE_ENDIAN,))
ALONE = EXPLICIT._replace(multipart=False)
NATIVE = [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


@pytest.mark.parametrize(
    ("text", "single", "expected"),
    [
        ("*/*", True, Wish(True, True, (EXPLICIT_LITTLE_ENDIAN,))),
        ("application/dicom", True, ALONE),
        ('multipart/related; type="application/dicom"', False, EXPLICIT),
        ('multipart/related; type="application/dicom"; transfer-syntax=*', False, Wish(True, True, (EXPLICIT_LITTLE_ENDIAN,))),
        ("application/dicom; transfer-syntax=1.2.3", True, Wish(False, False, ("1.2.3",))),
        ("application/dicom; transfer-syntax=1.2.3, application/dicom;q=0.5", True, Wish(False, False, ("1.2.3", EXPLICIT_LITTLE_ENDIAN))),
    ],
)
def test_wishes(text: str, single: bool, expected: Wish) -> None:
    found = wish_of(parse_accept([text]), EXPLICIT_LITTLE_ENDIAN, single=single)
    assert (found.multipart, found.stored) == (expected.multipart, expected.stored)
    assert found.stored or found.syntaxes == expected.syntaxes


def test_a_store_may_give_what_is_stored_by_default() -> None:
    assert wish_of(parse_accept(["application/dicom"]), "*", single=True).stored


@pytest.mark.parametrize(("text", "single"), [("application/dicom", False), ("image/png", True), ("application/dicom+json", True)])
def test_wishes_that_nobody_can_meet(text: str, single: bool) -> None:
    with pytest.raises(NotAcceptable, match="transfer-syntax="):
        wish_of(parse_accept([text]), EXPLICIT_LITTLE_ENDIAN, single=single)


@pytest.mark.parametrize("wish", [EXPLICIT, ALONE])
@pytest.mark.parametrize("syntax", NATIVE)
async def test_native_instances_are_written_anew(syntax: str, wish: Wish) -> None:
    data = dicom(syntax=syntax)
    async with answering(whole(data)) as answer:
        body = await converted(answer, wish, Limits())
        [(media, found)] = await parts(body) if wish.multipart else [(body.media_type, await read(body))]
    made, original = pydicom.dcmread(io.BytesIO(found)), pydicom.dcmread(io.BytesIO(data))
    assert (media, made.file_meta.TransferSyntaxUID) == ("application/dicom", EXPLICIT_LITTLE_ENDIAN)
    assert made.pixel_array.tolist() == original.pixel_array.tolist()


async def test_what_fits_already_stays_as_it_is() -> None:
    files = [dicom(sop="1.1.1.1"), dicom(sop="1.1.1.2", syntax=ImplicitVRLittleEndian)]
    wish = Wish(True, False, (EXPLICIT_LITTLE_ENDIAN, ImplicitVRLittleEndian))
    async with answering(whole(*files)) as answer:
        found = await parts(await converted(answer, wish, Limits()))
    assert found == [("application/dicom", files[0]), (f"application/dicom; transfer-syntax={ImplicitVRLittleEndian}", files[1])]


async def test_an_instance_of_several_hops_comes_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "TRANSCODE_PIECE", 1000)
    data = dicom(syntax=ImplicitVRLittleEndian, PixelData=samples.counted(200_000), Rows=100, Columns=1000)
    async with answering(whole(data)) as answer:
        made = pydicom.dcmread(io.BytesIO(await read(await converted(answer, ALONE, Limits()))))
    assert made.PixelData == samples.counted(200_000)


async def test_the_first_that_cannot_be_given_is_told_before_anything_is_sent() -> None:
    async with answering(whole(samples.ALL["fragments"](), dicom())) as answer:
        with pytest.raises(NotConvertible, match=JPEGBaseline8Bit):
            await converted(answer, EXPLICIT, Limits())
        assert answer._response.closed


async def test_a_later_one_breaks_the_body_off() -> None:
    async with answering(whole(dicom(), samples.ALL["fragments"]())) as answer:
        body = await converted(answer, EXPLICIT, Limits())
        with pytest.raises(NotAcceptable, match=JPEGBaseline8Bit):
            await read(body)


@pytest.mark.parametrize("data", [b"", b"no DICOM at all" * 20])
async def test_what_is_no_instance_is_the_origins_failure(data: bytes) -> None:
    async with answering(whole(data)) as answer:
        with pytest.raises((OriginFailed, NotConvertible)):
            await converted(answer, EXPLICIT, Limits())


async def test_a_damaged_instance_breaks_the_body_off() -> None:
    data = dicom(syntax=ImplicitVRLittleEndian)[:-20]
    async with answering(whole(data)) as answer:
        body = await converted(answer, ALONE, Limits())
        with pytest.raises(OriginFailed, match="cannot be written anew"):
            await read(body)


async def test_several_instances_are_not_one() -> None:
    async with answering(whole(dicom(), dicom())) as answer:
        with pytest.raises(OriginFailed, match="several"):
            await read(await converted(answer, ALONE, Limits()))
