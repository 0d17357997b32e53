"""The gate's outcome and its history as people read them."""

from __future__ import annotations

import re

import pytest

from bench.measure import history
from bench.measure.gate import decide
from bench.report import gate
from bench.report.render import markdown
from bench.report.sections.gate import BARS, GAP, LAST, SECTION, of_entries, sparkline
from tests.bench.measure.judged import cell, failed, index, record
from tests.bench.measure.test_gate import BROKEN, CASES
from tests.bench.report.shown import of_frame


def test_a_line_says_what_was_measured_against_what() -> None:
    (one,) = decide([record(0.0058, 0.0066)], [], 0.03).cells
    assert gate.line(one) == (
        "mrpc (3,668)  hnswlib  k 10  batch 1  fp32  threads 2  recorded mrpc  "
        "overhead 0.62% [0.58, 0.66]  noise 0.00% [-2.00, 2.00]  limit 3%  holds"
    )


@pytest.mark.parametrize("name", CASES)
def test_a_line_is_one_line_and_ends_with_verdict_and_reason(name: str) -> None:
    (one,) = decide([CASES[name]], [], 0.03).cells
    shown = gate.line(one)
    assert "\n" not in shown
    assert shown.endswith(f"{one.verdict}: {one.reason}" if one.reason else one.verdict)


def test_auto_shows_what_it_stood_for() -> None:
    (one,) = decide([record(cell=cell(backend="auto"), index=index(spec="exact"))], [], 0.03).cells
    assert gate.backend(one) == "auto (exact)"


def test_the_answer_counts_every_cell_and_says_what_was_let_pass() -> None:
    told = gate.verdict(decide([*CASES.values()], [BROKEN], 0.03))
    assert told.startswith("fails (exit 1): 7 cells, limit 3%: 1 holds, 1 fails, 1 undecided, ")
    assert "1 missing or unusable" in told
    lenient = gate.verdict(decide([CASES["undecided"]], [], 0.03, "pass"))
    assert lenient == "holds (exit 0): 1 cell, limit 3%: 1 undecided (let pass)."
    assert gate.verdict(decide([], [], 0.03)) == (
        "error (exit 2): 0 cells, limit 3%: nothing measured."
    )


def test_the_summary_has_one_row_per_cell_and_names_files_and_notes() -> None:
    outcome = decide([*CASES.values(), failed("a|b <c>")], [BROKEN], 0.03, tree="another")
    text = gate.markdown(outcome)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == len(outcome.cells) + 2
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert text.startswith("## ❌ Overhead of retrieval: fails\n")
    assert "measurements/x.json: not readable as JSON" in text
    assert "not measured at this tree's commit, another" in text
    assert text.endswith("\n\n")  # what another step appends begins a paragraph


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([], ""),
        ([None], GAP),
        ([0.0, 0.0], BARS[0] * 2),
        ([-1.0, 0.0], BARS[0] * 2),
        ([0.05], BARS[-1]),
        ([i / 8 for i in range(1, 9)], BARS),
    ],
)
def test_a_sparkline_has_one_character_per_value(values: list[float | None], shown: str) -> None:
    assert sparkline(values) == shown


def test_the_history_has_one_row_per_cell_with_its_last_figures() -> None:
    found: list[history.Entry] = []
    for day in range(30):
        ran = [record(0.001 * day, 0.001 * day + 0.002, key="a")]
        ran.append(failed("died", key="b", cell=cell(batch=32)))
        found += history.entries(decide(ran, [], 0.03), f"2025-01-{day + 1:02d}T00:00:00+00:00")
    (made,) = of_frame(SECTION, of_entries(reversed(found))).values()
    rows = {row[0].split(" batch ")[1].split()[0]: row for row in made.rows}
    shown = dict(zip(made.columns, rows["1"], strict=True))
    assert len(shown["course"]) == LAST
    assert shown["course"][-1] == BARS[-1]
    assert (shown["calls"], shown["date"]) == ("30", "2025-01-30")
    assert shown["last 3"] == "2.80%, 2.90%, 3.00%"
    assert shown["last interval"] == "3.00% [2.90, 3.10]"
    assert shown["verdict"] == "undecided"
    assert set(dict(zip(made.columns, rows["32"], strict=True))["course"]) == {GAP}
    assert shown["course"] in markdown.grid(made)
