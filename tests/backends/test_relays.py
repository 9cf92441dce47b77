"""Which relay a name belongs to."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gateway.backends.relays import Bound, Relay, Relays

PROJECT, DATASET = Bound("p"), Bound("p", "l", "d")


@pytest.mark.parametrize(
    ("path", "bound"),
    [
        ("projects/p", PROJECT),
        ("projects/p/locations", PROJECT),
        ("projects/p/locations/l/datasets/d", DATASET),
        ("projects/p/locations/l/datasets/d:deidentify", DATASET),
        ("projects/p/locations/l/datasets/d/fhirStores/f/fhir/Patient", DATASET),
        ("projects/p/locations/l/datasets/d2", PROJECT),
        ("projects/p/locations/l2/datasets/d", PROJECT),
        ("projects/p:x/locations", None),
        ("projects/q/locations/l/datasets/d", None),
        ("project/p", None),
        ("projects", None),
        ("", None),
    ],
)
def test_the_nearest_one_is_asked(path: str, bound: Bound | None) -> None:
    of = {one: cast(Relay, object()) for one in (PROJECT, DATASET)}
    assert Relays(of).find(path.split("/")) is (None if bound is None else of[bound])


async def test_all_are_closed_when_one_fails() -> None:
    closed: list[str] = []

    class Closing:
        def __init__(self, name: str, error: Exception | None = None) -> None:
            self.name, self.error = name, error

        async def aclose(self) -> None:
            closed.append(self.name)
            if self.error is not None:
                raise self.error

    relays: Any = {PROJECT: Closing("a", OSError()), DATASET: Closing("b")}
    with pytest.raises(ExceptionGroup):
        await Relays(relays).aclose()
    assert sorted(closed) == ["a", "b"]
