"""Laws of what the report says about retrieval and training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.records.run import Record
from bench.report.ann import Index, index_table, indexes
from bench.report.costs import costs
from bench.report.effects import bias_table, biases, effects, gain_table
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


def found_indexes(folder: Path, records: list[Record]) -> list[Index]:
    results = factory.results(folder, records)
    return indexes(effects(results), costs(results))


def cells(folder: Path, records: list[Record]) -> list[dict[str, str]]:
    table = index_table(found_indexes(folder, records))
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_one_row_says_how_exact_how_fast_and_how_large_an_index_is(tmp_path: Path) -> None:
    rows = cells(tmp_path, factory.matrix())
    assert [(row["task"], row["index"]) for row in rows] == [
        (task, index) for task in ("MRPC", "STS-B") for index in ("exact", "hnswlib")
    ]
    assert rows[0] == {
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


def test_a_task_with_two_test_splits_has_the_recall_of_each(tmp_path: Path) -> None:
    found = found_indexes(tmp_path, [factory.retrieval("mnli")])
    assert [one.title for one in found] == ["MNLI matched", "MNLI mismatched"]


def test_a_missed_recall_target_shows(tmp_path: Path) -> None:
    met = factory.retrieval(seed=0)
    assert met.retrieval is not None
    search = met.retrieval.search.model_copy(update={"target_met": False})
    missed = factory.retrieval(
        seed=1, retrieval=met.retrieval.model_copy(update={"search": search})
    )
    assert cells(tmp_path, [met, missed])[0]["target met"] == "1 of 2"


def test_search_times_are_never_shown_without_their_protocol(tmp_path: Path) -> None:
    table = index_table(found_indexes(tmp_path, factory.matrix()))
    note = " ".join(table.notes)
    assert all(word in note for word in ("one thread", "index call only", "hot loop", "3 %"))


@pytest.mark.parametrize("count", [1, 1023, 1024, 10**7, 10**12])
def test_a_size_is_within_half_a_percent(count: int) -> None:
    value, unit = size(count).split()
    factor = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[unit]
    assert float(value) * factor == pytest.approx(count, rel=5e-3)


def test_what_has_no_value_is_a_dash() -> None:
    assert number(None) == number(float("nan")) == size(None) == each([]) == each([None]) == "–"


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
    (one,) = biases(factory.results(tmp_path / "even", records))
    assert (one.index, one.tasks, one.seeds) == ("exact", ("mrpc", "mnli"), (2,))
    assert one.mean == pytest.approx(0.025)
    assert one.sd == pytest.approx(np.std([0.03, 0.02], ddof=1))
    table = bias_table([one])
    assert table is not None
    assert table.rows == (("reaugkd", "exact", "+2.50 ± 0.71", "2", "2"),)
    (one,) = biases(factory.results(tmp_path / "uneven", records[:-1]))
    assert one.mean == pytest.approx((0.02 + 0.05) / 2)
    assert (one.sd, one.seeds) == (None, (1, 2))


def test_a_first_index_that_failed_leaves_no_bias(tmp_path: Path) -> None:
    records = [
        factory.failed(factory.retrieval(backend="exact"), "no"),
        factory.retrieval(backend="hnswlib"),
    ]
    assert biases(factory.results(tmp_path, records)) == []


def test_without_retrieval_there_is_no_bias(tmp_path: Path) -> None:
    assert bias_table(biases(factory.results(tmp_path, [factory.training()]))) is None
