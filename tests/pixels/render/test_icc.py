"""Colour profiles."""

from __future__ import annotations

import io
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms
from pydicom.data import get_testdata_file

from gateway.dicomweb.rendering import ColourSpace
from gateway.pixels.render.icc import LARGEST, grey_profile, profile, profiled
from gateway.pixels.render.writing import written
from tests.pixels.render.subject import said

COLOUR = np.random.default_rng(5).integers(0, 256, (8, 8, 3)).astype(np.uint8)
GREY = COLOUR[..., 0]
SPACES: tuple[ColourSpace, ...] = ("srgb", "adobergb", "rommrgb", "displayp3")


def space(icc: bytes | None) -> str:
    assert icc is not None
    return ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space.strip()


def primaries(icc: bytes) -> list[tuple[float, float]]:
    """x and y of red, green and blue, as adapted to the connection space's white."""
    found = ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile
    return [(channel[1][0], channel[1][1]) for channel in (found.red_primary, found.green_primary, found.blue_primary) if channel]


def crayons() -> bytes:
    with open(str(get_testdata_file("crayons.icc")), "rb") as file:  # noqa: PTH123 - pydicom names it as text
        return file.read()


@pytest.mark.parametrize("asked", [None, *get_args(ColourSpace)])
@pytest.mark.parametrize("own", [True, False])
def test_which_profile_goes_with_a_picture(asked: ColourSpace | None, own: bool) -> None:
    data = said({"00282000": profile("adobergb")}) if own else said()
    pixels, found = profiled(COLOUR, data, asked)
    if asked == "no" or (asked is None and not own):
        assert found is None
    elif asked in (None, "yes"):
        assert found == profile("adobergb" if own else "srgb")
    else:
        assert found == profile(asked)
    changed = asked in SPACES and asked != ("adobergb" if own else "srgb")
    assert np.array_equal(pixels, COLOUR) != changed


@pytest.mark.parametrize("name", SPACES)
def test_profiles_are_of_red_green_and_blue_and_differ(name: ColourSpace) -> None:
    assert space(profile(name)) == "RGB" and len(profile(name)) < 4000
    assert all(primaries(profile(name)) != primaries(profile(other)) for other in SPACES if other != name)


def test_primaries_of_srgb_and_display_p3() -> None:
    """As adapted to D50; the well-known numbers of these spaces."""
    assert np.allclose(primaries(profile("srgb")), [(0.6485, 0.3309), (0.3212, 0.5979), (0.1559, 0.0660)], atol=2e-3)
    assert np.allclose(primaries(profile("displayp3")), [(0.6820, 0.3194), (0.2847, 0.6745), (0.1551, 0.0661)], atol=5e-3)


def test_colours_are_converted() -> None:
    red = np.full((1, 1, 3), (255, 0, 0), np.uint8)
    assert profiled(red, said(), "adobergb")[0].tolist()[0][0] == pytest.approx((219, 0, 0), abs=2)
    assert profiled(red, said(), "displayp3")[0].tolist()[0][0] == pytest.approx((234, 51, 35), abs=4)
    white = np.full((1, 1, 3), 255, np.uint8)
    assert all(profiled(white, said(), name)[0].min() >= 254 for name in SPACES)


@pytest.mark.parametrize("asked", [None, *get_args(ColourSpace)])
def test_grey_values_stay(asked: ColourSpace | None) -> None:
    pixels, found = profiled(GREY, said({"00282000": profile("srgb")}), asked)
    assert pixels is GREY and (found is None) == (asked in (None, "no"))
    assert found is None or space(found) == "GRAY"


def test_a_slide_has_its_profile_in_its_optical_path() -> None:
    data = said(_00480105=[said({"00282000": profile("displayp3")})])
    assert profiled(COLOUR, data, None)[1] == profile("displayp3")


@pytest.mark.parametrize("wrong", [b"", b"no profile", b"\0" * 5000, grey_profile("srgb"), b"\0" * (LARGEST + 1)])
def test_what_is_no_profile_for_colour_is_none(wrong: bytes) -> None:
    assert (
        profiled(COLOUR, said({"00282000": wrong}), None) == (COLOUR, None) or profiled(COLOUR, said({"00282000": wrong}), None)[1] is None
    )
    assert profiled(COLOUR, said({"00282000": wrong}), "yes")[1] == profile("srgb")


@pytest.mark.parametrize("media", ["image/jpeg", "image/png"])
@pytest.mark.parametrize("pixels", [COLOUR, GREY], ids=["colour", "grey"])
def test_files_carry_their_profile(media: str, pixels: Any) -> None:
    for icc in (profile("displayp3") if pixels.ndim == 3 else grey_profile("srgb"), crayons()):
        opened = Pillow.open(io.BytesIO(written(pixels, media, icc=icc)))
        opened.load()
        assert opened.info["icc_profile"] == icc and opened.size == (8, 8)
    assert "icc_profile" not in Pillow.open(io.BytesIO(written(pixels, media))).info


def test_a_large_profile_goes_into_several_segments() -> None:
    icc = profile("srgb") + bytes(200_000)
    assert Pillow.open(io.BytesIO(written(COLOUR, "image/jpeg", icc=icc))).info["icc_profile"] == icc
