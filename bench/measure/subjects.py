"""What is measured: a knowledge base with the student and the inputs that go with it.

Nothing large is made here: a plan is shown before any of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from bench.measure import bases, inputs, students
from bench.measure.bases import BaseSource
from bench.measure.indexes import Mixture
from bench.measure.inputs import Inputs
from bench.measure.job import FolderStudent, RandomStudent
from bench.measure.options import BETA, TAU, K, Lengths, Options
from bench.measure.reduced import reduced, reduction
from bench.measure.students import MeasuredStudent
from reaugkd.artifacts import fingerprint
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter

POOL = 4_096
"""Inputs of which processes draw: more than any cell has used so far."""

LONGEST = 128
"""Tokens at which real sentences are cut, as the recorded lengths are."""

INPUTS = "inputs.npz"


class InputFile(NamedTuple):
    """The inputs of a cell: an npz of :class:`Inputs`, and plain JSON that decides them."""

    path: Path
    label: str
    identity: Any


@dataclass(frozen=True, eq=False)
class Subject:
    """A knowledge base and its student, which ``student`` makes or finds.

    Attributes:
        ks, tau, beta: neighbours to measure with, and the rest of the mixture.
        inputs: one file per length that was asked for.
    """

    source: BaseSource
    student_label: str
    student_identity: Mapping[str, Any]
    student: Callable[[], RandomStudent | FolderStudent]
    ks: tuple[int, ...]
    tau: float
    beta: float
    inputs: tuple[InputFile, ...]

    def mixture(self, k: int) -> Mixture:
        """The setting of a cell with ``k`` neighbours."""
        return Mixture(k, self.tau, self.beta)


def generated(options: Options, store: ArtifactStore, reporter: Reporter) -> list[Subject]:
    """The generated bases that the options name, the smallest first, each whole and reduced.

    Raises:
        UserError: for a student, inputs or a reduction that cannot be used.
    """
    student = students.find(options.student)
    lengths = [Lengths.parse(text) for text in options.lengths or ("recorded",)]
    sources = [bases.generated(store, name, student.width, reporter) for name in options.bases]
    subjects = []
    for source in sorted(sources, key=lambda source: source.size):
        inputs = tuple(_inputs(each, source.name, options, student, store) for each in lengths)
        for axes in product(options.condense, options.pca, options.value_bits):
            subject = Subject(
                source=reduced(store, source, reduction(*axes, source.size), reporter),
                student_label=student.label,
                student_identity=student.identity,
                student=cache(partial(student.source, store, source.classes)),
                ks=options.k or (K,),
                tau=TAU if options.tau is None else options.tau,
                beta=BETA if options.beta is None else options.beta,
                inputs=inputs,
            )
            subjects.append(subject)
    return subjects


def _inputs(
    lengths: Lengths, base: str, options: Options, student: MeasuredStudent, store: ArtifactStore
) -> InputFile:
    task = lengths.task or (base if base in bases.GLUE else None)
    identity: dict[str, Any]
    if lengths.kind == "real":
        identity, make = _real(task, base, options, student)
    elif lengths.kind == "recorded":
        table = fingerprint.of_files([inputs.LENGTHS])
        identity = {"recorded": task, "of": table, "pool": [POOL, student.vocabulary]}
        make = partial(inputs.recorded, task, POOL, student.vocabulary)
    else:
        identity = {"fixed": lengths.tokens, "pool": [POOL, student.vocabulary]}
        make = partial(inputs.fixed, lengths.tokens, POOL, student.vocabulary)
    artifact = store.get("measured-inputs", identity, lambda folder: make().save(folder / INPUTS))
    drawn = Inputs.load(artifact.path / INPUTS)
    most = int(drawn.lengths.max())
    if most > student.longest:
        raise UserError(
            f"inputs '{drawn.label}' have up to {most} tokens, student {student.label} takes "
            f"{student.longest}"
        )
    return InputFile(artifact.path / INPUTS, drawn.label, artifact.key)


def _real(
    task: str | None, base: str, options: Options, student: MeasuredStudent
) -> tuple[dict[str, Any], Callable[[], Inputs]]:
    folder, tokenizer = options.data_dir, student.tokenizer
    if task is None or folder is None or tokenizer is None:
        raise UserError(
            f"--lengths real for base {base}: name the task (real:mrpc), --data-dir and a "
            "--student with a tokenizer"
        )
    from reaugkd import tasks

    data = tasks.load(task, data_dir=str(folder))
    most = min(LONGEST, student.longest)
    identity = {"real": data.fingerprint, "tokenizer": dict(student.identity), "longest": most}
    return identity, lambda: inputs.real(task, str(folder), tokenizer(), most)
