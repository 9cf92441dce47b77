"""DCMTK's pictures beside ours: the same grey values, the same colours, the same overlays.

DCMTK shows no window unless told so, and no default of ours: it is given the window that we show, or told to use the VOI LUT. Grey may
differ by one level, since it rounds down where we round to the nearest; colour by `COLOUR` levels, since luminance and chrominance
are converted with other roundings, and JPEG's chrominance is upsampled otherwise. It does not draw JPEG 2000.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from pydicom.data import get_testdata_file

from gateway.dicomweb.rendering import Rendering, Window
from gateway.errors import InstanceError, NotFound
from gateway.pixels.decoding import decoded
from gateway.pixels.render.aspect import aspect
from gateway.pixels.render.pipeline import window_of
from gateway.pixels.work import Undoable
from tests.pixels.render.subject import Subject, subject

GREY, COLOUR = 1, 2

SAMPLES = """
    CT_small.dcm MR_small.dcm MR_small_RLE.dcm MR_small_bigendian.dcm MR_small_implicit.dcm MR_small_padded.dcm MR_small_expb.dcm
    693_UNCR.dcm 693_UNCI.dcm MR2_UNCR.dcm MR2_UNCI.dcm RG1_UNCR.dcm RG1_UNCI.dcm RG3_UNCR.dcm RG3_UNCI.dcm US1_UNCR.dcm US1_UNCI.dcm
    JPEG-LL.dcm JPEG-lossy.dcm JPGExtended.dcm JPGLosslessP14SV1_1s_1f_8b.dcm JPEG2000_UNC.dcm
    MR-SIEMENS-DICOM-WithOverlays.dcm mlut_18.dcm vlut_04.dcm bad_sequence.dcm
    emri_small.dcm emri_small_RLE.dcm emri_small_big_endian.dcm liver_1frame.dcm image_dfl.dcm rtdose.dcm rtdose_rle.dcm
    OBXXXX1A.dcm OBXXXX1A_rle.dcm OBXXXX1A_expb.dcm OBXXXX1A_2frame.dcm OBXXXX1A_rle_2frame.dcm examples_palette.dcm OT-PAL-8-face.dcm
    ExplVR_BigEnd.dcm examples_rgb_color.dcm examples_ybr_color.dcm examples_overlay.dcm color3d_jpeg_baseline.dcm
    SC_rgb.dcm SC_rgb_2frame.dcm SC_rgb_16bit.dcm SC_rgb_expb_16bit.dcm SC_rgb_rle.dcm SC_rgb_rle_16bit.dcm SC_rgb_small_odd.dcm
    SC_rgb_dcmtk_+eb+cr.dcm SC_rgb_dcmtk_+eb+cy+np.dcm SC_rgb_dcmtk_+eb+cy+s4.dcm SC_rgb_jpeg_gdcm.dcm SC_ybr_full_422_uncompressed.dcm
    SC_ybr_full_uncompressed.dcm
""".split()  # fmt: skip

UNLIKE = {
    "eCT_Supplemental.dcm": "DCMTK does not know supplemental palettes",
    "rtdose_expb.dcm": "DCMTK reads big endian values of 32 bits with their halves exchanged; rtdose.dcm is the same picture",
    "rtdose_expb_1frame.dcm": "likewise",
    "GH610.dcm": "a rescale slope of 6e-8: DCMTK's window of values that small is a threshold",
}
"""Pictures of the corpus that DCMTK and we show differently, each with its reason."""


def picture(path: Path, folder: Path, *options: str) -> NDArray[np.uint8] | None:
    """What DCMTK makes of a file; None where it refuses."""
    for tool in ("dcm2pnm", "dcmj2pnm", "dcml2pnm"):
        program = shutil.which(tool)
        assert program, f"{tool} is missing; `make test` as root installs it, or: apt-get install dcmtk"
        made = folder / f"{path.stem}.pnm"
        subprocess.run([program, "-q", *options, str(path), str(made)], capture_output=True, check=False, timeout=60)
        if made.exists():
            with Pillow.open(made) as opened:
                return np.asarray(opened)
    return None


def options(seen: Subject, number: int = 1) -> list[str]:
    """How DCMTK is told what we show."""
    if seen.image.samples > 1 or not seen.image.photometric.startswith("MONOCHROME"):
        return []
    window = window_of(decoded(seen.frame(number), seen.image), seen.attributes(), number)
    return ["+Wl", "1"] if window is None else told(window)


def told(window: Window) -> list[str]:
    """It has no exact function; a linear one that begins and ends at the same values is half a step further and a step wider."""
    exact = window.function == "LINEAR_EXACT"
    shape = ["+Wfs"] if window.function == "SIGMOID" else []
    return ["+Ww", repr(window.center + exact / 2), repr(window.width + exact), *shape]


def difference(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> int:
    """The largest, in grey levels."""
    if ours.ndim < theirs.ndim:
        ours = np.repeat(ours[..., np.newaxis], 3, axis=2)
    assert ours.shape == theirs.shape
    return int(np.abs(ours.astype(int) - theirs).max())


def tolerance(seen: Subject) -> int:
    return COLOUR if seen.image.samples == 3 else GREY


def sample(name: str) -> tuple[Path, Subject]:
    path = Path(str(get_testdata_file(name)))
    seen = subject(path.read_bytes())
    assert seen is not None
    return path, seen


def test_there_are_enough_of_them() -> None:
    assert len(set(SAMPLES)) >= 40


@pytest.mark.parametrize("name", SAMPLES)
def test_dcmtk_shows_the_same(name: str, tmp_path: Path) -> None:
    path, seen = sample(name)
    theirs = picture(path, tmp_path, *options(seen))
    assert theirs is not None
    assert difference(seen.drawn(), theirs) <= tolerance(seen)


@pytest.mark.parametrize(
    "window", [Window(40, 400), Window(500, 2000), Window(300, 1), Window(1000, 3), Window(600, 900, "SIGMOID"), Window(-50, 10)], ids=str
)
@pytest.mark.parametrize("name", ["CT_small.dcm", "RG3_UNCR.dcm", "mlut_18.dcm"])
def test_any_window(name: str, window: Window, tmp_path: Path) -> None:
    """Monochrome 1 and 2, signed and not, with a slope, a table or neither."""
    path, seen = sample(name)
    theirs = picture(path, tmp_path, *told(window))
    assert theirs is not None
    assert difference(seen.drawn(Rendering(window=window)), theirs) <= GREY


def test_a_later_frame(tmp_path: Path) -> None:
    path, seen = sample("emri_small.dcm")
    theirs = picture(path, tmp_path, "+F", "5", *options(seen, 5))
    assert theirs is not None
    assert difference(seen.drawn(number=5), theirs) <= GREY


def corpus() -> Iterator[Path]:
    folder = os.environ.get("DICOM_CORPUS")
    for path in sorted(Path(folder).rglob("*.dcm")) if folder else []:
        if "paging" not in path.parent.name and path.name not in UNLIKE and path.stat().st_size < 8 << 20:
            yield path


def judged(path: Path, folder: Path) -> str | None:
    """What is wrong with our picture of a file, None where nothing is or DCMTK draws none."""
    try:
        seen = subject(path.read_bytes())
        ours = None if seen is None else seen.drawn()
    except (Undoable, InstanceError, NotFound):
        return None
    theirs = None if seen is None else picture(path, folder, *options(seen))
    if seen is None or ours is None or theirs is None:
        return None
    if aspect(seen.attributes(), 1) != 1.0:  # pixels that are not square, which DCMTK leaves so
        return None
    found = difference(ours, theirs)
    return None if found <= tolerance(seen) else f"{path.name}: {found} grey levels"


def test_the_corpus(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda item: judged(item[1], _folder(tmp_path, item[0])), enumerate(corpus()))
        assert list(filter(None, found)) == []


def _folder(path: Path, number: int) -> Path:
    made = path / str(number)
    made.mkdir()
    return made
