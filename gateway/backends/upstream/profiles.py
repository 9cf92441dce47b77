"""What each kind of origin can and cannot do: data, and no code that knows an origin by its name.

Where an origin does less than the gateway promises, the other rooms read it here and fill in what is missing, or refuse.
What stands in a profile was seen: `orthanc` on Orthanc 1.10.1 with its DICOMweb plugin 1.7, `google` in its conformance
statement, `dcm4chee` in its documentation; `generic` is what PS3.18 demands of everybody. `probing` looks at a running origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

ANY = "*"

Names = Literal["folded", "as_sent", "words", "unasked"]
Way = Literal["route", "cut"]
Deleting = Literal["standard", "google", "orthanc", "none"]
Syntaxes = Literal["results", "orthanc", "none"]

_REQUIRED = tuple(
    """
    StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName PatientName PatientID StudyInstanceUID StudyID
    Modality SeriesInstanceUID PerformedProcedureStepStartDate PerformedProcedureStepStartTime SOPClassUID SOPInstanceUID
    """.split()
)
"""Keys that every origin has to match (PS3.18 tables 10.6.1-5 to 10.6.1-7), numbers and sequences apart."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What an origin can do; the defaults are those of `generic`.

    :param keys: keywords of the attributes that it matches in searches of their level and of those below; ``*`` for any
        attribute of the dictionary that is text, a date, a time or a UID.
    :param keys_in_sequences: it matches keys such as ``RequestAttributesSequence.ScheduledProcedureStepID``.
    :param names: how it compares names of people: ``folded`` without regard to case, ``words`` one word with the beginnings of
        theirs, when fuzzymatching is asked for, ``as_sent`` in a way of its own, ``unasked`` in one that cannot be used.
    :param folds_text: it compares other text without regard to case.
    :param matches_each_value: of an attribute of several values it compares each, and not what they are all together.
    :param keeps_text: results have every character, not only those of the character set that they name.
    :param wildcards: it knows ``*`` in keys of text.
    :param lists: what stands between the values of which one has to match; empty where it knows no lists.
    :param ranges: keywords of the attributes of which it matches ranges; ``*`` for all dates and times that it matches.
    :param ranges_find_nothing_given: ranges that are open at their beginning find what has no value, too.
    :param decodes: it undoes the percent-encoding of search parameters.
    :param includes: it takes includefield.
    :param includes_sequences: sequences, too.
    :param includes_counts: ModalitiesInStudy and the numbers of what is below, too; where this is false they come unasked, and who
        asks gets what some instance says of itself.
    :param includes_all: and ``includefield=all`` brings everything but bulk data.
    :param syntaxes: where the transfer syntax of an instance is found without fetching it: in ``results`` of searches that
        include it, in Orthanc's own API, or nowhere.
    :param page: studies or series in one answer at most; more are asked for in pages.
    :param page_instances: instances in one answer at most.
    :param offset_max: results that it skips at most; 0 for any number.
    :param frames: by its own ``route``, or ``cut`` out of the instance here, as bulk data always are.
    :param metadata: by its own ``route``, or ``cut`` out of whole instances: exact where an origin leaves things out, for the price
        of fetching them once.
    :param stores_multipart: it takes ``multipart/related; type="application/dicom"``; else one instance a request.
    :param retrieves_single: it answers ``Accept: application/dicom`` with the bare instance; else multipart is unpacked here.
    :param as_stored: ``transfer-syntax=*`` brings instances as they are stored.
    :param deletes: how: the ``standard`` way, with ``google``'s operations, by ``orthanc``'s own API, or ``none``.
    """

    keys: tuple[str, ...] = _REQUIRED
    keys_in_sequences: bool = False
    names: Names = "as_sent"
    folds_text: bool = False
    matches_each_value: bool = True
    keeps_text: bool = True
    wildcards: bool = True
    lists: Literal["", ",", "\\"] = ""
    ranges: tuple[str, ...] = (ANY,)
    ranges_find_nothing_given: bool = True
    decodes: bool = True
    includes: bool = True
    includes_sequences: bool = False
    includes_counts: bool = True
    includes_all: bool = False
    syntaxes: Syntaxes = "none"
    page: int = 100
    page_instances: int = 1000
    offset_max: int = 0
    frames: Way = "route"
    metadata: Way = "route"
    stores_multipart: bool = True
    retrieves_single: bool = False
    as_stored: bool = True
    deletes: Deleting = "standard"


GENERIC = Profile()

GOOGLE = Profile(
    keys=(
        *("StudyInstanceUID", "PatientName", "PatientID", "AccessionNumber", "ReferringPhysicianName", "StudyDate"),
        *("SeriesInstanceUID", "Modality", "SOPInstanceUID"),
    ),
    names="words",
    wildcards=False,
    ranges=("StudyDate",),
    includes_sequences=True,
    includes_all=True,
    syntaxes="results",
    page=5000,
    page_instances=50_000,
    offset_max=1_000_000,
    retrieves_single=True,
    deletes="google",
)
"""Anything else as a key is 400; only StudyDate has ranges; no Warning says how much is left."""

ORTHANC = Profile(
    keys=(ANY,),
    names="folded",
    folds_text=True,
    matches_each_value=False,
    keeps_text=False,
    lists=",",
    decodes=False,
    includes_counts=False,
    frames="cut",
    syntaxes="orthanc",
    page=1000,
    deletes="orthanc",
)
"""Keys of lower levels and counts find nothing, keys in sequences find everything, ``includefield=all`` brings nothing, numbers
are compared as they are written, limit=0 is no limit, text is reduced to its DefaultEncoding, and a search below an unknown
study is ``200 []``. A question mark in a pattern stands for one byte."""

DCM4CHEE = Profile(
    includes_sequences=True,
    includes_all=True,
    page=1000,
    retrieves_single=True,
)

PROFILES: Mapping[str, Profile] = {"google": GOOGLE, "orthanc": ORTHANC, "dcm4chee": DCM4CHEE, "generic": GENERIC}


def with_overrides(profile: Profile, settings: Mapping[str, Any]) -> Profile:
    """The profile with some of its fields set otherwise.

    :param settings: field names and values, as a configuration file has them.
    :raises ValueError: for a name that is no field, or a value of another kind; the message names what there is.
    """
    kinds = get_type_hints(Profile)
    unknown = sorted(set(settings) - set(kinds))
    if unknown:
        known = ", ".join(field.name for field in fields(Profile))
        raise ValueError(f"A profile has no {unknown[0]!r}. It has: {known}.")
    return replace(profile, **{name: _checked(name, value, kinds[name]) for name, value in settings.items()})


def _checked(name: str, value: Any, kind: Any) -> Any:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"{name!r} of a profile is one of {', '.join(map(repr, get_args(kind)))}.")
        return value
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
            raise ValueError(f"{name!r} of a profile is a list of words.")
        return tuple(value)
    if type(value) is not kind or (kind is int and value < 0):
        raise ValueError(f"{name!r} of a profile is {_KINDS[kind]}.")
    return value


_KINDS: Mapping[type | UnionType, str] = {bool: "true or false", int: "a whole number, not negative"}
