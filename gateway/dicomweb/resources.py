"""What a DICOMweb URL names: a study, a series, an instance, or frames of one (PS3.18 10.1.1, table 10.1.1-1).

UIDs are checked here, before anything else is touched, and nothing that fails the check travels further.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from gateway.errors import BadRequest, InvalidUID

MAX_UID = 64
"""Characters of a UID (PS3.5 9.1)."""

MAX_FRAMES = 4096
"""Frame numbers in one request: bounds what one URL can ask for; a URL line of 8 kB cannot hold many more."""

# PS3.5 9.1 forbids leading zeros in a component. Archives are full of such UIDs and viewers ask for them, so a UID with
# leading zeros is served under exactly the spelling it was stored with. Everything else is refused.
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")

Level = Literal["study", "series", "instance"]


def is_uid(text: str) -> bool:
    """Whether `text` is a UID: digits and dots, no empty component, at most 64 characters (PS3.5 9.1)."""
    return len(text) <= MAX_UID and _UID.fullmatch(text) is not None


def parse_uid(text: str, what: str) -> str:
    """`text` itself when it is a UID.

    :param what: the name of the UID in the error message, for example ``StudyInstanceUID``.
    :raises InvalidUID: for anything else. The text is not echoed: it comes from outside.
    """
    if not is_uid(text):
        raise InvalidUID(f"{what} in the URL is not a UID: digits and single dots, at most {MAX_UID} characters (PS3.5 9.1)")
    return text


def parse_frames(text: str) -> tuple[int, ...]:
    """Frame numbers of ``/frames/1,2,3``: 1-based, in the order asked for (PS3.18 10.4.1.1.4).

    The standard wants ascending lists; other orders and repetitions have an obvious meaning and are answered too.

    :raises BadRequest: for anything that is not a list of positive numbers.
    """
    words = text.split(",")
    if len(words) > MAX_FRAMES:
        raise BadRequest(f"more than {MAX_FRAMES} frames in one request; ask in several")
    if not all(w.isascii() and w.isdecimal() and len(w) <= 10 for w in words):
        raise BadRequest("the frame list is not a comma-separated list of numbers from 1 (PS3.18 10.4.1.1.4)")
    frames = tuple(map(int, words))
    if 0 in frames:
        raise BadRequest("frames are numbered from 1 (PS3.18 10.4.1.1.4)")
    return frames


@dataclass(frozen=True, slots=True)
class Resource:
    """A study, series, instance or some frames of one; UIDs are valid, a lower level implies the upper ones."""

    study: str | None = None
    series: str | None = None
    instance: str | None = None
    frames: tuple[int, ...] = ()

    @classmethod
    def parse(cls, study: str | None = None, series: str | None = None, instance: str | None = None, frames: str | None = None) -> Resource:
        """A resource from the pieces of a URL path.

        :raises InvalidUID: when a UID is not one.
        :raises BadRequest: when the frame list is not one.
        """
        return cls(
            None if study is None else parse_uid(study, "StudyInstanceUID"),
            None if series is None else parse_uid(series, "SeriesInstanceUID"),
            None if instance is None else parse_uid(instance, "SOPInstanceUID"),
            () if frames is None else parse_frames(frames),
        )

    @property
    def level(self) -> Level:
        """The lowest level that is named."""
        if self.instance is not None:
            return "instance"
        return "series" if self.series is not None else "study"

    @property
    def path(self) -> str:
        """The path below a store's base, for example ``/studies/1.2/series/3.4``; frames are left out."""
        parts = (("studies", self.study), ("series", self.series), ("instances", self.instance))
        return "".join(f"/{name}/{uid}" for name, uid in parts if uid is not None)
