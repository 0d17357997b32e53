"""Laws of the score tables."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.frame import Row
from bench.report.inputs import RunInputs
from bench.report.lead import NOT_GLUE
from bench.report.scores import MAJORITY, OFF, TEACHER
from bench.report.sections.scores import SECTION
from bench.report.summary import Summary, summarise
from tests.bench.report import factory, shown

shares = st.floats(-1, 1, allow_nan=False)


def value(run: RunInputs, method: str, retrieval: str) -> Row:
    """Of MRPC's test split by its own metric."""
    (row,) = [
        row
        for row in shown.lines(SECTION, run)
        if (row.method, row.retrieval, row.task) == (method, retrieval, "mrpc")
        and row.test
        and row.selects
    ]
    return row.value  # type: ignore[no-any-return]


@given(st.lists(shares, min_size=2, max_size=10))
def test_mean_and_sd_are_numpys(values: list[float]) -> None:
    found = summarise(values)
    assert found.n == len(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert found.sd == pytest.approx(np.std(values, ddof=1), abs=1e-9)


def test_one_value_has_no_sd_and_none_has_no_mean() -> None:
    assert summarise([0.5]) == Summary(0.5, None, 1)
    assert summarise([]) == summarise([None]) == Summary(None, None, 0)
    assert summarise([math.nan, 0.5]).mean is None


def test_a_cell_is_the_mean_over_its_seeds_and_the_teachers_counts_once(tmp_path: Path) -> None:
    run = shown.inputs(tmp_path, factory.matrix())
    off = [0.8 + 0.01 * seed**2 for seed in range(3)]
    cell = value(run, "reaugkd", OFF)
    assert cell.n == 3
    assert cell.mean == pytest.approx(np.mean(off))
    assert cell.sd == pytest.approx(np.std(off, ddof=1))
    assert value(run, TEACHER, "").n == value(run, MAJORITY, "").n == 1


def test_controls_come_first_and_then_the_order_of_the_plan(tmp_path: Path) -> None:
    table, more = shown.tables(SECTION, shown.inputs(tmp_path, factory.matrix()))
    assert [row[:2] for row in table.rows] == [
        (MAJORITY, "–"),
        (TEACHER, "–"),
        ("kd", OFF),
        ("reaugkd", OFF),
        ("reaugkd", "exact"),
        ("reaugkd", "hnswlib"),
    ]
    assert table.columns[2:] == ("MRPC accuracy", "STS-B pearson")
    assert more.columns[2:4] == ("MRPC accuracy", "MRPC f1")


def test_mnli_has_a_column_per_test_split(tmp_path: Path) -> None:
    (table,) = shown.tables(SECTION, shown.inputs(tmp_path, [factory.training("mnli")]))
    assert table.columns[2:] == ("MNLI accuracy matched", "MNLI accuracy mismatched")


def test_held_out_scores_are_in_no_table(tmp_path: Path) -> None:
    record = factory.training()
    assert record.training is not None
    flattering = record.training.scores | {"held_out": {"accuracy": 0.99, "f1": 0.99}}
    result = record.training.model_copy(update={"scores": flattering})
    run = shown.inputs(tmp_path, [factory.training(training=result)])
    assert 0.99 in [row.value.mean for row in shown.lines(SECTION, run) if not row.test]
    for table in shown.tables(SECTION, run):
        assert table.rows[-1][2] == "80.00 (1)"
        assert "99" not in "".join(map("".join, table.rows))


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_numbers_of_seeds_that_matter_are_pointed_out(seeds: list[int], tmp_path: Path) -> None:
    records = [factory.training(seed=seed) for seed in seeds]
    records.append(factory.training(method="finetune"))
    run = shown.inputs(tmp_path, records)
    told = shown.notes(SECTION, run)
    assert "One seed" in told
    assert ("n differs" in told) == (len(seeds) > 1)
    cells = "".join("".join(row) for table in shown.tables(SECTION, run) for row in table.rows)
    assert ("±" in cells) == (len(seeds) > 1)


def test_knowledge_bases_of_different_keys_are_never_averaged(tmp_path: Path) -> None:
    records = [factory.training("mrpc", "reaugkd")]
    records += [factory.retrieval(on=0.7, keys="student"), factory.retrieval(on=0.9)]
    run = shown.inputs(tmp_path, records)
    for keys, mean in (("student", 0.7), ("projected", 0.9)):
        cell = value(run, "reaugkd", f"hnswlib, {keys} keys")
        assert (cell.mean, cell.n) == (mean, 1)


def test_what_is_not_glue_says_so_above_and_in_every_table_of_figures(tmp_path: Path) -> None:
    records = [
        factory.training("tone", "reaugkd"),
        factory.retrieval("tone"),
        factory.training("alike", "reaugkd"),
    ]
    made = factory.report(tmp_path / "mini", records)
    assert made.lead[0] == NOT_GLUE
    parts = [part for part in made.shown if not part.section.about]
    titles = [table.title for part in parts for table in part.tables]
    assert len(titles) > 7
    assert all("not GLUE" in title for title in titles)
    glue = factory.report(tmp_path / "glue", factory.matrix())
    assert "not GLUE" not in " ".join([*glue.lead, *(table.title for table in glue.tables)])


def test_a_limited_train_set_is_stated(tmp_path: Path) -> None:
    config = {"data": {"limit": None}, "task": {"mrpc": {"data": {"limit": 2000}}, "rte": {}}}
    made = factory.report(tmp_path, factory.matrix(), config=config)
    assert "mrpc: train was limited to 2,000 rows (--limit)." in made.lead
    assert sum("limited" in line for line in made.lead) == 1
