"""What became of a change of which only the intent is known: whoever made it died in the middle, or was cut off.

The store is asked. What is there was stored, what is not there was deleted; of what was there before, or had gone before, this
tells once too often, and that is what "at least once" is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from gateway.backends.base import Backend
from gateway.backends.merging.members import chunks, naming, with_uids
from gateway.backends.notifying.events import DELETED
from gateway.backends.notifying.rows import Intent
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource


async def happened(backend: Backend, intent: Intent) -> list[Resource]:
    """The resources of an intent that were changed, as far as the store tells.

    :raises GatewayError: it does not tell now.
    """
    if intent.action in DELETED.values():
        return [one for one in intent.resources if not (await backend.search(naming(one))).results]
    return [one for some in _by_study(intent.resources) for one in await _there(backend, some)]


def _by_study(resources: Sequence[Resource]) -> Iterator[Sequence[Resource]]:
    ordered = sorted(resources, key=lambda one: one.study or "")
    for _, of_study in groupby(ordered, key=lambda one: one.study):
        yield from chunks(list(of_study))


async def _there(backend: Backend, instances: Sequence[Resource]) -> list[Resource]:
    """Those of a study that are there."""
    key = with_uids((one.instance or "" for one in instances), "instance")
    found = await backend.search(Query("instance", Resource(instances[0].study), (key,), limit=2 * len(instances)))
    return [one for one in instances if any(f'"{one.instance}"'.encode() in result for result in found.results)]
