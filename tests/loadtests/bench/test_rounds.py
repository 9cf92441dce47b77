"""A run with the product in it: small, and without a look at how fast it was."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.bench import checking, rounds
from loadtests.bench.figures import OURS
from loadtests.bench.peers import BARE, NGINX, ORTHANC, PEERS
from loadtests.bench.processes import Server
from loadtests.bench.rounds import Run, late, placed
from loadtests.bench.scene import Scene
from loadtests.bench.stage import FRESH, ONE, Cpus, Stage
from loadtests.bench.workloads import QIDO, STOW, WADO, WORKLOADS, Cast, Way
from loadtests.checks import Mismatch

STUDY, SMALL_STOW, BY_PATIENT = WADO[0], STOW[-1], QIDO[1]


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    cpus = Cpus.chosen(pinned=False)
    with ExitStack() as held:
        stage = Stage(held, tmp_path, [BARE], cpus)
        yield Run(stage, Scene(studies=120, frames=2, turns=3, large=1 << 20), cpus, seconds=0.1, turns=2, told=lambda _: None)


async def test_workloads_run_on_all_that_can_do_them(run: Run) -> None:
    said: list[str] = []
    run.told = said.append
    await run.fill([STUDY, SMALL_STOW, BY_PATIENT])
    read, stored, found = [await run.row(one) for one in (STUDY, SMALL_STOW, BY_PATIENT)]

    assert (read.wrong, stored.wrong, found.wrong) == ({}, {}, {})
    assert {name: len(samples) for name, samples in read.samples.items()} == {OURS: 2, BARE: 2}
    assert set(stored.samples) == {OURS, BARE} and set(found.samples) == {OURS}
    assert set(read.absent) == {ORTHANC, NGINX}
    assert all(sample.units == 100 * sample.requests for sample in stored.samples[OURS])
    assert all(sample.moved > 100_000_000 and sample.cpu > 0 and sample.peak >= sample.idle > 0 for sample in read.samples[OURS])
    assert all(
        sample.moved == read.samples[BARE][0].moved // read.samples[BARE][0].requests * sample.requests for sample in read.samples[BARE]
    )
    assert said[0] == "gateway: filling" and f"{STUDY.name}: {BARE}" in said
    assert read.ratios().keys() == stored.ratios().keys() == {BARE}


async def test_a_server_that_is_wrong_is_out_of_the_row_and_said(run: Run) -> None:
    def never(*_: object) -> None:
        raise Mismatch("this is not what I asked for")

    await run.fill([BY_PATIENT])
    row = await run.row(replace(BY_PATIENT, check=never))
    assert row.samples == {OURS: []} and row.wrong == {OURS: "this is not what I asked for"}


async def test_a_status_that_is_not_200_is_wrong(run: Run) -> None:
    await run.fill([BY_PATIENT])
    run.held = {}
    row = await run.row(replace(STUDY, peers={}, check=checking.ok_only, once=True))  # which nobody stored
    assert row.wrong == {OURS: "1 x status 404"}


async def test_short_answers_are_wrong(run: Run) -> None:
    await run.fill([BY_PATIENT])
    row = await run.row(replace(BY_PATIENT, least=lambda _: 1_000_000))
    assert "bytes in" in row.wrong[OURS] and row.samples[OURS] == []


async def test_two_workers_need_two_cpus(run: Run) -> None:
    run.cpus = Cpus(frozenset({0}), frozenset({0}))
    workload = next(one for one in WORKLOADS if one.cast is Cast.WORKERS)
    row = await run.row(workload)
    assert row.absent == {ONE: "needs two CPUs"} and row.samples == {}


class Busy(Server):
    """Uses CPU time until it was looked at so many times."""

    looks = 0

    def cpu(self) -> float:
        type(self).looks += 1
        return min(type(self).looks, 5) * 1.0


async def test_what_is_put_off_counts() -> None:
    Busy.looks = 0
    assert await late(Busy(0, ())) >= 3 * rounds.WINDOW
    assert await late(Busy(0, ())) < rounds.WINDOW


def test_this_thread_goes_where_it_is_put_and_back() -> None:
    before = os.sched_getaffinity(0)
    one = {min(before)}
    with placed(one):
        assert os.sched_getaffinity(0) == one
    assert os.sched_getaffinity(0) == before


def test_needs_are_those_of_who_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtests.bench.peers.installed", dict)
    with ExitStack() as held:
        stage = Stage(held, tmp_path, PEERS, Cpus.chosen(pinned=True))
        by_cast = {cast: [one for one in WORKLOADS if one.cast is cast] for cast in Cast}
        assert stage.needs(by_cast[Cast.FRONT]) == {OURS: set(), ORTHANC: {"index", "scan"}, ONE: set(), FRESH: set()}
        assert stage.needs(by_cast[Cast.FRESH]) == {OURS: set(), ORTHANC: {"large"}, ONE: set(), FRESH: {"large"}}
        assert stage.needs(by_cast[Cast.WORKERS])[ONE] == {"index", "scan"}
        assert stage.needs([STUDY])[OURS] == stage.needs([STUDY])[ORTHANC] == {"scan"}
        assert [stage.holder(OURS, cast) for cast in Cast] == [OURS, ORTHANC, FRESH, ONE]


def test_without_orthanc_the_cache_is_in_front_of_the_other_gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtests.bench.peers.installed", lambda: {ORTHANC: "not installed"})
    with ExitStack() as held:
        stage = Stage(held, tmp_path, PEERS, Cpus.chosen(pinned=True))
        hit = next(one for one in WORKLOADS if one.cast is Cast.FRONT)
        assert stage.origin == OURS and stage.needs([hit])[OURS] == {"index"} and stage.needs([hit])[ORTHANC] == set()
        assert stage.missing(hit) == {ORTHANC: "not installed"}


def test_ways_are_known_for_every_peer() -> None:
    for workload in WORKLOADS:
        assert set(workload.peers) <= {*PEERS, ONE} and workload.peers.get(ORTHANC, Way.SAME) is Way.SAME


def test_pinned_there_are_two_sides_where_there_are_two_cpus() -> None:
    there = os.sched_getaffinity(0)
    chosen = Cpus.chosen(pinned=True)
    assert chosen.pinned is (len(there) > 1) and len(chosen.client) == 1
    assert Cpus.chosen(pinned=False) == Cpus(frozenset(there), frozenset(there))
