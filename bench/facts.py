"""What a run knows of a classifier that is exported from it, for its model card."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import reaugkd
from bench.records.measurements import FOLDER, Measurements
from bench.records.results import CELL_AXES, HELD_OUT, Pairs, load
from bench.records.run import Record, RetrievalResult, TrainingResult
from bench.records.store import Store, StoreError
from bench.stats.bootstrap import observed, replicates
from bench.stats.difference import Difference, difference
from reaugkd.errors import UserError
from reaugkd.retrieval.facts import ClassifierFacts, OverheadFacts, ScoresOffOn

_FOLDERS = re.compile(r"(?<![^\s,;:])[/~][^\s,;]*/(?=[^\s,;/])")
"""The folders of an absolute path: a card is published, they are nobody's business."""


def of_cell(
    record: Record, training: TrainingResult | None, *, in_memory: bool = False
) -> ClassifierFacts:
    """The facts of a finished retrieval cell, whose student is ``training`` if it is known.

    With ``in_memory`` the rows were handed over in Python, and nothing but those that everything
    was chosen on has been scored.
    """
    result = record.retrieval
    if result is None:
        raise ValueError(f"{record.key} is no retrieval cell")
    facts = ClassifierFacts(
        title=None if in_memory else record.title,
        student=without_folders(result.student_init),
        method=record.method,
        seed=record.seed,
        metric=record.select_on,
        chosen_on=result.chosen.selected_on,
        k=result.chosen.k,
        beta=result.chosen.beta,
        tau=result.chosen.tau,
        comparison=_alone(record, result, [HELD_OUT] if in_memory else record.tests),
        version=reaugkd.__version__,
    )
    if training is None:
        return facts
    scored = () if not in_memory else tuple(record.tests)
    known = {
        "source": "texts in memory" if in_memory else without_folders(training.source),
        "notes": () if in_memory else tuple(map(without_folders, training.notes)),
        "rows": {split: n for split, n in training.rows.items() if split not in scored},
        "teacher": training.teacher and without_folders(training.teacher.init),
    }
    return facts.model_copy(update=known)


def of_run(store: Store, record: Record) -> ClassifierFacts:
    """The facts of a cell of a run: compared over all its seeds, with the overhead if it was timed.

    A StoreError tells of a run that is damaged.
    """
    result = record.retrieval
    student = store.read(result.training_key) if result is not None else None
    training = student.training if isinstance(student, Record) else None
    facts = of_cell(record, training)
    assert result is not None  # of_cell has seen to it
    seeds = [
        (other, of_other)
        for other, of_other in load(store).retrieved
        if (other.task, other.method) == (record.task, record.method)
        and all(getattr(of_other, axis) == getattr(result, axis) for axis in CELL_AXES)
    ]
    compared = tuple(_paired(store, seeds, row) for row in facts.comparison)
    return facts.model_copy(update={"comparison": compared, "overhead": _overhead(store, record)})


def without_folders(text: str) -> str:
    """Text whose absolute paths have lost their folders.

    >>> without_folders("/home/me/bank/train.csv, ~/x/test.csv"), without_folders("org/model@0,2")
    ('train.csv, test.csv', 'org/model@0,2')
    """
    return _FOLDERS.sub("", text)


def _alone(
    record: Record, result: RetrievalResult, splits: Sequence[str]
) -> tuple[ScoresOffOn, ...]:
    """The scores of this student off and on, by the metric that it was chosen by."""
    metric = record.select_on
    pairs = {
        split: (result.off[split][metric], result.chosen.scores[split][metric])
        for split in splits
        if metric in result.off.get(split, {}) and metric in result.chosen.scores.get(split, {})
    }
    return tuple(
        ScoresOffOn(split=split, metric=metric, off=off, on=on, difference=on - off)
        for split, (off, on) in pairs.items()
    )


def _paired(store: Store, seeds: Pairs, row: ScoresOffOn) -> ScoresOffOn:
    """The comparison of a split with the interval of all seeds, where their outputs are kept."""
    try:
        gain = _difference(store, seeds, row.split, row.metric)
    except UserError:  # no outputs beside the records, or a metric that is not resampled
        return row
    return row.model_copy(
        update={
            "difference": gain.estimate,
            "low": gain.low,
            "high": gain.high,
            "seeds": gain.seeds,
            "examples": gain.examples,
        }
    )


def _difference(store: Store, seeds: Pairs, split: str, metric: str) -> Difference:
    """With minus without retrieval, paired over seeds and examples; a UserError says why not."""
    outputs, labels = [], []
    for record, result in seeds:
        student = store.arrays(result.training_key, [f"logits.{split}", f"labels.{split}"])
        with_base = store.arrays(record.key, [f"outputs.{split}"])
        try:
            labels.append(student[f"labels.{split}"])
            outputs.append((student[f"logits.{split}"], with_base[f"outputs.{split}"]))
        except KeyError as error:
            raise StoreError(f"{record.key}: no outputs of {split}") from error
    shapes = {array.shape for pair in outputs for array in pair}
    if len(shapes) != 1 or any(not np.array_equal(labels[0], other) for other in labels):
        raise StoreError(f"the seeds have answered other rows of {split}")
    answers = np.stack([_answers(array) for pair in zip(*outputs, strict=True) for array in pair])
    scores, drawn = observed(metric, answers, labels[0]), replicates(metric, answers, labels[0])
    n = len(seeds)  # the first n without, the others with retrieval
    return difference(scores[n:] - scores[:n], drawn[:, n:] - drawn[:, :n], len(labels[0]))


def _answers(outputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Class ids [N] of outputs [N, C]; of a regression its scores."""
    rows = outputs[:, 0] if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    return rows.astype(np.float64)


def _overhead(store: Store, record: Record) -> tuple[OverheadFacts, ...]:
    """What was timed of this cell into the folder of the run."""
    result = record.retrieval
    if result is None or not (store.folder / FOLDER).is_dir():
        return ()
    student = f"{result.student_init}, {record.method} seed {record.seed}"
    asked = f"{record.task} (real)", result.backend, student, result.chosen.k
    return tuple(
        OverheadFacts(
            verdict=timed.verdict,
            limit=timed.limit,
            **timed.result.ratio.model_dump(),
            batch=timed.cell.batch,
            precision=timed.cell.precision,
            threads=timed.cell.threads,
            cpu=timed.provenance.cpu,
        )
        for timed in Measurements(store.folder).latency()
        if timed.result is not None
        and timed.verdict is not None
        and (timed.cell.base, timed.cell.backend, timed.cell.student, timed.cell.k) == asked
    )
