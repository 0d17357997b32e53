"""What a run says of a classifier is what its records and its report say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import facts
from bench.records.measurements import Measurements
from bench.records.results import load
from bench.report.examples import Examples, alone, with_base
from bench.report.paired import Paired
from tests.bench.measure import judged
from tests.bench.report import factory

LABELS = factory.truth()


def cells(seeds: tuple[int, ...], outputs: bool = True) -> list[factory.Kept]:
    """Students of reaugkd that retrieval makes right more often; records alone or with outputs."""
    made = []
    for seed in seeds:
        off = factory.guesses(LABELS, 0.7, seed)
        on = factory.guesses(LABELS, 0.75, seed)
        made.append(factory.answered(factory.training("mrpc", "reaugkd", seed), off, LABELS))
        made.append(factory.answered(factory.retrieval("mrpc", "reaugkd", seed), on, LABELS))
    # another base of the same students, which is no part of the comparison
    other = factory.retrieval("mrpc", "reaugkd", seeds[0], backend="faiss")
    made.append(factory.answered(other, factory.guesses(LABELS, 0.9, 5), LABELS))
    return made if outputs else [(record, {}) for record, _ in made]


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_the_comparison_is_that_of_the_report(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    store = factory.kept(tmp_path, cells(seeds))
    results = load(store)
    off = {record.seed: alone(record, result) for record, result in results.trained}
    on = {
        record.seed: with_base(record, result)
        for record, result in results.retrieved
        if result.backend == "hnswlib"
    }
    scored = Paired(Examples(results), [*off.values(), *on.values()], "dev", "accuracy")
    expected = scored.compare(on, off).difference
    assert expected is not None
    known = facts.of_run(store, on[0].record)
    (row,) = known.comparison
    assert (row.split, row.metric, row.seeds) == ("dev", "accuracy", len(seeds))
    if len(seeds) > 1:
        assert (row.low, row.high) == pytest.approx((expected.low, expected.high))
    else:
        assert row.low is row.high is None
    assert row.difference == pytest.approx(expected.estimate)
    assert row.examples == len(LABELS)
    assert (known.k, known.beta, known.tau, known.chosen_on) == (8, 0.4, 0.1, "held_out")
    assert known.teacher is not None
    assert known.rows["fit"] > 0


def test_without_outputs_there_are_the_scores_of_the_record(tmp_path: Path) -> None:
    made = cells((0, 1), outputs=False)
    store = factory.kept(tmp_path, made)
    record = made[1][0]
    assert record.retrieval is not None
    (row,) = facts.of_run(store, record).comparison
    off = record.retrieval.off["dev"]["accuracy"]
    on = record.retrieval.chosen.scores["dev"]["accuracy"]
    assert (row.off, row.on, row.difference) == (off, on, on - off)
    assert (row.low, row.seeds) == (None, 1)


def test_the_overhead_is_told_where_this_very_cell_was_timed(tmp_path: Path) -> None:
    made = cells((0,))
    store = factory.kept(tmp_path, made)
    record = made[1][0]
    timed = judged.record()
    real = {"base": "mrpc (real)", "backend": "hnswlib", "k": 8, "generated": False}
    for number, student in enumerate(("teacher@0,2,4, reaugkd seed 0", "another")):
        cell = timed.cell.model_copy(update={**real, "student": student})
        measured = timed.model_copy(update={"cell": cell, "key": f"m{number}"})
        Measurements(tmp_path).create()
        Measurements(tmp_path).write(measured)
    (told,) = facts.of_run(store, record).overhead
    assert timed.result is not None
    assert told.verdict == timed.verdict
    assert (told.low, told.high) == (timed.result.ratio.low, timed.result.ratio.high)
    assert told.cpu == timed.provenance.cpu


def test_folders_of_this_machine_are_nobodys_business() -> None:
    record = factory.training("mrpc", "reaugkd")
    assert record.training is not None
    training = record.training.model_copy(update={"source": "/home/me/train.csv, hub:me/data"})
    known = facts.of_cell(factory.retrieval("mrpc", "reaugkd"), training)
    assert known.source == "train.csv, hub:me/data"
    memory = facts.of_cell(factory.retrieval("mrpc", "reaugkd"), training, in_memory=True)
    assert (memory.source, memory.title) == ("texts in memory", None)
    assert [row.split for row in memory.comparison] == ["held_out"]
    assert "dev" not in memory.rows
