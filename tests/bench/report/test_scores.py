"""Laws of the score tables."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.document import NOT_GLUE
from bench.report.scores import MAJORITY, OFF, TEACHER, Score, all_metrics, headline, scores
from bench.report.summary import Summary, points, summarise
from tests.bench.report import factory

shares = st.floats(-1, 1, allow_nan=False)


def cell(found: list[Score], method: str, retrieval: str, task: str = "mrpc") -> Summary:
    return next(
        score.value
        for score in found
        if (score.method, score.retrieval, score.task) == (method, retrieval, task)
        and score.test
        and score.selects
    )


@given(st.lists(shares, min_size=2, max_size=10))
def test_mean_and_sd_are_numpys(values: list[float]) -> None:
    found = summarise(values)
    assert found.n == len(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert found.sd == pytest.approx(np.std(values, ddof=1), abs=1e-9)


@given(st.lists(shares, min_size=1, max_size=10), st.randoms())
def test_a_summary_does_not_depend_on_the_order(values: list[float], random: Random) -> None:
    mixed = random.sample(values, len(values))
    assert summarise(mixed) == summarise(values)


def test_one_value_has_no_sd_and_none_has_no_mean() -> None:
    assert summarise([0.5]) == Summary(0.5, None, 1)
    assert summarise([]) == summarise([None]) == Summary(None, None, 0)
    assert summarise([math.nan, 0.5]).mean is None


def test_a_gain_of_nothing_has_no_minus() -> None:
    assert points(Summary(-1e-17, None, 1), sign=True) == "+0.00"


def test_a_cell_is_the_mean_over_its_seeds(tmp_path: Path) -> None:
    found = scores(factory.results(tmp_path, factory.matrix()))
    off = [0.8 + 0.01 * seed**2 for seed in range(3)]
    value = cell(found, "reaugkd", OFF)
    assert value.n == 3
    assert value.mean == pytest.approx(np.mean(off))
    assert value.sd == pytest.approx(np.std(off, ddof=1))


def test_controls_come_first_and_then_the_order_of_the_plan(tmp_path: Path) -> None:
    table = headline(scores(factory.results(tmp_path, factory.matrix())))
    assert [row[:2] for row in table.rows] == [
        (MAJORITY, "–"),
        (TEACHER, "–"),
        ("kd", OFF),
        ("reaugkd", OFF),
        ("reaugkd", "exact"),
        ("reaugkd", "hnswlib"),
    ]
    assert table.columns[2:] == ("MRPC accuracy", "STS-B pearson")


def test_the_teacher_of_many_students_counts_once(tmp_path: Path) -> None:
    found = scores(factory.results(tmp_path, factory.matrix()))
    assert cell(found, TEACHER, "").n == cell(found, MAJORITY, "").n == 1


def test_a_run_without_teacher_has_no_row_for_it(tmp_path: Path) -> None:
    records = [factory.training(method="finetune", teacher=False)]
    table = headline(scores(factory.results(tmp_path, records)))
    assert [row[0] for row in table.rows] == [MAJORITY, "finetune"]


def test_mnli_has_a_column_per_test_split(tmp_path: Path) -> None:
    table = headline(scores(factory.results(tmp_path, [factory.training("mnli")])))
    assert table.columns[2:] == ("MNLI accuracy matched", "MNLI accuracy mismatched")


def test_held_out_scores_are_in_no_table(tmp_path: Path) -> None:
    record = factory.training()
    assert record.training is not None
    flattering = record.training.scores | {"held_out": {"accuracy": 0.99, "f1": 0.99}}
    result = record.training.model_copy(update={"scores": flattering})
    found = scores(factory.results(tmp_path, [factory.training(training=result)]))
    assert 0.99 in [score.value.mean for score in found if not score.test]
    for table in (headline(found), all_metrics(found)):
        assert table is not None
        assert table.rows[-1][2] == "80.00 (1)"
        assert "99" not in "".join(map("".join, table.rows))


def test_all_metrics_are_shown_where_a_task_has_several(tmp_path: Path) -> None:
    table = all_metrics(scores(factory.results(tmp_path / "two", factory.matrix())))
    assert table is not None
    assert table.columns[2:4] == ("MRPC accuracy", "MRPC f1")
    assert all_metrics(scores(factory.results(tmp_path / "one", [factory.training("rte")]))) is None


def test_one_seed_is_said_to_be_one_seed(tmp_path: Path) -> None:
    one, three = (
        headline(scores(factory.results(tmp_path / str(len(seeds)), factory.matrix(seeds))))
        for seeds in ([0], [0, 1, 2])
    )
    assert any("One seed" in note for note in one.notes)
    assert not any("One seed" in note for note in three.notes)
    assert "±" not in "".join(map("".join, one.rows))


def test_unequal_numbers_of_seeds_are_pointed_out(tmp_path: Path) -> None:
    records = [factory.training(seed=seed) for seed in range(3)]
    records += [factory.training(method="finetune", seed=0)]
    table = headline(scores(factory.results(tmp_path, records)))
    assert any("n differs" in note for note in table.notes)


def test_knowledge_bases_of_different_keys_are_never_averaged(tmp_path: Path) -> None:
    records = [factory.training("mrpc", "reaugkd")]
    records += [factory.retrieval(on=0.7, keys="student"), factory.retrieval(on=0.9)]
    found = scores(factory.results(tmp_path, records))
    assert cell(found, "reaugkd", "hnswlib, student keys") == Summary(0.7, None, 1)
    assert cell(found, "reaugkd", "hnswlib, projected keys") == Summary(0.9, None, 1)


def test_what_is_not_glue_says_so_above_and_in_every_table_of_figures(tmp_path: Path) -> None:
    records = [
        factory.training("tone", "reaugkd"),
        factory.retrieval("tone"),
        factory.training("alike", "reaugkd"),
    ]
    made = factory.report(tmp_path / "mini", records)
    assert made.lead[0] == NOT_GLUE
    shown = [section for section in made.sections if not section.about]
    titles = [table.title for section in shown for table in section.tables]
    assert len(titles) > 7
    assert all("not GLUE" in title for title in titles)
    glue = factory.report(tmp_path / "glue", factory.matrix())
    assert "not GLUE" not in " ".join([*glue.lead, *(table.title for table in glue.tables)])


def test_a_limited_train_set_is_stated(tmp_path: Path) -> None:
    config = {"data": {"limit": None}, "task": {"mrpc": {"data": {"limit": 2000}}, "rte": {}}}
    made = factory.report(tmp_path, factory.matrix(), config=config)
    assert "mrpc: train was limited to 2,000 rows (--limit)." in made.lead
    assert sum("limited" in line for line in made.lead) == 1


def test_where_models_come_from_stands_above_the_tables(tmp_path: Path) -> None:
    lead = factory.report(tmp_path, factory.matrix()).lead
    assert "Teacher initialised from: teacher-checkpoint." in lead
    assert "Student initialised from: teacher@0,2,4." in lead
