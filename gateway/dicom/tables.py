"""The dictionaries of PS3.6, and of private elements, that pydicom carries: its tables, without the rest of it.

Importing pydicom takes half a second of CPU time and brings numpy, Pillow and whatever decoders there are into the process. The gateway
needs three of its files, which are dictionaries and nothing else. They are read where pydicom is installed, as modules of our own.
"""

from __future__ import annotations

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

Entry = tuple[str, str, str, str, str]
"""VR, VM, name, "Retired" or empty, keyword; of a UID: name, type, info, "Retired" or empty, keyword."""


def _read(name: str) -> ModuleType:
    package = find_spec("pydicom")  # found, and not imported
    folder = package.submodule_search_locations if package else None
    spec = spec_from_file_location(f"{__name__}.{name}", Path(folder[0], f"{name}.py")) if folder else None
    if spec is None or spec.loader is None:
        raise ImportError("pydicom is not installed", name="pydicom")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_elements = _read("_dicom_dict")

ELEMENTS: dict[int, Entry] = _elements.DicomDictionary
"""Tag -> what the standard says of it."""

REPEATERS: dict[str, Entry] = _elements.RepeatersDictionary
"""Repeating groups and the like, ``60xx3000``."""

PRIVATE: dict[str, dict[str, tuple[str, str, str, str]]] = _read("_private_dict").private_dictionaries
"""Private creator -> tag (``0029xx10``) -> the same without a keyword."""

UIDS: dict[str, Entry] = _read("_uid_dict").UID_dictionary
"""UID -> what it stands for."""

KEYWORDS: dict[str, int] = {entry[4]: tag for tag, entry in ELEMENTS.items()}
"""Keyword -> tag."""

_MASKS = [
    (int(pattern.replace("x", "0"), 16), int("".join("0" if digit == "x" else "F" for digit in pattern), 16), entry)
    for pattern, entry in REPEATERS.items()
]


def element(tag: int) -> Entry | None:
    """What the standard says of a tag, None for private and unknown ones."""
    entry = ELEMENTS.get(tag)
    if entry is None and not tag & 0x10000:
        return next((entry for given, mask, entry in _MASKS if (tag ^ given) & mask == 0), None)
    return entry


def private_vr(tag: int, creator: str) -> str | None:
    """The VR of a private element, None where it is not known. Where its block lies does not matter (PS3.5 7.8.1)."""
    known = PRIVATE.get(creator, {})
    group, number = f"{tag >> 16:04X}", f"{tag & 0xFFFF:04X}"
    for pattern in (group + number, f"{group}xx{number[2:]}", f"{group[:2]}xxxx{number[2:]}"):
        if pattern in known:
            return known[pattern][0]
    return None
