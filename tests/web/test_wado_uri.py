"""WADO-URI over real sockets: instances, pictures, and which of them goes out when that is left open."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from gateway.backends.base import View
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN
from gateway.dicomweb.rendering import AS_IT_IS, Rendering, Viewport, Window
from gateway.dicomweb.resources import Resource
from tests.backends.made import FIRST, dicom
from tests.web.conftest import Serve
from tests.web.drawing import Drawing, drawn, draws
from tests.web.gate import INSTANCE, Answer, Gate

ALWAYS = {"requestType": "WADO", "studyUID": "1.1", "seriesUID": "1.1.1", "objectUID": "1.1.1.1"}
IMPLICIT, BIG_ENDIAN, JPEG_2000 = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.90"
ONE = Resource(*FIRST)


async def wado(gate: Gate, accept: str | None = "*/*", base: str = "/wado", **more: str) -> Answer:
    query = urlencode({name: value for name, value in {**ALWAYS, **more}.items() if value != "-"})
    return await gate.ask("GET", f"?{query}", {} if accept is None else {"Accept": accept}, base=base)


@pytest.fixture
async def store(plain: Gate) -> Drawing:
    """With a picture of one frame, one of three, and a report."""
    made = draws(plain)
    await plain.store(
        dicom(), dicom(sop="1.1.1.2", NumberOfFrames="3", PixelData=bytes(96)), dicom(sop="1.1.1.3", Rows=None, Columns=None, PixelData=b"")
    )
    return made


# -- instances


async def test_an_instance_is_explicit_little_endian_unless_something_else_is_asked_for(gate: Gate) -> None:
    implicit = dicom(syntax=IMPLICIT)
    await gate.store(implicit)
    plain = await wado(gate, contentType="application/dicom")
    assert (plain.status, plain.headers["Content-Type"]) == (200, "application/dicom")
    assert EXPLICIT_LITTLE_ENDIAN.encode() + b"\0" in plain.body
    for syntax in ("*", IMPLICIT):
        stored = await wado(gate, contentType="application/dicom", transferSyntax=syntax)
        assert (stored.body, stored.headers["Content-Type"]) == (implicit, f"application/dicom; transfer-syntax={IMPLICIT}")
    assert (await wado(gate, contentType=f"application/dicom; transfer-syntax={IMPLICIT}")).body == implicit


async def test_a_syntax_that_cannot_be_had_gives_way_to_the_default(plain: Gate) -> None:
    await plain.store(dicom(syntax=IMPLICIT))
    answer = await wado(plain, contentType="application/dicom", transferSyntax=BIG_ENDIAN)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/dicom")


async def test_which_syntaxes_a_store_is_asked_for(plain: Gate, store: Drawing) -> None:
    for syntax in ("-", "*", JPEG_2000):
        await wado(plain, contentType="application/dicom", transferSyntax=syntax, imageQuality="60", rows="5")
    asked = [[(one.media, one.transfer_syntax) for one in retrieve.accept.ranges] for retrieve in store.asked]
    media = "application/dicom"
    assert asked == [[(media, None)], *([(media, syntax), (media, EXPLICIT_LITTLE_ENDIAN)] for syntax in ("*", JPEG_2000))]
    assert {(one.view, one.resource, one.rendering) for one in store.asked} == {(View.INSTANCES, ONE, Rendering(quality=60))}


async def test_ranges_and_validators_of_instances(gate: Gate) -> None:
    await gate.store(dicom())
    whole = await wado(gate, contentType="application/dicom")
    assert whole.body == dicom()
    query = urlencode(ALWAYS | {"contentType": "application/dicom"})
    for headers, status in (
        ({"Range": "bytes=0-9"}, 206),
        ({"If-None-Match": whole.headers["ETag"]}, 304),
        ({"Range": "bytes=99999-"}, 416),
    ):
        assert (await gate.ask("GET", f"?{query}", headers, base="/wado")).status == status
    head = await gate.ask("HEAD", f"?{query}", base="/wado")
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(dicom())))


# -- pictures


async def test_how_a_picture_is_to_be_shown(plain: Gate, store: Drawing) -> None:
    answer = await wado(
        plain, contentType="image/png", columns="64", rows="32", windowCenter="40", windowWidth="400", region="0,0,0.5,1", frameNumber="2"
    )
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "image/png", drawn("image/png"))
    (asked,) = store.asked
    assert (asked.view, asked.resource) == (View.RENDERED, Resource(*FIRST, (2,)))
    assert asked.rendering == Rendering(Viewport(64, 32), Window(40, 400), region=(0, 0, 0.5, 1))


async def test_annotations_that_are_not_known_are_told(plain: Gate, store: Drawing) -> None:
    answer = await wado(plain, contentType="image/jpeg", annotation="patient,birthday")
    assert answer.headers["Warning"] == "299 dicomweb-gateway: The following annotation values are not supported: birthday"
    assert store.asked[0].rendering == Rendering(annotation=("patient",))


async def test_the_presentation_of_somebody(plain: Gate, store: Drawing) -> None:
    await wado(plain, contentType="image/jpeg", presentationUID="1.9.2", presentationSeriesUID="1.9")
    assert store.asked[0].rendering == Rendering(presentation=("1.9", "1.9.2"))


async def test_a_document_runs_nothing(plain: Gate) -> None:
    draws(plain, "application/pdf")
    answer = await wado(plain, contentType="application/pdf")
    assert (answer.headers["Content-Type"], "sandbox" in answer.headers["Content-Security-Policy"]) == ("application/pdf", True)


# -- which of them

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
DICOM, JPEG, PNG = "application/dicom", "image/jpeg", "image/png"
FRAMES, REPORT = {"objectUID": "1.1.1.2"}, {"objectUID": "1.1.1.3"}

CHOICES: list[tuple[dict[str, str], str | None, str]] = [
    ({}, None, JPEG),
    ({}, "*/*", JPEG),
    ({}, BROWSER, JPEG),
    ({}, "image/*", JPEG),
    ({}, "image/png, */*;q=0.5", PNG),
    ({}, "application/*", DICOM),
    ({}, "application/dicom", DICOM),
    ({"contentType": ""}, "*/*", JPEG),
    ({"contentType": "image/png"}, "*/*", PNG),
    ({"contentType": "image/jp2,image/png;q=0.5,image/jpeg;q=0.2"}, BROWSER, PNG),
    ({"contentType": "application/dicom"}, "image/png", DICOM),
    ({"contentType": "text/html"}, "*/*", JPEG),
    ({"contentType": "*/*"}, "image/png", JPEG),
    ({"transferSyntax": "*"}, "*/*", DICOM),
    (FRAMES, "*/*", DICOM),
    (FRAMES, "image/*", JPEG),
    (FRAMES | {"frameNumber": "2"}, "*/*", JPEG),
    (FRAMES | {"rows": "64"}, "*/*", JPEG),
    (FRAMES | {"imageQuality": "64"}, "*/*", DICOM),
    (FRAMES | {"contentType": "image/gif"}, None, "image/gif"),
    (REPORT, None, DICOM),
    (REPORT, BROWSER, DICOM),
]


async def test_what_goes_out(plain: Gate, store: Drawing) -> None:
    for more, accept, given in CHOICES:
        answer = await wado(plain, accept, **more)
        assert (answer.status, answer.headers["Content-Type"]) == (200, given), (more, accept)


async def test_what_cannot_be_drawn_is_given_as_it_is_to_who_can_take_that(plain: Gate) -> None:
    draws(plain, "video/mp4")
    await plain.store(dicom())
    assert (await wado(plain)).headers["Content-Type"] == "video/mp4"
    for accept, given in (("image/jpeg, application/dicom;q=0.5", 200), ("image/jpeg", 406), ("image/jpeg, application/dicom;q=0", 406)):
        answer = await wado(plain, accept)
        assert answer.status == given
        assert answer.headers["Content-Type"] == ("application/dicom" if given == 200 else "application/problem+json")


async def test_an_image_without_pixels_is_given_as_it_is_too(plain: Gate, store: Drawing) -> None:
    store.missing = True
    answer = await wado(plain)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/dicom")
    for more in ({"frameNumber": "1"}, {"presentationUID": "1.9.2", "presentationSeriesUID": "1.9"}, {"contentType": "image/png"}):
        accept = "image/png" if "contentType" in more else "*/*"
        assert (await wado(plain, accept, **more)).status == 404


async def test_what_nobody_offers_is_406(plain: Gate, store: Drawing) -> None:
    answer = await wado(plain, accept="text/html")
    assert answer.status == 406 and "application/dicom" in answer.detail
    assert store.asked == []


# -- what is wrong


@pytest.mark.parametrize("name", ALWAYS)
async def test_what_is_missing_is_named(plain: Gate, name: str) -> None:
    assert (await wado(plain, **{name: "-"})).status == 400
    assert name in (await wado(plain, **{name: "-"})).detail


async def test_nobody_gets_names_who_asks_for_none(plain: Gate, store: Drawing) -> None:
    answer = await wado(plain, contentType="application/dicom", anonymize="yes")
    assert (answer.status, "anonymize" in answer.detail, store.asked) == (400, True, [])


async def test_what_is_not_there(gate: Gate) -> None:
    for media in ("-", "application/dicom", "image/jpeg"):
        assert (await wado(gate, contentType=media)).status == 404
    await gate.store(dicom())
    assert (await wado(gate, contentType="application/dicom", studyUID="1.2")).status == 404
    await gate.ask("DELETE", INSTANCE)
    for media in ("-", "application/dicom", "image/jpeg"):
        assert (await wado(gate, contentType=media)).status == 410


async def test_stores_are_apart(serve: Serve) -> None:
    gate = await serve(backend="memory", stores={"other": {"backend": "memory"}})
    await gate.store(dicom())
    for base, status in (("/wado", 200), ("/stores/default/wado", 200), ("/stores/other/wado", 404), ("/stores/none/wado", 404)):
        assert (await wado(gate, base=base, contentType="application/dicom")).status == status


async def test_names_in_lower_case(plain: Gate, store: Drawing) -> None:
    query = urlencode({name.lower(): value for name, value in (ALWAYS | {"contentType": "image/gif", "frameNumber": "1"}).items()})
    assert (await plain.get(f"?{query}", base="/wado")).headers["Content-Type"] == "image/gif"
    assert store.asked[0].rendering == AS_IT_IS
