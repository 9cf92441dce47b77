"""From big endian to little endian, the only order that leaves the house (PS3.5 7.3)."""

from __future__ import annotations

from array import array

WORD: dict[str, int] = {
    "AT": 2, "FD": 8, "FL": 4, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8,
}  # fmt: skip
"""Bytes of what is swapped as a whole in a value of that VR; the VRs that are not named are strings of single bytes."""

_ARRAY = {2: "H", 4: "I", 8: "Q"}


def swapped(raw: bytes, size: int) -> bytes:
    """`raw` with the bytes of each word of `size` in reverse; what is left over at the end stays as it is.

    :param size: 1, 2, 4 or 8.
    """
    if size == 1:
        return raw
    whole = len(raw) - len(raw) % size
    words = array(_ARRAY[size])
    words.frombytes(memoryview(raw)[:whole])
    words.byteswap()
    return words.tobytes() + raw[whole:]
