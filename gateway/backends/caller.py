"""Who asks, as far as a backend may care: an origin that is told to see the caller's own credentials, and the cache.

It travels in a context variable, not in `Query` and `Retrieve`: these say what is asked, and key what is kept. A backend that
keeps answers of origins that see the caller must put `Caller.scope` into its keys.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request.

    :param authorization: the Authorization header; in no log, and nowhere else than on its way to an origin.
    :param fresh: nothing that was kept may answer (Cache-Control: no-cache, RFC 9111 5.2.1.4).
    """

    authorization: str | None = field(default=None, repr=False)
    fresh: bool = False

    @property
    def scope(self) -> str:
        """Stands for the credentials in the keys of what is kept: equal only for equal ones, and no way leads back."""
        return "" if self.authorization is None else sha256(self.authorization.encode(errors="surrogateescape")).hexdigest()


NOBODY = Caller()
"""Work that nobody waits for: deliveries, probes."""

CALLER: ContextVar[Caller] = ContextVar("caller", default=NOBODY)


def caller() -> Caller:
    """Who sent the request that is being answered."""
    return CALLER.get()
