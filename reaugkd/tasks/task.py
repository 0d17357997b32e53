"""What a task is: its text columns, its labels, its metrics and its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset

    from reaugkd.tasks.corpus import Corpus


@dataclass(frozen=True)
class Task:
    """A supervised task on one sentence or a pair of sentences.

    Attributes:
        name, title: e.g. ``"sst2"``, and as the field writes it, ``"SST-2"``.
        suite: ``"glue"``, ``"mini"``, ``"own"`` or a plug-in's; every table says it.
        labels: class names in the order of their ids; empty for regression.
        metrics: names known to :mod:`reaugkd.tasks.metrics`, in the order they are reported.
        select_on: the metric (one of ``metrics``) that decides early stopping and every choice.
        tests: names of the test splits, in order (two for MNLI: matched and mismatched).
        value_range: lowest and highest score of a regression task, where they are known.
        chosen: whether ``select_on`` is a user's choice; it then decides results beside the rows.
    """

    name: str
    title: str
    suite: str
    pair: bool
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    select_on: str
    tests: tuple[str, ...] = ("dev",)
    value_range: tuple[float, float] | None = None
    chosen: bool = False

    @property
    def regression(self) -> bool:
        """Whether the target is a score instead of a class."""
        return not self.labels

    @property
    def outputs(self) -> int:
        """Number of outputs of a model for this task: classes, or 1 for regression."""
        return len(self.labels) or 1


@dataclass(frozen=True)
class TaskPlugin:
    """A task of another package, found by the entry point group ``reaugkd.tasks``.

    Attributes:
        task: what is learnt; its name is that of the entry point.
        corpus: reads its rows; called when they are needed, imports what it needs.
    """

    task: Task
    corpus: Callable[[], Corpus]


@dataclass(frozen=True)
class TaskData:
    """The rows of one task, divided.

    Every split is a ``datasets.Dataset`` with the columns ``text_a`` (str), ``text_b`` (str, only
    for pairs), ``label`` (int64 class id, or float32 score) and ``idx`` (int64, the row number in
    its source file, unique within the file). Models learn from ``fit``, which the knowledge base
    holds; every choice is made on ``held_out``; ``tests`` are reported (GLUE's dev). The
    fingerprint is of all rows and of the division; ``source`` is e.g. ``"folder"`` or
    ``"hub:nyu-mll/glue"``; ``train_rows`` is the number of rows of train before a limit,
    ``held_out_given`` whether held-out rows come from a file of their own instead of from train,
    ``carved`` whether those of ``test`` come from train instead, ``left_out`` how many rows of
    train are in no split because they stand in a row of such a ``test``.
    """

    task: Task
    fit: Dataset
    held_out: Dataset
    tests: dict[str, Dataset]
    fingerprint: str
    source: str
    notes: tuple[str, ...] = field(default=())
    train_rows: int = 0
    held_out_given: bool = False
    carved: bool = False
    left_out: int = 0

    def splits(self) -> dict[str, Dataset]:
        """All splits by name: ``fit``, ``held_out`` and the test splits."""
        return {"fit": self.fit, "held_out": self.held_out, **self.tests}

    def of_train(self) -> set[str]:
        """Names of the splits whose rows are rows of train: their ``idx`` counts there."""
        held_out = set() if self.held_out_given else {"held_out"}
        return {"fit", *held_out, *({"test"} if self.carved else ())}
