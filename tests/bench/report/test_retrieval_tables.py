"""Laws of what the report says about retrieval and training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.report.costs import cost_table, costs
from bench.report.effects import bias_table, effects, exactness_table, gain_table
from bench.report.students import training_table, trainings
from bench.report.summary import each, number, size
from tests.bench.report import factory


def test_the_gain_is_on_minus_off_of_the_same_student(tmp_path: Path) -> None:
    for effect in effects(factory.results(tmp_path, factory.matrix())):
        number = ("exact", "hnswlib").index(effect.index)
        gains = [0.01 * (seed + number) for seed in effect.seeds]
        assert effect.gain.mean == pytest.approx(np.mean(gains))
        assert effect.gain.sd == pytest.approx(np.std(gains, ddof=1))
        assert effect.on.mean is not None
        assert effect.off.mean is not None
        assert effect.gain.mean == pytest.approx(effect.on.mean - effect.off.mean)


def test_selection_bias_is_optimistic_minus_chosen(tmp_path: Path) -> None:
    records = [factory.retrieval(off=0.8, on=0.81, optimistic=0.84)]
    (effect,) = effects(factory.results(tmp_path, records))
    assert effect.selection_bias.mean == pytest.approx(0.03)
    assert gain_table([effect]).rows[0][-1] == "+3.00"


def test_bias_is_of_the_split_that_was_chosen_on(tmp_path: Path) -> None:
    matched, mismatched = effects(factory.results(tmp_path, [factory.retrieval("mnli")]))
    assert (matched.title, mismatched.title) == ("MNLI matched", "MNLI mismatched")
    assert matched.selection_bias.mean is not None
    assert mismatched.selection_bias.mean is None


def test_settings_are_listed_by_seed_where_they_differ(tmp_path: Path) -> None:
    records = [factory.retrieval(seed=seed, k=k) for seed, k in ((2, 16), (0, 4), (1, 8))]
    (effect,) = effects(factory.results(tmp_path, records))
    assert (effect.seeds, effect.k) == ([0, 1, 2], [4, 8, 16])
    assert gain_table([effect]).rows[0][3:5] == ("4, 8, 16", "0.4")


def test_a_choice_against_retrieval_is_explained(tmp_path: Path) -> None:
    with_it = effects(factory.results(tmp_path / "a", [factory.retrieval(beta=0.4)]))
    without = effects(factory.results(tmp_path / "b", [factory.retrieval(beta=0.0)]))
    assert not any("beta = 0" in note for note in gain_table(with_it).notes)
    assert any("beta = 0" in note for note in gain_table(without).notes)


def test_a_missed_recall_target_shows(tmp_path: Path) -> None:
    met = factory.retrieval(seed=0)
    assert met.retrieval is not None
    search = met.retrieval.search.model_copy(update={"target_met": False})
    missed = factory.retrieval(
        seed=1, retrieval=met.retrieval.model_copy(update={"search": search})
    )
    table = exactness_table(effects(factory.results(tmp_path, [met, missed])))
    assert table.rows[0][-1] == "1 of 2"


def test_search_times_are_never_shown_without_their_protocol(tmp_path: Path) -> None:
    table = cost_table(costs(factory.results(tmp_path, factory.matrix())))
    note = " ".join(table.notes)
    assert all(word in note for word in ("one thread", "index call only", "hot loop", "3 %"))


def test_the_teachers_training_has_its_own_row(tmp_path: Path) -> None:
    found = trainings(factory.results(tmp_path, factory.matrix()))
    assert [(row.task, row.method) for row in found] == [
        (task, method) for task in ("mrpc", "stsb") for method in ("teacher", "kd", "reaugkd")
    ]
    assert found[0].seconds.mean == 60
    assert (found[0].n, found[1].n) == (1, 3)
    assert training_table(found).rows[1][2] == "teacher@0,2,4"


def test_epochs_are_listed_by_seed(tmp_path: Path) -> None:
    first = factory.training().training
    assert first is not None
    results = [
        factory.training(seed=s, training=first.model_copy(update={"best_epoch": 3 - s}))
        for s in (2, 0, 1)
    ]
    assert trainings(factory.results(tmp_path, results))[1].best_epoch == [3, 2, 1]


@pytest.mark.parametrize("count", [1, 1023, 1024, 10**7, 10**12])
def test_a_size_is_within_half_a_percent(count: int) -> None:
    value, unit = size(count).split()
    factor = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[unit]
    assert float(value) * factor == pytest.approx(count, rel=5e-3)


def test_what_has_no_value_is_a_dash() -> None:
    assert number(None) == number(float("nan")) == size(None) == each([]) == each([None]) == "–"


def test_the_bias_of_a_method_is_the_mean_over_its_tasks_and_indexes(tmp_path: Path) -> None:
    records = [
        factory.retrieval(task, on=0.8, optimistic=value, backend=backend)
        for task, backend, value in (
            ("mrpc", "exact", 0.81),
            ("mrpc", "hnswlib", 0.83),
            ("mnli", "exact", 0.85),
        )
    ]
    table = bias_table(effects(factory.results(tmp_path, records)))
    assert table is not None
    assert table.rows == (("reaugkd", "+3.00", "2", "3"),)


def test_without_retrieval_there_is_no_bias(tmp_path: Path) -> None:
    assert bias_table(effects(factory.results(tmp_path, [factory.training()]))) is None
