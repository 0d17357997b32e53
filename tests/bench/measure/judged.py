"""Measured records with the figures that a test chooses."""

from __future__ import annotations

from typing import Any

from bench.records.measurement import (
    IndexFacts,
    Interval,
    LatencyCell,
    LatencyRecord,
    LatencyResult,
    MeasuredSkipping,
    MemoryRecord,
    MemoryResult,
    Reduction,
    Times,
)
from tests.bench.report.factory import provenance


def cell(**changes: Any) -> LatencyCell:
    values: dict[str, Any] = {
        "base": "mrpc",
        "size": 3_668,
        "dim": 768,
        "classes": 2,
        "generated": True,
        "backend": "hnswlib",
        "k": 10,
        "tau": 0.1,
        "beta": 0.5,
        "batch": 1,
        "precision": "fp32",
        "threads": 2,
        "lengths": "recorded mrpc",
        "student": "bert-6l-768",
    }
    return LatencyCell(**(values | changes))


CONDENSED = Reduction(condense="kmeans:256", rows=3_668)


def condensed(**changes: Any) -> LatencyCell:
    """A cell of exact search over a condensed base."""
    return cell(**({"size": 256, "backend": "exact", "reduction": CONDENSED} | changes))


def skipping(share: float = 0.6, **changes: Any) -> MeasuredSkipping:
    """What an input costs where a sure student is not asked about."""
    values: dict[str, Any] = {
        "share": share,
        "mean": 0.1,
        "asked": Times(p50=0.25, p95=0.3, p99=0.4),
        "asked_ratio": Interval(estimate=0.0125, low=0.012, high=0.013),
    }
    return MeasuredSkipping(**(values | changes))


def index(**changes: Any) -> IndexFacts:
    values: dict[str, Any] = {
        "key": "0011223344556677",
        "spec": "hnswlib",
        "version": "0.8.0",
        "params": {"M": 16},
        "effort": 64,
        "target": "recall 0.99",
        "target_met": True,
        "recall": 0.992,
        "agreement": 0.999,
        "drift": 0.001,
        "queries": 1000,
        "build_seconds": 1.5,
        "build_threads": 2,
        "build_load": [0.1, 0.1, 0.1],
        "nbytes": 12_000_000,
    }
    return IndexFacts(**(values | changes))


def result(low: float, high: float, **changes: Any) -> LatencyResult:
    estimate = (low + high) / 2
    values: dict[str, Any] = {
        "forward": Times(p50=20.0, p95=25.0, p99=30.0),
        "added": Times(p50=0.2, p95=0.3, p99=0.4),
        "ratio": Interval(estimate=estimate, low=low, high=high),
        "end_to_end": Interval(estimate=estimate, low=low - 0.02, high=high + 0.02),
        "noise": Interval(estimate=0.0, low=-0.02, high=0.02),
        "processes": 2,
        "rounds": 2,
        "inputs": 208,
        "tokens": 41.5,
        "seconds": 21.0,
        "environments": [],
    }
    return LatencyResult(**(values | changes))


def record(low: float = 0.005, high: float = 0.007, key: str = "c1", **changes: Any) -> Any:
    """An ok record whose interval is [low, high]."""
    values: dict[str, Any] = {
        "key": key,
        "identity": {"key": key},
        "status": "ok",
        "cell": cell(),
        "index": index(),
        "limit": 0.03,
        "verdict": "holds",
        "result": result(low, high),
        "provenance": provenance(command="bench latency"),
    }
    return LatencyRecord(**(values | changes))


def failed(reason: str, key: str = "f1", **changes: Any) -> Any:
    empty = {"status": "failed", "reason": reason, "verdict": None, "result": None, "index": None}
    return record(key=key, **(empty | changes))


def changed(made: LatencyRecord, **changes: Any) -> LatencyRecord:
    """``made`` with other fields of its cell."""
    return made.model_copy(update={"cell": made.cell.model_copy(update=changes)})


def memory(key: str = "m") -> MemoryRecord:
    sizes = dict.fromkeys(("formula", "serialized", "rss_growth", "mapped", "peak_growth"), 10)
    return MemoryRecord(
        key=key,
        identity={},
        status="ok",
        base="wnli",
        size=635,
        dim=768,
        classes=2,
        generated=True,
        backend="exact",
        k=10,
        result=MemoryResult(**sizes, load_seconds=0.1),
        provenance=provenance(),
    )
