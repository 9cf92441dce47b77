from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.backends.notifying import rows
from gateway.backends.notifying.outbox import connect
from gateway.backends.notifying.rows import Refused
from gateway.cli_notifications import notifications
from gateway.config import ConfigError
from gateway.exits import FAILED, OK
from gateway.opening_notifications import FOLDER
from tests.backends.made import named

TOPIC, HOOK = "projects/p/topics/dicom", "webhook hooks.example 0011"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four messages to a topic, of which two were set aside and one is tried again; one to a webhook that was set aside."""
    db = connect(tmp_path / FOLDER)
    rows.add(db, "store", [TOPIC], [named("1.1", "1.2", f"1.3.{number}") for number in range(4)], "StoreInstances")
    rows.add(db, "store", [HOOK], [named("1.1")], "DeleteStudy")
    numbers = [one.message.number for one in rows.letters(db)]
    dead = [Refused(numbers[number], "it answered 404", 0.0, dead=True) for number in (0, 1, 4)]
    rows.told(db, [], [*dead, Refused(numbers[2], "it answered 400", 1e12, dead=False)])
    db.close()
    return tmp_path


def run(data: Path, *words: str) -> int:
    code = notifications([*words, "--data", str(data)], result_action="return_value")
    assert isinstance(code, int)
    return code


def listed(data: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[Sequence[str]], list[str]]:
    """The exit code, the rows and the lines below them."""
    capsys.readouterr()
    code = run(data, "list", *words)
    lines = capsys.readouterr().out.splitlines()
    return code, [line.split("\t") for line in lines if "\t" in line], [line for line in lines if "\t" not in line]


def test_what_waits_is_listed_with_the_reason(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found, below = listed(data, capsys)
    assert code == FAILED
    assert [(row[1], row[2], row[4].split(" in")[0], row[6], row[7]) for row in found] == [
        (TOPIC, "StoreInstances", "set aside", "1", "it answered 404"),
        (TOPIC, "StoreInstances", "set aside", "1", "it answered 404"),
        (TOPIC, "StoreInstances", "tried again", "1", "it answered 400"),
        (TOPIC, "StoreInstances", "waits", "0", ""),
        (HOOK, "DeleteStudy", "set aside", "1", "it answered 404"),
    ]
    assert found[0][3] == "store/dicomWeb/studies/1.1/series/1.2/instances/1.3.0"
    expected = [f"{TOPIC}: 2 waiting", f"{TOPIC}: 2 set aside", f"{HOOK}: 1 set aside"]
    assert [line.partition(", the oldest")[0] for line in below] == expected


def test_a_part_can_be_listed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(listed(data, capsys, "--dead")[1]) == 3
    assert len(listed(data, capsys, "--receiver", "hooks.example")[1]) == 1
    assert len(listed(data, capsys, "--limit", "2")[1]) == 2


def test_what_was_set_aside_is_told_after_all(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = listed(data, capsys)[1][0][0]
    assert run(data, "retry", first) == OK
    assert capsys.readouterr().out == "1 will be told\n"
    assert run(data, "retry", first) == FAILED
    assert run(data, "retry", "--all") == OK
    assert listed(data, capsys)[0] == OK


def test_what_was_set_aside_is_given_up(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(data, "drop", "--all", "--receiver", "elsewhere") == FAILED
    assert run(data, "drop", "--all", "--receiver", "topics") == OK
    assert "2 dropped" in capsys.readouterr().out
    assert run(data, "drop", "--all") == OK
    assert [row[4].split(" in")[0] for row in listed(data, capsys)[1]] == ["tried again", "waits"]


@pytest.mark.parametrize("words", [["drop"], ["retry"], ["drop", "7", "--all"]])
def test_what_is_meant_has_to_be_said(data: Path, words: list[str]) -> None:
    with pytest.raises(ConfigError, match="say --all"):
        run(data, *words)


def test_without_an_outbox_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no notifications are there"):
        run(tmp_path, "list")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_one_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    connect(tmp_path / FOLDER).close()
    assert listed(tmp_path, capsys) == (OK, [], ["nothing waits"])


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    notifications(["--help"], result_action="return_value")
    text = capsys.readouterr().out
    assert "notifications retry --all" in text and "list" in text and "drop" in text
