from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from gateway.backends.spool import deliveries
from gateway.backends.spool.deliveries import Failure
from gateway.backends.spool.spooled import FOLDER
from gateway.cli_spool import spool
from gateway.config import ConfigError
from gateway.exits import FAILED, OK
from tests.backends.made import store, study
from tests.backends.spool.spools import Destination, spooled


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Settings with a spool of four instances, of which the first two were set aside; and a store without one."""
    path = tmp_path / "gateway.toml"
    path.write_text(f"""
data = "{tmp_path}/data"
[stores.default]
backend = "upstream"
url = "http://127.0.0.1:9/dicom-web"
delivery = "spool"
[stores.plain]
backend = "local"
[stores.new]
backend = "upstream"
url = "http://127.0.0.1:9/dicom-web"
delivery = "spool"
""")

    async def fill() -> None:
        opened = spooled(tmp_path / "data" / "default" / FOLDER, Destination(), delivers=False)
        await store(opened, *study("1.1"))
        failed = [Failure(number, "C000: not wanted", 1.0, dead=True) for number in (1, 2)]
        failed.append(Failure(3, "409: later", 1e12, dead=False))
        settle = partial(deliveries.settle, local=opened._local, destination="default", arrived=[], failed=failed)
        await opened._local.write(settle)
        await opened.aclose()

    asyncio.run(fill())
    return path


def run(settings: Path, *words: str) -> int:
    code = spool([*words, "--config", str(settings)], result_action="return_value")
    assert isinstance(code, int)
    return code


def listed(settings: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[Sequence[str]], list[str]]:
    """The exit code, the rows and the lines below them."""
    capsys.readouterr()
    code = run(settings, "list", *words)
    lines = capsys.readouterr().out.splitlines()
    return code, [line.split("\t") for line in lines if "\t" in line], [line for line in lines if "\t" not in line]


def test_what_waits_is_listed_with_the_reason(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows, below = listed(settings, capsys)
    assert code == FAILED
    assert [(row[0], row[1], row[2].split(" in")[0], row[4], row[5]) for row in rows] == [
        ("1.1.1.1", "default", "set aside", "1", "C000: not wanted"),
        ("1.1.1.2", "default", "set aside", "1", "C000: not wanted"),
        ("1.1.2.1", "default", "tried again", "1", "409: later"),
        ("1.1.2.2", "default", "waits", "0", ""),
    ]
    assert [line.partition(", the oldest")[0] for line in below] == ["default: 2 waiting", "default: 2 set aside"]


def test_a_part_can_be_listed(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(listed(settings, capsys, "--dead")[1]) == 2
    assert len(listed(settings, capsys, "1.1.2")[1]) == 2
    assert len(listed(settings, capsys, "--limit", "3")[1]) == 3
    assert len(listed(settings, capsys, "--destination", "elsewhere")[1]) == 0


def test_what_was_set_aside_is_tried_again(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(settings, "retry", "1.1.1.1") == OK
    assert capsys.readouterr().out == "1 will be delivered\n"
    assert [row[0] for row in listed(settings, capsys, "--dead")[1]] == ["1.1.1.2"]
    assert run(settings, "retry", "--all") == OK
    assert run(settings, "retry", "--all") == FAILED
    assert listed(settings, capsys)[0] == OK


def test_what_was_set_aside_is_given_up(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(settings, "drop", "--all", "--destination", "elsewhere") == FAILED
    assert run(settings, "drop", "1.1") == OK
    assert "2 dropped" in capsys.readouterr().out
    assert [row[0] for row in listed(settings, capsys)[1]] == ["1.1.2.1", "1.1.2.2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["drop"], "say --all"),
        (["retry"], "say --all"),
        (["drop", "1.1", "--all"], "say --all"),
        (["list", "--store", "plain"], "has no spool"),
        (["list", "--store", "none"], "there is no store 'none'"),
        (["list", "--store", "new"], "no spool is there yet"),
    ],
)
def test_what_cannot_be_done_is_said(settings: Path, words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        run(settings, *words)


def test_an_empty_spool_says_so(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(settings, "drop", "--all")

    async def empty() -> None:
        opened = spooled(settings.parent / "data" / "default" / FOLDER, Destination())
        while (await opened._local.read(deliveries.state))[0]:
            await opened._local.write(lambda db: db.execute("UPDATE delivery SET due = 1"))
            await asyncio.sleep(0.01)
        await opened.aclose()

    asyncio.run(empty())
    assert listed(settings, capsys) == (OK, [], ["nothing waits"])


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    spool(["--help"], result_action="return_value")
    text = capsys.readouterr().out
    assert "spool retry --all" in text and "list" in text and "drop" in text
