"""The attributes that searches know, as DICOM JSON, by level (PS3.18 10.6.3, tables 10.6.3-3 to 10.6.3-5).

A store keeps them beside each instance; patient attributes belong to the study. What counts or points elsewhere (related
instances, modalities in study, URLs) is the store's to add.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import orjson

from gateway.dicom.charset import DEFAULT, CharacterSet, character_set
from gateway.dicom.model import CHARACTER_SET, UTF_8, Attribute, key_of, sequence_attribute
from gateway.dicom.resolve import known_vr
from gateway.dicom.values import CONVERT, BadValue

_STUDY = (
    0x00080020,  # Study Date
    0x00080030,  # Study Time
    0x00080050,  # Accession Number
    0x00080051,  # Issuer of Accession Number Sequence
    0x00080090,  # Referring Physician's Name
    0x00080201,  # Timezone Offset From UTC
    0x00081030,  # Study Description
    0x00081032,  # Procedure Code Sequence
    0x00081048,  # Physician(s) of Record
    0x00081060,  # Name of Physician(s) Reading Study
    0x00100010,  # Patient's Name
    0x00100020,  # Patient ID
    0x00100021,  # Issuer of Patient ID
    0x00100030,  # Patient's Birth Date
    0x00100032,  # Patient's Birth Time
    0x00100040,  # Patient's Sex
    0x00101010,  # Patient's Age
    0x0020000D,  # Study Instance UID
    0x00200010,  # Study ID
)
_SERIES = (
    0x00080021,  # Series Date
    0x00080031,  # Series Time
    0x00080060,  # Modality
    0x00080070,  # Manufacturer
    0x00080080,  # Institution Name
    0x00081010,  # Station Name
    0x0008103E,  # Series Description
    0x00081040,  # Institutional Department Name
    0x00081050,  # Performing Physician's Name
    0x00081070,  # Operators' Name
    0x00081090,  # Manufacturer's Model Name
    0x00180015,  # Body Part Examined
    0x00181030,  # Protocol Name
    0x00185100,  # Patient Position
    0x0020000E,  # Series Instance UID
    0x00200011,  # Series Number
    0x00200052,  # Frame of Reference UID
    0x00200060,  # Laterality
    0x00400244,  # Performed Procedure Step Start Date
    0x00400245,  # Performed Procedure Step Start Time
    0x00400253,  # Performed Procedure Step ID
    0x00400254,  # Performed Procedure Step Description
    0x00400275,  # Request Attributes Sequence
)
_INSTANCE = (
    0x00080008,  # Image Type
    0x00080016,  # SOP Class UID
    0x00080018,  # SOP Instance UID
    0x00080022,  # Acquisition Date
    0x00080023,  # Content Date
    0x0008002A,  # Acquisition DateTime
    0x00080032,  # Acquisition Time
    0x00080033,  # Content Time
    0x00200012,  # Acquisition Number
    0x00200013,  # Instance Number
    0x00280002,  # Samples per Pixel
    0x00280004,  # Photometric Interpretation
    0x00280008,  # Number of Frames
    0x00280010,  # Rows
    0x00280011,  # Columns
    0x00280100,  # Bits Allocated
    0x00280101,  # Bits Stored
    0x00280103,  # Pixel Representation
    0x0040A043,  # Concept Name Code Sequence
    0x0040A491,  # Completion Flag
    0x0040A493,  # Verification Flag
    0x00420010,  # Document Title
    0x00700080,  # Content Label
    0x00700081,  # Content Description
)

INDEX_TAGS: frozenset[int] = frozenset({CHARACTER_SET, *_STUDY, *_SERIES, *_INSTANCE})
"""What a walk must be told to keep (`wanted`) for `index_attributes`."""

SMALL = 2048
"""Bytes of a sequence whose attribute is remembered; with the 256 of them that bounds what is kept."""

_VALUE = 200
"""Bytes of memory that a raw value costs beside its own."""

_LEVELS = tuple(tuple((tag, key_of(tag)) for tag in sorted(tags)) for tags in (_STUDY, _SERIES, _INSTANCE))

Attributes = dict[str, Attribute]


class IndexAttributes:
    """DICOM JSON attributes of the three levels: keys ascending, text as Unicode, ``SpecificCharacterSet`` where it is needed.

    A level is made when it is first asked for: of a series of a thousand instances only one is asked for its study.
    To be read only: sequences may be shared between instances.

    :param make: makes a level, 0 for the study to 2 for the instance.
    :ivar weight: about how many bytes of memory it holds once it is packed.
    """

    __slots__ = ("_made", "_make", "weight")

    def __init__(self, make: Callable[[int], Attributes], weight: int = 0) -> None:
        self._make = make
        self.weight = weight
        self._made: list[Attributes | bytes | None] = [None, None, None]

    @property
    def study(self) -> Attributes:
        """Of the study and its patient."""
        return self._level(0)

    @property
    def series(self) -> Attributes:
        """Of the series, its equipment and procedure."""
        return self._level(1)

    @property
    def instance(self) -> Attributes:
        """Of the instance itself."""
        return self._level(2)

    def pack(self) -> None:
        """Makes the instance's level, and keeps it as text: thousands may wait for their commit, and objects take up to twelve times
        as much."""
        packed = self._made[2] = orjson.dumps(self._level(2))
        self.weight += len(packed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IndexAttributes) and all(self._level(level) == other._level(level) for level in range(3))

    __hash__ = None  # type: ignore[assignment]  # equal ones may be dictionaries apart

    def _level(self, level: int) -> Attributes:
        made = self._made[level]
        if made is None:
            made = self._made[level] = self._make(level)
        if isinstance(made, bytes):
            unpacked: Attributes = orjson.loads(made)
            return unpacked
        return made


def index_attributes(values: Mapping[int, tuple[str, bytes]], *, implicit: bool = False, little_endian: bool = True) -> IndexAttributes:
    """What an instance shows in searches, from the values that a walk kept.

    A value that cannot be read is left out: it costs neither the instance nor its other attributes.

    :param values: `Walk.values`: tag to VR and raw value of the top level; the value of a sequence is its items as they stand.
    :param implicit: `Walk.implicit`: how the items of sequences are encoded; `little_endian` likewise.
    """
    declared = values.get(CHARACTER_SET)
    charset = DEFAULT if declared is None else character_set(declared[1])
    levels = [[(tag, key, values[tag]) for tag, key in level if tag in values] for level in _LEVELS]
    weight = sum(len(value[1]) + _VALUE for level in levels[:2] for _, _, value in level)

    def make(level: int) -> Attributes:
        found: Attributes = {} if declared is None else {key_of(CHARACTER_SET): UTF_8}
        for tag, key, value in levels[level]:
            attribute = _attribute(tag, *value, charset, not implicit, little_endian)
            if attribute is not None:
                found[key] = attribute
        levels[level] = []  # whoever keeps what was made need not keep this too
        return found if declared is not None else _declared(found)

    return IndexAttributes(make, weight)


def by_level(attributes: Mapping[str, Attribute]) -> IndexAttributes:
    """The same from the model of a whole instance: `metadata.instance_model`."""
    declared = key_of(CHARACTER_SET) in attributes

    def make(level: int) -> Attributes:
        found = {key: attributes[key] for _, key in _LEVELS[level] if key in attributes}
        return {key_of(CHARACTER_SET): UTF_8} | found if declared else _declared(found)

    return IndexAttributes(make)


def _declared(level: Attributes) -> Attributes:
    """`level` with its character set, when it has text that is not ASCII."""
    return level if orjson.dumps(level).isascii() else {key_of(CHARACTER_SET): UTF_8} | level


# The instances of a series carry the same sequences, and a walk through one costs as much as twenty plain attributes.
_remembered = lru_cache(maxsize=256)(sequence_attribute)


def _attribute(tag: int, vr: str, raw: bytes, charset: CharacterSet, explicit: bool, little: bool) -> Attribute | None:
    if vr == "UN":
        vr, explicit, little = known_vr(tag, len(raw), None), False, True
    if vr == "SQ":
        sequence = _remembered if len(raw) <= SMALL else sequence_attribute
        return sequence(raw, charset, explicit=explicit, little=little)
    try:
        values = CONVERT[vr](raw, charset, little)
    except (KeyError, BadValue):
        return None
    return {"vr": vr, "Value": values} if values else {"vr": vr}
