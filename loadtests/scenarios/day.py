"""A day in a hospital: the others, in the numbers in which they are there."""

from __future__ import annotations

from locust import User

from loadtests.scenarios.archive import Archive
from loadtests.scenarios.modality import Modality
from loadtests.scenarios.user import DicomwebUser
from loadtests.scenarios.viewer import Viewer

USUAL: list[type[User]] = [Modality, Viewer]
"""Who comes when nobody is named."""

MIX: list[type[User]] = [Modality, Viewer, Archive]
"""Who comes in a `HospitalDay`: two Modalities and an Archive to six Viewers, by their weights."""


class HospitalDay(DicomwebUser):
    """A name for the command line: a `MIX` of the others, who come and go as over a day (--day). It does nothing itself."""


def cast(named: list[type[User]]) -> list[type[User]]:
    """The users that a run is made of. :param named: on the command line, in any order; none at all is the usual."""
    if not named:
        return USUAL
    wanted = {*MIX, *named} - {HospitalDay} if HospitalDay in named else set(named)
    return [one for one in MIX if one in wanted]
