"""The nine tasks of GLUE, with class names in the hub's order, and how their files name things."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reaugkd.errors import DataError
from reaugkd.tasks.task import Task

HUB = "nyu-mll/glue"

DIAGNOSTIC = "ax"
"""GLUE's diagnostic rows, which a student of MNLI answers."""

_MNLI_TESTS = ("dev_matched", "dev_mismatched")


def _task(
    title: str,
    labels: tuple[str, ...],
    metrics: tuple[str, ...] = ("accuracy",),
    *,
    pair: bool = True,
    tests: tuple[str, ...] = ("dev",),
) -> Task:
    return Task(
        name=title.lower().replace("-", ""),
        title=title,
        suite="glue",
        pair=pair,
        labels=labels,
        metrics=metrics,
        select_on=metrics[0],
        tests=tests,
        value_range=None if labels else (0.0, 5.0),
    )


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        _task("CoLA", ("unacceptable", "acceptable"), ("matthews",), pair=False),
        _task("SST-2", ("negative", "positive"), pair=False),
        _task("MRPC", ("not_equivalent", "equivalent"), ("accuracy", "f1")),
        _task("STS-B", (), ("pearson", "spearman")),
        _task("RTE", ("entailment", "not_entailment")),
        _task("WNLI", ("not_entailment", "entailment")),
        _task("QNLI", ("entailment", "not_entailment")),
        _task("QQP", ("not_duplicate", "duplicate"), ("accuracy", "f1")),
        _task("MNLI", ("entailment", "neutral", "contradiction"), tests=_MNLI_TESTS),
    )
}


@dataclass(frozen=True)
class Columns:
    """Where the texts and the label of a task stand.

    ``texts`` and ``label`` are columns of the official download's files, ``header`` all of them
    where the file has no header line; ``hub`` are the text columns there, beside ``label``.
    """

    texts: tuple[str, ...]
    label: str
    hub: tuple[str, ...]
    header: tuple[str, ...] | None = None


_ONE, _TWO = ("sentence",), ("sentence1", "sentence2")
_QUESTIONS = ("question1", "question2")

COLUMNS: dict[str, Columns] = {
    "cola": Columns(_ONE, "label", _ONE, header=("source", "label", "star", "sentence")),
    "sst2": Columns(_ONE, "label", _ONE),
    "mrpc": Columns(("#1 String", "#2 String"), "Quality", _TWO),
    "stsb": Columns(_TWO, "score", _TWO),
    "rte": Columns(_TWO, "label", _TWO),
    "wnli": Columns(_TWO, "label", _TWO),
    "qnli": Columns(("question", "sentence"), "label", ("question", "sentence")),
    "qqp": Columns(_QUESTIONS, "is_duplicate", _QUESTIONS),
    "mnli": Columns(_TWO, "gold_label", ("premise", "hypothesis")),
}


def folder_of(task: Task, data_dir: str | Path) -> Path:
    """Where the files of ``task`` lie; DataError if there is no such folder."""
    folder = Path(data_dir) / task.title
    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a folder: {task.title} is read from"
            f" {', '.join(f'{task.title}/{name}.tsv' for name in ('train', *task.tests))}"
            " as in the official GLUE download"
        )
    return folder
