"""``auto``: the backend that is fastest here, by measured crossover, and why it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from reaugkd.errors import UserError
from reaugkd.reporter import Reporter
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.auto import calibrate, crossover
from reaugkd.retrieval.ann.auto.calibrate import CANDIDATES, Calibration
from reaugkd.retrieval.ann.auto.crossover import SearchCost
from reaugkd.retrieval.ann.auto.search_times import TARGET, K
from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.normalise import Vectors


@dataclass(frozen=True)
class Explanation:
    """A choice for ``size`` entries and calls of ``batch`` queries, and what it rests on."""

    size: int
    batch: int
    models: Mapping[str, SearchCost]
    """The fitted cost of a call, by usable candidate."""
    left_out: Mapping[str, str]
    """Why the other candidates could not be compared."""
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
        kept, machine = self.calibration, self.calibration.machine
        where = f" in {kept.folder} (remove it to measure again)" if kept.folder else ""
        lines = [
            f"auto -> {self.spec}: {self.why}",
            f"microseconds per call of {self.batch} at {self.size:,} x {machine.dim}, k {K}, "
            f"{machine.threads} threads, recall {TARGET}:",
        ]
        for spec, time in self.predicted.items():
            lines.append(f"  {spec:<10} {time:>10,.1f} = {self.models[spec]}")
        lines += [f"  {spec:<10} {reason}" for spec, reason in self.left_out.items()]
        lines.append(f"calibrated in {kept.seconds:.1f} s at load {kept.load:.2f}{where}")
        if kept.load > calibrate.BUSY * machine.cores:
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
        calibration: of this width and threads; by default that of the cache, measured if need be.
        cache: folder of calibrations, the user's by default.
        reporter: told of measuring.

    Raises:
        UserError: if the machine has to be measured and cannot be.
    """
    kept = calibration or calibrate.obtain(dim, threads, cache=cache, reporter=reporter)
    entries = {name: ann.BACKENDS.entry(name) for name in CANDIDATES}
    left_out = {
        name: f"not installed: pip install 'reaugkd[{entry.extra or name}]' brings it"
        for name, entry in entries.items()
        if not entry.installed
    }
    here = [c for c in kept.measured if c.spec in ann.BACKENDS and c.spec not in left_out]
    left_out |= {c.spec: f"not considered: {c.flaw}" for c in here if c.flaw is not None}
    return Explanation(size, batch, crossover.costs(here, batch), left_out, kept)


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
        chosen, settings: spec and constructor settings of the backend in a saved index.
        threads: of one search.
        seed, build_threads: of the chosen backend.
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
        self.batch, self.chosen, self._settings = batch, chosen, settings
        self._inner: AnnIndex | None = None

    @classmethod
    def settings_of(cls, variant: str) -> dict[str, Any]:
        """The variant is the batch, a whole number of at least 1."""
        if not variant.isdecimal() or int(variant) < 1:
            raise UserError(
                f"auto:{variant}: after the colon stands the batch, at least 1, e.g. auto:32"
            )
        return {"batch": int(variant)}

    @property
    def inner(self) -> AnnIndex:
        """The chosen backend's index, searched as this one is set."""
        if self._inner is None:
            raise RuntimeError("this auto index is empty: build or load it first")
        self._inner.effort, self._inner.threads = self.effort, self.threads
        return self._inner

    def params(self) -> dict[str, Any]:
        """The batch and, once it is made, the choice with the chosen backend's own parameters."""
        choice = {"batch": self.batch, "chosen": self.chosen, "settings": self._settings}
        return {**choice, **super().params()}

    def around(self, inner: AnnIndex) -> Self:
        """A new index like this one whose choice is ``inner``, an index of the chosen backend."""
        other = type(self)(threads=self.threads, **self.params())
        other.size, other.dim, other.effort = inner.size, inner.dim, inner.effort
        other._settings, other._inner, other.normalises = inner.params(), inner, inner.normalises
        return other

    def efforts(self, k: int) -> list[int]:
        """Those of the chosen backend."""
        return self.inner.efforts(k)

    @property
    def nbytes(self) -> int:
        """Bytes of the chosen backend."""
        return self.inner.nbytes

    def nearest(self, row: Vectors, k: int) -> tuple[list[float], list[int]]:
        """The chosen backend's own answer to one query."""
        return self.inner.nearest(row, k)

    def _build(self, rows: Vectors) -> None:
        self._inner = self.chosen = self._settings = None
        choice = explain(len(rows), self.dim, batch=self.batch, threads=self.threads)
        built = {"seed": self.seed, "build_threads": self.build_threads}
        inner = ann.make(choice.spec, threads=self.threads, **built)
        inner.build(rows)
        self.chosen, self._settings, self.effort = choice.spec, inner.params(), inner.effort
        self._inner, self.normalises = inner, inner.normalises

    def _search(self, rows: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        return self.inner._search(rows, k)

    def _save(self, path: Path) -> None:
        self.inner._save(path)

    def _load(self, path: Path) -> None:
        backend = ann.BACKENDS[str(self.chosen).partition(":")[0]]
        inner = backend(threads=self.threads, **(self._settings or {}))
        inner.size, inner.dim, inner.effort = self.size, self.dim, self.effort
        inner._load(path)
        self._inner, self.normalises = inner, inner.normalises
