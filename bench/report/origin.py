"""Where the figures come from: facts of machines, sources and versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.records.run import Provenance, Record

Facts = dict[str, list[str]]

DIRTY = " with uncommitted changes"
"""How a source ends that no commit holds."""

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


def _source(provenance: Provenance) -> str:
    commit = f"commit {provenance.commit[:12]}" if provenance.commit else "installed"
    return f"{provenance.version}, {commit}" + (DIRTY if provenance.dirty else "")
