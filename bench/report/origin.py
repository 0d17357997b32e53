"""Where the figures come from: facts of machines, sources and versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.records.run import Provenance, Record

Facts = dict[str, list[str]]

DIRTY = " with uncommitted changes"
"""How a source ends that no commit holds."""


def _source(p: Provenance) -> str:
    commit = f"commit {p.commit[:12]}" if p.commit else "installed"
    return f"{p.version}, {commit}" + (DIRTY if p.dirty else "")


FACTS: dict[str, Callable[[Provenance], str]] = {
    "command": lambda p: p.command,
    "project": _source,
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
    sources = [record.provenance for record in records]
    values = {name: sorted({fact(p) for p in sources}) for name, fact in FACTS.items()}
    if sources:
        loads = [p.load[0] for p in sources if p.load]
        values["load"] = [f"{min(loads):.2f} to {max(loads):.2f}"] if loads else []
        times = sorted(p.time for p in sources)
        values["finished"] = [" to ".join(dict.fromkeys((times[0], times[-1])))]
    return values
