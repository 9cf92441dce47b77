"""The command line: ``dicomweb-gateway serve | check-config | import | export | spool | fsck | rebuild-index``.

Commands return their exit code: 0, 1 when something was refused, found or cut off, 2 when settings or arguments are wrong.
What takes long to load is imported by the command that needs it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from pydantic import BaseModel

from gateway import config, terminal
from gateway.cli_notifications import notifications
from gateway.cli_spool import spool
from gateway.cli_transfer import export, import_
from gateway.config import ConfigError, Settings
from gateway.errors import GatewayError
from gateway.exits import FAILED, MISCONFIGURED, OK

app = App(
    name="dicomweb-gateway",
    version=lambda: version("dicomweb-gateway"),
    help="A DICOMweb gateway: takes instances in (STOW-RS), finds them (QIDO-RS) and gives them out again (WADO-RS).",
    help_epilogue="""
First steps:

    dicomweb-gateway serve              # keeps what it gets below ./data
    dicomweb-gateway import ~/scans     # files from disk, also while it serves
    curl http://127.0.0.1:8080/dicom-web/studies

    dicomweb-gateway check-config --reference     # every setting, explained
""",
    help_format="plaintext",
)

app.command(spool)
app.command(notifications)
app.command(import_, name="import")
app.command(export)

ConfigFile = Annotated[Path | None, Parameter(name="--config", env_var="GATEWAY_CONFIG")]
Data = Annotated[Path | None, Parameter(name="--data")]
StoreName = Annotated[str, Parameter(name="--store")]


@app.command
def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    data: Data = None,
    config: ConfigFile = None,
    workers: int | None = None,
    upstream: str | None = None,
    profile: Literal["generic", "google", "orthanc", "dcm4chee"] | None = None,
    viewer: Path | None = None,
    ephemeral: Annotated[bool, Parameter(negative="")] = False,
    allow_anonymous: Annotated[bool | None, Parameter(negative="")] = None,
) -> int:
    """Serves until Ctrl-C or SIGTERM; then lets requests that are under way finish.

    Examples:

        dicomweb-gateway serve --port 9000 --data /srv/dicom

        dicomweb-gateway serve --config gateway.toml --workers 4

        dicomweb-gateway serve --upstream http://pacs/dicom-web

        dicomweb-gateway serve --ephemeral --port 0    # for tests; prints its URL

        GATEWAY_SERVER__TOKEN_FILE=tokens dicomweb-gateway serve --host 0.0.0.0

    Parameters
    ----------
    host
        Address to listen on [127.0.0.1]. One that other machines can reach needs server.token_file or --allow-anonymous.
    port
        TCP port [8080]; 0 takes a free one and prints the URL.
    data
        Folder that holds what is stored [./data].
    config
        TOML file with settings.
    workers
        Processes that share the port [one per CPU that the cgroup grants; 1 with --ephemeral].
    upstream
        DICOMweb base URL of an origin that the default store is in front of, in place of an embedded store.
    profile
        What kind of origin that is [generic]; `check-config --probe` finds out.
    viewer
        Folder with a viewer for browsers, served at /viewer/; `make viewer` puts OHIF into data/viewer.
    ephemeral
        Keep what is stored in a temporary folder that is gone at the end, and print the URL: an emulator for tests. SIGTERM ends
        it in order; after kill -9 the folder stays in $TMPDIR, as dicomweb-gateway-ephemeral-*.
    allow_anonymous
        Serve callers without credentials on an address that other machines can reach.
    """
    from gateway import server

    workers = 1 if ephemeral and workers is None else workers
    flags = {"host": host, "port": port, "workers": workers, "viewer": viewer, "allow_anonymous": allow_anonymous}
    sections = {"server": {name: value for name, value in flags.items() if value is not None}}
    if upstream is None and profile is not None:
        raise ConfigError("serve: --profile says what kind of origin --upstream is; name that as well")
    sections |= _upstream(upstream, profile)
    with _passing(data) if ephemeral else nullcontext(data) as folder:
        settings = _load(config, folder, **sections)
        if ephemeral:
            _check_passing(settings)
        quiet = None if settings.server.port and not ephemeral else terminal.say
        return server.run(settings, announce=terminal.announce if settings.log.format == "console" else quiet)


@contextmanager
def _passing(data: Path | None) -> Iterator[Path]:
    """A folder that goes with this process."""
    if data is not None:
        raise ConfigError("serve: --ephemeral keeps nothing, and --data says where to keep it; leave one of them out")
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # until the server takes it, it would end us at once
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # what has been made by half is not removed
    try:
        with tempfile.TemporaryDirectory(prefix="dicomweb-gateway-ephemeral-", ignore_cleanup_errors=True) as folder:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            yield Path(folder)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # nobody stops the cleaning
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_passing(settings: Settings) -> None:
    lasting = [name for name, store in settings.stores.items() if store.keeps_files and settings.data not in store.root.parents]
    if lasting:
        raise ConfigError(f"serve: store {lasting[0]!r} has a root of its own, which --ephemeral would leave behind")


@app.command
def check_config(
    *,
    config: ConfigFile = None,
    reference: Annotated[bool, Parameter(negative="")] = False,
    probe: Annotated[bool, Parameter(negative="")] = False,
    upstream: str | None = None,
) -> int:
    """Says what is wrong with the settings, or prints those that are in force, as TOML with secrets masked.

    Examples:

        dicomweb-gateway check-config --config gateway.toml

        dicomweb-gateway check-config --probe --upstream http://pacs/dicom-web

    Parameters
    ----------
    config
        TOML file with settings; GATEWAY_* variables win over it.
    reference
        Print every key with its default and what it is for.
    probe
        Ask the origin of each upstream store what it can do, and print the profile that fits. It is only read from.
    upstream
        DICOMweb base URL of an origin to probe that no setting names yet.
    """
    from gateway import listening, toml

    if reference:
        sys.stdout.write(toml.reference())
        return OK
    if upstream is not None and not probe:
        raise ConfigError("check-config: --upstream names an origin to --probe; name that as well")
    settings = _load(config, **_upstream(upstream, None))
    listening.check(settings.server)
    if probe:
        return _probe(settings)
    _check_stores(settings)
    sys.stdout.write(toml.effective(settings))
    return OK


def _check_stores(settings: Settings) -> None:
    """Refuses what `serve` would, and files that it would miss at the first call.

    :raises ConfigError: a line for each.
    """
    from gateway.opening_origins import profile_of, routes_of

    faults = []
    for name, store in settings.stores.items():
        try:
            profile_of(name, store)
            routes_of(name, store)
        except GatewayError as error:
            faults.append(error.message)
        notified = [(f"stores.{name}.notify", one) for one in store.notify]
        for where, table in [(f"stores.{name}.credentials", store.credentials), *notified]:
            faults += _unreadable(where, table)
    for name, relay in settings.healthcare.relays.items():
        faults += _unreadable(f"healthcare.relays.{name}.credentials", relay.credentials)
    faults += _unreadable("notifications", settings.notifications)
    if faults:
        raise ConfigError("\n".join(faults))


def _unreadable(where: str, table: BaseModel) -> Iterator[str]:
    for key, path in table:
        if isinstance(path, Path):
            try:
                path.open("rb").close()
            except OSError as error:
                yield f"{where}.{key}: {path}: {error.strerror}"


def _probe(settings: Settings) -> int:
    from gateway.opening_origins import client_of, probed
    from gateway.toml import origin_table

    origins = {name: store for name, store in settings.stores.items() if store.backend == "upstream"}
    if not origins:
        raise ConfigError("check-config: no store is upstream of an origin; name one with --upstream")
    for name, store in origins.items():
        with terminal.progress(f"Asking the origin of {name}"):
            report = asyncio.run(probed(client_of(name, store)))
        sys.stdout.writelines(f"# {note}\n" for note in report.notes)
        sys.stdout.write(origin_table(name, str(store.url), report.kind, report.overrides))
    return OK


def _upstream(url: str | None, profile: str | None) -> dict[str, Any]:
    """The sections that put the default store in front of an origin."""
    if url is None:
        return {}
    return {"stores": {"default": {"backend": "upstream", "url": url} | ({"profile": profile} if profile else {})}}


@app.command
def fsck(*, store: StoreName = "default", config: ConfigFile = None, data: Data = None) -> int:
    """Reads every stored file and compares it with the index; changes nothing. A server may run meanwhile.

    Parameters
    ----------
    store
        Name of the store.
    config
        TOML file with settings.
    data
        Folder that holds what is stored [./data].
    """
    from gateway.backends.local import repair

    root = _local(_load(config, data), store)
    if not (root / "index.sqlite").exists():
        raise ConfigError(f"{root}: no store is there yet")
    with terminal.progress("Checking") as advance:
        found = repair.fsck(root, terminal.steps(advance))
    rows = [(problem.kind, str(problem.generation), problem.instance, problem.detail) for problem in found.problems]
    terminal.table("Problems", ("Kind", "File", "SOP Instance UID", "What"), rows)
    terminal.say(f"{found.checked} instances checked, {len(rows)} problems")
    return FAILED if rows else OK


@app.command
def rebuild_index(*, store: StoreName = "default", config: ConfigFile = None, data: Data = None) -> int:
    """Makes the index anew from the stored files, when it is lost or damaged. Stop the server first.

    What was deleted stays deleted. The old index is kept beside the new one as index.sqlite.old.

    Parameters
    ----------
    store
        Name of the store.
    config
        TOML file with settings.
    data
        Folder that holds what is stored [./data].
    """
    from gateway.backends.local import repair
    from gateway.opening import structure_limits

    settings = _load(config, data)
    root = _local(settings, store)
    if not root.is_dir():
        raise ConfigError(f"{root}: no store is there yet")
    with terminal.progress("Reading") as advance:
        rebuilt = repair.rebuild_index(root, terminal.steps(advance), structure_limits(settings.limits))
    (root / "generations").unlink(missing_ok=True)  # pictures of what is left out now must not be shown
    terminal.table("Left out", ("File", "Reason"), list(rebuilt.refused))
    terminal.say(f"{rebuilt.instances} instances in the new index, {len(rebuilt.refused)} files left out")
    return FAILED if rebuilt.refused else OK


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    try:
        code = app(arguments, result_action="return_value")
        return code if isinstance(code, int) else OK
    except ConfigError as error:
        return _complain(str(error), MISCONFIGURED)
    except GatewayError as error:
        return _complain(error.message, FAILED)
    except ExceptionGroup as group:
        ours = group.subgroup(GatewayError)
        if ours is None:
            raise
        return _complain("; ".join(sorted({_message(error) for error in _leaves(ours)})), FAILED)


def _load(path: Path | None, data: Path | None = None, **sections: Any) -> Settings:
    return config.load(path, sections | ({"data": data} if data is not None else {}))


def _local(settings: Settings, name: str) -> Path:
    """The folder of a store that can be worked on from here."""
    store = settings.stores.get(name)
    if store is None:
        raise ConfigError(f"there is no store {name!r}; the settings have {', '.join(sorted(settings.stores))}")
    if store.backend != "local":
        raise ConfigError(f"store {name!r} has no files: its backend is {store.backend!r}")
    return store.root


def _complain(message: str, code: int) -> int:
    for line in message.splitlines():
        sys.stderr.write(f"dicomweb-gateway: {line}\n")
    return code


def _message(error: BaseException) -> str:
    return error.message if isinstance(error, GatewayError) else type(error).__name__


def _leaves(group: BaseException) -> Iterator[BaseException]:
    if isinstance(group, BaseExceptionGroup):
        for error in group.exceptions:
            yield from _leaves(error)
    else:
        yield group
