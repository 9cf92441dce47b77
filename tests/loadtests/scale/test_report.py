"""Tables and plots of figures."""

from __future__ import annotations

from pathlib import Path

from loadtests.scale.asked import CASES
from loadtests.scale.measure import Figures, Measured
from loadtests.scale.report import SHOWN, plot, table


def measured(instances: int, p50: float) -> Measured:
    one = Measured(instances, instances // 20, ready=1.25, idle=80 << 20, after=200 << 20, later=201 << 20, index=instances * 1600)
    one.cases = {name: {clients: Figures(p50 * clients, 2 * p50, 0.5, 1000.0, 300, 299) for clients in (1, 16)} for name in SHOWN[:2]}
    return one


def test_the_table_says_what_each_size_costs_and_whether_the_goal_is_met() -> None:
    lines = table([measured(1000, 0.5), measured(1_000_000, 25.0)]).splitlines()
    assert "| PatientID | 0.50 / 0.50 | 25.00 / 0.50 |" in lines
    assert "| PatientID | 25.00 | 50.00 | 0.50 | 400.00 | 50.00 | 0.50 | 1000 | 2.5 x |" in lines
    assert "| index, bytes an instance | 1600 | 1600 |" in lines and "| start to ready, s | 1.25 | 1.25 |" in lines
    assert not [line for line in lines if "AccessionNumber" in line], "what was not measured has no row"


def test_every_row_has_as_many_cells_as_its_head() -> None:
    cells: list[int] = []
    for line in table([measured(1000, 0.5)]).splitlines():
        if line.startswith("|"):
            cells.append(line.count("|"))
            assert cells[0] == cells[-1], line
        else:
            cells = []


def test_the_plot_is_a_picture_with_a_line_a_search(tmp_path: Path) -> None:
    plot([measured(1000, 0.5), measured(1_000_000, 25.0)], tmp_path / "cost.svg")
    drawn = (tmp_path / "cost.svg").read_text()
    assert drawn.startswith("<?xml") and "PatientID" in drawn and SHOWN[-1] not in drawn


def test_what_is_shown_is_measured() -> None:
    assert set(SHOWN) <= {case.name for case in CASES}
