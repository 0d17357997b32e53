"""Laws of the paired table: the scores of everywhere, averages only over what all have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.records.run import Record
from bench.report.inputs import RunInputs
from bench.report.scores import CONTROLS, OFF, ON
from bench.report.sections import off_on, scores
from tests.bench.report import factory, shown

System = tuple[str, str]


def run(tasks: dict[str, dict[str, float]], on: dict[str, dict[str, float]]) -> list[Record]:
    """One seed; task -> method -> score without, and with retrieval."""
    made = [factory.training(t, m, value=v) for t, own in tasks.items() for m, v in own.items()]
    return made + [
        factory.retrieval(t, m, off=tasks[t][m], on=v, backend="exact")
        for t, own in on.items()
        for m, v in own.items()
    ]


def averages(made: RunInputs) -> dict[System, tuple[float, float]]:
    """System -> average and rank, as both tables have them."""
    of_pairs = {
        (row.method, state): (getattr(row.average, state), getattr(row.rank, state))
        for row in shown.lines(off_on.SECTION, made)
        if row.average
        for state in (OFF, ON)
        if getattr(row.average, state) is not None
    }
    over = {
        (row.method, OFF if row.retrieval == OFF else ON): (row.average, row.rank)
        for row in shown.lines(off_on.OVER_TASKS, made)
        if row.average is not None
    }
    assert over == of_pairs
    return of_pairs


def test_both_columns_are_those_of_the_score_table(tmp_path: Path) -> None:
    made = shown.inputs(tmp_path, factory.matrix())
    known = {
        (score.method, score.retrieval, score.task, score.split): score.value
        for score in shown.lines(scores.SECTION, made)
        if score.selects
    }
    rows = shown.lines(off_on.SECTION, made)
    assert {row.method for row in rows} == {*CONTROLS, "kd", "reaugkd"}
    for row in rows:
        alone = "" if row.method in CONTROLS else OFF
        assert row.off == known[row.method, alone, row.task, row.split]
        assert (row.on is None) == (row.method != "reaugkd")
        if row.on:
            assert row.on == known[row.method, row.index, row.task, row.split]


@pytest.mark.parametrize(("first", "second"), [(0.7, 0.9), (0.9, 0.7), (None, 0.9)])
def test_the_index_is_the_first_of_the_plan_however_well_another_scores(
    first: float | None, second: float, tmp_path: Path
) -> None:
    own = factory.retrieval(on=first or 0.5, backend="faiss")
    records = [
        factory.training(method="reaugkd"),
        own if first else factory.failed(own, "not installed", "skipped"),
        factory.retrieval(on=second, backend="annoy"),
    ]
    made = shown.inputs(tmp_path, records)
    (row,) = [r for r in shown.lines(off_on.SECTION, made) if r.method == "reaugkd"]
    assert row.index == "faiss"
    assert (row.on and row.on.mean) == first
    if first:
        assert "first index of the plan, faiss" in shown.notes(off_on.SECTION, made)


def test_average_and_rank_are_those_of_the_plain_definition(tmp_path: Path) -> None:
    off = {
        "mrpc": {"finetune": 0.70, "kd": 0.80, "reaugkd": 0.80},
        "rte": {"finetune": 0.50, "kd": 0.60, "reaugkd": 0.65},
    }
    on = {"mrpc": {"reaugkd": 0.85}, "rte": {"reaugkd": 0.60}}
    few = run(off, on)
    # MRPC: on 1, kd and off share 2 and 3, finetune 4; RTE: off 1, kd and on share 2 and 3
    expected = {
        ("finetune", OFF): (0.60, 4.0),
        ("kd", OFF): (0.70, 2.5),
        ("reaugkd", OFF): (0.725, 1.75),
        ("reaugkd", ON): (0.725, 1.75),
    }
    more = [
        factory.retrieval(task, "reaugkd", off=off[task]["reaugkd"], on=0.99, backend=backend)
        for backend in ("annoy", "faiss")
        for task in off
    ]
    for name, records in (("few", few), ("many indexes", few + more)):
        found = averages(shown.inputs(tmp_path / name, records))
        assert found.keys() == expected.keys()
        for system, values in expected.items():
            assert found[system] == pytest.approx(values)


def test_a_task_that_one_method_lacks_counts_for_none_and_is_named(tmp_path: Path) -> None:
    off = {task: {"finetune": 0.5, "kd": 0.6, "reaugkd": 0.7} for task in ("mrpc", "rte", "stsb")}
    whole = run(off, {task: {"reaugkd": 0.75} for task in off})
    for name, hole in {
        "kd off": factory.failed(factory.training("stsb", "kd"), "diverged"),
        "reaugkd on": factory.failed(factory.retrieval("stsb", backend="exact"), "no"),
    }.items():
        records = [hole if record.key == hole.key else record for record in whole]
        made = shown.inputs(tmp_path / name, records)
        for row in shown.lines(off_on.OVER_TASKS, made):
            assert (row.tasks, row.left_out) == (["mrpc", "rte"], ["stsb"])
        assert averages(made)["kd", OFF][0] == pytest.approx(0.6)
        assert f"stsb ({name})" in shown.notes(off_on.SECTION, made)
        assert "Left out, as not every row has a score: STS-B." in shown.notes(
            off_on.OVER_TASKS, made
        )


@pytest.mark.parametrize("tasks", [["rte"], ["mrpc", "rte"]])
def test_without_two_tasks_that_all_have_there_is_no_average(
    tasks: list[str], tmp_path: Path
) -> None:
    off = {task: {"kd": 0.6} for task in tasks}
    off["rte"]["reaugkd"] = 0.7
    made = shown.inputs(tmp_path, run(off, {"rte": {"reaugkd": 0.8}}))
    assert averages(made) == {}
    (table,) = shown.tables(off_on.SECTION, made)
    assert not any(column.startswith(("average", "rank")) for column in table.columns)
    assert ("No average" in table.notes[-1]) == (len(tasks) > 1)
    assert ("mrpc (reaugkd off, reaugkd on)" in table.notes[-1]) == (len(tasks) > 1)
    assert len(shown.lines(off_on.OVER_TASKS, made)) == (3 if len(tasks) > 1 else 0)


def test_a_score_that_is_no_number_is_a_dash_and_leaves_its_task_out(tmp_path: Path) -> None:
    off = {task: {"kd": 0.6, "reaugkd": 0.7} for task in ("mrpc", "rte", "stsb")}
    made = shown.inputs(tmp_path, run(off, {task: {"reaugkd": 0.8} for task in off}))
    frame = made.frame(scores.SECTION)
    broken = (frame["method"] == "kd") & (frame["task"] == "mrpc")
    made.frame(scores.SECTION).loc[broken, "value.mean"] = None
    assert {tuple(row.tasks) for row in shown.lines(off_on.OVER_TASKS, made)} == {("rte", "stsb")}
    assert np.isfinite(list(averages(made).values())).all()
    cells = {row[0]: row for row in shown.tables(off_on.SECTION, made)[0].rows}
    assert cells["kd"][1] == "–"


def test_numbers_of_seeds_stand_beside_scores_and_uneven_ones_are_pointed_out(
    tmp_path: Path,
) -> None:
    even = factory.matrix([0, 1])
    for name, lost in (("even", ()), ("on", ("retrieval", "stsb")), ("off", ("training", "stsb"))):
        records = [
            factory.failed(one, "no") if (one.kind, one.task, one.seed) == (*lost, 1) else one
            for one in even
        ]
        made = shown.inputs(tmp_path / name, records)
        seeds = {row.method: row.seeds for row in shown.lines(off_on.SECTION, made)}
        assert seeds["reaugkd"] == ([2] if name == "even" else [1, 2])
        told = shown.notes(off_on.SECTION, made)
        assert ("reaugkd on stsb" in told) == ("One seed" in told) == (name != "even")
        over = shown.tables(off_on.OVER_TASKS, made)[0]
        rows = {(row[0], row[1]): row[4] for row in over.rows}
        assert rows["reaugkd", OFF] == ("1, 2" if name == "off" else "2")
        assert any("n differs" in note for note in over.notes) == (name != "even")


def test_wins_are_differences_that_hold(tmp_path: Path) -> None:
    found = [
        *factory.contest({"kd": 0.7, "pkd": 0.95, "rkd": 0.7}, task="mrpc"),
        *factory.contest({"kd": 0.9, "pkd": 0.9, "rkd": 0.5}, task="rte"),
        *factory.contest({"kd": 0.9, "pkd": 0.9}, [0], task="sst2"),
    ]
    rows = {
        row.method: (row.better, row.not_shown, row.worse, row.untested)
        for row in shown.lines(off_on.OVER_TASKS, shown.answered(tmp_path, found))
    }
    assert rows == {"kd": (0, 0, 0, 0), "pkd": (1, 1, 0, 1), "rkd": (0, 1, 1, 0)}


def test_a_task_with_two_splits_has_two_chances_to_win_and_an_index_beside_the_first_has_none(
    tmp_path: Path,
) -> None:
    labels = factory.truth(classes=3)
    half = np.where(np.arange(len(labels)) % 2, labels, (labels + 1) % 3)
    found = factory.contest({"kd": 0.6, "reaugkd": 0.6}, task="mrpc")
    for seed in (0, 1, 2):
        alone = {"kd": half, "reaugkd": labels}
        cells = [(factory.training("mnli", m, seed), given) for m, given in alone.items()]
        for backend in ("exact", "hnswlib"):
            cells.append((factory.retrieval("mnli", "reaugkd", seed, backend=backend), labels))
        found += [factory.answered(record, given, labels) for record, given in cells]
    made = shown.answered(tmp_path, found)
    rows = {(row.method, row.retrieval): row for row in shown.lines(off_on.OVER_TASKS, made)}
    assert rows.keys() == {("kd", OFF), ("reaugkd", OFF), ("reaugkd", "exact")}
    assert (rows["reaugkd", "exact"].better, rows["reaugkd", "exact"].untested) == (2, 0)
    assert rows["reaugkd", OFF].better == 2
