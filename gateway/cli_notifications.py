"""The command line for notifications: ``dicomweb-gateway notifications list | retry | drop``.

A server may run on the same folder meanwhile: it sees what is changed here within a second.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cyclopts import App

from gateway import config, terminal
from gateway.cli_spool import ConfigFile, Data, Flag
from gateway.config import ConfigError
from gateway.exits import FAILED, OK

T = TypeVar("T")

LISTED = 1000
"""Messages that `list` shows unless it is told otherwise."""

notifications = App(
    name="notifications",
    help="Who has not been told yet what was stored and deleted: shows it, tries it again, gives it up.",
    help_epilogue="""
Stores with notify, or with a notificationConfig, tell webhooks and topics what is stored and deleted. What is refused too often is
set aside, and waits for you.

    dicomweb-gateway notifications list --dead     # what was set aside, and why
    dicomweb-gateway notifications retry --all     # the reason is gone: tell it
    dicomweb-gateway notifications drop --all --receiver old.example
""",
    help_format="plaintext",
)


@notifications.command(name="list")
def list_(*, dead: Flag = False, receiver: str | None = None, limit: int = LISTED, config: ConfigFile = None, data: Data = None) -> int:
    """Shows what waits, the oldest first: who has to be told, how often that was refused, and why it failed the last time.

    The exit code is 1 when something was set aside, so that a script can tell.

    Parameters
    ----------
    dead
        Only what was set aside.
    receiver
        Only what goes to a topic, or to the webhooks of a host; a part of its name is enough.
    limit
        Messages that are shown at most; all are counted.
    config
        TOML file with settings.
    data
        Folder that holds what is stored [./data].
    """
    from gateway.backends.notifying import rows

    shown, depth = _with(
        _folder(config, data),
        lambda db: (rows.letters(db, dead=True if dead else None, target=receiver, limit=limit), rows.depth(db)),
    )
    now = time.time()
    terminal.table(
        "Notifications",
        ("Message", "Receiver", "Action", "Resource", "State", "Since", "Refused", "Why"),
        [
            (
                str(one.message.number),
                one.message.target,
                one.message.action,
                one.message.name,
                terminal.next_try(one.dead, one.due, now),
                terminal.span(now - one.message.changed),
                str(one.message.attempts),
                one.reason,
            )
            for one in shown
        ],
    )
    for each in depth:
        what = "set aside" if each.dead else "waiting"
        terminal.say(f"{each.target}: {each.messages} {what}, the oldest for {terminal.span(now - each.oldest)}")
    if not depth:
        terminal.say("nothing waits")
    return FAILED if any(each.dead for each in depth) else OK


@notifications.command
def retry(
    *messages: int,
    all: Flag = False,  # noqa: A002 - the name of the flag
    receiver: str | None = None,
    config: ConfigFile = None,
    data: Data = None,
) -> int:
    """Tells after all what was set aside, as if it had never been tried.

    Parameters
    ----------
    messages
        Numbers of messages.
    all
        Everything that was set aside.
    receiver
        Only what goes to a topic, or to the webhooks of a host; a part of its name is enough.
    config
        TOML file with settings.
    data
        Folder that holds what is stored [./data].
    """
    from gateway.backends.notifying import rows

    _named("retry", messages, all)
    return _counted(_with(_folder(config, data), lambda db: rows.revive(db, messages, receiver)), "will be told")


@notifications.command
def drop(
    *messages: int,
    all: Flag = False,  # noqa: A002 - the name of the flag
    receiver: str | None = None,
    config: ConfigFile = None,
    data: Data = None,
) -> int:
    """Gives up what was set aside: nobody will ever be told. What still waits is not touched.

    Parameters
    ----------
    messages
        Numbers of messages.
    all
        Everything that was set aside.
    receiver
        Only what goes to a topic, or to the webhooks of a host; a part of its name is enough.
    config
        TOML file with settings.
    data
        Folder that holds what is stored [./data].
    """
    from gateway.backends.notifying import rows

    _named("drop", messages, all)
    return _counted(_with(_folder(config, data), lambda db: rows.drop(db, messages, receiver)), "dropped")


def _named(command: str, messages: tuple[int, ...], everything: bool) -> None:
    if bool(messages) == everything:
        raise ConfigError(f"notifications {command}: name messages by their numbers, or say --all")


def _folder(path: Path | None, data: Path | None) -> Path:
    """Where the outbox is."""
    from gateway.backends.notifying.outbox import FILE
    from gateway.opening_notifications import FOLDER

    settings = config.load(path, {"data": data} if data is not None else {})
    folder = settings.data / FOLDER
    if not (folder / FILE).exists():
        raise ConfigError(f"{folder}: no notifications are there; the folder is made when there is first something to tell")
    return folder


def _with(folder: Path, work: Callable[[sqlite3.Connection], T]) -> T:
    """What is done in one transaction."""
    from gateway.backends.notifying.outbox import connect
    from gateway.backends.sqlite import transaction

    db = connect(folder)
    try:
        return transaction(db, work)
    finally:
        db.close()


def _counted(count: int, what: str) -> int:
    terminal.say(f"{count} {what}")
    return OK if count else FAILED
