from __future__ import annotations

import pytest

from gateway import terminal


def test_long_tables_end_with_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table("Refused", ("File", "Reason"), [(f"file{number}", "[bold]why") for number in range(terminal.ROWS + 7)])
    text = capsys.readouterr().out
    assert "file0 " in text
    assert "[bold]why" in text
    assert f"file{terminal.ROWS} " not in text
    assert "... and 7 more" in text


def test_an_empty_table_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table("Refused", ("File",), [])
    assert capsys.readouterr().out == ""


def test_names_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table("Refused", ("File",), [("a\x1b[2Jb\n",)])
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "a\\x1b[2Jb\\n" in text


def test_steps_turn_totals_into_differences() -> None:
    seen: list[tuple[int, int]] = []
    report = terminal.steps(lambda count, total: seen.append((count, total)))
    for done in (1, 5, 9):
        report(done, 9)
    assert seen == [(1, 9), (4, 9), (4, 9)]


def test_no_bar_is_drawn_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress("Working", 2) as advance:
        advance(1)
        advance(1, 3)
    assert capsys.readouterr() == ("", "")


def test_the_start_is_announced_with_how_to_stop(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.announce("http://127.0.0.1:8080")
    text = capsys.readouterr().out
    assert "http://127.0.0.1:8080/dicom-web" in text
    assert "Ctrl-C" in text
