"""Instances that are only passing through: what a spool adds to the transactions of a local store.

A store by itself sends nothing anywhere: its tables `delivery`, `withdrawal` and `delivered` are empty. A spool says with every
instance, in the very transaction that makes it durable, where it has to go (`Beside`), and `backends.spool` does the rest.
What must not be forgotten when an instance goes stands here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Protocol

from gateway.backends.local.prepared import Outcome, Prepared
from gateway.backends.policy import OnDuplicate


class Beside(Protocol):
    """Who adds to the transactions of a store. All but `screen` run in the writer's thread, inside the transaction."""

    async def screen(self, prepared: Sequence[Prepared]) -> None:
        """Looks at what is about to be committed, while there is still time to ask others."""
        ...

    def refusal(self, db: sqlite3.Connection, new: Prepared, policy: OnDuplicate) -> Outcome | None:
        """Why an instance is not taken, None to leave that to the store."""
        ...

    def inserted(self, db: sqlite3.Connection, generation: int, now: float) -> None:
        """An instance got its row."""
        ...

    def again(self, db: sqlite3.Connection, generation: int) -> None:
        """An instance came whose bytes are here already."""
        ...


def withdraw(db: sqlite3.Connection, study: str, instances: Iterable[tuple[str, str, int]]) -> None:
    """Notes what a delete has to take back where it was sent, before its rows go. Deliveries not begun are not even noted.

    :param instances: series, SOP Instance UID and generation.
    """
    if db.execute("SELECT 1 FROM delivery LIMIT 1").fetchone() is not None:
        db.executemany(
            "INSERT OR IGNORE INTO withdrawal SELECT destination, ?1, ?2, ?3 FROM delivery WHERE generation = ?4 AND sent",
            [(study, series, sop, generation) for series, sop, generation in instances],
        )


def forget(db: sqlite3.Connection, generation: int) -> None:
    """An instance goes, and whatever was to be delivered of it."""
    db.execute("DELETE FROM delivery WHERE generation = ?", (generation,))
