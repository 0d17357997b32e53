"""``auto``: the backend that is fastest here, by measured crossover, and why it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import ArrayLike, NDArray

from reaugkd.errors import UserError
from reaugkd.reporter import Reporter
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.auto import calibrate, crossover
from reaugkd.retrieval.ann.auto.calibrate import CANDIDATES, Calibration
from reaugkd.retrieval.ann.auto.crossover import SearchCost
from reaugkd.retrieval.ann.auto.search_times import TARGET, K
from reaugkd.retrieval.ann.index import AnnIndex, Ids
from reaugkd.retrieval.normalise import Vectors


@dataclass(frozen=True)
class Explanation:
    """A choice and what it rests on.

    Attributes:
        size, dim, batch, threads: what was asked.
        models: the fitted cost of a call of ``batch`` queries, by usable candidate.
        absent: candidates that are not installed, with the extra that brings them.
        unusable: candidates that are installed but could not be compared, with the reason.
        calibration: what was measured; its ``folder`` is where it lies.
    """

    size: int
    dim: int
    batch: int
    threads: int
    models: Mapping[str, SearchCost]
    absent: Mapping[str, str]
    unusable: Mapping[str, str]
    calibration: Calibration

    @property
    def spec(self) -> str:
        """The chosen backend."""
        return crossover.fastest(self.models, self.size)

    @property
    def crossover(self) -> int | None:
        """The largest size at which exact is chosen, None where there is no graph."""
        return crossover.crossover(self.models)

    @property
    def predicted(self) -> dict[str, float]:
        """Microseconds per call, by candidate, the fastest first."""
        times = {spec: cost(self.size) for spec, cost in self.models.items()}
        return dict(sorted(times.items(), key=lambda item: item[1]))

    @property
    def why(self) -> str:
        """The reason in one sentence."""
        end = self.crossover
        if end is None:
            return "no graph backend can be used here, so exact search is all there is"
        if self.spec == "exact":
            return f"exact search is the fastest up to {end:,} entries"
        first = f"beyond {end:,} entries a graph is faster than exact search"
        first = first if end else "a graph is faster at any size"
        return f"{first}, and of the graphs {self.spec} costs least at {self.size:,}"

    def lines(self) -> list[str]:
        """The whole explanation as text."""
        kept = self.calibration
        where = f" in {kept.folder} (remove it to measure again)" if kept.folder else ""
        lines = [
            f"auto -> {self.spec}: {self.why}",
            f"microseconds per call of {self.batch} at {self.size:,} x {self.dim}, k {K}, "
            f"{self.threads} threads, recall {TARGET}:",
        ]
        for spec, time in self.predicted.items():
            lines.append(f"  {spec:<10} {time:>10,.1f} = {self.models[spec]}")
        for spec, reason in self.unusable.items():
            lines.append(f"  {spec:<10} not considered: {reason}")
        for spec, extra in self.absent.items():
            lines.append(f"  {spec:<10} not installed: pip install 'reaugkd[{extra}]' brings it")
        lines.append(f"calibrated in {kept.seconds:.1f} s at load {kept.load:.2f}{where}")
        if kept.load > calibrate.BUSY * kept.machine.cores:
            lines.append("the machine was busy then: these times are too long, and not all equally")
        return lines


def explain(
    size: int,
    dim: int,
    *,
    batch: int = 1,
    threads: int = 1,
    calibration: Calibration | None = None,
    cache: Path | None = None,
    reporter: Reporter | None = None,
) -> Explanation:
    """Which backend to take for ``size`` vectors of width ``dim``, and why.

    Args:
        size, dim: of the knowledge base.
        batch: queries per call.
        threads: that a search may use.
        calibration: measured times; by default those of the cache, which are measured if need be.
        cache: folder of calibrations, the user's by default.
        reporter: told of measuring.

    Raises:
        ValueError: if a number is below 1, or ``calibration`` is of another width or threads.
        UserError: if the machine has to be measured and cannot be.
    """
    if min(size, dim, batch, threads) < 1:
        raise ValueError(f"at least 1 is needed, got {size}, {dim}, {batch}, {threads}")
    if calibration is None:
        calibration = calibrate.obtain(dim, threads, cache=cache, reporter=reporter)
    machine = calibration.machine
    if (machine.dim, machine.threads) != (dim, threads):
        raise ValueError(
            f"the calibration is of width {machine.dim} and {machine.threads} threads, "
            f"not {dim}, {threads}"
        )
    entries = {name: ann.BACKENDS.entry(name) for name in CANDIDATES}
    absent = {name: of.extra or name for name, of in entries.items() if not of.installed}
    here = [
        candidate
        for candidate in calibration.measured
        if candidate.spec in ann.BACKENDS and candidate.spec not in absent
    ]
    models = crossover.costs(here, batch)
    if "exact" not in models:
        raise ValueError("the calibration has no times of exact search")
    unusable = {candidate.spec: candidate.flaw for candidate in here if candidate.flaw is not None}
    return Explanation(size, dim, batch, threads, models, absent, unusable, calibration)


def is_auto(spec: str) -> bool:
    """Whether ``spec`` leaves the choice open."""
    return ann.canonical(spec).partition(":")[0] == Auto.name


def resolve(
    spec: str,
    size: int,
    dim: int,
    *,
    batch: int | None = None,
    threads: int = 1,
    cache: Path | None = None,
    reporter: Reporter | None = None,
) -> str:
    """The backend that ``auto`` or ``auto:32`` stands for here; any other spec as it is.

    Args:
        batch: queries per call, where the spec names none.

    Raises:
        UserError: for a variant that is no batch, or as :func:`explain`.
    """
    name, _, variant = ann.canonical(spec).partition(":")
    if name != Auto.name:
        return ann.canonical(spec)
    asked = Auto.settings_of(variant)["batch"] if variant else batch or 1
    return explain(size, dim, batch=asked, threads=threads, cache=cache, reporter=reporter).spec


class Auto(AnnIndex):
    """The backend that :func:`explain` names when the index is built; everything else is its own.

    A saved index records the choice, so loading it never measures anything, whatever the machine.

    Args:
        batch: queries per call that it is chosen for, e.g. 32 for ``auto:32``.
        chosen: the spec that was chosen, None to choose at the build.
        settings: constructor settings of the chosen backend.
        threads: of one search.
        seed: of the chosen backend.
        build_threads: of its build.
    """

    name: ClassVar[str] = "auto"
    version: ClassVar[str] = f"protocol {calibrate.PROTOCOL}"

    def __init__(
        self,
        *,
        batch: int = 1,
        chosen: str | None = None,
        settings: Mapping[str, Any] | None = None,
        threads: int = 1,
        seed: int = 0,
        build_threads: int = 1,
    ) -> None:
        super().__init__(threads=threads, seed=seed, build_threads=build_threads)
        self.batch = batch
        self.chosen = chosen
        self._open = chosen is None  # every build chooses anew
        self._settings = dict(settings) if settings is not None else None
        self._inner: AnnIndex | None = None

    @classmethod
    def settings_of(cls, variant: str) -> dict[str, Any]:
        """The variant is the batch.

        Raises:
            UserError: if it is no whole number of at least 1.
        """
        if not variant.isdecimal() or int(variant) < 1:
            raise UserError(
                f"auto:{variant}: after the colon stands the batch, at least 1, e.g. auto:32"
            )
        return {"batch": int(variant)}

    @property
    def inner(self) -> AnnIndex:
        """The chosen backend's index.

        Raises:
            RuntimeError: before the build.
        """
        if self._inner is None:
            raise RuntimeError("this auto index is empty: build or load it first")
        return self._inner

    def params(self) -> dict[str, Any]:
        """The batch and, once it is made, the choice with the chosen backend's own parameters."""
        choice = {"batch": self.batch, "chosen": self.chosen, "settings": self._settings}
        return {**choice, **super().params()}

    def efforts(self, k: int) -> list[int]:
        """Those of the chosen backend."""
        return self.inner.efforts(k)

    @property
    def nbytes(self) -> int:
        """Bytes of the chosen backend."""
        return self.inner.nbytes

    def search(self, queries: ArrayLike, k: int) -> tuple[Vectors, Ids]:
        """The chosen backend's answers, with ``effort`` and ``threads`` as they are set here."""
        return self._as_set().search(queries, k)

    def nearest(self, row: Vectors, k: int) -> tuple[list[float], list[int]]:
        """The chosen backend's own answer to one query."""
        return self._as_set().nearest(row, k)

    def _as_set(self) -> AnnIndex:
        inner = self.inner
        inner.effort, inner.threads = self.effort, self.threads
        return inner

    def _empty(self) -> AnnIndex:
        """The chosen backend, not built."""
        spec, threads = str(self.chosen), self.threads
        if self._settings is None:
            built = {"seed": self.seed, "build_threads": self.build_threads}
            return ann.make(spec, threads=threads, **built)
        return ann.BACKENDS[spec.partition(":")[0]](threads=threads, **self._settings)

    def _build(self, rows: Vectors) -> None:
        self._inner = None
        if self._open:
            self.chosen, self._settings = None, None
            choice = explain(len(rows), self.dim, batch=self.batch, threads=self.threads)
            self.chosen = choice.spec
        inner = self._empty()
        inner.build(rows)
        self._inner, self._settings = inner, inner.params()
        self.normalises = inner.normalises
        self.effort = inner.effort

    def _search(self, rows: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        return self._as_set()._search(rows, k)

    def _save(self, path: Path) -> None:
        self.inner._save(path)

    def _load(self, path: Path) -> None:
        inner = self._empty()
        inner.size, inner.dim, inner.effort = self.size, self.dim, self.effort
        inner._load(path)
        self._inner, self.normalises = inner, inner.normalises
