"""A probe tells origins apart, and says what is otherwise than their profile has it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from gateway.backends.upstream.probing import probe
from gateway.errors import GatewayError
from tests.backends.made import dicom
from tests.backends.upstream.searched import Place, at_google, at_orthanc, client_of
from tests.origins.google import STORE, Google

STUDIED = {"PatientName": "Doe^Jane", "AccessionNumber": "A1", "StudyTime": "1030", "StudyID": "S1"}


@pytest.fixture
async def hidden() -> AsyncIterator[Place]:
    """An origin without Google's address: of no known kind."""
    async with at_google() as place:
        assert isinstance(place.origin, Google)
        inside = place.origin.url

        async def forward(request: web.Request) -> web.Response:
            answer = await place.client.ask(
                "GET",
                request.path.removeprefix("/archive"),
                transaction="other",
                params=list(request.query.items()),
                headers={"Accept": request.headers["Accept"]},
                ok=range(100, 600),
            )
            return web.Response(
                status=answer.status, body=await answer.read(1 << 20), headers={"Content-Type": answer.media or "text/plain"}
            )

        app = web.Application()
        app.router.add_get("/archive/{path:.*}", forward)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = client_of(f"http://127.0.0.1:{runner.addresses[0][1]}/archive")
        assert STORE not in client.base and inside
        yield Place(place.origin, client, place.profile)
        await client.aclose()
        await runner.cleanup()


async def test_orthanc_is_known_and_is_as_its_profile_says() -> None:
    async with at_orthanc() as place:
        await place.put(dicom(**STUDIED))
        report = await probe(place.client)
        assert (report.kind, dict(report.overrides)) == ("orthanc", {})
        assert any(note.startswith("It is Orthanc 1.") for note in report.notes)
        assert any("percent-encoding" in note for note in report.notes)
        assert not any("DefaultEncoding" in note for note in report.notes)


async def test_orthanc_in_latin_1_is_told_to_change() -> None:
    async with at_orthanc() as place:
        assert not isinstance(place.origin, Google)
        place.origin.ask("PUT", "/tools/default-encoding", b"Latin1")
        try:
            report = await probe(place.client)
        finally:
            place.origin.ask("PUT", "/tools/default-encoding", b"Utf8")
        assert any('"DefaultEncoding" : "Utf8"' in note for note in report.notes)
        assert any("empty" in note for note in report.notes)


async def test_google_is_known_by_its_address_and_is_as_its_profile_says() -> None:
    async with at_google() as place:
        assert isinstance(place.origin, Google)
        await place.put(dicom(**STUDIED))
        place.origin.calls.clear()
        report = await probe(place.client)
        assert (report.kind, dict(report.overrides)) == ("google", {})
        assert set(place.origin.counts) == {"GET"} and len(place.origin.calls) < 40


async def test_of_any_other_origin_what_it_does_not_do_is_found_out(hidden: Place) -> None:
    await Place(hidden.origin, hidden.client, hidden.profile).put(dicom(**STUDIED))
    report = await probe(hidden.client)
    assert report.kind == "generic"
    assert not {"StudyTime", "StudyID", "ModalitiesInStudy"} & set(report.profile.keys)
    assert {"StudyDate", "AccessionNumber", "PatientID"} <= set(report.profile.keys)
    assert (report.profile.wildcards, report.profile.lists, report.profile.includes_all) == (False, "", True)
    assert report.profile.retrieves_single and report.overrides["includes_all"] is True


async def test_no_value_of_a_patient_is_told(hidden: Place) -> None:
    await hidden.put(dicom(PatientName="Secret^Name", PatientID="SECRETID", AccessionNumber="SECRETACC"))
    report = await probe(hidden.client)
    assert "secret" not in repr(report).lower()


async def test_what_is_no_dicomweb_is_an_error() -> None:
    async with at_google() as place:
        place.client.base += "/elsewhere"
        with pytest.raises(GatewayError):
            await probe(place.client)
