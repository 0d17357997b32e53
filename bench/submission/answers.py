"""What finished students say of GLUE's test rows, and what stands in where there is no student."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench import export
from bench.cell import Cell
from bench.config import DataConfig
from bench.pipeline.student import TaskPipeline
from bench.pipeline.teacher import ENCODER
from bench.pipeline.workbench import Workbench
from bench.records.run import Record
from bench.submission.layout import HIGHEST, LOWEST, AnswerFile
from reaugkd.errors import UserError
from reaugkd.models.encoder import Encoder
from reaugkd.reporter import Reporter
from reaugkd.retrieval import mixing
from reaugkd.tasks import encode, glue_folder, glue_hub, glue_tests
from reaugkd.tasks.glue_tests import Texts, UnlabelledRows
from reaugkd.tasks.task import Task
from reaugkd.training import inference

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CHUNK = 4096
"""Rows that are answered together; their embeddings and neighbours are not kept longer."""

Filling = Literal["majority", "constant"]
Outputs = NDArray[np.float32]
Answerer = Callable[[Texts], Outputs]
"""Texts -> probabilities [n, C] in the order of the task's classes, or scores [n, 1]."""


def with_retrieval(cell: Cell, record: Record, workbench: Workbench) -> Answerer:
    """The answers of the classifier that ``bench export`` would save of a finished cell."""
    classifier = export.classifier(cell, record, workbench)
    assert isinstance(classifier.encoder, Encoder)  # it was trained just now, or is in the cache
    classifier.encoder.to(inference.device_of(cell.config.device))
    return lambda texts: classifier.predict(_given(texts)).probabilities


def alone(cell: Cell, workbench: Workbench) -> Answerer:
    """The answers of a finished student that asks no knowledge base."""
    pipeline: TaskPipeline = workbench.pipeline(cell.config)
    encoder = Encoder.from_pretrained(pipeline.student(cell.method, cell.seed).path / ENCODER)
    encoder.to(inference.device_of(cell.config.device))
    reading = pipeline.reading(cell.method)
    precision = cell.config.student.recipe.decided_precision

    def answer(texts: Texts) -> Outputs:
        rows = _tokens(texts, reading.tokenizer, reading.max_length)
        outputs = inference.run(encoder, rows, reading.pad_id, precision=precision)
        return mixing.probabilities(outputs.logits)

    return answer


def answered(
    file: AnswerFile, texts: Texts, answer: Answerer, reporter: Reporter, chunk: int = CHUNK
) -> Outputs:
    """The answers to all rows of ``file``, [n, C], a chunk at a time."""
    outputs = np.empty((len(texts), file.of.outputs), np.float32)
    reporter.start(file.name, len(texts), "rows")
    for start in range(0, len(texts), chunk):
        part = texts[start : start + chunk]
        outputs[start : start + chunk] = answer(part)
        reporter.advance(len(part))
    reporter.finish()
    return outputs


def rows_of(file: AnswerFile, data: DataConfig) -> UnlabelledRows:
    """The rows of ``file`` from where a run's rows come from."""
    if data.dir is not None:
        return glue_tests.from_folder(file.of, file.split, data.dir)
    return glue_tests.from_hub(file.of, file.split, data.hub, data.revision)


def filled(file: AnswerFile, filling: Filling, data: DataConfig) -> Outputs:
    """One answer for all rows of ``file``: of nobody, for a server that wants all files.

    ``majority`` is the most frequent class of train, of equals the first, or the mean score;
    ``constant`` the first class, or the middle of the scores, for which no file is read.
    """
    task = file.of
    outputs = np.zeros((file.rows, task.outputs), np.float32)
    labels = _train_labels(task, data) if filling == "majority" else None
    if task.regression:
        outputs[:] = (LOWEST + HIGHEST) / 2 if labels is None else labels.mean(dtype=np.float64)
    else:
        outputs[:, 0 if labels is None else np.bincount(labels).argmax()] = 1.0
    return outputs


def _train_labels(task: Task, data: DataConfig) -> NDArray[Any]:
    try:
        if data.dir is not None:
            rows = glue_folder.from_folder(task, data.dir)
        else:
            rows = glue_hub.from_hub(task, data.hub, data.revision)
    except UserError as error:
        raise UserError(f"{error} (--missing constant reads no rows)") from error
    labels: NDArray[Any] = rows.train["label"].to_numpy()
    return labels


def _given(texts: Texts) -> Sequence[str] | Texts:
    """Sentences, or pairs, as a classifier takes them."""
    return texts if len(texts[0]) == 2 else [text for (text,) in texts]


def _tokens(texts: Texts, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Any:
    """Rows without labels as an encoded split."""
    from datasets import Dataset

    sides = map(list, zip(*texts, strict=True))
    tokens = tokenizer(*sides, truncation="longest_first", max_length=max_length)
    kept = {name: tokens[name] for name in encode.columns(tokenizer)}
    lengths = [len(ids) for ids in tokens["input_ids"]]
    return Dataset.from_dict({**kept, "length": lengths, "label": [0] * len(texts)})
