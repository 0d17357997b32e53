"""The schema of what a finished cell leaves behind; every key is typed here and nowhere else.

A record is plain JSON. Whoever changes a field of a released schema raises :data:`SCHEMA`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.records.base import FLOAT_BITS, NEVER, NONE, Dims
from bench.records.frozen import Frozen, KeyedRecord
from reaugkd.retrieval.condense import FULL

SCHEMA = 2

Scores = dict[str, float]
"""Metric -> value, e.g. ``{"accuracy": 0.84, "f1": 0.89}``."""

Losses = dict[str, dict[str, float]]
"""Split -> ``{"nll": ...}``, the mean negative log-likelihood of the true labels in nats (see
:mod:`reaugkd.retrieval.calibration`), or ``{"mse": ...}`` for a regression. Smaller is better."""


class Provenance(Frozen):
    """Where and with what a figure was made."""

    command: str
    version: str = Field(description="of this project")
    commit: str | None = Field(description="git commit of the source tree, None if installed")
    dirty: bool | None
    time: str = Field(description="UTC, ISO 8601, when the cell finished")
    python: str
    packages: dict[str, str]
    cpu: str
    cpu_flags: list[str] = Field(description="vector extensions only")
    cores: int
    affinity: list[int]
    threads: int
    load: list[float] = Field(description="1, 5 and 15 minutes, at the start of the cell")
    device: str


class TeacherFacts(Frozen):
    """The teacher a cell learned from."""

    key: str = Field(description="of the artefact")
    init: str = Field(description="what it was fine-tuned from, or what it is")
    scores: dict[str, Scores] = Field(description="split -> scores")
    best_epoch: int = Field(description="0: it was not trained here")
    seconds: float = Field(description="of its fine-tuning loop")
    parameters: int | None = Field(description="None for a black-box teacher")


class Stage(Frozen):
    """What a method did before its student: an assistant, the route of the teacher, ..."""

    stage: str
    seconds: float = Field(description="of training, when it was made")
    forwards: int = Field(description="examples that went through its models")
    backwards: int


class Cost(Frozen):
    """What a student cost. Forwards and backwards are counted in examples."""

    steps_per_second: float = Field(description="optimiser steps of the student's own training")
    student_forwards: int
    student_backwards: int
    teacher_forwards: int = Field(
        description="through the teacher and every other model that is not the student, stages and "
        "the cached pass over fit included; the teacher's own fine-tuning excluded"
    )
    teacher_backwards: int
    cached_forwards: int = Field(
        description="of teacher_forwards, those of the cached pass, which all methods share"
    )
    peak_bytes: int | None = Field(
        description="most memory of the process in its stages and its training"
    )
    stages: list[Stage]


class TrainingResult(Frozen):
    """One student, before any retrieval."""

    source: str = Field(description="where the rows came from, e.g. folder")
    notes: list[str] = Field(description="what a reader should know of the rows")
    rows: dict[str, int] = Field(description="split -> number of rows")
    majority: dict[str, Scores] = Field(description="split -> scores of the constant predictor")
    teacher: TeacherFacts | None
    student_init: str
    pooling: str
    parameters: int
    scores: dict[str, Scores] = Field(description="split (held_out and the test splits) -> scores")
    best_epoch: int
    history: list[dict[str, float]]
    seconds: float = Field(description="of the training loop, without evaluation")
    examples_per_second: float
    steps: int
    cost: Cost


class Choice(Frozen):
    """One setting of the sweep and what it scores, by the task's selection metric."""

    k: int
    beta: float
    tau: float
    selected_on: str = Field(description="the split on which it was chosen")
    scores: dict[str, Scores] = Field(description="split -> scores under this setting")
    loss: Losses = Field(description="of the mixed outputs under this setting")


def _unknown(value: object) -> bool:
    """Whether records of before, which have no such field, are written as they were."""
    return value is None


class SkipFacts(Frozen):
    """Which queries were not searched, because the student answers them alone."""

    rule: str = Field(description="lossless, or risk:EPS")
    threshold: float | None = Field(
        description="margin of the student's two likeliest classes above which it answers alone; "
        "None: no margin is known to be enough, so every query is searched"
    )
    chosen_on: str = Field(description="the split on which the threshold was chosen")
    skipped: dict[str, float] = Field(description="split -> share of the queries not searched")
    differs: dict[str, float] = Field(
        description="split -> share of the answers that differ from searching every query"
    )
    asked_us_p50: float | None = Field(
        None, description="added to the forward of a query that is searched; None: there is none"
    )
    skipped_us_p50: float | None = Field(None, description="the same of one that is not")

    def added_us(self, split: str) -> float | None:
        """Both by their shares of ``split``; None if one that counts was not measured."""
        asked, skipped, share = self.asked_us_p50, self.skipped_us_p50, self.skipped[split]
        if (asked is None and share < 1) or (skipped is None and share > 0):
            return None
        return (asked or 0.0) * (1 - share) + (skipped or 0.0) * share


class SearchFacts(Frozen):
    """What an index costs and how exact it is."""

    effort: int | None = Field(description="the backend's search knob after tuning")
    target: float = Field(description="recall the effort was tuned to, on held-out queries")
    target_met: bool
    recall: dict[str, float] = Field(description="split -> recall@k against exact, largest k")
    agreement: dict[str, float] = Field(
        description="split -> share of examples with the same final class as exact retrieval under "
        "the chosen setting (regression: share of scores equal to 1e-3)"
    )
    build_seconds: float
    index_bytes: int
    search_us_p50: float = Field(description="one query, one thread, index call only, hot loop")
    search_us_p95: float
    added_us_p50: float | None = Field(
        None,
        exclude_if=_unknown,
        description="one query, one thread, all that retrieval adds after a forward, hot loop",
    )
    added_us_p95: float | None = Field(None, exclude_if=_unknown)
    params: dict[str, Any]


class RetrievalResult(Frozen):
    """One student with one knowledge base behind one index, swept over k, beta and tau."""

    training_key: str
    student_init: str
    backend: str = Field(description="the spec, e.g. faiss:Flat")
    keys: str
    values: str
    share: float = Field(description="of the rows of fit that are entries")
    control: str = Field(description="none, or how the knowledge base was made not to help")
    condense: str = Field(
        FULL, exclude_if=lambda spec: spec == FULL, description="the condenser of its entries"
    )
    pca: Dims = Field(
        NONE,
        exclude_if=lambda dims: dims == NONE,
        description="dimensions that keys and queries were reduced to",
    )
    value_bits: int = Field(
        FLOAT_BITS, exclude_if=lambda bits: bits == FLOAT_BITS, description="of a value's numbers"
    )
    count_weight: bool = Field(
        False,
        exclude_if=lambda weighs: not weighs,
        description="whether an entry weighs as much as the rows that it stands for",
    )
    condense_seconds: float | None = Field(
        None,
        exclude_if=_unknown,
        description="to make it of the whole base: compressed, condensed, rounded",
    )
    entries: int
    width: int
    kb_bytes: int = Field(description="keys, soft labels and ids")
    ks: list[int] = Field(description="those tried: of a condensed base no more than its entries")
    betas: list[float]
    taus: list[float]
    off: dict[str, Scores] = Field(description="split -> scores of the student alone")
    off_loss: Losses = Field(description="of the student alone")
    chosen: Choice = Field(description="selected on held_out; what is reported")
    optimistic: Choice = Field(
        description="selected on the first test split; a leak, shown as such"
    )
    skip: SkipFacts | None = Field(None, exclude_if=_unknown)
    search: SearchFacts

    @property
    def skip_rule(self) -> str:
        """The rule by which queries are not searched."""
        return self.skip.rule if self.skip else NEVER


class Answers(Frozen):
    """How good final outputs are."""

    scores: dict[str, Scores] = Field(description="split -> scores")
    loss: Losses


class TemperatureResult(Frozen):
    """The student with softmax(logits / T). Its classes, hence its scores, are the student's."""

    temperature: float = Field(description="T with the least negative log-likelihood")
    fitted_on: str = Field(description="the split T was fitted on")
    answers: Answers


class SecondHeadResult(Frozen):
    """The student mixed with a linear head over its own embeddings, learned from soft labels."""

    strength: float = Field(description="inverse weight of the head's L2 penalty, chosen by loss")
    strengths: list[float] = Field(description="those that were tried")
    converged: bool
    beta: float = Field(description="weight of the head, chosen by the task's selection metric")
    betas: list[float]
    selected_on: str = Field(description="the split on which strength and beta were chosen")
    alone: Answers = Field(description="of the head by itself")
    mixed: Answers = Field(description="of (1 - beta) student + beta head; what is reported")


class ControlResult(Frozen):
    """One student with what could do as well as a knowledge base."""

    training_key: str
    student_init: str
    off: Answers = Field(description="of the student alone")
    temperature: TemperatureResult | None
    temperature_reason: str | None = Field(description="why there is no temperature")
    second_head: SecondHeadResult


class Record(KeyedRecord):
    """One cell."""

    schema_version: int = SCHEMA
    kind: Literal["training", "retrieval", "control"]
    identity: dict[str, Any] = Field(description="everything that decides the result")
    status: Literal["ok", "failed", "skipped"]
    reason: str | None = Field(None, description="one line, for failed and skipped cells")
    traceback: str | None = None
    task: str
    title: str
    suite: str
    regression: bool
    metrics: list[str]
    select_on: str
    tests: list[str]
    method: str = Field(description="its registered name, or the name of a variant of it")
    base: str = Field(description="the registered name")
    seed: int
    settings: dict[str, Any] = Field(description="the method's settings")
    training: TrainingResult | None = None
    retrieval: RetrievalResult | None = None
    controls: ControlResult | None = None
    seconds: float = Field(description="wall time of the cell")
    provenance: Provenance = Field(
        description="of the training of a student, also where it was found in the cache; of the "
        "search for a retrieval cell, of the fits for controls"
    )

    def heading(self, split: str, metric: str = "") -> str:
        """Heads scores of ``split``: title, metric, and which split where a task has several tests.

        ``MRPC accuracy``, ``MNLI accuracy matched``; without a metric ``MNLI matched``.
        """
        several = len(self.tests) > 1 and split in self.tests
        parts = (self.title, metric, split.removeprefix("dev_") if several else "")
        return " ".join(part for part in parts if part)


VOLATILE = frozenset(
    {
        "provenance",
        "seconds",
        "build_seconds",
        "condense_seconds",
        "steps_per_second",
        "peak_bytes",
        "examples_per_second",
        "search_us_p50",
        "search_us_p95",
        "added_us_p50",
        "added_us_p95",
        "asked_us_p50",
        "skipped_us_p50",
        "traceback",
    }
)
"""Names of figures that differ between two runs of the same cell."""


def comparable(record: Record) -> Any:
    """The record without its volatile figures: equal for two runs of the same cell."""
    return _strip(record.model_dump(mode="json"))


def _strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _strip(item) for name, item in value.items() if name not in VOLATILE}
    if isinstance(value, list):
        return [_strip(item) for item in value]
    return value
