"""The identity of an instance, read from its first bytes.

One parser decides: `peek` is the walk of `elements`, stopped behind the last UID. It never trusts a value that is not
whole, for the walk keeps none, and it never says something else than the walk over the whole file will say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from gateway.dicom.elements import SYNTAX, Walk
from gateway.dicom.part10 import DIRECTORY, Buffer, uid_text
from gateway.dicomweb.reasons import Reason
from gateway.dicomweb.resources import MAX_UID, is_uid
from gateway.errors import InstanceError

META_CLASS = 0x00020002
SOP_CLASS = 0x00080016
SOP = 0x00080018
STUDY = 0x0020000D
SERIES = 0x0020000E

IDENTITY = frozenset({META_CLASS, SYNTAX, SOP_CLASS, SOP, STUDY, SERIES})
"""What `identity` needs among the wanted tags of a walk."""

_NAMES = {SOP_CLASS: "SOP Class UID", SOP: "SOP Instance UID", STUDY: "Study Instance UID", SERIES: "Series Instance UID"}

Values = Mapping[int, tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Instance:
    """What names an instance (PS3.3 C.12.1, C.7.2.1, C.7.3.1) and how its bytes are encoded (PS3.10 7.1).

    :param study: Study Instance UID (0020,000D).
    :param series: Series Instance UID (0020,000E).
    :param sop: SOP Instance UID (0008,0018).
    :param sop_class: SOP Class UID (0008,0016).
    :param transfer_syntax: Transfer Syntax UID (0002,0010), or the one that was guessed in a file without file meta.
    """

    study: str
    series: str
    sop: str
    sop_class: str
    transfer_syntax: str


class Peeked(Enum):
    """The answer of a peek that is not an instance."""

    NEED_MORE = "need more"


NEED_MORE = Peeked.NEED_MORE


def peek(prefix: Buffer, *, final: bool = False) -> Instance | Peeked:
    """Who the instance is that begins with `prefix`, or `NEED_MORE` when its UIDs are not all there.

    :param final: whether `prefix` is the whole file.
    :raises InstanceError: when no longer prefix can help: not DICOM, a directory, a UID that is missing, empty or none.
        `sop` and `sop_class` of the error are set where they were read.
    """
    walk = Walk(wanted=IDENTITY, stop_after=SERIES, needed=_NAMES)
    try:
        walk.feed(prefix)
        if not walk.done:
            refuse_directory(walk.values)
            if not final:
                return NEED_MORE
            walk.finish()
        return identity(walk.values, walk.syntax)
    except InstanceError as error:
        error.sop, error.sop_class = _good(walk.values, SOP), _good(walk.values, SOP_CLASS)
        raise


def identity(values: Values, syntax: str) -> Instance:
    """The instance that the values of a walk name.

    The data set counts. Its file meta often names another instance: tools that make anonymous or derived copies forget the
    copy of the UID there, and a receiver that relies on the data set loses nothing (PS3.10 7.1).

    :param values: of a walk that wanted `IDENTITY`.
    :param syntax: the transfer syntax that the walk found.
    :raises InstanceError: as `peek`.
    """
    refuse_directory(values)
    sop_class, sop, study, series = (_uid(values, tag) for tag in (SOP_CLASS, SOP, STUDY, SERIES))
    if not is_uid(syntax):
        raise InstanceError(Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, "Transfer Syntax UID is not a UID (PS3.5 9.1)", SYNTAX)
    return Instance(study, series, sop, sop_class, syntax)


def refuse_directory(values: Values) -> None:
    """Refuses a DICOMDIR: it lists the files of a disc and belongs to no study (PS3.10 8).

    :raises InstanceError: with SOP_CLASS_NOT_SUPPORTED.
    """
    if uid_text(values.get(META_CLASS, ("", b""))[1]) == DIRECTORY:
        raise InstanceError(Reason.SOP_CLASS_NOT_SUPPORTED, "a media directory (DICOMDIR) is not an instance of a study", META_CLASS)


def _uid(values: Values, tag: int) -> str:
    name = _NAMES[tag]
    if tag not in values:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, f"{name} is missing", tag)
    uid = uid_text(values[tag][1])
    if not uid:
        raise InstanceError(Reason.CANNOT_UNDERSTAND, f"{name} is empty", tag)
    if not is_uid(uid):
        raise InstanceError(
            Reason.CANNOT_UNDERSTAND, f"{name} is not a UID: digits and single dots, at most {MAX_UID} characters (PS3.5 9.1)", tag
        )
    return uid


def _good(values: Values, tag: int) -> str | None:
    uid = uid_text(values.get(tag, ("", b""))[1])
    return uid if is_uid(uid) else None
