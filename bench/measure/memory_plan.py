"""The memory cells that options ask for: nothing is made or measured here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from bench.measure import options, subjects
from bench.measure.indexes import Mixture, index_identity
from bench.measure.memory_worker import BATCH
from bench.measure.options import Options
from bench.measure.subjects import Subject
from reaugkd.artifacts import fingerprint
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter, Silent

PROTOCOL = 1
"""Raised when the measuring process would give the same cell another figure."""


@dataclass(frozen=True)
class Planned:
    """A cell to measure: a knowledge base, not necessarily made yet, and a backend."""

    key: str
    identity: Mapping[str, Any]
    subject: Subject
    spec: str
    mixture: Mixture
    threads: int

    @property
    def label(self) -> str:
        """The cell in a few words."""
        return f"{self.subject.name} ({self.subject.size:,}) {self.spec} k {self.mixture.k}"


def plan(wanted: Options, store: ArtifactStore, reporter: Reporter | None = None) -> list[Planned]:
    """Every cell, one base after another. Batch, precision and lengths do not matter here.

    Raises:
        UserError: for the first mistake in the options, or where there is no /proc to read.
    """
    require_linux()
    options.require(wanted)
    told = reporter or Silent()
    cells: dict[str, Planned] = {}
    for subject in subjects.subjects(wanted, store, told):
        for threads, k, spec in product(wanted.threads[:1], subject.ks, wanted.ann):
            mixture = subject.mixture(k)
            identity = {
                "kind": "memory",
                "protocol": PROTOCOL,
                "base": dict(subject.identity),
                "index": _library(resolved(spec, subject, threads, store, told), spec, wanted),
                "mixture": [k, mixture.tau, mixture.beta],
                "target": wanted.target,
                "batch": BATCH,
                "threads": threads,
            }
            key = fingerprint.of_json(identity)
            cells.setdefault(key, Planned(key, identity, subject, spec, mixture, threads))
    return list(cells.values())


def require_linux() -> None:
    """Raise :class:`UserError` where there is no /proc/self/status to read."""
    if sys.platform != "linux":
        raise UserError(f"bench memory reads /proc, which Linux has and {sys.platform} has not")


def resolved(
    spec: str, subject: Subject, threads: int, store: ArtifactStore, reporter: Reporter
) -> str:
    """The backend itself where ``auto`` was asked for."""
    from reaugkd.retrieval.ann.auto import backend as auto

    places: dict[str, Any] = {"cache": store.root, "reporter": reporter}
    return auto.resolve(spec, subject.size, subject.dim, threads=threads, **places)


def _library(spec: str, asked: str, wanted: Options) -> dict[str, Any]:
    """What decides an index, and what was asked for where that was ``auto``."""
    named = {"asked": asked} if asked != spec else {}
    return {**index_identity(spec, wanted.build_threads), **named}
