"""Latency of retrieval: a row per measured cell, the smallest base first, exact before the others.

A row is the record of its cell with ``label``, the cell in a few words, and ``setting``: batch,
precision, what was done to the base, and what else varies between the cells, bases and backends
apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pandas import DataFrame

from bench.records.measurement import LatencyCell, LatencyRecord, Reduction
from bench.report.charts import measured
from bench.report.command_line import bases, has, reductions
from bench.report.frame import Row, rows, typed
from bench.report.inputs import MeasuredInputs
from bench.report.names import arithmetic, backend
from bench.report.reduced import entries, variant, whole
from bench.report.section import Column, Command, Section, View
from bench.report.sections.plain import grouped
from reaugkd.models.runtime import TORCH

EXACT = "exact"
MARKS = {"holds": "✓", "fails": "✗", "undecided": "?"}

NOTES = (
    "Protocol 1: fresh processes per cell, each on its own cores; every batch is run plain and "
    "with retrieval, in alternating order, and what is added is timed right after its own forward.",
    "forward, added: milliseconds per batch of the student's forward, and of everything retrieval "
    "adds after it (search, gathering, mixing, conversions): median, p95 and p99.",
    "overhead: added / forward of the same batch, mean over processes of their medians over "
    "inputs, with a 95 % bootstrap interval over processes and inputs; the verdict is on it: "
    "holds if its upper end is at most the limit, fails if its lower end is above, else undecided.",
    "end to end: (forward + added) / plain forward - 1, interleaved; a cross-check that does not "
    "decide. noise: forward / plain forward - 1, which would be 0 on a silent machine.",
    "recall, agreement: of the neighbours and of the final class with exact retrieval, on queries "
    "that the search effort was not tuned on; effort: the backend's own knob, tuned to the target.",
    "build: seconds of the index, on the cores it was built with.",
)
SKIPPED = (
    "skipped: share of the inputs for which nothing was searched, because the student was surer "
    "than the margin. The overhead is then the mean over inputs, searched or not: of those that "
    "are alike the median, weighed by how many they are. asked: where something was searched."
)
GENERATED = (
    "Bases marked * are generated with the structure of a teacher's embeddings (class clusters, a "
    "spread of low rank, duplicates), in the size of the task's train set."
)


def of_records(records: Iterable[LatencyRecord]) -> DataFrame:
    """The frame of some cells."""
    records = sorted(records, key=_place)
    cells = [record.cell for record in records]
    return typed(
        {**dict(record), "label": record.cell.label, "setting": _setting(record.cell, cells)}
        for record in records
    )


def _place(record: LatencyRecord) -> tuple[Any, ...]:
    cell = record.cell
    return (
        *(whole(cell), cell.base, -cell.size, cell.variant),
        *(cell.batch, cell.arithmetic != "fp32", cell.arithmetic),
        *(cell.backend != EXACT, cell.backend, cell.k, cell.threads, cell.lengths),
        *(cell.student, record.key),
    )


def _setting(cell: LatencyCell, among: Sequence[LatencyCell]) -> str:
    """Batch, precision and what was done to the base, and the other axes that vary."""
    texts = {"k": f"k {cell.k}", "threads": f"threads {cell.threads}", "student": cell.student}
    varying = [t for name, t in texts.items() if len({getattr(other, name) for other in among}) > 1]
    lengths = {(other.base, other.lengths) for other in among}
    if len(lengths) > len({other.base for other in among}):  # each base has its own by default
        varying.append(cell.lengths)
    done = [cell.variant] * bool(cell.variant)
    return ", ".join((f"batch {cell.batch}", cell.arithmetic, *done, *varying))


def percent(interval: Any) -> str:
    """An estimate with its interval in percent, e.g. ``0.61 [0.58, 0.66]``."""
    estimate, low, high = (100 * at for at in (interval.estimate, interval.low, interval.high))
    return f"{estimate:.2f} [{low:.2f}, {high:.2f}]"


def verdict(row: Row) -> str:
    """The verdict; of a cell without one, what became of it."""
    return str(row.verdict or row.status)


def _times(name: str, show: str) -> Iterator[Column]:
    for title, part in (("ms", "p50"), ("p95", "p95"), ("p99", "p99")):
        yield Column(f"{name} {title}", f"result.{name}.{part}", show.format)


BASE = Column(
    "base",
    lambda row: f"{row.cell.base}{'*' if row.cell.generated else ''} ({entries(row.cell)})",
    label=True,
    keys=("cell.base",),
)
COLUMNS = (
    BASE,
    Column("backend", backend, label=True, keys=("cell.backend",)),
    Column("precision", arithmetic, label=True, keys=("cell.precision",)),
    *(Column(axis, f"cell.{axis}", label=True) for axis in ("lengths", "student")),
    Column("verdict", verdict, label=True),
    *(Column(axis, f"cell.{axis}") for axis in ("k", "batch", "threads")),
    *_times("forward", "{:.2f}"),
    *_times("added", "{:.3f}"),
    Column("overhead %", "result.ratio", percent),
    Column(
        "limit %", lambda row: row.limit if row.result else None, lambda limit: f"{100 * limit:g}"
    ),
    Column("end to end %", "result.end_to_end", percent),
    Column("noise %", "result.noise", percent),
    Column("recall", "index.recall", "{:.4f}".format),
    Column("agreement", "index.agreement", "{:.4f}".format),
    Column("effort", "index.effort"),
    Column("build s", "index.build_seconds", "{:.1f}".format),
)


REDUCED = Column("reduced", lambda row: variant(row.cell) or None, label=True)
"""Shown where anything was done to a base."""

SKIPPING = (
    Column("skipped %", "result.skipping.share", "{:.0%}".format),
    Column("mean added ms", "result.skipping.mean", "{:.3f}".format),
    Column("asked ms", "result.skipping.asked.p50", "{:.3f}".format),
    Column("asked overhead %", "result.skipping.asked_ratio", percent),
)
"""Shown where a sure student is not asked about."""


def _columns(frame: DataFrame) -> tuple[Column, ...]:
    """Those of every cell, and those that only some frames have."""
    reduced = (REDUCED,) if any(variant(row.cell) for row in rows(frame)) else ()
    skipping = SKIPPING if "result.skipping.share" in frame else ()
    at = next(n for n, column in enumerate(COLUMNS) if column.title == "limit %")
    return (*COLUMNS[:2], *reduced, *COLUMNS[2:at], *skipping, *COLUMNS[at:])


def _views(frame: DataFrame, _: MeasuredInputs) -> Iterator[View]:
    """The overheads of all backends side by side, a table per setting; then every cell."""
    lines = rows(frame)
    for setting, of_setting in grouped((row.setting, row) for row in lines).items():
        yield _matrix(setting, of_setting)
    if lines:
        generated = [GENERATED] if any(row.cell.generated for row in lines) else []
        missed = (
            f"{row.label}: full effort missed {row.index.target}"
            for row in lines
            if row.index and not row.index.target_met
        )
        reasons = (f"{r.label}: {r.status}, {r.reason}" for r in lines if r.result is None)
        skipped = [SKIPPED] * ("result.skipping.share" in frame)
        notes = (*NOTES, *skipped, *generated, *missed, *reasons)
        yield View("Latency of retrieval", _columns(frame), notes)


def _matrix(setting: str, lines: Sequence[Row]) -> View:
    backends = sorted({row.cell.backend for row in lines}, key=lambda b: (b != EXACT, b))
    overheads = (Column(b, lambda row: row, _overhead, at=("cell.backend", b)) for b in backends)
    marks = ", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items())
    limits = ", ".join(f"{100 * limit:g} %" for limit in sorted({row.limit for row in lines}))
    return View(
        f"Overhead %, {setting}",
        (BASE, *overheads),
        (f"Overhead in percent of the forward, against {limits}: {marks}.",),
        where=lambda row: bool(row.setting == setting),
        by=("cell.base", "cell.generated", "cell.size"),
    )


def _overhead(row: Row) -> str:
    if row.result is None or row.verdict is None:
        return str(row.status)
    return f"{100 * row.result.ratio.estimate:.2f} {MARKS[row.verdict]}"


def _command(row: Row) -> Command:
    line, cell = row.provenance.command, row.cell
    axes = {"ann": "backend", "k": "k", "threads": "threads", "batch": "batch"}
    only = {f"--{flag}": [str(getattr(cell, name))] for flag, name in axes.items()}
    only |= {"--bases": bases(cell.base, line), "--precision": [cell.precision]}
    if has(line, "--backend"):
        only["--backend"] = [getattr(cell, "runtime", None) or TORCH]
    only |= reductions(cell, line)
    kind, _, what = cell.lengths.partition(" ")
    if has(line, "--lengths"):
        only["--lengths"] = [what if kind == "fixed" else f"{kind}:{what}" if what else kind]
    return Command(line, only, row.label)


REDUCTION = tuple(f"cell.reduction.{name}" for name in Reduction.model_fields)


def tidy(frame: DataFrame) -> DataFrame:
    """Every cell in full precision under short names."""
    hidden = ("index.params", "index.build_load", "index.key", "result.environments")
    names = {"key": "key"} | {f"cell.{name}": name for name in LatencyCell.model_fields}
    del names["cell.reduction"]
    if "cell.runtime" not in frame:
        del names["cell.runtime"]
    names |= {name: name.rpartition(".")[2] for name in REDUCTION if name in frame}
    names |= {name: name for name in ("status", "reason", "limit", "verdict")}
    for part, prefix in (("result.", ""), ("index.", "index_")):
        for name in map(str, frame):
            if name.startswith(part) and not name.startswith(hidden):
                names[name] = prefix + name.removeprefix(part).replace(".", "_")
    return frame[list(names)].rename(columns=names)


SECTION = Section(
    "latency",
    "Latency of retrieval",
    lambda inputs: of_records(inputs.latency),
    _views,
    pictures=lambda frame, _: (*measured.overhead(frame), *measured.recall(frame)),
    command=_command,
    tidy=("latency.csv", tidy),
)
