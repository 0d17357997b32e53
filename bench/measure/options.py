"""What a measurement is asked for; every mistake in it is found before any work starts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bench.measure import bases, reduced
from bench.measure.indexes import Target
from bench.measure.job import RandomStudent
from bench.records.measurement import Precision
from reaugkd import processor
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.models import runtime
from reaugkd.models.runtime import TORCH, Runtime
from reaugkd.retrieval import ann, condense, skip

STUDENT = "bert-6l-768"
K, TAU, BETA = 10, 0.1, 0.5

SKIPS = ("never", "lossless")
"""Rules of skipping that need no rows."""

FLAGS = {"limit": "--max-overhead", "budget": "--time-budget"}
"""Fields that are called otherwise on the command line."""

Count = Annotated[int, Field(ge=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Options(BaseModel):
    """The axes and settings of latency and memory cells, as plain values, without repetitions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bases: tuple[str, ...] = Field((), description="GLUE tasks or numbers of entries")
    run: Path | None = Field(None, description="a finished run, instead of bases")
    classifier: Path | None = Field(None, description="an exported classifier, instead of bases")
    task: str | None = Field(None, description="of the run or the classifier")
    method: str | None = Field(None, description="of the run")
    seed: int | None = Field(None, description="of the run")
    data_dir: Path | None = None
    condense: tuple[str, ...] = Field(
        (condense.FULL,), exclude_if=lambda specs: specs == (condense.FULL,)
    )
    pca: tuple[Count | None, ...] = Field((None,), exclude_if=lambda widths: widths == (None,))
    value_bits: tuple[Literal[32, 8], ...] = Field((32,), exclude_if=lambda bits: bits == (32,))
    skip: str | None = Field(
        None,
        exclude_if=lambda rule: rule is None,
        description="never or lossless; None: as it was stored",
    )
    ann: tuple[str, ...] = Field(("exact", "hnswlib"), description="canonical specs, or auto")
    k: tuple[Count, ...] = Field((), description=f"empty: what was chosen for the run, else {K}")
    tau: Finite | None = Field(None, gt=0, description=f"None: the run's choice, else {TAU}")
    beta: Finite | None = Field(None, gt=0, le=1, description=f"None: as tau, else {BETA}")
    batch: tuple[Count, ...] = (1,)
    precision: tuple[Precision, ...] = ("fp32",)
    backend: tuple[Runtime, ...] = Field(
        (TORCH,),
        min_length=1,
        exclude_if=lambda backends: backends == (TORCH,),
        description="what runs the student",
    )
    threads: tuple[Count, ...] = Field(min_length=1, description="cores of a measuring process")
    lengths: tuple[str, ...] = Field(
        (), description="as Lengths.parse reads them; empty: real ones of a run, else recorded"
    )
    student: str = Field(STUDENT, description="bert-6l-768, random weights, or a checkpoint")
    target: str = Field("recall:0.99", description="what the search effort is tuned to")
    limit: Finite | None = Field(
        None, ge=0, description="overhead that verdicts are about; None: bench.measure.limits"
    )
    budget: Finite = Field(90.0, gt=0, description="seconds of measuring per cell")
    rounds: Count = Field(2, description="passes over the inputs within a process")
    build_threads: Count = Field(description="of index builds")

    @classmethod
    def of(cls, **values: Any) -> Self:
        """The options of flags.

        Raises:
            UserError: for the first mistake: the flag, its value and what is allowed.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str((*first["loc"], "options")[0])
            flag = FLAGS.get(name, f"--{name.replace('_', '-')}")
            raise UserError(f"{flag} {first['input']}: {first['msg']}") from error

    @property
    def served(self) -> bool:
        """Whether a run or a classifier is measured, not generated bases."""
        return self.run is not None or self.classifier is not None

    @field_validator("pca", mode="before")
    @classmethod
    def _none(cls, values: Any) -> Any:
        return tuple(None if value == "none" else value for value in values)

    @field_validator("condense")
    @classmethod
    def _canonical(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(reduced.parse, specs)))

    @field_validator("backend", mode="before")
    @classmethod
    def _installed(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            runtime.require(name)
        if set(names) - {TORCH}:
            runtime.require_exporter()  # students are exported to be measured
        return names

    @field_validator(
        "ann", "k", "batch", "precision", "backend", "threads", "lengths", "pca", "value_bits"
    )
    @classmethod
    def _distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(values))

    @field_validator("bases")
    @classmethod
    def _names(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        """Normal names of bases, ``glue`` being all nine."""
        names: list[str] = []
        for text in texts:
            names += bases.GLUE if text.strip().lower() == "glue" else [bases.parse(text)[0]]
        return tuple(dict.fromkeys(names))

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """What one field cannot say of itself, or another module says: raises UserError."""
        self._one_source()
        for flag, counts in {
            "--threads": self.threads,
            "--build-threads": (self.build_threads,),
        }.items():
            if max(counts) > processor.cores():
                raise UserError(
                    f"{flag} {max(counts)}: this process may use {processor.cores()} cores"
                )
        if self.backend != (TORCH,) and self.precision != ("fp32",):
            raise UserError(
                f"--precision {','.join(self.precision)} is of --backend torch: onnx runs the "
                "student in fp32, onnx-int8 in int8"
            )
        Target.parse(self.target)
        random_weights = RandomStudent.parse(self.student) is not None
        for spec in self.ann:
            ann.make(spec)
        for name, spec in product(self.bases, self.condense):
            self._require_entries(name, spec)
        for text in self.lengths:
            if Lengths.parse(text).kind != "real":
                continue
            if self.data_dir is None:
                raise UserError(f"--lengths {text} needs --data-dir, the folder of GLUE's files")
            if random_weights:
                raise UserError(f"--lengths {text} needs a --student with a tokenizer")
        if self.data_dir is not None and not self.data_dir.is_dir():
            raise UserError(f"--data-dir {self.data_dir}: no such folder")
        return self

    def _one_source(self) -> None:
        sources = {"--bases": self.bases, "--run": self.run, "--classifier": self.classifier}
        named = [flag for flag, value in sources.items() if value]
        if len(named) != 1:
            said = " and ".join(named) or "none of them"
            raise UserError(f"give one of --bases, --run and --classifier, got {said}")
        brought = {
            "--student": self.student != STUDENT,
            "--lengths": bool(self.lengths),
            "--condense": self.condense != (condense.FULL,),
            "--pca": self.pca != (None,),
            "--value-bits": self.value_bits != (32,),
        }
        for flag in (flag for flag, given in brought.items() if given and self.served):
            raise UserError(f"{flag} does not go with {named[0]}, which brings its own")
        if self.skip is not None:
            self._require_skip(str(skip.parse(self.skip)))
        if self.classifier is not None and self.task is None:
            raise UserError("--classifier needs --task, whose sentences it is asked")

    def _require_skip(self, rule: str) -> None:
        if not self.served:
            raise UserError(
                f"--skip {rule}: what is skipped is up to the student, and that of a generated "
                "base knows nothing: give --run or --classifier"
            )
        if rule not in SKIPS:
            raise UserError(
                f"--skip {rule}: its threshold is chosen on held-out rows by `bench run --skip "
                f"{rule}`; here {' or '.join(SKIPS)}"
            )

    def _require_entries(self, name: str, spec: str) -> None:
        """Raise if a base has fewer entries than a condenser makes, or than are asked for."""
        rows = bases.parse(name)[1]
        size = reduced.entries(spec, rows)
        if size > rows:
            raise UserError(f"--condense {spec}: base {name} has {rows:,} entries")
        title = name if spec == condense.FULL else f"{name} {spec}"
        require_k(self.k or (K,), title, size)


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


def require_k(ks: Iterable[int], name: str, size: int) -> None:
    """Raise :class:`UserError` if a k is larger than the knowledge base."""
    for k in ks:
        if k > size:
            raise UserError(f"--k {k} is larger than the knowledge base {name} ({size:,} entries)")
