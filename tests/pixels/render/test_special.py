"""Work that is more than a picture of a frame travels, and runs."""

from __future__ import annotations

import pickle
from typing import Any

import orjson
import pytest

from gateway.dicomweb.rendering import AS_IT_IS, Rendering, Viewport
from gateway.pixels.image import Image
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.placing import Place
from gateway.pixels.render.special import Card, Mosaic, Special, Traced
from tests.pixels.render.subject import Whole
from tests.pixels.render.test_mosaic import DATA, IMAGE

LIMITS = PixelLimits()


@pytest.mark.parametrize(
    "work",
    [
        Traced("image/png", AS_IT_IS, LIMITS, ("54000100/0/54001010",)),
        Card("image/png", AS_IT_IS, LIMITS, title="SR", line="report"),
        Mosaic("image/png", AS_IT_IS, LIMITS, image=IMAGE, places=(Place(1, 0, 0),), size=(4, 4)),
    ],
)
def test_work_travels(work: Special) -> None:
    assert pickle.loads(pickle.dumps(work)) == work  # noqa: S301 - as the pool sends it


def test_a_card() -> None:
    made = Card("image/png", Rendering(Viewport(64, 64)), LIMITS, title="SR", line="report")([Whole(b"{}")])
    assert made.facts == {"width": 64, "height": 64}
    assert bytes(made.content[0])[:4] == b"\x89PNG"


def test_a_mosaic_and_its_bulk_data() -> None:
    colours: dict[str, Any] = {"00280004": {"vr": "CS", "Value": ["PALETTE COLOR"]}}
    for tag in ("00281101", "00281102", "00281103"):
        colours[tag] = {"vr": "US", "Value": [256, 0, 8]}
    for tag in ("00281201", "00281202", "00281203"):
        colours[tag] = {"vr": "OW", "BulkDataURI": f"@/bulkdata/{tag}"}
    palette = Image("1.2.840.10008.1.2.1", 4, 4, 1, "PALETTE COLOR", False, 8, 8, 7, False, 1)
    paths = ("00281201", "00281202", "00281203")
    work = Mosaic("image/png", AS_IT_IS, LIMITS, paths, image=palette, places=(Place(1, 0, 0),), size=(4, 4))
    table = Whole(bytes(range(256)))
    made = work([Whole(orjson.dumps(DATA | colours)), table, table, table, Whole(bytes([77]) * 16)])
    assert made.facts == {"width": 4, "height": 4}
