"""What a measurement is asked for; every mistake in it is found before any work starts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from bench.measure import bases, environment
from bench.measure.indexes import Target
from bench.measure.job import RandomStudent
from bench.records.latency_cell import PRECISIONS, Precision
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.retrieval import ann

STUDENT = "bert-6l-768"
K, TAU, BETA = 10, 0.1, 0.5


class Options(BaseModel):
    """The axes and settings of latency and memory cells, as plain values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bases: tuple[str, ...] = Field((), description="GLUE tasks or numbers of entries")
    run: Path | None = Field(None, description="a finished run, instead of bases")
    classifier: Path | None = Field(None, description="an exported classifier, instead of bases")
    task: str | None = Field(None, description="of the run or the classifier")
    method: str | None = Field(None, description="of the run")
    seed: int | None = Field(None, description="of the run")
    data_dir: Path | None = None
    ann: tuple[str, ...] = Field(("exact", "hnswlib"), description="canonical specs, or auto")
    k: tuple[int, ...] = Field((), description=f"empty: what was chosen for the run, else {K}")
    tau: float | None = Field(None, description=f"None: what was chosen for the run, else {TAU}")
    beta: float | None = Field(None, description=f"None: what was chosen for the run, else {BETA}")
    batch: tuple[int, ...] = (1,)
    precision: tuple[Precision, ...] = ("fp32",)
    threads: tuple[int, ...] = Field(description="cores of a measuring process")
    lengths: tuple[str, ...] = Field(
        (), description="as Lengths.parse reads them; empty: real ones of a run, else recorded"
    )
    student: str = Field(STUDENT, description="bert-6l-768, random weights, or a checkpoint")
    target: str = Field("recall:0.99", description="what the search effort is tuned to")
    limit: float = Field(0.03, description="overhead that the verdict is about")
    budget: float = Field(90.0, description="seconds of measuring per cell")
    rounds: int = Field(2, description="passes over the inputs within a process")
    build_threads: int = Field(description="of index builds")

    @property
    def served(self) -> bool:
        """Whether a run or a classifier is measured, not generated bases."""
        return self.run is not None or self.classifier is not None


class Lengths(NamedTuple):
    """Where inputs come from.

    Attributes:
        kind: ``recorded`` draws lengths from a task's distribution, ``real`` takes its sentences,
            ``fixed`` gives every input the same number of tokens.
        task: of recorded or real; None for the task of the base.
        tokens: of fixed.
    """

    kind: Literal["recorded", "real", "fixed"]
    task: str | None = None
    tokens: int = 0

    @classmethod
    def parse(cls, text: str) -> Lengths:
        """Read ``recorded``, ``recorded:mrpc``, ``real``, ``real:mrpc`` or a number of tokens.

        >>> Lengths.parse("recorded:SST-2")
        Lengths(kind='recorded', task='sst2', tokens=0)

        Raises:
            UserError: for anything else, with the nearest.
        """
        if text.isdigit():
            if not 3 <= int(text) <= 512:
                raise UserError(f"--lengths {text}: an input has 3 to 512 tokens")
            return cls("fixed", tokens=int(text))
        name, _, task = text.partition(":")
        if name not in ("recorded", "real"):
            raise UnknownNameError("length", text, ["recorded", "real", "a number of tokens"])
        chosen = bases.parse(task)[0] if task else None
        if chosen is not None and chosen not in bases.GLUE:
            raise UnknownNameError("task", task, bases.GLUE)
        return cls("recorded" if name == "recorded" else "real", chosen)


def share(text: str, name: str = "--max-overhead") -> float:
    """Read a share: ``3%`` or ``0.03``; a bare ``3`` could be either and is refused.

    >>> share("3%"), share("0.03"), share("2.5 %")
    (0.03, 0.03, 0.025)

    Raises:
        UserError: naming the flag.
    """
    number, percent, rest = text.strip().partition("%")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if rest.strip() or not math.isfinite(value):
        raise UserError(f"{name} '{text}': expected a share such as 3% or 0.03")
    if value < 0:
        raise UserError(f"{name} {text}: a limit below 0 can never hold")
    if value >= 1 and not percent:
        raise UserError(f"{name} {text}: write {number.strip()}% or {value / 100:g}")
    return round(value / 100, 12) if percent else value


def base_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Normal names of bases, ``glue`` being all nine, each once.

    Raises:
        UserError: as :func:`bench.measure.bases.parse`.
    """
    names: list[str] = []
    for text in texts:
        names += bases.GLUE if text.strip().lower() == "glue" else [bases.parse(text)[0]]
    return tuple(dict.fromkeys(names))


def precisions(texts: Iterable[str]) -> tuple[Precision, ...]:
    """Precisions by name.

    Raises:
        UnknownNameError: with the nearest.
    """
    names: dict[str, Precision] = {name: name for name in PRECISIONS}
    chosen: dict[Precision, None] = {}
    for text in texts:
        if text.strip().lower() not in names:
            raise UnknownNameError("precision", text, PRECISIONS)
        chosen[names[text.strip().lower()]] = None
    return tuple(chosen)


def cores() -> int:
    """Cores that this process may use."""
    return len(environment.cores())


def require(options: Options) -> None:
    """Raise for the first mistake that shows without work.

    Raises:
        UserError: naming the flag, the value and what is allowed.
    """
    _one_source(options)
    _numbers(options)
    Target.parse(options.target)
    random_weights = RandomStudent.parse(options.student) is not None
    for spec in options.ann:
        ann.BACKENDS.require(spec.partition(":")[0])
        ann.make(spec)
    for name in options.bases:
        require_k(options.k or (K,), name, bases.parse(name)[1])
    for text in options.lengths:
        if Lengths.parse(text).kind != "real":
            continue
        if options.data_dir is None:
            raise UserError(f"--lengths {text} needs --data-dir, the folder of GLUE's files")
        if random_weights:
            raise UserError(f"--lengths {text} needs a --student with a tokenizer, not random ones")
    if options.data_dir is not None and not options.data_dir.is_dir():
        raise UserError(f"--data-dir {options.data_dir}: no such folder")


def require_k(ks: Iterable[int], name: str, size: int) -> None:
    """Raise :class:`UserError` if a k is larger than the knowledge base."""
    for k in ks:
        if k > size:
            raise UserError(f"--k {k} is larger than the knowledge base {name} ({size:,} entries)")


def _one_source(options: Options) -> None:
    sources = {"--bases": options.bases, "--run": options.run, "--classifier": options.classifier}
    named = [flag for flag, value in sources.items() if value]
    if len(named) != 1:
        said = " and ".join(named) or "none of them"
        raise UserError(f"give one of --bases, --run and --classifier, got {said}")
    for flag, value in {
        "--student": options.student != STUDENT,
        "--lengths": options.lengths,
    }.items():
        if options.served and value:
            raise UserError(f"{flag} does not go with {named[0]}, which brings its own")
    if options.classifier is not None and options.task is None:
        raise UserError("--classifier needs --task, whose sentences it is asked")


def _numbers(options: Options) -> None:
    axes = {
        "--k": options.k,
        "--batch": options.batch,
        "--threads": options.threads,
        "--rounds": (options.rounds,),
        "--build-threads": (options.build_threads,),
    }
    for flag, values in axes.items():
        for value in values:
            if value < 1:
                raise UserError(f"{flag} {value}: at least 1")
    for flag in ("--threads", "--build-threads"):
        for value in axes[flag]:
            if value > cores():
                raise UserError(f"{flag} {value}: this process may use {cores()} cores")
    if not options.budget > 0 or not math.isfinite(options.budget):
        raise UserError(f"--time-budget {options.budget:g}: seconds above 0")
    if not 0 <= options.limit < math.inf:
        raise UserError(f"--max-overhead {options.limit:g}: a limit below 0 can never hold")
    if options.tau is not None and not 0 < options.tau < math.inf:
        raise UserError(f"--tau {options.tau:g}: a temperature above 0")
    if options.beta is not None and not 0 < options.beta <= 1:
        raise UserError(f"--beta {options.beta:g}: in (0, 1]; with 0 nothing is retrieved")
