from __future__ import annotations

import io

import pytest
from rich.console import Console

from gateway import terminal


def shown(rows: list[tuple[str, str]]) -> str:
    """What a terminal would get."""
    output = io.StringIO()
    terminal.table(
        "Refused", ("File", "Reason"), rows, Console(file=output, force_terminal=True, color_system=None, markup=False, width=80)
    )
    return output.getvalue()


def test_long_tables_end_with_a_count() -> None:
    text = shown([(f"file{number}", "[bold]why") for number in range(terminal.ROWS + 7)])
    assert "file0 " in text
    assert "[bold]why" in text
    assert f"file{terminal.ROWS} " not in text
    assert "... and 7 more" in text


def test_an_empty_table_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown([]) == ""
    terminal.table("Refused", ("File",), [])
    assert capsys.readouterr().out == ""


def test_names_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\x1b[2Jb\n"
    assert "a\\x1b[2Jb\\n" in shown([(name, "why")])
    terminal.table("Refused", ("File",), [(name,)])
    assert capsys.readouterr().out == "a\\x1b[2Jb\\n\n"


def test_programs_get_every_row_as_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"/a/long/name/of/a/file/{'x' * 100}/{number}", "why") for number in range(terminal.ROWS + 7)]
    terminal.table("Refused", ("File", "Reason"), rows)
    assert capsys.readouterr().out.splitlines() == ["\t".join(row) for row in rows]


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


@pytest.mark.parametrize(("seconds", "said"), [(-3, "0 s"), (59, "59 s"), (60, "1 min"), (5400, "2 h"), (86400 * 40, "40 d")])
def test_a_time_span_is_said_in_its_largest_unit(seconds: float, said: str) -> None:
    assert terminal.span(seconds) == said


def test_what_waits_says_what_happens_next() -> None:
    assert terminal.next_try(True, 9, 5) == "set aside"
    assert terminal.next_try(False, 4, 5) == "waits"
    assert terminal.next_try(False, 65, 5) == "tried again in 1 min"
