"""What is shown of a picture, and how large."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicomweb.rendering import Rendering, Viewport
from gateway.pixels.render.viewport import fitted, plan
from gateway.pixels.work import Misasked, Undoable

RAMP = np.arange(48, dtype=np.uint8).reshape(6, 8)

sides = st.integers(1, 4000)
boxes = st.integers(1, 3000)


def seen(viewport: Viewport | None, **more: Any) -> list[list[int]]:
    found: list[list[int]] = fitted(RAMP, Rendering(viewport=viewport), **more).tolist()
    return found


@given(sides, sides, boxes, boxes, st.floats(0.05, 20))
def test_the_picture_fits_and_keeps_its_proportions(width: int, height: int, vw: int, vh: int, aspect: float) -> None:
    found = plan(width, height, Rendering(viewport=Viewport(vw, vh)), aspect=aspect)
    across, down = found.size
    assert across <= vw and down <= vh and (across == vw or down == vh)
    shown = width / (height * aspect)
    assert abs(across - down * shown) <= max(shown, 1) / 2 + 1e-6 or 1 in found.size


@given(sides, sides, st.floats(0.05, 20))
def test_without_a_viewport_no_pixel_gets_lost(width: int, height: int, aspect: float) -> None:
    across, down = plan(width, height, Rendering(), aspect=aspect, limit=1 << 40).size
    assert across >= width and down >= height and (across == width or down == height)


@given(sides, sides, st.tuples(*[st.none() | st.integers(-5000, 5000).map(lambda n: n / 4)] * 4))
def test_a_region_is_the_part_of_it_that_is_there(width: int, height: int, source: Any) -> None:
    with contextlib.suppress(Undoable):
        found = plan(width, height, Rendering(viewport=Viewport(100, 100, source)))
        left, top, right, bottom = found.box
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        assert (found.mirrored, found.flipped) == tuple(side is not None and side < 0 for side in source[2:])
        return
    assert _is_outside(width, source[0], source[2]) or _is_outside(height, source[1], source[3])


def _is_outside(size: int, start: float | None, length: float | None) -> bool:
    return (start or 0) >= size or (length is not None and ((start or 0) + abs(length) <= 0 or not length))


def test_all_of_it_as_it_is() -> None:
    assert seen(None) == seen(Viewport(8, 6)) == RAMP.tolist()


def test_a_region_in_its_own_size() -> None:
    assert seen(Viewport(3, 2, (2, 1, 3, 2))) == RAMP[1:3, 2:5].tolist()
    assert seen(Viewport(3, 2, (5, 4, None, None))) == RAMP[4:, 5:].tolist()


def test_negative_sizes_turn_the_picture() -> None:
    assert seen(Viewport(3, 2, (2, 1, -3, 2))) == RAMP[1:3, 4:1:-1].tolist()
    assert seen(Viewport(3, 2, (2, 1, 3, -2))) == RAMP[2:0:-1, 2:5].tolist()


def test_a_region_that_reaches_beyond_is_cut() -> None:
    assert seen(Viewport(2, 2, (6, 4, 9, 9))) == RAMP[4:, 6:].tolist()
    assert seen(Viewport(3, 2, (-2, 0, 5, 2))) == RAMP[:2, :3].tolist()
    for source in [(8.0, 0.0, 2.0, 2.0), (0.0, -3.0, 2.0, 3.0), (0.0, 0.0, 0.0, 2.0)]:
        with pytest.raises(Undoable, match="outside"):
            seen(Viewport(2, 2, source))


def test_fractions_name_a_region_too() -> None:
    assert fitted(RAMP, Rendering(region=(0.25, 0.5, 0.75, 1.0))).tolist() == RAMP[3:, 2:6].tolist()
    both = Rendering(region=(0.5, 0.0, 1.0, 1.0), viewport=Viewport(2, 6, (0, 0, -2, 6)))
    assert fitted(RAMP, both).tolist() == RAMP[:, 5:3:-1].tolist()


def test_fewer_pixels_are_averages() -> None:
    assert seen(Viewport(4, 3)) == (RAMP.reshape(3, 2, 4, 2).mean((1, 3)) + 0.5).astype(int).tolist()
    noise = np.random.default_rng(1).integers(0, 256, (300, 300)).astype(np.uint8)
    small = fitted(noise, Rendering(viewport=Viewport(70, 70)))
    assert small.std() < 30 and abs(small.mean() - noise.mean()) < 2


def test_more_pixels_are_smooth() -> None:
    ramp = np.tile(np.arange(0, 200, 20, dtype=np.uint8), (10, 1))
    large = fitted(ramp, Rendering(viewport=Viewport(40, 40)))
    assert large.shape == (40, 40) and (np.diff(large[20].astype(int)) >= 0).all() and len(set(large[20].tolist())) > 25


def test_colour_keeps_its_samples() -> None:
    colour = np.stack([RAMP, RAMP + 1, RAMP + 2], axis=-1)
    found = fitted(colour, Rendering(viewport=Viewport(16, 16, (0, 0, -8, 6))))
    assert found.shape == (12, 16, 3) and found.flags.c_contiguous


@pytest.mark.parametrize(("aspect", "shape"), [(2.0, (12, 8)), (0.5, (6, 16)), (1.0, (6, 8))])
def test_pixels_that_are_not_square_are_stretched(aspect: float, shape: tuple[int, int]) -> None:
    assert fitted(RAMP, Rendering(), aspect=aspect).shape == shape


def test_too_large_a_picture_is_refused_before_it_is_made() -> None:
    with pytest.raises(Misasked, match=r"^a picture of 1000000 x 750000 pixels is too large: at most 100 pixels are drawn$"):
        seen(Viewport(1_000_000, 1_000_000), limit=100)
    with pytest.raises(Undoable, match=r"^a picture of 8 x 6 pixels is too large") as itself:
        fitted(RAMP, Rendering(), limit=40)
    assert not isinstance(itself.value, Misasked)  # nobody asked for so many
