"""Transfer syntaxes of pixels: which can be read, which can be written (PS3.5 10 and A.4; docs/codecs.md says by what).

Pure names, for those who negotiate: nothing here knows a codec.
"""

from __future__ import annotations

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
ENCAPSULATED = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_SPECTRAL = "1.2.840.10008.1.2.4.53"
JPEG_PROGRESSIVE = "1.2.840.10008.1.2.4.55"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
J2K_LOSSLESS = "1.2.840.10008.1.2.4.90"
J2K = "1.2.840.10008.1.2.4.91"
J2K_PART2_LOSSLESS = "1.2.840.10008.1.2.4.92"
J2K_PART2 = "1.2.840.10008.1.2.4.93"
JPEG_XL_LOSSLESS = "1.2.840.10008.1.2.4.110"
JPEG_XL_OF_JPEG = "1.2.840.10008.1.2.4.111"
JPEG_XL = "1.2.840.10008.1.2.4.112"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"

NATIVE = frozenset({IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN})
"""Frames of these are handed over as little endian cells, as in Explicit VR Little Endian."""

UNCOMPRESSED = NATIVE | {ENCAPSULATED}
"""The same cells, be it in fragments."""

JPEG_DCT = frozenset({JPEG_BASELINE, JPEG_EXTENDED, JPEG_SPECTRAL, JPEG_PROGRESSIVE})
JPEG_PREDICTED = frozenset({JPEG_LOSSLESS, JPEG_LOSSLESS_SV1})
JPEG_LS_ALL = frozenset({JPEG_LS, JPEG_LS_NEAR})
J2K_ALL = frozenset({J2K_LOSSLESS, J2K, J2K_PART2_LOSSLESS, J2K_PART2})
HTJ2K_ALL = frozenset({HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K})
JPEG_XL_ALL = frozenset({JPEG_XL_LOSSLESS, JPEG_XL_OF_JPEG, JPEG_XL})

DECODABLE = UNCOMPRESSED | {DEFLATED_FRAMES, RLE} | JPEG_DCT | JPEG_PREDICTED | JPEG_LS_ALL | J2K_ALL | HTJ2K_ALL | JPEG_XL_ALL
"""Frames of these can be turned into pixels."""

LOSSLESS_TARGETS = (EXPLICIT, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, JPEG_LS, J2K_LOSSLESS, JPEG_LOSSLESS_SV1, RLE)
LOSSY_TARGETS = (JPEG_BASELINE, HTJ2K, J2K, JPEG_LS_NEAR)
"""In the server's order of preference."""

ENCODABLE = frozenset(LOSSLESS_TARGETS + LOSSY_TARGETS)
"""Pixels can be turned into frames of these."""

_LOSSY = JPEG_DCT | {JPEG_LS_NEAR, J2K, J2K_PART2, JPEG_XL_OF_JPEG, JPEG_XL, HTJ2K}


def targets(syntax: str) -> tuple[str, ...]:
    """What frames of a transfer syntax can be turned into, as far as it alone tells (`conversion.targets` looks at the image too).

    :return: in the server's order: Explicit VR Little Endian, then what loses nothing, then what does; without the syntax itself.
    """
    if syntax not in DECODABLE:
        return ()
    return tuple(target for target in LOSSLESS_TARGETS + LOSSY_TARGETS if target != syntax)


def is_lossy(syntax: str) -> bool:
    """Whether what comes in a transfer syntax may have lost something, and what is written here into it has."""
    return syntax in _LOSSY
