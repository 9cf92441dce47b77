"""Rendered resources and thumbnails over real sockets: what the store is asked for, and what is said of what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from gateway.app import SERVICE
from gateway.backends.base import View
from gateway.backends.pictured import choosing
from gateway.dicomweb.rendering import AS_IT_IS, Rendering, Viewport, Window
from gateway.dicomweb.resources import Resource
from gateway.web import rendered
from tests.backends.made import dicom
from tests.web.conftest import Serve
from tests.web.drawing import Drawing, drawn, draws
from tests.web.gate import INSTANCE, Gate

LEVELS = {
    "/studies/1.1": Resource("1.1"),
    "/studies/1.1/series/1.1.1": Resource("1.1", "1.1.1"),
    INSTANCE: Resource("1.1", "1.1.1", "1.1.1.1"),
    INSTANCE + "/frames/2": Resource("1.1", "1.1.1", "1.1.1.1", (2,)),
    INSTANCE + "/frames/1,3": Resource("1.1", "1.1.1", "1.1.1.1", (1, 3)),
}
VIEWS = {"/rendered": View.RENDERED, "/thumbnail": View.THUMBNAIL}


@pytest.fixture
def store(plain: Gate) -> Drawing:
    return draws(plain)


@pytest.mark.parametrize(("base", "name"), [("/dicom-web", "default"), ("/stores/other/dicom-web", "other")])
async def test_every_level_can_be_looked_at(plain: Gate, store: Drawing, base: str, name: str) -> None:
    for path in LEVELS:
        for view in VIEWS:
            answer = await plain.get(path + view, base=base)
            assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "image/jpeg", drawn("image/jpeg"))
    store = cast(Drawing, plain.app[SERVICE].catalog.get(name))
    asked = [(one.resource, one.view, one.rendering) for one in store.asked]
    assert asked == [(resource, view, AS_IT_IS) for resource in LEVELS.values() for view in VIEWS.values()]


async def test_how_it_is_to_be_shown(plain: Gate, store: Drawing) -> None:
    query = "viewport=128%2C64&window=40,400,linear&quality=70&annotation=patient&iccprofile=srgb&size=7&accept=image/png"
    for view in VIEWS:
        await plain.get(f"{INSTANCE}{view}?{query}")
    shown, small = (one.rendering for one in store.asked)
    assert shown == Rendering(Viewport(128, 64), Window(40, 400), 70, ("patient",), "srgb")
    assert small == Rendering(Viewport(128, 64))


async def test_what_is_wrong_is_named_and_nobody_is_asked(plain: Gate, store: Drawing) -> None:
    for query in ("viewport=0,1", "window=40,400", "quality=0", "iccprofile=x", "quality=1&quality=2", "annotation=", "annotation=a%20b"):
        answer = await plain.get(f"{INSTANCE}/rendered?{query}")
        assert answer.status == 400 and query.partition("=")[0] in answer.detail
    answer = await plain.get(f"{INSTANCE}/thumbnail?viewport=5,5,1")
    assert answer.status == 400 and "a thumbnail" in answer.detail
    assert store.asked == []


async def test_annotations_that_are_not_known_are_told_and_not_asked_for(plain: Gate, store: Drawing) -> None:
    store.told = ("half of it is missing",)
    answer = await plain.get(f"{INSTANCE}/rendered?annotation=patient,birthday")
    assert answer.headers["Warning"] == (
        "299 dicomweb-gateway: The following annotation values are not supported: birthday, 299 dicomweb-gateway: half of it is missing"
    )
    assert store.asked[0].rendering == Rendering(annotation=("patient",))


FORMS: Sequence[tuple[str | None, str, str]] = [
    (None, "", "image/jpeg"),
    ("*/*", "", "image/jpeg"),
    ("image/png", "", "image/png"),
    ("image/*;q=0.5, image/gif", "", "image/gif"),
    ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "", "image/jpeg"),
    ("*/*", "accept=image/png", "image/png"),
    ('multipart/related; type="application/octet-stream"; transfer-syntax=*', "accept=image%2Fpng", "image/png"),
    ("image/gif", "accept=image/jp2", "image/gif"),
]
"""Accept, the query of the URL, and what is given."""


async def test_the_form(plain: Gate, store: Drawing) -> None:
    for accept, query, given in FORMS:
        answer = await plain.ask("GET", f"{INSTANCE}/rendered?{query}", {} if accept is None else {"Accept": accept})
        assert (answer.status, answer.headers["Content-Type"]) == (200, given), accept
        assert {"Accept"} <= set(answer.headers["Vary"].split(", "))


async def test_several_are_multipart(plain: Gate, store: Drawing) -> None:
    answer = await plain.get("/studies/1.1/rendered", "multipart/related; type=image/png")
    assert answer.headers["Content-Type"].startswith('multipart/related; type="image/png"')
    assert drawn("image/png") in answer.body and "Accept-Ranges" not in answer.headers


async def test_what_cannot_be_had_is_406(plain: Gate, store: Drawing) -> None:
    assert "image/gif" in (await plain.get(f"{INSTANCE}/rendered", "application/pdf")).detail


# -- the answer


async def test_ranges_and_validators(plain: Gate) -> None:
    """A video is played, and a document read, from anywhere in it."""
    for media in ("image/jpeg", "video/mp4", "application/pdf"):
        draws(plain, media)
        whole = await plain.get(f"{INSTANCE}/rendered")
        assert (whole.headers["Accept-Ranges"], whole.headers["Content-Length"]) == ("bytes", str(len(drawn(media))))
        assert (whole.headers["ETag"], whole.headers["Cache-Control"]) == ('"drawn"', "private, no-cache")
        for asked, part in (("bytes=0-", drawn(media)), ("bytes=5-9", drawn(media)[5:10]), ("bytes=-4", drawn(media)[-4:])):
            answer = await plain.get(f"{INSTANCE}/rendered", headers={"Range": asked})
            assert (answer.status, answer.body) == (206, part)
            assert answer.headers["Content-Range"].endswith(f"/{len(drawn(media))}")
        assert (await plain.get(f"{INSTANCE}/rendered", headers={"Range": "bytes=99999-"})).status == 416
        assert (await plain.get(f"{INSTANCE}/rendered", headers={"If-None-Match": '"drawn"'})).status == 304


async def test_a_date_alone_proves_nothing(plain: Gate, store: Drawing) -> None:
    """What is drawn may show more than one instance, and the oldest of them may be the one that changed."""
    first = await plain.get(f"{INSTANCE}/rendered")
    assert (await plain.get(f"{INSTANCE}/rendered", headers={"If-Modified-Since": first.headers["Last-Modified"]})).status == 200


async def test_head_is_get_without_the_body(plain: Gate, store: Drawing) -> None:
    for view in VIEWS:
        get, head = [await plain.ask(method, INSTANCE + view) for method in ("GET", "HEAD")]
        for name in ("Content-Type", "Content-Length", "ETag", "Accept-Ranges"):
            assert head.headers[name] == get.headers[name]


GUARDED = {
    "application/pdf": 'inline; filename="document.pdf"',
    "application/pdf; charset=x": 'inline; filename="document.pdf"',
    "text/xml": 'inline; filename="document.xml"',
    "text/html": "attachment",
    "image/svg+xml": "attachment",
    "model/stl": "attachment",
}
"""What a browser might run, and under which name, that tells nothing, it is saved."""


async def test_what_a_browser_might_run_runs_nothing(plain: Gate) -> None:
    for media, saved in GUARDED.items():
        draws(plain, media)
        answer = await plain.get(f"{INSTANCE}/rendered")
        policy = {part.strip() for part in answer.headers["Content-Security-Policy"].split(";")}
        assert (policy, answer.headers["Content-Disposition"]) == ({"default-src 'none'", "sandbox"}, saved)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_what_cannot_run_is_left_alone(plain: Gate) -> None:
    for media in ("image/jpeg", "image/png", "image/gif", "video/mp4", "application/octet-stream"):
        draws(plain, media)
        answer = await plain.get(f"{INSTANCE}/rendered")
        assert not {"Content-Security-Policy", "Content-Disposition"} & set(answer.headers)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_all_that_stores_give_is_known_here() -> None:
    """The description of the routes is made of it."""
    assert (*choosing.PICTURES,) == rendered.PICTURES
    assert {*choosing.VIDEOS, *choosing.DOCUMENTS, choosing.OCTETS} == {*rendered.HELD}


# -- other origins


async def test_a_page_of_another_origin_may_look(serve: Serve) -> None:
    """By fetch, and by an ``<img crossorigin>``, which sends an Origin and asks nothing beforehand."""
    gate = await serve(backend="memory", server={"cors_origins": ["https://viewer.example"]})
    draws(gate)
    preflight = {
        "Origin": "https://viewer.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    for path in (f"{INSTANCE}/rendered?viewport=9%2C9", f"{INSTANCE}/frames/1,2/rendered", "/studies/1.1/thumbnail"):
        asked = await gate.ask("OPTIONS", path, preflight)
        assert (asked.status, asked.headers["Access-Control-Allow-Origin"]) == (204, "https://viewer.example")
        assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
        answer = await gate.get(path, headers={"Origin": "https://viewer.example"})
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "https://viewer.example")
        assert {"Accept", "Origin"} <= set(answer.headers["Vary"].split(", "))
        other = await gate.get(path, headers={"Origin": "https://other.example"})
        assert "Access-Control-Allow-Origin" not in other.headers and "Origin" in other.headers["Vary"]


async def test_rendered_requests_have_a_count_of_their_own(plain: Gate, store: Drawing) -> None:
    before = (await plain.metrics()).get('gateway_requests_total{status="200",transaction="rendered"}', 0)
    await plain.get(f"{INSTANCE}/rendered")
    assert (await plain.metrics())['gateway_requests_total{status="200",transaction="rendered"}'] == before + 1


async def test_a_real_store_answers_for_itself(gate: Gate) -> None:
    """404 and 410 are those of any other read."""
    assert (await gate.get("/studies/9/rendered")).status == 404
    await gate.store(dicom())
    await gate.ask("DELETE", INSTANCE)
    for path in (INSTANCE + "/rendered", INSTANCE + "/thumbnail", INSTANCE + "/frames/1/rendered"):
        assert (await gate.get(path)).status == 410
