"""The servers of a run: which there are, on which CPUs, and what each of them holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from loadtests.bench import peers
from loadtests.bench.figures import OURS
from loadtests.bench.peers import BARE, NGINX, ORTHANC
from loadtests.bench.processes import Server, started
from loadtests.bench.workloads import Cast, Way, Workload
from loadtests.passthrough import free_port

ONE, FRESH = "one", "fresh"


@dataclass(frozen=True)
class Cpus:
    """Where servers may run, and where the client."""

    servers: frozenset[int]
    client: frozenset[int]

    @classmethod
    def chosen(cls, pinned: bool) -> Cpus:
        """One for each side where there are two, else all for both."""
        there = sorted(os.sched_getaffinity(0))
        if pinned and len(there) > 1:
            return cls(frozenset(there[:1]), frozenset(there[1:2]))
        return cls(frozenset(there), frozenset(there))

    @property
    def pinned(self) -> bool:
        """Whether they are apart."""
        return self.servers != self.client


class Stage:
    """Starts what is asked for when it is asked for; all end when `held` does.

    :param chosen: the peers that may take part.
    """

    def __init__(self, held: ExitStack, folder: Path, chosen: Iterable[str], cpus: Cpus) -> None:
        self._held, self._folder, self._cpus = held, folder, cpus
        self.absent = {name: why for name, why in peers.installed().items() if name in chosen}
        self._chosen = [name for name in chosen if name not in self.absent]
        self._front_port = free_port()
        self.idle: dict[int, int] = {}
        self.documents = folder / "documents"
        self.documents.mkdir()

    def servers(self, cast: Cast) -> dict[str, Server]:
        """Who may take part, the gateway first."""
        if cast is Cast.WORKERS:
            return self._workers
        ours = self._front if cast is Cast.FRONT else self.fresh if cast is Cast.FRESH else self.store
        return {OURS: ours} | self._peers

    def takes_part(self, workload: Workload) -> dict[str, Server]:
        """Those that can do it; nginx keeps what the gateway in front of an origin answers, so that has to be there."""
        if workload.peers.get(NGINX) is Way.CACHE and NGINX in self._chosen:
            _ = self._front
        return {name: server for name, server in self.servers(workload.cast).items() if name == OURS or name in workload.peers}

    def missing(self, workload: Workload) -> dict[str, str]:
        """Peers that could, and why they do not."""
        there = (*self._chosen, ONE)
        return {name: self.absent.get(name, "was not asked for") for name in workload.peers if name not in there}

    @cached_property
    def origin(self) -> str:
        """Who is behind the gateway that is in front of an origin: Orthanc, or where it is not here the other gateway."""
        return ORTHANC if ORTHANC in self._chosen else OURS

    def needs(self, workloads: Sequence[Workload]) -> dict[str, set[str]]:
        """What each server has to hold, by its name."""
        found: dict[str, set[str]] = {OURS: set(), ORTHANC: set(), ONE: set(), FRESH: set()}
        for workload in workloads:
            if workload.cast is Cast.STORE:
                found[OURS] |= set(workload.needs)
            if workload.cast is Cast.FRESH:
                found[FRESH] |= set(workload.needs)
            if workload.cast is Cast.FRONT:
                found[self.origin] |= set(workload.needs)
            if ORTHANC in workload.peers and ORTHANC in self._chosen:
                found[ORTHANC] |= set(workload.needs)
            if workload.cast is Cast.WORKERS:
                found[ONE] |= set(workload.needs)
        return found

    def holder(self, name: str, cast: Cast) -> str:
        """Whose holdings decide what a server answers."""
        if cast is Cast.WORKERS:
            return ONE
        return {Cast.FRONT: self.origin, Cast.FRESH: FRESH}.get(cast, name) if name == OURS else name

    @cached_property
    def store(self) -> Server:
        """The gateway with an embedded store."""
        port = free_port()
        return self._start("store", peers.gateway(self._folder / "store", port), port)

    @cached_property
    def fresh(self) -> Server:
        """Another one, whose memory before it did anything is what its peak is held against."""
        port = free_port()
        found = self._start("fresh", peers.gateway(self._folder / "fresh", port), port)
        self.idle[port] = found.resident()
        return found

    @cached_property
    def _front(self) -> Server:
        behind = self._peers[ORTHANC] if self.origin == ORTHANC else self.store
        profile = "orthanc" if self.origin == ORTHANC else "generic"
        origin = f"http://127.0.0.1:{behind.port}/dicom-web"
        command = peers.gateway(self._folder / "front", self._front_port, origin=origin, profile=profile)
        return self._start("front", command, self._front_port)

    @cached_property
    def _peers(self) -> dict[str, Server]:
        return {name: self._peer(name) for name in self._chosen}

    def _peer(self, name: str) -> Server:
        port, folder = free_port(), self._folder / name
        commands = {
            ORTHANC: lambda: peers.orthanc(folder, port),
            NGINX: lambda: peers.nginx(folder, port, self.documents, self._front_port),
            BARE: lambda: peers.bare(self.documents, port),
        }
        return self._start(name, commands[name](), port)

    @cached_property
    def _workers(self) -> dict[str, Server]:
        """Both may use all CPUs, and share them with the client."""
        found = {}
        for name, count in ((OURS, 2), (ONE, 1)):
            port = free_port()
            command = peers.gateway(self._folder / f"workers-{count}", port, workers=count)
            found[name] = self._start(f"workers-{count}", command, port, self._cpus.servers | self._cpus.client)
        return found

    def _start(self, name: str, command: Sequence[str], port: int, cpus: Iterable[int] | None = None) -> Server:
        log = self._folder / f"{name}.log"
        return self._held.enter_context(started(command, port, log, cpus=self._cpus.servers if cpus is None else cpus))
