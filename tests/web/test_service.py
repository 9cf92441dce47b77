"""What the handlers share."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from gateway.backends.catalog import Catalog
from gateway.backends.memory import MemoryBackend
from gateway.dicomweb.media import MAX_ACCEPT, parse_accept
from gateway.errors import BadRequest, Busy, NotFound
from gateway.streams import Budget
from gateway.web.service import Service, accept_of, asked_for, base_url


def service(public_url: str | None = None, stores: int = 2) -> Service:
    return Service(Catalog({"default": MemoryBackend(), "other": MemoryBackend()}), Budget(1), public_url=public_url, stow_in_flight=stores)


def test_places_for_stores_are_given_back() -> None:
    made = service()
    for _ in range(3):
        with made.store_slot(), made.store_slot(), pytest.raises(Busy, match="stow_in_flight"), made.store_slot():
            pass
        with pytest.raises(KeyError), made.store_slot():
            raise KeyError


def test_what_caches_may_do_with_what_was_found() -> None:
    assert service().caching == {"Cache-Control": "private, no-cache", "Vary": "Accept, Accept-Encoding"}


def test_the_store_of_a_url() -> None:
    made = service()
    default, other = (made.catalog.get(name) for name in ("default", "other"))
    assert made.backend(make_mocked_request("GET", "/", match_info={})) is default
    assert made.backend(make_mocked_request("GET", "/", match_info={"store": "other"})) is other
    with pytest.raises(NotFound):
        made.backend(make_mocked_request("GET", "/", match_info={"store": "../default"}))


@pytest.mark.parametrize(
    ("public_url", "names", "expected"),
    [
        (None, {}, "http://gate.example:81/dicom-web"),
        (None, {"store": "other"}, "http://gate.example:81/stores/other/dicom-web"),
        ("https://x.example/y", {}, "https://x.example/y/dicom-web"),
        ("https://x.example/y", {"store": "other"}, "https://x.example/y/stores/other/dicom-web"),
    ],
)
def test_the_public_url_of_a_store(public_url: str | None, names: Mapping[str, str], expected: str) -> None:
    request = make_mocked_request("GET", "/", {"Host": "gate.example:81"}, match_info=dict(names))
    assert base_url(request, service(public_url)) == expected


@pytest.mark.parametrize("url", ["/", "/?accept=image/png", "/?accept=image/png&accept=image/gif", "/?accept="])
@pytest.mark.parametrize("headers", [[], ["image/jpeg"], ["image/jpeg;q=0.5", "*/*"], ["image/jpeg;q=0.5, */*"], [""]])
def test_what_a_caller_can_take(url: str, headers: list[str]) -> None:
    request = make_mocked_request("GET", url, headers=CIMultiDict([("Accept", header) for header in headers]))
    given = {"/": None, "/?accept=": ""}.get(url, "image/png")
    assert asked_for(request) == (tuple(headers), given)
    for _ in range(2):  # also when it is remembered
        assert accept_of(request) == parse_accept(headers, given)


def test_an_accept_that_is_too_long_is_refused_each_time() -> None:
    request = make_mocked_request("GET", "/", headers={"Accept": "a" * (MAX_ACCEPT + 1)})
    for _ in range(2):
        with pytest.raises(BadRequest):
            accept_of(request)
