from __future__ import annotations

from loadtests.scenarios.summary import BUSY, Count, Row, rows, table


def test_waits_stand_in_the_row_of_their_kind_and_in_no_rate() -> None:
    counts = [Count("WADO" + BUSY, 4, 0, 400, 9.0), Count("WADO", 10, 1, 5000, 3.0), Count("QIDO", 2, 0, 60, 1.0)]
    assert rows(counts) == [Row("QIDO", 2, 0, 0, 60, 1.0), Row("WADO", 10, 1, 4, 5000, 3.0)]


def test_a_kind_that_was_only_told_to_wait_has_a_row() -> None:
    assert rows([Count("STOW" + BUSY, 4, 0, 400, 9.0)]) == [Row("STOW", 0, 0, 4, 0)]


def test_the_table_says_rates_and_sums() -> None:
    found = [Row("QIDO studies, PatientID", 20, 0, 0, 4_000_000, 3.2), Row("STOW instances", 30, 2, 5, 8_000_000, 71)]
    _, _, *lines = table(found, 4.0).splitlines()
    assert [line.split()[-6:] for line in lines[:2]] == [
        ["20", "5.0", "0", "0", "1.0", "3"],
        ["30", "7.5", "2", "5", "2.0", "71"],
    ]
    assert lines[2].split() == ["all", "50", "12.5", "2", "5", "3.0"]


def test_no_time_at_all_divides_by_nothing() -> None:
    assert "all" in table([], 0.0)
