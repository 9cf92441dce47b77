"""What an origin can do, found out by asking it: `check-config --probe` shows the profile that fits.

Only reads, a few dozen calls, and one study of the origin as the object of all of them: each key is tried with the value that
the study has and with one that no study has, together with the study's UID, so that no search is a long one. No value of an
attribute is shown or logged. In an archive without studies only the kind of the origin can be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import orjson

from gateway.backends.results import Attributes
from gateway.backends.upstream.client import Client
from gateway.backends.upstream.profiles import ANY, PROFILES, Profile
from gateway.backends.upstream.scanning import PAGE_BYTES, named, parsed
from gateway.dicom import dictionary
from gateway.dicomweb.names import joined
from gateway.dicomweb.resources import Resource
from gateway.errors import GatewayError

NOWHERE = "NOSUCHVALUE9"
"""A value that no study has."""

NO_UID = "1.2.3.999999999.1"
UID = "StudyInstanceUID"
_TRIED = ("StudyDate", "StudyTime", "AccessionNumber", "ModalitiesInStudy", "ReferringPhysicianName", "PatientName", "PatientID", "StudyID")
_NO_SUCH = {"StudyDate": "18000101", "StudyTime": "000000.000001"}


@dataclass(frozen=True, slots=True)
class Report:
    """What was found out.

    :param kind: the name of the profile that fits best.
    :param profile: that profile with what was seen to be otherwise.
    :param notes: sentences for people.
    """

    kind: str
    profile: Profile
    notes: tuple[str, ...]

    @property
    def overrides(self) -> Mapping[str, Any]:
        """What has to be set beside the name of the profile."""
        usual = asdict(PROFILES[self.kind])
        return {name: value for name, value in asdict(self.profile).items() if value != usual[name]}


async def probe(client: Client) -> Report:
    """Looks at an origin.

    :raises GatewayError: it cannot be reached, or does not answer a plain search for studies.
    """
    return await _Probe(client).report()


class _Probe:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._notes: list[str] = []
        self._study: Attributes = {}

    async def report(self) -> Report:
        studies = await self._found(limit="1")
        kind = await self._kind()
        profile = PROFILES[kind]
        if not studies:
            self._notes.append("The archive is empty: only its kind can be told.")
            return Report(kind, profile, tuple(self._notes))
        self._study = studies[0]
        profile = await self._keys(profile)
        for look in (self._wildcards, self._names, self._lists, self._encoding, self._includes, self._forms):
            profile = await look(profile)
        return Report(kind, profile, tuple(self._notes))

    # -- what it is

    async def _kind(self) -> str:
        path = urlsplit(self._client.base).path
        if "/dicomStores/" in path and path.endswith("/dicomWeb"):
            return self._noted("google", "It has the address of a DICOM store of the Cloud Healthcare API.")
        if "/aets/" in path and path.endswith("/rs"):
            return self._noted("dcm4chee", "It has an address as dcm4chee's archive has them.")
        system = await self._rest("/system")
        if isinstance(system, dict) and "Version" in system and "DatabaseVersion" in system:
            self._noted("orthanc", f"It is Orthanc {str(system['Version'])[:20]}.")
            await self._orthanc_encoding()
            return "orthanc"
        return self._noted("generic", "It is of no kind that is known here.")

    async def _orthanc_encoding(self) -> None:
        encoding = await self._rest("/tools/default-encoding", text=True)
        if encoding != "Utf8":
            self._notes.append(
                'Set "DefaultEncoding" : "Utf8" in its configuration: its searches drop all characters that it has no room for.'
            )

    async def _rest(self, path: str, *, text: bool = False) -> Any:
        """Something of Orthanc's own API, None when there is none."""
        beside = urlsplit(self._client.base).path.rpartition("/")[0]
        try:
            answer = await self._client.ask("GET", beside + path, transaction="other", root=True, ok=(200,))
            body = await answer.read(1 << 16)
            return body.decode() if text else orjson.loads(body)
        except (GatewayError, ValueError):
            return None

    def _noted(self, kind: str, note: str) -> str:
        self._notes.append(note)
        return kind

    # -- searches

    async def _found(self, **params: str) -> list[Attributes]:
        answer = await self._client.ask("GET", "/studies", transaction="other", params=list(params.items()), headers=_JSON, ok=(200, 204))
        return await parsed(await answer.read(PAGE_BYTES), self._client.name)

    async def _finds(self, **params: str) -> bool:
        """Whether the study is found so; no answer is a no."""
        uid = named(self._study).study or ""
        try:
            found = await self._found(**({UID: uid, "limit": "2"} | params))
        except GatewayError:
            return False
        return [named(one).study for one in found] == [uid]

    def _value(self, keyword: str) -> str:
        """The first value of the study as text in a URL, empty where it has none."""
        values = self._study.get(f"{dictionary.tag(keyword):08X}", {}).get("Value") or [""]
        return joined(values[0]) if isinstance(values[0], dict) else str(values[0] or "")

    async def _keys(self, profile: Profile) -> Profile:
        matched: list[str] = []
        not_matched: list[str] = []
        for keyword in _TRIED:
            value = self._value(keyword)
            if value and value.isascii() and value.replace(".", "").isalnum():
                right = await self._finds(**{keyword: value})
                wrong = await self._finds(**{keyword: _NO_SUCH.get(keyword, NOWHERE)})
                (matched if right and not wrong else not_matched).append(keyword)
        if not_matched:
            self._notes.append(f"It does not match {', '.join(not_matched)}.")
        if ANY in profile.keys:
            return profile
        kept = [keyword for keyword in profile.keys if keyword not in not_matched]
        return replace(profile, keys=tuple(dict.fromkeys([*kept, *matched])))

    async def _wildcards(self, profile: Profile) -> Profile:
        value = self._value("PatientID")
        if len(value) < 2 or not value.isalnum() or not value.isascii():
            return profile
        return replace(profile, wildcards=await self._finds(PatientID=f"{value[0]}*") and not await self._finds(PatientID=f"{NOWHERE}*"))

    async def _names(self, profile: Profile) -> Profile:
        word = self._value("PatientName").partition("^")[0].partition(" ")[0]
        if not (word.isalpha() and word.isascii()) or profile.names == "words":
            return profile
        if profile.wildcards and await self._finds(PatientName=f"*{word.swapcase()}*"):
            return replace(profile, names="folded")
        if await self._finds(PatientName=f"*{word}*"):
            self._notes.append("It finds names of patients only as they are written.")
        return profile

    async def _lists(self, profile: Profile) -> Profile:
        uid = named(self._study).study or ""
        for sign in (",", "\\"):
            if await self._finds(StudyInstanceUID=f"{NO_UID}{sign}{uid}"):
                return replace(profile, lists=sign)
        return replace(profile, lists="")

    async def _encoding(self, profile: Profile) -> Profile:
        name = self._value("PatientName")
        if "^" not in name or not name.isascii() or "=" in name:
            return profile
        decodes = await self._finds(PatientName=name)  # the caret is percent-encoded on its way
        if not decodes:
            self._notes.append("It does not undo the percent-encoding of search parameters.")
        return replace(profile, decodes=decodes)

    async def _includes(self, profile: Profile) -> Profile:
        uid = named(self._study).study or ""
        plain, rich = await self._found(StudyInstanceUID=uid), await self._found(StudyInstanceUID=uid, includefield="all")
        for note, key in (("ModalitiesInStudy", "00080061"), ("the number of instances", "00201208")):
            if plain and key not in plain[0]:
                self._notes.append(f"Its studies do not show {note}: that is counted here, with more calls.")
        return replace(profile, includes_all=bool(plain and rich) and len(rich[0]) > len(plain[0]) + 5)

    # -- retrieves

    async def _forms(self, profile: Profile) -> Profile:
        study = Resource(named(self._study).study)
        answer = await self._client.ask(
            "GET", f"{study.path}/instances", transaction="other", params=[("limit", "1")], headers=_JSON, ok=(200, 204)
        )
        found = await parsed(await answer.read(PAGE_BYTES), self._client.name)
        if not found:
            return profile
        path = named(found[0]).path
        single = await self._takes(path, "application/dicom; transfer-syntax=*", "application/dicom")
        stored = await self._takes(path, 'multipart/related; type="application/dicom"; transfer-syntax=*', "multipart/")
        if not await self._takes(f"{path}/metadata", "application/dicom+json", "application/"):
            self._notes.append("It does not answer with metadata, which everything here needs.")
        return replace(profile, retrieves_single=single, as_stored=stored)

    async def _takes(self, path: str, accept: str, media: str) -> bool:
        try:
            answer = await self._client.ask("GET", path, transaction="other", headers={"Accept": accept}, ok=(200, 206))
        except GatewayError:
            return False
        async with answer:  # closed unread: the headers say it all
            return answer.media.lower().startswith(media)


_JSON = {"Accept": "application/dicom+json"}
