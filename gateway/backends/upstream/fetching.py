"""What is asked of an origin to read from it (PS3.18 10.4.1)."""

from __future__ import annotations

from http import HTTPStatus

from gateway.backends.upstream.client import Answer, Client
from gateway.backends.upstream.profiles import Profile
from gateway.dicomweb.media import MULTIPART
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound
from gateway.metrics import Transaction

FOUND = (200, 206)
"""206 is what some origins say of a study of which they lost instances; it holds all there is."""


class Fetching:
    """Reads, in the words of one origin."""

    def __init__(self, client: Client, profile: Profile) -> None:
        self._client = client
        self._profile = profile

    async def instances(
        self, resource: Resource, *, syntax: str = "*", single: bool = False, transaction: Transaction = "retrieve"
    ) -> Answer:
        """Whole instances.

        :param syntax: a transfer syntax; ``*`` for as stored, which is left unsaid where an origin does not know it.
        :param single: one instance without a multipart around it, where the origin has that form.
        """
        form = "application/dicom" if single and self._profile.retrieves_single else f'{MULTIPART}; type="application/dicom"'
        named = "" if syntax == "*" and not self._profile.as_stored else f"; transfer-syntax={syntax}"
        return await self._get(resource, resource.path, form + named, transaction)

    async def metadata(self, resource: Resource) -> Answer:
        """The metadata as one array of DICOM JSON."""
        return await self._client.ask(
            "GET", f"{resource.path}/metadata", transaction="metadata", headers={"Accept": "application/dicom+json"}, ok=(*FOUND, 204)
        )

    async def frames(self, resource: Resource) -> Answer:
        """Frames as they are stored."""
        accept = f'{MULTIPART}; type="application/octet-stream"; transfer-syntax=*'
        return await self._get(resource, f"{resource.path}/frames/{','.join(map(str, resource.frames))}", accept, "frames")

    async def _get(self, resource: Resource, path: str, accept: str, transaction: Transaction) -> Answer:
        """:raises NotFound: also where an origin says 204 of what it does not have."""
        answer = await self._client.ask("GET", path, transaction=transaction, headers={"Accept": accept}, ok=(*FOUND, 204))
        if answer.status == HTTPStatus.NO_CONTENT:
            await answer.aclose()
            raise NotFound(f"there is no such {resource.level} here")
        return answer
