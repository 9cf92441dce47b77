"""How quick the codecs of frames are, and how much memory they take: the table in docs/codecs.md.

    python -m loadtests.codecs [--repeats 15] [--only NAME]

Each candidate runs in a process of its own over the same frames: a made-up CT (512 x 512, 12 bits; "grey": its upper 8), a colour
ultrasound (480 x 640) and a mammogram's worth of pixels (2048 x 1536, 12 bits). Milliseconds are CPU time of all threads, the
median of all repeats; memory is the peak above what the process had when its libraries and its frame were in memory. Libraries
that are not installed are left out: the candidates that lost are no dependencies of the gateway.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Job = Callable[[], object]

SYNTAXES = {"jpeg": "50", "extended": "51", "lossless": "70", "jpegls": "80", "j2k": "90", "htj2k": "201", "rle": "1.2.840.10008.1.2.5"}


# -- frames ------------------------------------------------------------------------------------------------------------


def _body(rows: int, columns: int, noise: float, seed: int) -> NDArray[np.float64]:
    """Ellipses within an ellipse, in air, with the noise of a detector."""
    random = np.random.default_rng(seed)
    down, across = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    picture = np.where(down**2 / 0.6 + across**2 / 0.8 < 1, 0.26, 0.0)
    for _ in range(40):
        y, x, height, width = *random.uniform(-0.6, 0.6, 2), *random.uniform(0.02, 0.2, 2)
        picture = np.where((down - y) ** 2 / height**2 + (across - x) ** 2 / width**2 < 1, picture + random.uniform(-0.06, 0.1), picture)
    return np.asarray((picture + random.normal(0, noise, picture.shape)).clip(0, 1))


def _ct() -> Array:
    return (_body(512, 512, 0.005, 1) * 4095).astype(np.uint16)


def _mammogram() -> Array:
    return (_body(2048, 1536, 0.01, 2) * 4095).astype(np.uint16)


def _ultrasound() -> Array:
    return np.dstack([(_body(480, 640, 0.03, seed) * 255).astype(np.uint8) for seed in (3, 3, 4)])


def _grey() -> Array:
    return (_ct() >> 4).astype(np.uint8)


FRAMES = {"CT": _ct, "US": _ultrasound, "MG": _mammogram, "grey": _grey}


# -- candidates --------------------------------------------------------------------------------------------------------


def _encoded(kind: str, frame: Array) -> bytes:
    """A frame in a codec, by imagecodecs."""
    codecs = import_module("imagecodecs")
    bits = 8 if frame.dtype == np.uint8 else 12
    made = {
        "jpeg": partial(codecs.jpeg8_encode, frame, 90, subsampling="422" if frame.ndim == 3 else None),
        "extended": partial(codecs.jpeg8_encode, frame, 90, bitspersample=12),
        "lossless": partial(codecs.jpeg8_encode, frame, lossless=True, predictor=1, bitspersample=bits),
        "jpegls": partial(codecs.jpegls_encode, frame),
        "j2k": partial(codecs.jpeg2k_encode, frame, codecformat="j2k", reversible=True, bitspersample=bits, numthreads=1),
        "htj2k": partial(codecs.htj2k_encode, frame, reversible=True),
        "jpegxl": partial(codecs.jpegxl_encode, frame, lossless=True, effort=3, numthreads=1),
        "rle": partial(_rle, frame),
    }
    return bytes(made[kind]())


def _rle(frame: Array) -> bytes:
    from gateway.pixels import rle

    return rle.encoded(frame, _image("rle", frame))


def _image(kind: str, frame: Array) -> Any:
    from gateway.pixels.image import Image

    bits = 8 * frame.itemsize
    samples = 3 if frame.ndim == 3 else 1
    syntax = SYNTAXES[kind] if "." in SYNTAXES[kind] else f"1.2.840.10008.1.2.4.{SYNTAXES[kind]}"
    rows, columns = frame.shape[:2]
    return Image(syntax, rows, columns, samples, "RGB" if samples == 3 else "MONOCHROME2", False, bits, bits, bits - 1, False, 1)


def _decoders(kind: str, frame: Array, data: bytes) -> dict[str, Callable[[], Job]]:
    """Who can decode; each is asked for its job in a process of its own."""
    names = {"lossless": "jpeg8", "extended": "jpeg8", "jpeg": "jpeg8", "j2k": "jpeg2k", "rle": "dicomrle"}
    threads = {"numthreads": 1} if kind in ("j2k", "jpegxl") else {}

    def imagecodecs(name: str = names.get(kind, kind)) -> Job:
        function = getattr(import_module("imagecodecs"), f"{name}_decode")
        return partial(function, data, *([frame.dtype] if kind == "rle" else []), **threads)

    def gateway() -> Job:
        return partial(import_module("gateway.pixels.decoding").decoded, data, _image(kind, frame))

    def simplejpeg() -> Job:
        return partial(import_module("simplejpeg").decode_jpeg, data, "GRAY" if frame.ndim == 2 else "RGB")

    found: dict[str, Callable[[], Job]] = {"imagecodecs": imagecodecs}
    if kind in SYNTAXES:
        found["gateway, with its checks"] = gateway
    if kind in ("j2k", "htj2k"):
        found["pylibjpeg-openjpeg"] = lambda: partial(import_module("openjpeg").decode, data)
    if kind == "htj2k":
        found["imagecodecs (OpenJPEG)"] = lambda: imagecodecs("jpeg2k")
    if kind == "jpegls":
        found["pyjpegls"] = lambda: partial(import_module("jpeg_ls").decode_buffer, data)
    if kind == "jpeg":
        found |= {"simplejpeg": simplejpeg, "pillow": lambda: partial(_through_pillow, import_module("PIL.Image"), data)}
    if kind == "lossless":
        found["imagecodecs (jpegsof3)"] = lambda: imagecodecs("jpegsof3")
    if kind in ("lossless", "jpegls", "j2k"):
        found["GDCM, through pydicom"] = lambda: _through_pydicom(kind, frame, data, "gdcm")
    if kind == "rle":
        found["pydicom"] = lambda: _through_pydicom(kind, frame, data, "pydicom")
    return found


def _through_pillow(pillow: Any, data: bytes) -> object:
    return pillow.open(BytesIO(data)).tobytes()


def _through_pydicom(kind: str, frame: Array, data: bytes, plugin: str) -> Job:
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder

    image = _image(kind, frame)
    return partial(
        get_decoder(image.syntax).as_buffer,
        encapsulate([data]),
        index=0,
        validate=False,
        decoding_plugin=plugin,
        pixel_keyword="PixelData",
        number_of_frames=1,
        rows=image.rows,
        columns=image.columns,
        samples_per_pixel=image.samples,
        planar_configuration=0,
        photometric_interpretation=image.photometric,
        bits_allocated=image.allocated,
        bits_stored=image.stored,
        pixel_representation=0,
    )


def _encoders(kind: str, frame: Array) -> dict[str, Callable[[], Job]]:
    def imagecodecs() -> Job:
        import_module("imagecodecs")
        return partial(_encoded, kind, frame)

    def simplejpeg() -> Job:
        pixels = frame if frame.ndim == 3 else frame[..., np.newaxis]
        space, subsampling = ("RGB", "422") if frame.ndim == 3 else ("GRAY", "Gray")
        return partial(import_module("simplejpeg").encode_jpeg, pixels, quality=90, colorspace=space, colorsubsampling=subsampling)

    def pillow() -> Job:
        return partial(_saved_by_pillow, import_module("PIL.Image"), frame)

    def pyjpegls() -> Job:
        samples = 3 if frame.ndim == 3 else 1
        bits = 8 if frame.dtype == np.uint8 else 12
        function = import_module("jpeg_ls").encode_buffer
        return partial(function, frame.tobytes(), *frame.shape[:2], samples, bits, 0, 2 if samples == 3 else None)

    def pylibjpeg() -> Job:
        bits = 8 if frame.dtype == np.uint8 else 12
        space = 1 if frame.ndim == 3 else 2
        return partial(
            import_module("openjpeg.utils").encode_array, frame, bits_stored=bits, photometric_interpretation=space, use_mct=True
        )

    found: dict[str, Callable[[], Job]] = {"imagecodecs": imagecodecs}
    if kind == "jpeg":
        found |= {"simplejpeg": simplejpeg, "pillow": pillow}
    if kind == "jpegls":
        found["pyjpegls"] = pyjpegls
    if kind == "j2k":
        found["pylibjpeg-openjpeg"] = pylibjpeg
    return found


def _saved_by_pillow(pillow: Any, frame: Array) -> bytes:
    stream = BytesIO()
    pillow.fromarray(frame).save(stream, "JPEG", quality=90, subsampling="4:2:2")
    return stream.getvalue()


TASKS = [
    *[("decode", kind, frame) for kind in ("jpeg",) for frame in ("grey", "US")],
    ("decode", "extended", "CT"),
    *[("decode", kind, frame) for kind in ("lossless", "jpegls", "j2k", "htj2k", "rle") for frame in ("CT", "US", "MG")],
    *[("decode", "jpegxl", frame) for frame in ("CT", "US")],
    *[("encode", "jpeg", frame) for frame in ("grey", "US")],
    *[("encode", kind, frame) for kind in ("lossless", "jpegls", "j2k", "htj2k", "rle") for frame in ("CT", "US")],
]


# -- measuring ---------------------------------------------------------------------------------------------------------


def measure(task: str, kind: str, folder: Path, name: str, repeats: int) -> dict[str, float]:
    """Milliseconds and MiB of one candidate, in this process.

    :param folder: holds the frame and its encoded form.
    """
    frame, data = np.load(folder / "frame.npy"), (folder / "encoded").read_bytes()
    job = (_decoders(kind, frame, data) if task == "decode" else _encoders(kind, frame))[name]()
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the imports (proc(5))
    before = _memory("VmRSS")
    made = job()
    memory = _memory("VmHWM") - before
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        job()
        spent.append(1e3 * (time.process_time() - start))
    return {"ms": statistics.median(spent), "mib": memory, "bytes": len(made) if isinstance(made, bytes | bytearray) else 0}


def _memory(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def _apart(arguments: list[str]) -> dict[str, float] | None:
    command = [sys.executable, "-m", "loadtests.codecs", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this file itself
    if done.returncode:
        print(*arguments, (done.stderr.splitlines() or [""])[-1], file=sys.stderr)  # noqa: T201 - a command for people
        return None
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _row(task: str, kind: str, frame: str, repeats: int) -> None:
    pixels = FRAMES[frame]()
    data = _encoded(kind, pixels)
    with TemporaryDirectory() as folder:
        np.save(Path(folder, "frame.npy"), pixels)
        Path(folder, "encoded").write_bytes(data)
        for name in _decoders(kind, pixels, data) if task == "decode" else _encoders(kind, pixels):
            found = _apart(["--repeats", str(repeats), "--one", task, kind, folder, name])
            if found:
                size = f"{found['bytes']:.0f}" if task == "encode" else ""
                row = f"| {task} {kind} | {frame} | {name} | {found['ms']:.2f} | {found['mib']:.1f} | {size} |"
                print(row, flush=True)  # noqa: T201 - a command for people


def main() -> None:
    """See the docstring of the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--only", default="", help="one codec, for example j2k")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        task, kind, folder, name = chosen.one
        print(json.dumps(measure(task, kind, Path(folder), name, chosen.repeats)))  # noqa: T201 - read by the process that asked
        return
    print("| task | frame | library | ms CPU | MiB | bytes |\n| --- | --- | --- | --- | --- | --- |")  # noqa: T201 - a command for people
    for task, kind, frame in TASKS:
        if chosen.only in ("", kind):
            _row(task, kind, frame, chosen.repeats)


if __name__ == "__main__":
    main()
