"""What the plan proves of the models of a run, before anything trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from bench.pipeline.reading import Reading
from reaugkd.artifacts import fingerprint
from reaugkd.errors import ModelError
from reaugkd.models import probe
from reaugkd.models.encoder import Encoder
from reaugkd.models.spec import CONFIG, PRETRAINED, TEACHER, ModelSpec

if TYPE_CHECKING:
    from bench.pipeline.student import TaskPipeline

RUNS = ("student", "teacher")
"""What errors call the two models of every run."""

ROWS, TOKENS = 8, 12
"""Among how many rows the text of a proof is looked for, and how much of it is read."""


class RunModel(NamedTuple):
    """A model of a run: what errors call it, where it comes from, what it reads."""

    name: str
    spec: ModelSpec
    reading: Reading


@contextmanager
def named(name: str) -> Iterator[None]:
    """Say first which model a ModelError is about; of the run's two it says so itself."""
    try:
        yield
    except ModelError as error:
        if name in RUNS:
            raise
        raise ModelError(f"{name}: {error}") from error


def models_of(pipeline: TaskPipeline, *, taught: bool) -> Iterator[RunModel]:
    """The students' starts, the teacher where it is needed, and what methods name themselves."""
    config, rows = pipeline.config, pipeline.rows
    starts = [RunModel("student", config.student.model, rows.student)]
    for method in config.methods:
        spec, name = config.student_of(method), f"student of {method}"
        if spec != config.student.model:
            with named(name):
                starts.append(RunModel(name, spec, pipeline.reading(method)))
    yield from starts
    if taught or any(start.spec.source == TEACHER for start in starts):
        pipeline.teacher.check_labels()
        if pipeline.teacher.trains:  # others are taken as they are, and prove themselves
            yield RunModel("teacher", config.teacher.model, rows.teacher)
    for method in config.methods:
        for spec in pipeline.method(method).further_models():
            name = f"model '{spec.describe()}' of {method}"
            with named(name):
                model = RunModel(name, spec.explicit(config.teacher.model), rows.reading(spec))
            yield model


class Proofs:
    """The models that are proved in this process: each once, however many tasks use it."""

    def __init__(self) -> None:
        self._proved: set[str] = set()

    def require(
        self, model: RunModel, pipeline: TaskPipeline, build: Callable[[], Encoder]
    ) -> None:
        """Prove a model by :func:`reaugkd.models.probe.prove`; ``build`` makes it, untrained."""
        teacher, spec, reading = pipeline.config.teacher.model, model.spec, model.reading
        if spec.source == PRETRAINED:
            spec = teacher.model_copy(update={"layers": spec.layers})
        of_teacher = teacher.identity() if spec.source == TEACHER else None
        identity = [spec.identity(), of_teacher, pipeline.config.pooling]
        key = fingerprint.of_json([*identity, reading.identity["tokenizer"]])
        if key in self._proved:
            return
        name = f"{model.name} '{model.spec.describe(teacher)}'"
        if spec.source != CONFIG:  # a checkpoint takes a moment
            pipeline.reporter.note(f"proving {name}")
        ids, vocabulary = _text(reading), reading.vocabulary
        probe.prove(build(), name, ids, vocabulary=vocabulary, pad_id=reading.pad_id)
        self._proved.add(key)


def _text(reading: Reading) -> list[int]:
    """Token ids of the longest of the first rows, as the models of ``reading`` get them."""
    rows = reading.data.fit[:ROWS]
    texts = zip(*(rows[name] for name in ("text_a", "text_b") if name in rows), strict=True)
    length = min(TOKENS, reading.max_length)
    found = [
        reading.tokenizer(*text, truncation="longest_first", max_length=length) for text in texts
    ]
    ids: list[int] = max((one["input_ids"] for one in found), key=len)
    return ids


def require_room(name: str, longest: int, wanted: int) -> None:
    """Raise ModelError if a model reads fewer tokens than texts may have."""
    if longest < wanted:
        raise ModelError(f"the {name} reads {longest} tokens, data.max_length is {wanted}")
