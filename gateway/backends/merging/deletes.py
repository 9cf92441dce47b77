"""One delete at several members."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.backends.merging.members import Member, Round, holders
from gateway.backends.merging.reads import list_instances
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, NotFound


async def delete_everywhere(members: Sequence[Member], resource: Resource) -> int:
    """Deletes a resource wherever it is; how many instances that were, each counted once.

    :raises GatewayError: when a member does not answer; nothing was deleted then, but by those that answered before it failed.
    :raises NotFound: nowhere. :raises Gone: a member knows that it was deleted.
    """
    asking = Round(members)
    found = await holders(asking, members, resource)
    if asking.error is not None:
        raise asking.error
    if len(found) > 1:
        return await _delete_at_each(asking, found, resource)
    if found:
        return await found[0].backend.delete(resource)
    return await _unfound(members, resource)


async def _delete_at_each(asking: Round, found: Sequence[Member], resource: Resource) -> int:
    instances: set[tuple[str, str]] = set()
    for member in found:
        if resource.instance is not None:
            instances.add((resource.series or "", resource.instance))
        else:
            instances |= set(await list_instances(asking, member, resource) or ())
    if asking.error is not None:
        raise asking.error
    for member in found:
        try:
            await member.backend.delete(resource)
        except (NotFound, Gone):  # somebody else was faster
            continue
    return len(instances)


async def _unfound(members: Sequence[Member], resource: Resource) -> int:
    """What no search finds: each member says why, or has it after all."""
    count = 0
    answer: NotFound | Gone = NotFound(f"there is no such {resource.level} here")
    for member in members:
        try:
            count += await member.backend.delete(resource)
        except Gone as gone:
            answer = gone
        except NotFound:
            continue
    if not count:
        raise answer
    return count
