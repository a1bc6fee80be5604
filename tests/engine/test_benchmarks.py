"""The benchmarks' own arithmetic, and that what they compare gives the same results."""

import pytest

from tests.benchmarks import __main__ as runner
from tests.benchmarks import coreset
from tests.benchmarks.pairs import Cost, Row, hand_over, handed_over, paired, timed

ROW = Row("a", "b", "equal", [Cost(2, 9), Cost(8, 9), Cost(30, 9)], [Cost(1, 3), Cost(2, 3), Cost(3, 3)])


def test_ratios_are_those_of_pairs_by_the_clock_and_by_processor_time():
    assert ROW.markdown() == "| a | b | 8.0 s | 2.00 s | 4.0 × [2.00, 10.0] | 3.00 × [3.00, 3.00] | equal |"
    assert Row("a", "–", "–", [], [Cost(1, 3)]).markdown() == "| a | – | – | 1.00 s | – | – | – |"


def test_both_take_turns():
    order: list[str] = []
    paired("a", "b", "", lambda: order.append("theirs"), lambda: order.append("ours"), 2)
    assert order == ["theirs", "ours", "theirs", "ours"]


def test_processor_time_is_counted():
    found, cost = timed(lambda: sum(range(2_000_000)))
    assert found == 1999999000000 and cost.processor > 0 and cost.clock > 0


def test_rows_are_handed_over_unchanged(tmp_path):
    hand_over([ROW], tmp_path / "rows.json")
    assert handed_over(tmp_path / "rows.json") == [ROW]


def test_the_table_goes_between_the_marks_and_nowhere_else(tmp_path, monkeypatch):
    page = tmp_path / "speed.md"
    page.write_text(f"before\n{runner.OPEN}\nold\n{runner.CLOSE}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(runner, "PAGE", page)
    runner.write("new")
    assert page.read_text(encoding="utf-8") == f"before\n{runner.OPEN}\nnew\n{runner.CLOSE}\nafter\n"
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(SystemExit, match="lacks the marks"):
        runner.write("new")


def test_the_page_has_the_marks_once():
    text = runner.PAGE.read_text(encoding="utf-8")
    assert text.count(runner.OPEN) == text.count(runner.CLOSE) == 1


def test_the_coreset_is_that_of_anomalib_where_nothing_is_random():
    assert "the same rows" in coreset.check(coreset.features(1500, coreset.CHANNELS), 40)
