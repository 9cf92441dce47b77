"""The table of URLs: complete, named by a closed set, and the same for every store."""

from __future__ import annotations

import pytest
from aiohttp import web

from gateway.backends.catalog import Catalog
from gateway.backends.memory import MemoryBackend
from gateway.metrics import TRANSACTIONS
from gateway.streams import Budget
from gateway.web.routes import BASES, STORE_ROUTES, add_routes, everything
from gateway.web.service import Service
from tests.backends.made import dicom
from tests.web.conftest import Serve
from tests.web.gate import INSTANCE, STORED, Gate


def routed() -> tuple[web.Application, dict[object, str]]:
    app = web.Application()
    return app, dict(add_routes(app, Service(Catalog({"default": MemoryBackend()}), Budget(1 << 20))))


def test_every_route_counts_as_a_transaction() -> None:
    app, transactions = routed()
    registered = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None}
    assert registered == set(transactions)
    assert set(transactions.values()) == set(TRANSACTIONS)


def test_every_base_has_every_route_once() -> None:
    listed = [(route.method, route.path) for route in everything()]
    assert len(listed) == len(set(listed))
    for base in BASES:
        assert {(route.method, base + route.path) for route in STORE_ROUTES} <= set(listed)


def test_head_is_wherever_get_is() -> None:
    listed = {(route.method, route.path): route.handler for route in everything()}
    for (method, path), handler in listed.items():
        if method == "GET":
            assert listed["HEAD", path] is handler


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_the_default_store_has_a_name_too(plain: Gate, method: str) -> None:
    await plain.store(dicom())
    named = "/stores/default/dicom-web"
    if method == "GET":
        assert (await plain.get(INSTANCE, STORED, base=named)).body == dicom()
    elif method == "POST":
        assert (await plain.ask("POST", "/studies", {"Content-Type": "application/dicom"}, dicom(), named)).status == 200
    else:
        assert (await plain.ask("DELETE", INSTANCE, base=named)).status == 204
        assert (await plain.get(INSTANCE)).status == 410


async def test_stores_are_apart(serve: Serve) -> None:
    gate = await serve(stores={"second": {"min_free_bytes": 0}, "third": {"backend": "memory"}})
    await gate.store(dicom())
    for name in ("second", "third"):
        base = f"/stores/{name}/dicom-web"
        assert (await gate.get("/studies", base=base)).status == 204
        assert (await gate.get(INSTANCE, base=base)).status == 404


@pytest.mark.parametrize("name", ["none", "..", "%2e%2e%2fdefault", "DEFAULT", "default%00", "%ff"])
async def test_a_store_that_is_not_there(plain: Gate, name: str) -> None:
    answers = [await plain.get(path, base=f"/stores/{name}/dicom-web") for path in ("/studies", INSTANCE, INSTANCE + "/metadata")]
    assert [answer.status for answer in answers] == [404] * 3


def test_what_is_asked_for_most_is_looked_at_first() -> None:
    app, _ = routed()
    paths = [resource.canonical for resource in app.router.resources() if resource.canonical.startswith("/dicom-web/studies/{study}")]
    ends = ("/frames/{frames}", "/instances/{instance}/rendered", "/metadata", "/studies/{study}")
    frames, pictures, metadata, study = (next(at for at, path in enumerate(paths) if path.endswith(end)) for end in ends)
    assert frames < pictures < metadata < study
    routed_here = [route for route in app.router.routes() if route.resource and not route.resource.canonical.startswith("/v1")]
    assert len(routed_here) == len(list(everything()))
