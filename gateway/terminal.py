"""What commands show to people: lines, tables, a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

ROWS = 100
"""Rows of a table of refused files or problems; the rest is counted."""


def announce(url: str) -> None:
    """Where the gateway is, and how to stop it."""
    say(f"Serving at {url}/dicom-web\nCtrl-C lets requests finish and stops; a second one stops at once.")


def say(text: str) -> None:
    """A line as it is."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console | None = None) -> None:
    """Rows for people, of which only `ROWS` are shown; for programs, where there is no terminal, every row as a line."""
    console = console or Console(markup=False)
    if not console.is_terminal:
        for row in rows:
            say("\t".join(map(_printable, row)))
    elif rows:
        console.print(_drawn(title, columns, rows[:ROWS]))
        if len(rows) > ROWS:
            console.print(f"... and {len(rows) - ROWS} more")


def span(seconds: float) -> str:
    """A time span in its largest unit."""
    for name, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


def next_try(dead: bool, due: float, now: float) -> str:
    """What happens next with something that waits to be sent. :param dead: nobody tries it any more. :param due: when it is tried."""
    return "set aside" if dead else "waits" if due <= now else f"tried again in {span(due - now)}"


def _drawn(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(_printable, row))
    return table


def _printable(text: str) -> str:
    """A name of a file shall not control the terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """A bar on a terminal, nothing elsewhere. Yields ``advance(count, total=None)``."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)

        def advance(count: int, total: int | None = None) -> None:
            progress.update(task, advance=count, total=total)

        yield advance


def steps(advance: Callable[..., None]) -> Callable[[int, int], None]:
    """Turns (done, total) as `repair` reports it into steps."""
    before = 0

    def report(done: int, total: int) -> None:
        nonlocal before
        advance(done - before, total)
        before = done

    return report
