"""Where the figures come from, and a warning where they do not come from one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.records.run import Provenance, Record
from bench.report.table import Table

Facts = dict[str, list[str]]

_DIRTY = " with uncommitted changes"

_FACTS: dict[str, Callable[[Provenance], str]] = {
    "command": lambda p: p.command,
    "project": lambda p: _source(p),
    "CPU": lambda p: p.cpu,
    "vector extensions": lambda p: " ".join(p.cpu_flags),
    "cores": lambda p: f"{p.cores}, bound to {len(p.affinity)}" if p.affinity else f"{p.cores}",
    "threads": lambda p: str(p.threads),
    "device": lambda p: p.device,
    "python": lambda p: p.python,
    "packages": lambda p: ", ".join(f"{name} {v}" for name, v in sorted(p.packages.items())),
}
_ALIKE = {
    "machines": ("CPU", "vector extensions", "cores", "threads", "device"),
    "commits": ("project",),
    "package versions": ("python", "packages"),
}
"""Groups of facts that must be the same in all records for their figures to compare."""


def facts(records: Iterable[Record]) -> Facts:
    """Every fact with its distinct values, whatever the order of the records."""
    found = [record.provenance for record in records]
    values = {name: sorted({of(p) for p in found}) for name, of in _FACTS.items()}
    if found:
        loads = [p.load[0] for p in found if p.load]
        values["load"] = [f"{min(loads):.2f} to {max(loads):.2f}"] if loads else []
        times = sorted(p.time for p in found)
        values["finished"] = [" to ".join(dict.fromkeys((times[0], times[-1])))]
    return values


def busy(records: Iterable[Record]) -> list[str]:
    """A line if search was timed while more was running than the machine has cores for."""
    loads = [
        (record.provenance.load[0], record.provenance.cores)
        for record in records
        if record.retrieval is not None and record.provenance.load
    ]
    over = [load for load, cores in loads if load > cores]
    if not over:
        return []
    return [
        f"{len(over)} of {len(loads)} search times were taken on a busy machine (load up to "
        f"{max(over):.1f}, {loads[0][1]} cores): run again with --overwrite always on a quiet one."
    ]


def warnings(found: Facts) -> list[str]:
    """One line per thing that should not differ between records, but does."""
    lines = []
    for what, names in _ALIKE.items():
        if differing := [name for name in names if len(found[name]) > 1]:
            differ = f"{', '.join(differing)} differ{'s' if len(differing) == 1 else ''}"
            lines.append(f"records of different {what} are mixed ({differ}; see Provenance).")
    if any(source.endswith(_DIRTY) for source in found["project"]):
        lines.append("made from a source tree with uncommitted changes.")
    return lines


def origin_table(found: Facts) -> Table:
    """One row per distinct value."""
    rows = tuple((name, value) for name, values in found.items() for value in values if value)
    return Table("Provenance", ("what", "value"), rows, labels=2)


def _source(provenance: Provenance) -> str:
    commit = f"commit {provenance.commit[:12]}" if provenance.commit else "installed"
    return f"{provenance.version}, {commit}" + (_DIRTY if provenance.dirty else "")
