"""Laws of the paired table: the same scores as everywhere, averages only over what all have."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.records.run import Record
from bench.report.document import build
from bench.report.over_tasks import over_table, over_tasks
from bench.report.pairs import Overall, Pair, off_on_table, overall, pairs
from bench.report.results import Results
from bench.report.scores import MAJORITY, OFF, TEACHER, scores
from tests.bench.report import factory


def found(results: Results) -> list[Pair]:
    return pairs(results, scores(results))


def by_system(rows: list[Overall]) -> dict[tuple[str, str], Overall]:
    return {(row.method, row.retrieval): row for row in rows}


def run(tasks: dict[str, dict[str, float]], on: dict[str, dict[str, float]]) -> list[Record]:
    """One seed; task -> method -> score without, and with retrieval."""
    made = [factory.training(t, m, value=v) for t, own in tasks.items() for m, v in own.items()]
    return made + [
        factory.retrieval(t, m, off=tasks[t][m], on=v, backend="exact")
        for t, own in on.items()
        for m, v in own.items()
    ]


def test_both_columns_are_those_of_the_score_table(tmp_path: Path) -> None:
    results = factory.results(tmp_path, factory.matrix())
    known = {
        (score.method, score.retrieval, score.task, score.split): score.value
        for score in scores(results)
        if score.selects
    }
    rows = found(results)
    assert {row.method for row in rows} == {MAJORITY, TEACHER, "kd", "reaugkd"}
    for row in rows:
        alone = "" if row.method in (MAJORITY, TEACHER) else OFF
        assert row.off == known[row.method, alone, row.task, row.split]
        assert (row.on is None) == (row.method != "reaugkd")
        if row.on:
            assert row.on == known[row.method, str(row.index), row.task, row.split]


def test_the_index_is_the_first_one_however_well_another_scores(tmp_path: Path) -> None:
    for name, (first, second) in {"a": (0.7, 0.9), "b": (0.9, 0.7)}.items():
        records = [
            factory.training(method="reaugkd"),
            factory.retrieval(on=first, backend="faiss"),
            factory.retrieval(on=second, backend="annoy"),
        ]
        (row,) = [r for r in found(factory.results(tmp_path / name, records)) if r.on]
        assert row.index == "faiss"
        assert row.on is not None
        assert row.on.mean == pytest.approx(first)
        assert "faiss" in off_on_table([row]).notes[0]


def test_an_index_that_failed_is_not_replaced_by_the_next(tmp_path: Path) -> None:
    first = factory.retrieval(seed=0, backend="faiss")
    records = [
        *(factory.training(method="reaugkd", seed=seed) for seed in (0, 1)),
        factory.failed(first, "not installed", "skipped"),
        *(factory.retrieval(seed=seed, backend="annoy") for seed in (0, 1)),
    ]
    results = factory.results(tmp_path, records)
    (row,) = [row for row in found(results) if row.method == "reaugkd"]
    assert (row.index, row.on) == ("faiss", None)
    assert "first index of the plan, faiss" in off_on_table([row]).notes[0]


def test_ranks_do_not_depend_on_how_many_indexes_answer_the_same(tmp_path: Path) -> None:
    off = {task: {"finetune": 0.6, "reaugkd": 0.7, "kd": 0.75} for task in ("mrpc", "rte")}
    few = run(off, {task: {"reaugkd": 0.8} for task in off})
    many = few + [
        factory.retrieval(task, "reaugkd", off=0.7, on=0.8, backend=backend)
        for backend in ("annoy", "faiss", "hnswlib")
        for task in off
    ]
    ranks = []
    for name, records in (("few", few), ("many", many)):
        results = factory.results(tmp_path / name, records)
        own = found(results)
        ranked = over_tasks(results, own, ())
        assert [(row.method, row.average, row.rank) for row in ranked] == [
            (row.method, row.average, row.rank) for row in overall(own)
        ]
        assert [row.retrieval for row in ranked] == ["off", "off", "exact", "off"]
        ranks.append({(row.method, row.retrieval): row.rank for row in ranked})
    assert ranks[0] == ranks[1]
    assert ranks[0]["kd", "off"] == 2


def test_average_and_rank_are_those_of_the_plain_definition(tmp_path: Path) -> None:
    off = {
        "mrpc": {"finetune": 0.70, "kd": 0.80, "reaugkd": 0.80},
        "rte": {"finetune": 0.50, "kd": 0.60, "reaugkd": 0.65},
    }
    on = {"mrpc": {"reaugkd": 0.85}, "rte": {"reaugkd": 0.60}}
    rows = by_system(overall(found(factory.results(tmp_path, run(off, on)))))
    assert {at: row.average for at, row in rows.items()} == pytest.approx(
        {
            ("finetune", "off"): 0.60,
            ("kd", "off"): 0.70,
            ("reaugkd", "off"): 0.725,
            ("reaugkd", "on"): 0.725,
        }
    )
    # MRPC: on 1, kd and off share 2 and 3, finetune 4; RTE: off 1, kd and on share 2 and 3
    assert {at: row.rank for at, row in rows.items()} == {
        ("finetune", "off"): 4.0,
        ("kd", "off"): 2.5,
        ("reaugkd", "off"): 1.75,
        ("reaugkd", "on"): 1.75,
    }


def test_a_task_that_one_method_lacks_counts_for_none_and_is_named(tmp_path: Path) -> None:
    off = {task: {"finetune": 0.5, "kd": 0.6, "reaugkd": 0.7} for task in ("mrpc", "rte", "stsb")}
    whole = run(off, {task: {"reaugkd": 0.75} for task in off})
    for name, hole in {
        "kd off": factory.failed(factory.training("stsb", "kd"), "diverged"),
        "reaugkd on": factory.failed(factory.retrieval("stsb", backend="exact"), "no"),
    }.items():
        records = [hole if record.key == hole.key else record for record in whole]
        rows = found(factory.results(tmp_path / name, records))
        assert {tuple(row.tasks) for row in overall(rows)} == {("mrpc", "rte")}
        assert f"stsb ({name})" in off_on_table(rows).notes[-1]


def test_without_two_tasks_that_all_have_there_is_no_average(tmp_path: Path) -> None:
    one = found(factory.results(tmp_path / "one", [r for r in factory.matrix() if r.task == "rte"]))
    assert overall(one) == []
    records = run({"mrpc": {"kd": 0.6, "pkd": 0.7}, "rte": {"kd": 0.6}, "cola": {"pkd": 0.1}}, {})
    rows = found(factory.results(tmp_path / "apart", records))
    assert overall(rows) == []
    table = off_on_table(rows)
    assert not any(column.startswith(("average", "rank")) for column in table.columns)
    assert "No average" in table.notes[-1]
    assert "rte (pkd off)" in table.notes[-1]


def test_a_task_with_two_test_splits_counts_once(tmp_path: Path) -> None:
    record = factory.training("mnli", "kd")
    assert record.training is not None
    split = {"dev_matched": {"accuracy": 0.8}, "dev_mismatched": {"accuracy": 0.6}}
    uneven = record.training.model_copy(update={"scores": record.training.scores | split})
    records = [factory.training("rte", "kd", value=0.5), record.model_copy(update={"training": uneven})]  # fmt: skip  # noqa: E501
    (row,) = overall(found(factory.results(tmp_path, records)))
    assert row.average == pytest.approx((0.5 + (0.8 + 0.6) / 2) / 2)


def test_the_teacher_and_the_majority_class_are_shown_and_not_ranked(tmp_path: Path) -> None:
    rows = found(factory.results(tmp_path, factory.matrix()))
    ranked = {row.method for row in overall(rows)}
    assert ranked == {"kd", "reaugkd"}
    cells = {row[0]: row for row in off_on_table(rows).rows}
    assert cells[TEACHER][1:3] == ("90.00", "–")
    assert cells[MAJORITY][5:] == ("–",) * 5


def test_a_score_that_is_no_number_is_a_dash_and_leaves_its_task_out(tmp_path: Path) -> None:
    off = {task: {"kd": 0.6, "reaugkd": 0.7} for task in ("mrpc", "rte", "stsb")}
    results = factory.results(tmp_path, run(off, {"rte": {"reaugkd": 0.8}}))
    broken = [
        Pair(**vars(row) | {"off": type(row.off)(None, None, 1)})
        if row.off is not None and (row.method, row.task) == ("kd", "mrpc")
        else row
        for row in pairs(results, [one for one in scores(results) if one.retrieval != "exact"])
    ]
    assert {tuple(row.tasks) for row in overall(broken)} == {("rte", "stsb")}
    assert all(math.isfinite(row.average) for row in overall(broken))
    cells = {row[0]: row for row in off_on_table(broken).rows}
    assert cells["kd"][1] == "–"


def test_different_numbers_of_seeds_are_pointed_out(tmp_path: Path) -> None:
    even = factory.matrix([0, 1])
    uneven = [
        factory.failed(record, "no")
        if (record.kind, record.task, record.seed) == ("retrieval", "stsb", 1)
        else record
        for record in even
    ]
    notes = [
        " ".join(off_on_table(found(factory.results(tmp_path / name, records))).notes)
        for name, records in (("even", even), ("uneven", uneven))
    ]
    assert ["reaugkd on stsb" in note for note in notes] == [False, True]


def test_numbers_of_seeds_stand_beside_the_ranks(tmp_path: Path) -> None:
    even = [factory.training(t, m, seed) for t in ("mrpc", "rte") for m in ("kd", "pkd") for seed in (0, 1)]  # fmt: skip  # noqa: E501
    gone = [record for record in even if record.key != "t-rte-pkd-1"]
    for name, records, counts in (("even", even, "2"), ("uneven", gone, "1, 2")):
        results = factory.results(tmp_path / name, records)
        table = over_table(over_tasks(results, found(results), ()), {}, None)
        assert table is not None
        assert {row[0]: row[4] for row in table.rows} == {"kd": "2", "pkd": counts}
        assert any("n differs" in note for note in table.notes) == (name == "uneven")


def test_one_seed_is_said_to_be_one_seed(tmp_path: Path) -> None:
    notes = [
        " ".join(off_on_table(found(factory.results(tmp_path / str(n), factory.matrix(s)))).notes)
        for n, s in enumerate(([0], [0, 1]))
    ]
    assert ["One seed" in note for note in notes] == [True, False]


def test_without_retrieval_there_is_no_section(tmp_path: Path) -> None:
    names = [
        {section.name for section in build(factory.results(tmp_path / name, records)).sections}
        for name, records in (("off", [factory.training()]), ("on", factory.matrix([0])))
    ]
    assert ["off-on" in one for one in names] == [False, True]
