"""Where frames go."""

from __future__ import annotations

from typing import Any

from gateway.pixels.image import Image
from gateway.pixels.render.placing import MOST, Place, matrix, segments, tiles


def element(*values: Any, vr: str = "UL") -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def sized(rows: int, columns: int, **more: Any) -> dict[str, Any]:
    return {"00480007": element(rows), "00480006": element(columns)} | more


def image(frames: int, side: int = 10) -> Image:
    return Image("1.2.840.10008.1.2.1", side, side, 1, "MONOCHROME2", False, 8, 8, 7, False, frames)


def tile(row: int, column: int, path: str = "1", segment: int = 0) -> dict[str, Any]:
    found = {
        "0048021A": element({"0048021F": element(row), "0048021E": element(column)}, vr="SQ"),
        "00480207": element({"00480106": element(path, vr="SH")}, vr="SQ"),
    }
    return found | ({"0062000A": element({"0062000B": element(segment)}, vr="SQ")} if segment else {})


def framed(*groups: dict[str, Any]) -> dict[str, Any]:
    return {"52009230": element(*groups, vr="SQ")}


FULL = {"00209311": element("TILED_FULL", vr="CS")}


def test_row_by_row() -> None:
    assert tiles(sized(15, 25) | FULL, image(6)) == [
        Place(1, 0, 0), Place(2, 0, 10), Place(3, 0, 20), Place(4, 10, 0), Place(5, 10, 10), Place(6, 10, 20)
    ]  # fmt: skip


def test_only_the_first_path_and_plane() -> None:
    assert len(tiles(sized(20, 20) | FULL, image(12))) == 4
    sparse = framed(tile(1, 1), tile(1, 1, "2"), tile(11, 1, "2"), tile(1, 11), tile(1, 11))
    assert tiles(sized(20, 20) | sparse, image(5)) == [Place(1, 0, 0), Place(4, 0, 10)]


def test_fewer_frames_than_tiles_and_no_matrix() -> None:
    assert len(tiles(sized(100, 100) | FULL, image(7))) == 7
    assert tiles({}, image(7)) == []
    assert matrix(sized(0, 5)) is None
    assert tiles(sized(20, 20) | framed({}, tile(1, 1)), image(2)) == [Place(2, 0, 0)]


def test_segments_of_the_middle_place() -> None:
    def plane(z: float) -> dict[str, Any]:
        return {"00209113": element({"00200032": element(0, 0, z, vr="DS")}, vr="SQ")}

    frames = framed(plane(0), plane(1), plane(2), plane(1.0001), plane(2))
    assert segments(frames, image(5)) == ([Place(2, 0, 0), Place(4, 0, 0)], (10, 10))


def test_segments_by_the_frame_they_were_made_from() -> None:
    def source(uid: str) -> dict[str, Any]:
        return {"00089124": element({"00082112": element({"00081155": element(uid, vr="UI")}, vr="SQ")}, vr="SQ")}

    assert segments(framed(source("1.1"), source("1.2"), source("1.2")), image(3))[0] == [Place(2, 0, 0), Place(3, 0, 0)]
    assert segments({}, image(3))[0] == [Place(2, 0, 0)]


def test_segments_of_a_slide() -> None:
    places, size = segments(sized(20, 20) | FULL, image(8))
    assert size == (20, 20)
    assert [(one.row, one.column) for one in places] == [(0, 0), (0, 10), (10, 0), (10, 10)] * 2
    places, _ = segments(sized(20, 20) | framed(tile(1, 1, segment=1), tile(1, 1, segment=2)), image(2))
    assert places == [Place(1, 0, 0), Place(2, 0, 0)]


def test_millions_of_frames_are_not_believed() -> None:
    assert segments({}, image(10_000_000))[0] == [Place(5_000_000, 0, 0)]
    assert len(tiles(sized(10**9, 10**9) | FULL, image(10_000_000))) == MOST
