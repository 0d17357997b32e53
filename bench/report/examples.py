"""What every student answered, example by example: read from beside the records when asked for.

Only what comparisons need is kept: the class (or the score) that was answered, not its logits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records.results import Results
from bench.records.run import ControlResult, Record, RetrievalResult, Scores, TrainingResult
from bench.records.store import Problem, Store, StoreError
from bench.report.scores import OFF

LOGITS, OUTPUTS, TEMPERATURE, SECOND_HEAD = "logits", "outputs", "temperature", "mixed"
"""Arrays of final outputs [N, C] by split: of a student alone, with a knowledge base, controls."""

LABELS = "labels"
ARRAYS = (LOGITS, LABELS, OUTPUTS, TEMPERATURE, SECOND_HEAD)
Answers = NDArray[Any]
"""Class ids [N] of the smallest integer type; of a regression scores [N] as they were stored.

Labels of a regression are float32, whatever they were stored as, so that those of two cells that
read the same rows are equal.
"""

Column = tuple[str, str, str]
"""(task, method, retrieval): what the tables of a run have in one place, over seeds."""


@dataclass(frozen=True)
class StudentAnswers:
    """What one student answered, alone or with something.

    Attributes:
        record: of the cell whose arrays hold the outputs.
        array: their name, without the split.
        scores: split -> what the record says that they score.
    """

    record: Record
    array: str
    scores: Mapping[str, Scores]

    @property
    def name(self) -> tuple[str, str]:
        """Tells it from every other answer of a run."""
        return self.record.key, self.array


BySeed = dict[int, StudentAnswers]


def alone(record: Record, result: TrainingResult) -> StudentAnswers:
    """The student without retrieval."""
    return StudentAnswers(record, LOGITS, result.scores)


def with_base(record: Record, result: RetrievalResult) -> StudentAnswers:
    """The student with a knowledge base under its chosen setting."""
    return StudentAnswers(record, OUTPUTS, result.chosen.scores)


def with_control(record: Record, result: ControlResult) -> dict[str, StudentAnswers]:
    """The student with what could do as well: array -> answer."""
    answers = {SECOND_HEAD: StudentAnswers(record, SECOND_HEAD, result.second_head.mixed.scores)}
    if result.temperature:
        answers[TEMPERATURE] = StudentAnswers(
            record, TEMPERATURE, result.temperature.answers.scores
        )
    return answers


class Examples:
    """Answers and labels of a run, each file read once, at first use.

    Args:
        results: the run.
    """

    def __init__(self, results: Results) -> None:
        self._store = Store(results.folder)
        self._results = results
        self._records: dict[str, Record] = {}  # key of a file -> a record of what it is about
        self._students: dict[str, dict[str, None]] = {}  # task -> keys of files with labels
        for record in results.records:
            if record.status == "ok":
                self._records[record.key] = record
                if not record.controls:  # labels are there even where that record is not usable
                    self._records.setdefault(_student(record), record)
                    self._students.setdefault(record.task, {})[_student(record)] = None
        self._files: dict[str, dict[str, Answers] | Problem] = {}
        self._labels: dict[tuple[str, str], Answers | None] = {}
        self._refused: dict[tuple[str, str], Problem] = {}  # (key, array with its split)
        self._problems: dict[Path, Problem] = {}

    @cached_property
    def columns(self) -> dict[Column, BySeed]:
        """Every planned (task, method, retrieval); empty where no cell of it has finished.

        Tasks and methods stand in the order of the plan; the student alone before its indexes.
        """
        results, planned = self._results, [cell.plan for cell in self._results.cells]
        columns: dict[Column, BySeed] = {}
        for plan in planned:
            if plan.kind == "training":
                columns.setdefault((plan.task, plan.method, OFF), {})
            elif plan.kind == "retrieval" and results.shown(plan):
                columns.setdefault((plan.task, plan.method, results.index_name(plan)), {})
        for record, training in results.trained:
            columns[record.task, record.method, OFF][record.seed] = alone(record, training)
        for at, pairs in results.by_index.items():
            columns[at] = {record.seed: with_base(record, result) for record, result in pairs}
        tasks = [*dict.fromkeys(plan.task for plan in planned)]
        methods = [*dict.fromkeys(plan.method for plan in planned)]
        order = sorted(
            columns, key=lambda at: (tasks.index(at[0]), methods.index(at[1]), at[2] != OFF)
        )
        return {at: columns[at] for at in order}

    @cached_property
    def kept(self) -> bool:
        """Whether there is any file of outputs; a run may have been copied without them."""
        return next(self._store.cells.glob("*.npz"), None) is not None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Files that were read so far and could not be used, each with its first reason.

        If a run has none at all, that is one fact and not a problem per cell: see ``kept``.
        """
        return tuple(self._problems[path] for path in sorted(self._problems))

    def answers(self, answer: StudentAnswers, split: str) -> Answers | Problem:
        """The answers [N] to the examples of a test split, or why they cannot be used."""
        key, name = answer.record.key, f"{answer.array}.{split}"
        labels = self.labels(answer.record.task, split)
        for refused in ((_student(answer.record), f"{LABELS}.{split}"), (key, name)):
            if refused in self._refused:
                return self._refused[refused]
        file = self._file(key)
        if isinstance(file, Problem):
            return file
        answers = file.get(name)
        if answers is None:
            return self.reject(answer, split, f"has no usable {name}")
        if labels is None:
            return self.reject(answer, split, f"nothing to compare {name} with: no labels")
        if answers.shape != labels.shape:
            rows = f"{name} has {len(answers):,} rows, the labels {len(labels):,}"
            return self.reject(answer, split, rows)
        return answers

    def reject(self, answer: StudentAnswers, split: str, reason: str) -> Problem:
        """Say that the answers to ``split`` cannot be used; they are not given any more."""
        return self._refuse(answer.record.key, f"{answer.array}.{split}", reason)

    def _refuse(self, key: str, name: str, reason: str) -> Problem:
        return self._refused.setdefault((key, name), self._problem(key, reason))

    def _problem(self, key: str, reason: str) -> Problem:
        problem = Problem(self._store.cells / f"{key}.npz", reason)
        if self.kept:
            self._problems.setdefault(problem.path, problem)
        return problem

    def labels(self, task: str, split: str) -> Answers | None:
        """The labels [N] of a test split: those of most students; None if there are none.

        A student whose labels differ answered other rows: its answers are not given.
        """
        if (task, split) not in self._labels:
            self._labels[task, split] = self._agreed(task, f"{LABELS}.{split}")
        return self._labels[task, split]

    def _agreed(self, task: str, name: str) -> Answers | None:
        files = {key: self._file(key) for key in self._students.get(task, {})}
        labels = {
            key: file[name]
            for key, file in files.items()
            if not isinstance(file, Problem) and name in file
        }
        if not labels:
            return None
        contents = {key: array.tobytes() for key, array in labels.items()}
        (most, _), *_ = Counter(contents.values()).most_common(1)
        for key, content in contents.items():
            if content != most:
                self._refuse(key, name, f"{name} differ from those of other cells: other rows")
        return next(labels[key] for key, content in contents.items() if content == most)

    def _file(self, key: str) -> dict[str, Answers] | Problem:
        if key not in self._files:
            self._files[key] = self._read(key)
        return self._files[key]

    def _read(self, key: str) -> dict[str, Answers] | Problem:
        record, path = self._records[key], self._store.cells / f"{key}.npz"
        try:
            arrays = self._store.arrays(key, [f"{a}.{s}" for a in ARRAYS for s in record.tests])
        except StoreError as error:
            return self._problem(key, str(error).removeprefix(f"{path} is "))
        if not path.is_file():
            return self._problem(key, "missing: no outputs beside its record")
        answers = {}
        for name, array in arrays.items():
            if reason := _unfit(name, array, record.regression):
                self._problem(key, reason)
            else:
                answers[name] = _compact(name, array, record.regression)
        return answers


def _student(record: Record) -> str:
    """The key of the training cell that a record is about."""
    about = record.retrieval or record.controls
    return about.training_key if about else record.key


def _unfit(name: str, array: NDArray[Any], regression: bool) -> str | None:
    if array.dtype.kind not in "iuf" or array.ndim != (1 if name.startswith(LABELS) else 2):
        return f"{name} is {array.dtype} {list(array.shape)}: not outputs [N, C] or labels [N]"
    if not array.size:
        return f"{name} is empty"
    if bad := int((~np.isfinite(array)).sum()):
        return f"{name}: {bad:,} of {array.size:,} values are NaN or infinite"
    classes = name.startswith(LABELS) and not regression
    if classes and ((array < 0) | (array != array.round())).any():
        return f"{name}: classes are not whole numbers from 0 on"
    return None


def _compact(name: str, array: NDArray[Any], regression: bool) -> Answers:
    if regression:
        is_labels = name.startswith(LABELS)
        return array.astype(np.float32) if is_labels else np.ascontiguousarray(array[:, 0])
    classes = array if name.startswith(LABELS) else array.argmax(axis=1)
    return classes.astype(np.min_scalar_type(int(classes.max())), copy=False)
