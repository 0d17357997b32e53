"""The schema of a measured figure; every key of a file below ``measurements/`` is typed here.

Raise the version with any change that older readers cannot follow.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.records.frozen import Frozen, KeyedRecord
from bench.records.run import Provenance

SCHEMA: Literal[1] = 1

Status = Literal["ok", "failed", "skipped"]
Verdict = Literal["holds", "fails", "undecided"]
Precision = Literal["fp32", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")
OnnxRuntime = Literal["onnx", "onnx-int8"]


def _nothing(value: object) -> bool:
    """Whether a field is left out of a file: those of before did not have it."""
    return value is None


class Reduction(Frozen):
    """How a knowledge base was made to cost less, and when it is not asked at all."""

    condense: str = Field("full", description="canonical spec of the condenser")
    rows: int | None = Field(None, description="entries of the base it was condensed from")
    pca: int | None = Field(None, description="width of the keys; None: as wide as the embedding")
    value_bits: int = Field(32, description="of each number of a value")
    weigh: bool = Field(False, description="counts weigh: log n is added to a similarity over tau")
    skip_above: float | None = Field(
        None, description="margin of the student above which nothing is searched"
    )

    @property
    def condensed(self) -> bool:
        """Whether few entries stand for many."""
        return self.condense != "full"

    @property
    def words(self) -> str:
        """What is unusual, in a few words.

        >>> Reduction(condense="kmeans:256", rows=3668, pca=64, skip_above=1 / 3).words
        'kmeans:256, pca 64, skipped above 0.333'
        """
        parts = {
            self.condense: self.condensed,
            f"pca {self.pca}": self.pca is not None,
            f"{self.value_bits}-bit values": self.value_bits != 32,
            "counts weigh": self.weigh,
        }
        named = [text for text, unusual in parts.items() if unusual]
        if self.skip_above is not None:
            named.append(f"skipped above {self.skip_above:.3g}")
        return ", ".join(named)


def entries(size: int, rows: int | None) -> str:
    """The entries of a base, and of a condensed one those it was made of.

    >>> entries(8551, None), entries(256, 8551)
    ('8,551', '256 of 8,551')
    """
    return f"{size:,}" if rows is None else f"{size:,} of {rows:,}"


def place(base: str, size: int, reduction: Reduction | None) -> str:
    """A base with its entries, and what was done to it.

    >>> place("cola", 8551, None), place("cola", 256, Reduction(condense="kmeans:256", rows=8551))
    ('cola (8,551)', 'cola (256 of 8,551) kmeans:256')
    """
    if reduction is None:
        return f"{base} ({size:,})"
    return f"{base} ({entries(size, reduction.rows)}) {reduction.words}".rstrip()


def width(dim: int, reduction: Reduction | None) -> int:
    """The width of the keys that a student's embedding of width ``dim`` is compared with."""
    return dim if reduction is None or reduction.pca is None else reduction.pca


class LatencyCell(Frozen):
    """What is measured; the rest of a record is what came out."""

    base: str = Field(description="name of the knowledge base: a GLUE task, a number, or a run's")
    size: int = Field(description="its entries")
    dim: int = Field(description="width of the student's embedding, and of keys without a PCA")
    classes: int = Field(description="width of its values")
    generated: bool = Field(description="made by bench.measure.bases, not by a teacher")
    backend: str = Field(description="canonical spec as it was asked for, e.g. auto")
    k: int
    tau: float
    beta: float
    batch: int = Field(description="inputs per forward")
    precision: Precision = Field(description="of the student's forward")
    threads: int = Field(description="cores the process may use")
    lengths: str = Field(description="where the inputs come from, e.g. 'recorded mrpc', 'fixed 32'")
    student: str = Field(description="the student in a few words")
    reduction: Reduction | None = Field(None, exclude_if=_nothing)
    runtime: OnnxRuntime | None = Field(
        None, exclude_if=_nothing, description="what runs the student's forward; None: torch"
    )

    @property
    def arithmetic(self) -> str:
        """What the forward is computed in: the precision in torch, or another runtime."""
        return self.runtime or self.precision

    @property
    def place(self) -> str:
        """The base with its entries, and what was done to it."""
        return place(self.base, self.size, self.reduction)

    @property
    def variant(self) -> str:
        """What was done to the base, in a few words."""
        return "" if self.reduction is None else self.reduction.words

    @property
    def width(self) -> int:
        """Of the keys."""
        return width(self.dim, self.reduction)

    @property
    def label(self) -> str:
        """The cell in a few words."""
        return f"{self.place} {self.backend} k {self.k} batch {self.batch} {self.arithmetic}"


class Times(Frozen):
    """Percentiles of a duration, in milliseconds per batch."""

    p50: float
    p95: float
    p99: float


class Interval(Frozen):
    """An estimate with its 95 % interval."""

    estimate: float
    low: float
    high: float


class IndexFacts(Frozen):
    """The index that was searched, and how well it answers.

    Recall, agreement and drift are of queries that its effort was not tuned on.
    """

    key: str = Field(description="fingerprint of what decides the index: vectors, spec, library")
    spec: str = Field(description="what was built; differs from the cell's backend for auto")
    version: str = Field(description="of the library")
    params: dict[str, Any] = Field(description="keyword arguments of the backend")
    effort: int | None = Field(description="ef, nprobe, search_k, ...; None where there is no knob")
    target: str = Field(description="what the effort was tuned to, e.g. 'agreement 0.995'")
    target_met: bool = Field(description="on the tuning queries")
    recall: float = Field(description="recall@k against exact, ties counted as equal")
    agreement: float = Field(description="share of queries with the class of exact retrieval")
    drift: float = Field(description="mean |p - p_exact| of exact retrieval's class")
    queries: int = Field(description="queries behind recall, agreement and drift")
    build_seconds: float = Field(description="0 where nothing is built")
    build_threads: int
    build_load: list[float] = Field(description="load averages when the build began")
    nbytes: int = Field(description="by the backend's formula")


class Environment(Frozen):
    """The measuring process as it was."""

    affinity: list[int]
    variables: dict[str, str] = Field(description="thread settings of the environment")
    torch_threads: int
    pools: list[dict[str, Any]] = Field(description="threadpoolctl: api, library, version, threads")
    load_before: list[float]
    load_after: list[float]
    peak_bytes: int = Field(description="VmHWM at the end")


class MeasuredSkipping(Frozen):
    """What became of the inputs where a sure student is not asked about. Times are of batches."""

    share: float = Field(description="of the inputs, for which nothing was searched")
    mean: float = Field(description="milliseconds added, over batches with and without a search")
    asked: Times | None = Field(description="added where something was searched; None: nowhere")
    asked_ratio: Interval | None = Field(
        description="added / forward there; None where a process searched nothing"
    )


class LatencyResult(Frozen):
    """What the processes of a cell saw. Times are of whole batches."""

    forward: Times
    added: Times = Field(description="everything retrieval adds after the forward")
    ratio: Interval = Field(
        description="added / forward, of the same batch in the same loop; with skipping the mean "
        "over batches, those without a search too"
    )
    end_to_end: Interval = Field(description="(forward + added) / plain forward - 1, interleaved")
    noise: Interval = Field(description="A/A: forward / plain forward - 1")
    processes: int
    rounds: int = Field(description="passes over the inputs within a process")
    inputs: int = Field(description="distinct inputs, all processes together")
    tokens: float = Field(description="mean length of an input without padding")
    seconds: float = Field(description="of all processes, start included")
    environments: list[Environment] = Field(description="one per process")
    skipping: MeasuredSkipping | None = Field(None, exclude_if=_nothing)


class MeasurementRecord(KeyedRecord):
    """What every measured cell leaves."""

    schema_version: Literal[1] = SCHEMA
    identity: dict[str, Any] = Field(description="everything that decides the figure")
    status: Status
    reason: str | None = Field(None, description="one line, where there is no figure")
    index: IndexFacts | None = None
    provenance: Provenance


class LatencyRecord(MeasurementRecord):
    """One latency cell; the raw nanoseconds lie beside it as ``<key>.npz``."""

    kind: Literal["latency"] = "latency"
    cell: LatencyCell
    limit: float = Field(description="that it was measured against, e.g. 0.03")
    verdict: Verdict | None = None
    result: LatencyResult | None = None


class MemoryResult(Frozen):
    """Bytes of one knowledge base in one backend, by four rulers."""

    formula: int = Field(description="index, soft labels and ids by their formulas")
    serialized: int = Field(description="on disk")
    rss_growth: int = Field(description="RssAnon after load and one pass of queries, minus before")
    mapped: int = Field(description="growth of RssFile: pages of mapped files, reclaimable")
    peak_growth: int = Field(description="highest resident memory, mapped pages included")
    load_seconds: float


class MemoryRecord(MeasurementRecord):
    """One memory cell."""

    kind: Literal["memory"] = "memory"
    base: str
    size: int
    dim: int
    classes: int
    generated: bool
    backend: str
    k: int
    reduction: Reduction | None = Field(None, exclude_if=_nothing)
    result: MemoryResult | None = None

    @property
    def label(self) -> str:
        """The cell in a few words."""
        return f"{place(self.base, self.size, self.reduction)} {self.backend} k {self.k}"
