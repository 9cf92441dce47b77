"""The command line for whole stores: ``dicomweb-gateway import | export``.

Who types these may read and write what the settings let no caller of the API: files and buckets are opened with the rights and the
credentials of whoever runs the command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from gateway import config, terminal
from gateway.config import ConfigError, Settings
from gateway.errors import BadRequest
from gateway.exits import FAILED, OK
from gateway.sections.stores import Store

if TYPE_CHECKING:  # what takes long to load is imported by the command that needs it
    from gateway.backends.base import Backend
    from gateway.dicomweb.resources import Resource
    from gateway.healthcare.operations import Counter
    from gateway.importing import Imported
    from gateway.transfers.conveyor import Note
    from gateway.transfers.forms import Form
    from gateway.transfers.places import Places
    from gateway.transfers.uris import Pattern, Uri

ConfigFile = Annotated[Path | None, Parameter(name="--config", env_var="GATEWAY_CONFIG")]
Data = Annotated[Path | None, Parameter(name="--data")]
StoreName = Annotated[str, Parameter(name="--store")]
Several = Annotated[tuple[str, ...], Parameter(negative="")]

T = TypeVar("T")
Advance = Callable[..., None]


def import_(*paths: str, store: StoreName = "default", config: ConfigFile = None, data: Data = None) -> int:
    """Stores files from disk or from object storage; a server may run on the same data meanwhile.

    Each file is checked as one that comes by STOW-RS. Those that are refused are listed with the reason, and the exit code is 1.

    Examples:

        dicomweb-gateway import ~/scans more/image.dcm

        dicomweb-gateway import --store research --config gateway.toml /mnt/cd

        dicomweb-gateway import 'gs://bucket/scans/**.dcm' s3://bucket/scans/

    Parameters
    ----------
    paths
        Files, and folders that are searched for files; or URIs of object storage (gs://, s3://), with wildcards as the Cloud Healthcare
        API has them, or with a slash at the end for all that is below.
    store
        Name of the store.
    config
        TOML file with settings.
    data
        Folder that holds what is stored [./data].
    """
    from gateway.importing import find_files

    if not paths:
        raise ConfigError("import: name at least one file, folder or URI")
    settings = _load(config, data)
    if _store(settings, store).backend != "local":
        raise ConfigError(f"store {store!r} has no files: its backend is {_store(settings, store).backend!r}")
    patterns = [_pattern(one) for one in paths if "://" in one]
    try:
        files = find_files([Path(one) for one in paths if "://" not in one])
    except FileNotFoundError as error:
        raise ConfigError(f"import: {error} does not exist") from None
    with terminal.progress("Importing", None if patterns else len(files)) as advance:
        imported = asyncio.run(_imported(settings, store, files, patterns, advance))
    terminal.table("Refused", ("File", "Reason"), imported.refused)
    refused = len(imported.refused)
    terminal.say(f"{imported.stored} stored, {refused} refused, of {imported.stored + refused} files")
    return FAILED if refused else OK


def _pattern(text: str) -> Pattern:
    from gateway.transfers.uris import parse_pattern

    return _checked(parse_pattern, text + "**" if text.endswith("/") else text, "import: a URI")


async def _imported(settings: Settings, store: str, files: Sequence[Path], patterns: Sequence[Pattern], advance: Advance) -> Imported:
    from gateway.app import intake_limits
    from gateway.importing import import_files, import_found
    from gateway.opening import Opening
    from gateway.streams import Budget
    from gateway.transfers.importing import count

    opening = Opening(settings)
    limits, budget = intake_limits(settings.limits), Budget(settings.limits.buffered_bytes)
    try:
        backend = await opening.store(store)
        imported = await import_files(backend, files, limits, budget, advance)
        total = len(files)
        for pattern in patterns:
            hands = await _places(settings).at(pattern.uri)
            try:
                total += await count(hands, pattern)
                more = await import_found(backend, hands, pattern, limits, budget, partial(advance, total=total))
            finally:
                hands.close()
            imported.stored += more.stored
            imported.refused += more.refused
        return imported
    finally:
        await opening.aclose()


def export(
    folder: str,
    /,
    *,
    study: Several = (),
    series: Several = (),
    transfer_syntax: str | None = None,
    metadata: Annotated[bool, Parameter(negative="")] = False,
    store: StoreName = "default",
    config: ConfigFile = None,
    data: Data = None,
) -> int:
    """Writes what is stored as files, FOLDER/STUDY/SERIES/INSTANCE.dcm; a server may run on the same data meanwhile.

    Files that are there with the same content are left alone, so an export that was cut off goes on when it is started again; others
    are written over. What cannot be written is listed with the reason, and the exit code is 1.

    Examples:

        dicomweb-gateway export /mnt/usb --study 1.2.840.1.5

        dicomweb-gateway export gs://bucket/archive --store research --config gateway.toml

        dicomweb-gateway export tables --metadata

    Parameters
    ----------
    folder
        Folder, made when it is not there; or a URI of object storage (gs://bucket/folder, s3://bucket/folder).
    study
        Only these studies; may be given several times.
    series
        Only these series of the one study that is named.
    transfer_syntax
        UID of the transfer syntax to write in [as stored].
    metadata
        Write metadata in place of instances: FOLDER/STUDY.ndjson, DICOM JSON with an instance a line.
    store
        Name of the store.
    config
        TOML file with settings.
    data
        Folder that holds what is stored [./data].
    """
    from gateway.transfers.forms import METADATA, STORED, parse_form

    if metadata and transfer_syntax:
        raise ConfigError("export: metadata have no transfer syntax; leave one of the two out")
    settings = _load(config, data)
    _store(settings, store)
    form = METADATA if metadata else STORED
    if transfer_syntax:
        form = _checked(parse_form, f"application/dicom; transfer-syntax={transfer_syntax}")
    wanted = _wanted(study, series)
    uri = _folder(folder)
    with terminal.progress("Exporting") as advance:
        counter, notes = asyncio.run(_exported(settings, store, wanted, uri, form, advance))
    terminal.table("Failed", ("Instance", "Reason"), notes)
    terminal.say(f"{counter.success} of {counter.success + counter.failure} instances are in {folder}")
    return FAILED if counter.failure else OK


def _wanted(studies: Sequence[str], series: Sequence[str]) -> list[Resource]:
    from gateway.dicomweb.resources import Resource

    if series and len(studies) != 1:
        raise ConfigError("export: --series is of one --study; name that as well, and no other")
    return [_checked(Resource.parse, studies[0], one) for one in series] or [_checked(Resource.parse, one) for one in studies]


def _folder(text: str) -> Uri:
    from gateway.transfers.uris import parse_folder

    if "://" in text:
        return _checked(parse_folder, text, "export: the URI")
    path = Path(text).absolute().resolve()
    uri = _checked(parse_folder, f"file://{path}", "export: the folder")
    path.mkdir(parents=True, exist_ok=True)
    return uri


async def _exported(
    settings: Settings, store: str, wanted: Sequence[Resource], folder: Uri, form: Form, advance: Advance
) -> tuple[Counter, Sequence[Note]]:
    from gateway.opening import Opening
    from gateway.transfers.choosing import Choosing, outermost
    from gateway.transfers.conveyor import Conveyor
    from gateway.transfers.writing import Writer

    opening = Opening(settings)
    try:
        backend: Backend = await opening.store(store)
        hands = await _places(settings).at(folder)
        try:
            conveyor, choosing = Conveyor(_Bar(advance)), Choosing(backend, outermost(wanted))
            base = (settings.server.public_url or "") + ("/dicom-web" if store == "default" else f"/stores/{store}/dicom-web")
            writer = Writer(backend, hands, folder, form, base=base, again=False)
            return await conveyor.run(writer.line(choosing, ""), writer.write, choosing.count), conveyor.notes
        finally:
            hands.close()
    finally:
        await opening.aclose()


class _Bar:
    """A bar in place of an operation: it goes on from nowhere, and is never told to stop."""

    def __init__(self, advance: Advance) -> None:
        from gateway.healthcare.operations import Counter

        self._advance = advance
        self._shown = 0
        self.counter = Counter()
        self.reached = ""

    async def tell(self, counter: Counter, reached: str = "") -> None:
        """Moves the bar."""
        done = counter.success + counter.failure
        self._advance(done - self._shown, total=done + counter.pending if counter.pending else None)
        self._shown = done


def _places(settings: Settings) -> Places:
    from gateway.app import bucket_opener
    from gateway.transfers.folders import Folder
    from gateway.transfers.places import Allowed, Places

    return Places(bucket_opener(settings.healthcare), Folder, Allowed((Path("/"),), ("gs://", "s3://")))


def _checked(parse: Callable[..., T], *arguments: str) -> T:
    try:
        return parse(*arguments)
    except BadRequest as error:
        raise ConfigError(error.message) from None


def _load(path: Path | None, data: Path | None) -> Settings:
    return config.load(path, {"data": data} if data is not None else {})


def _store(settings: Settings, name: str) -> Store:
    store = settings.stores.get(name)
    if store is None:
        raise ConfigError(f"there is no store {name!r}; the settings have {', '.join(sorted(settings.stores))}")
    return store
