"""The eleven files of a GLUE submission: names, rows, and how answers are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reaugkd.errors import UserError
from reaugkd.tasks import glue
from reaugkd.tasks.task import Task

HEADER = "index\tprediction"
ARCHIVE = "submission.zip"
"""What is uploaded: the files at its root."""

ABOUT = "submission.json"
"""Where the answers come from; it is not uploaded."""

LOWEST, HIGHEST = 0.0, 5.0
"""Range of STS-B's scores."""

_BY_NAME = ("mnli", "qnli", "rte")
"""Tasks whose classes the server knows by their names; of the others it takes 0 and 1."""


@dataclass(frozen=True)
class AnswerFile:
    """One file of a submission.

    Attributes:
        name: e.g. ``"MNLI-m.tsv"``.
        task: whose student answers, e.g. ``"mnli"``.
        split: of the test rows, e.g. ``"test_matched"``.
        rows: how many there are.
    """

    name: str
    task: str
    split: str
    rows: int

    @property
    def of(self) -> Task:
        """The task whose student answers."""
        return glue.TASKS[self.task]

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes as the server writes them, in the order of their ids; empty for scores."""
        labels = self.of.labels
        return labels if self.task in _BY_NAME else tuple(map(str, range(len(labels))))


FILES = (
    AnswerFile("CoLA.tsv", "cola", "test", 1063),
    AnswerFile("SST-2.tsv", "sst2", "test", 1821),
    AnswerFile("MRPC.tsv", "mrpc", "test", 1725),
    AnswerFile("STS-B.tsv", "stsb", "test", 1379),
    AnswerFile("QQP.tsv", "qqp", "test", 390_965),
    AnswerFile("MNLI-m.tsv", "mnli", "test_matched", 9796),
    AnswerFile("MNLI-mm.tsv", "mnli", "test_mismatched", 9847),
    AnswerFile("QNLI.tsv", "qnli", "test", 5463),
    AnswerFile("RTE.tsv", "rte", "test", 3000),
    AnswerFile("WNLI.tsv", "wnli", "test", 146),
    AnswerFile("AX.tsv", "mnli", glue.DIAGNOSTIC, 1104),
)
"""All that the server wants, with the rows of GLUE's test files."""


def written(file: AnswerFile, outputs: NDArray[np.floating[Any]]) -> str:
    """The content of ``file`` for probabilities [n, C] in the order of the ids, or scores [n, 1].

    Scores are cut to STS-B's range and written so that they read back as the same float32.

    >>> rte = AnswerFile("RTE.tsv", "rte", "test", 2)
    >>> print(written(rte, np.array([[0.9, 0.1], [0.2, 0.8]])), end="")
    index	prediction
    0	entailment
    1	not_entailment

    Raises:
        UserError: if there are not as many answers as rows, or one is not finite.
    """
    if len(outputs) != file.rows:
        raise UserError(f"{file.name}: {len(outputs)} answers for {file.rows} rows")
    if not (finite := np.isfinite(outputs).all(axis=1)).all():
        raise UserError(f"{file.name}: the answer to row {finite.argmin()} is not finite")
    if file.labels:
        answers = [file.labels[label] for label in outputs.argmax(axis=1)]
    else:
        scores = np.clip(outputs[:, 0], LOWEST, HIGHEST).astype(np.float32)
        answers = [np.format_float_positional(score, trim="0") for score in scores]
    lines = (f"{row}\t{answer}" for row, answer in enumerate(answers))
    return "\n".join([HEADER, *lines, ""])
