"""The command line for spools: ``dicomweb-gateway spool list | retry | drop``.

A server may run on the same spool meanwhile: it sees what is changed here within a second.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import App, Parameter

from gateway import config, terminal
from gateway.config import ConfigError
from gateway.exits import FAILED, OK

T = TypeVar("T")

LISTED = 1000
"""Instances that `list` shows unless it is told otherwise."""

spool = App(
    name="spool",
    help="What is stored and not delivered yet: shows it, tries it again, gives it up.",
    help_epilogue="""
A store with delivery = "spool" answers as soon as an instance is safe, and delivers it to its origin in the background. What a
destination refuses for good, or too often, is set aside: it stays readable, and waits for you.

    dicomweb-gateway spool list --dead          # what was set aside, and why
    dicomweb-gateway spool retry --all          # the reason is gone: deliver it after all
    dicomweb-gateway spool drop 1.2.840.1.5     # this will never be wanted there
""",
    help_format="plaintext",
)

ConfigFile = Annotated[Path | None, Parameter(name="--config", env_var="GATEWAY_CONFIG")]
Data = Annotated[Path | None, Parameter(name="--data")]
StoreName = Annotated[str, Parameter(name="--store")]
Flag = Annotated[bool, Parameter(negative="")]


@spool.command(name="list")
def list_(
    *uids: str,
    dead: Flag = False,
    destination: str | None = None,
    limit: int = LISTED,
    store: StoreName = "default",
    config: ConfigFile = None,
    data: Data = None,
) -> int:
    """Shows what waits, the oldest first: where it goes, how often that was tried, and why it failed the last time.

    The exit code is 1 when something was set aside, so that a script can tell.

    Parameters
    ----------
    uids
        Only these studies, series or instances.
    dead
        Only what was set aside.
    destination
        Only what goes there.
    limit
        Instances that are shown at most; all are counted.
    store
        Name of the store.
    config
        TOML file with settings.
    data
        Folder that holds what is stored [./data].
    """
    from gateway.backends.local import schema
    from gateway.backends.spool import deliveries

    index = _folder(store, config, data) / "index.sqlite"
    db = schema.connect(index, read_only=True)
    try:
        shown = deliveries.letters(db, dead=True if dead else None, uids=uids, destination=destination, limit=limit)
        depth = deliveries.depth(db)
    finally:
        db.close()
    now = time.time()
    rows = [
        (
            one.sop,
            one.destination or "(undecided)",
            terminal.next_try(one.dead, one.due, now),
            terminal.span(now - one.since),
            str(one.attempts),
            one.reason,
        )
        for one in shown
    ]
    terminal.table("Spool", ("SOP Instance UID", "Destination", "State", "Since", "Failed", "Why"), rows)
    for one in depth:
        what = "set aside" if one.dead else "waiting"
        terminal.say(f"{one.destination or '(undecided)'}: {one.instances} {what}, the oldest for {terminal.span(now - one.oldest)}")
    if not depth:
        terminal.say("nothing waits")
    return FAILED if any(one.dead for one in depth) else OK


@spool.command
def retry(
    *uids: str,
    all: Flag = False,  # noqa: A002 - the name of the flag
    destination: str | None = None,
    store: StoreName = "default",
    config: ConfigFile = None,
    data: Data = None,
) -> int:
    """Delivers after all what was set aside, as if it had never been tried.

    Parameters
    ----------
    uids
        Studies, series or instances.
    all
        Everything that was set aside.
    destination
        Only what goes there.
    store
        Name of the store.
    config
        TOML file with settings.
    data
        Folder that holds what is stored [./data].
    """
    from gateway.backends.spool import deliveries

    _named("retry", uids, all)

    def work(db: sqlite3.Connection) -> int:
        chosen = deliveries.letters(db, dead=True, uids=uids, destination=destination)
        return sum(deliveries.revive(db, one.generation, one.destination) for one in chosen)

    return _counted(_changed(_folder(store, config, data), lambda _: work), "will be delivered")


@spool.command
def drop(
    *uids: str,
    all: Flag = False,  # noqa: A002 - the name of the flag
    destination: str | None = None,
    store: StoreName = "default",
    config: ConfigFile = None,
    data: Data = None,
) -> int:
    """Gives up what was set aside. What did not arrive anywhere is lost: look at `spool list --dead` before.

    What still waits is not touched; to take that back, DELETE it like anything that is stored.

    Parameters
    ----------
    uids
        Studies, series or instances.
    all
        Everything that was set aside.
    destination
        Only what goes there.
    store
        Name of the store.
    config
        TOML file with settings.
    data
        Folder that holds what is stored [./data].
    """
    from gateway.backends.local.store import LocalStore
    from gateway.backends.spool import deliveries

    _named("drop", uids, all)

    def working(local: LocalStore) -> Callable[[sqlite3.Connection], int]:
        return lambda db: deliveries.drop(db, local, deliveries.letters(db, dead=True, uids=uids, destination=destination))

    return _counted(_changed(_folder(store, config, data), working), "dropped")


def _named(command: str, uids: tuple[str, ...], everything: bool) -> None:
    if bool(uids) == everything:
        raise ConfigError(f"spool {command}: name studies, series or instances, or say --all")


def _folder(name: str, path: Path | None, data: Path | None) -> Path:
    """Where the spool of a store is."""
    from gateway.backends.spool.spooled import FOLDER

    settings = config.load(path, {"data": data} if data is not None else {})
    store = settings.stores.get(name)
    if store is None:
        raise ConfigError(f"there is no store {name!r}; the settings have {', '.join(sorted(settings.stores))}")
    if store.delivery != "spool":
        raise ConfigError(f'store {name!r} has no spool: that is for delivery = "spool"')
    folder = store.root / FOLDER
    if not (folder / "index.sqlite").exists():
        raise ConfigError(f"{folder}: no spool is there yet; it is made when the gateway first serves the store")
    return folder


def _changed(folder: Path, work: Callable[..., Callable[[sqlite3.Connection], T]]) -> T:
    """What is done in one transaction of the spool's index."""
    from gateway.backends.local.store import LocalStore

    async def run() -> T:
        local = await asyncio.to_thread(LocalStore, folder)
        try:
            return await local.write(work(local))
        finally:
            await local.aclose()

    return asyncio.run(run())


def _counted(count: int, what: str) -> int:
    terminal.say(f"{count} {what}")
    return OK if count else FAILED
