"""Laws of what the report says about retrieval: what it changes, what it costs, how exact it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.records.run import Record
from bench.report.sections import retrieval
from bench.report.summary import size
from tests.bench.report import factory, shown


def test_the_gain_is_on_minus_off_of_the_same_student(tmp_path: Path) -> None:
    for row in shown.lines(retrieval.SECTION, shown.inputs(tmp_path, factory.matrix())):
        place = ("exact", "hnswlib").index(row.index)
        gains = [0.01 * (seed + place) for seed in row.seeds]
        assert row.gain.mean == pytest.approx(np.mean(gains))
        assert row.gain.sd == pytest.approx(np.std(gains, ddof=1))
        assert row.gain.mean == pytest.approx(row.on.mean - row.off.mean)


def test_selection_bias_is_optimistic_minus_chosen_on_the_split_of_the_choice(
    tmp_path: Path,
) -> None:
    made = shown.inputs(tmp_path, [factory.retrieval("mnli", on=0.81, optimistic=0.84)])
    matched, mismatched = shown.lines(retrieval.SECTION, made)
    assert (matched.title, mismatched.title) == ("MNLI matched", "MNLI mismatched")
    assert matched.selection_bias.mean == pytest.approx(0.03)
    assert mismatched.selection_bias.mean is None
    assert [row[-1] for row in shown.tables(retrieval.SECTION, made)[0].rows] == ["+3.00", "–"]


def test_settings_are_listed_by_seed_where_they_differ(tmp_path: Path) -> None:
    records = [factory.retrieval(seed=seed, k=k) for seed, k in ((2, 16), (0, 4), (1, 8))]
    made = shown.inputs(tmp_path, records)
    (row,) = shown.lines(retrieval.SECTION, made)
    assert (row.seeds, row.k) == ([0, 1, 2], [4, 8, 16])
    assert shown.tables(retrieval.SECTION, made)[0].rows[0][3:5] == ("4, 8, 16", "0.4")


def test_one_row_says_how_exact_how_fast_and_how_large_an_index_is(tmp_path: Path) -> None:
    (table,) = shown.tables(retrieval.INDEXES, shown.inputs(tmp_path, factory.matrix()))
    lines = shown.cells(table)
    assert [(row["task"], row["index"]) for row in lines] == [
        (task, index) for task in ("MRPC", "STS-B") for index in ("exact", "hnswlib")
    ]
    assert lines[0] == {
        "task": "MRPC",
        "method": "reaugkd",
        "index": "exact",
        "recall@32": "99.50 ± 0.00",
        "agreement": "99.50 ± 0.00",
        "effort": "64",
        "target met": "3 of 3",
        "search µs p50": "90",
        "search µs p95": "130",
        "build s": "0.25",
        "index size": "5.72 MiB",
        "KB": "3,301 x 384",
        "KB size": "4.77 MiB",
    }
    note = " ".join(table.notes)
    assert all(word in note for word in ("one thread", "index call only", "hot loop", "3 %"))


def searched(seed: int, **changes: float | bool) -> Record:
    made = factory.retrieval("mnli", seed=seed)
    assert made.retrieval is not None
    search = made.retrieval.search.model_copy(update=changes)
    return made.model_copy(
        update={"retrieval": made.retrieval.model_copy(update={"search": search})}
    )


def test_costs_are_medians_and_a_missed_target_shows_on_every_split(tmp_path: Path) -> None:
    times = (90.0, 10.0, 500.0)
    records = [
        searched(seed, search_us_p50=time, target_met=seed != 1) for seed, time in enumerate(times)
    ]
    made = shown.inputs(tmp_path, records)
    (cost,) = shown.lines(retrieval.COSTS, made)
    assert (cost.title, cost.n, cost.search_us_p50, cost.largest_k) == ("MNLI", 3, 90.0, 32)
    rows = shown.lines(retrieval.INDEXES, made)
    assert [row.title for row in rows] == ["MNLI matched", "MNLI mismatched"]
    for row in rows:
        assert (row.targets_met, row.n, row.search_us_p50, row.kb_bytes) == (2, 3, 90.0, 5e6)
    assert shown.tables(retrieval.COSTS, made) == []


def test_the_bias_of_a_method_is_the_mean_over_tasks_behind_the_first_index(tmp_path: Path) -> None:
    chosen = {
        ("mrpc", "exact"): (0.01, 0.03),
        ("mrpc", "hnswlib"): (0.15, 0.15),
        ("mnli", "exact"): (0.05, 0.01),
    }
    records = [
        factory.retrieval(task, seed=seed, on=0.8, optimistic=0.8 + bias, backend=backend)
        for (task, backend), own in chosen.items()
        for seed, bias in enumerate(own)
    ]
    even = shown.inputs(tmp_path / "even", records)
    (row,) = shown.lines(retrieval.SELECTION_BIAS, even)
    assert (row.index, row.tasks, row.seeds) == ("exact", ["mrpc", "mnli"], [2])
    assert row.mean == pytest.approx(0.025)
    assert row.sd == pytest.approx(np.std([0.03, 0.02], ddof=1))
    (table,) = shown.tables(retrieval.SELECTION_BIAS, even)
    assert table.rows == (("reaugkd", "exact", "+2.50 ± 0.71", "2", "2"),)
    uneven = shown.inputs(tmp_path / "uneven", records[:-1])
    (row,) = shown.lines(retrieval.SELECTION_BIAS, uneven)
    assert row.mean == pytest.approx((0.02 + 0.05) / 2)
    assert (row.sd, row.seeds) == (None, [1, 2])
    assert "No sd" in shown.notes(retrieval.SELECTION_BIAS, uneven)


@pytest.mark.parametrize(
    "records",
    [
        [],
        [factory.training()],
        [
            factory.failed(factory.retrieval(backend="exact"), "no"),
            factory.retrieval(backend="hnswlib"),
        ],
    ],
)
def test_without_the_first_index_there_is_no_bias(records: list[Record], tmp_path: Path) -> None:
    made = shown.inputs(tmp_path, records)
    assert shown.lines(retrieval.SELECTION_BIAS, made) == []
    assert shown.tables(retrieval.SELECTION_BIAS, made) == []


@pytest.mark.parametrize("section", [retrieval.SECTION, retrieval.INDEXES])
def test_without_retrieval_there_is_no_table(section: shown.RunSection, tmp_path: Path) -> None:
    assert shown.tables(section, shown.inputs(tmp_path, [factory.training()])) == []


@pytest.mark.parametrize("count", [1, 1023, 1024, 10**7, 10**12])
def test_a_size_is_within_half_a_percent(count: int) -> None:
    value, unit = size(count).split()
    factor = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[unit]
    assert float(value) * factor == pytest.approx(count, rel=5e-3)
