"""A report of 5,000 cells with outputs of 1,000 examples each, resampled: time and memory.

The command itself, in a process of its own: reading, resampling, tables, pictures, every default
file. `pytest tests/benchmarks/test_report_speed.py -m "" -s` shows the figures; making the store
takes half a minute. ``REAUGKD_REPORT_SECONDS`` lifts the limit for a slower or busier machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bench.records.run import Record
from bench.records.store import Store
from tests.bench.report import factory

TASKS = ("mrpc", "sst2", "rte", "cola", "stsb")
"""Three by accuracy, one by Matthews' correlation, one by Pearson's."""

METHODS = ("finetune", "kd", "pkd", "rkd", "takd", "rco", "dml", "prokt", "sftn", "reaugkd")
BACKENDS = ("exact", "hnswlib", "faiss", "annoy", "usearch", "svs", "voyager", "ivf", "pq")
SEEDS, EXAMPLES, HELD_OUT = 10, 1_000, 400
CELLS = len(TASKS) * len(METHODS) * SEEDS * (1 + len(BACKENDS))

SECONDS = float(os.environ.get("REAUGKD_REPORT_SECONDS", "20"))
AGAIN_SECONDS = SECONDS / 20
BYTES = 2 * 2**30

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]


@dataclass(frozen=True)
class Spent:
    """What one call took."""

    seconds: float
    peak: int
    said: str


def cells() -> Iterator[factory.Kept]:
    """Every cell with its outputs: those of a regression are scores, of the others two logits."""
    draws = np.random.default_rng(0)
    for task in TASKS:
        regression = task == "stsb"
        labels = draws.uniform(0, 5, EXAMPLES) if regression else factory.truth(EXAMPLES)
        for place, method in enumerate(METHODS):
            for seed in range(SEEDS):
                made: list[Record] = [factory.training(task, method, seed)]
                made += [factory.retrieval(task, method, seed, backend=b) for b in BACKENDS]
                for record in made:
                    if regression:
                        answers = labels + draws.normal(0, 1 + 0.02 * place, EXAMPLES)
                    else:
                        wrong = draws.random(EXAMPLES) < 0.2 - 0.005 * place
                        answers = np.where(wrong, 1 - labels, labels)
                    yield with_logits(*factory.answered(record, answers, labels), draws)


def with_logits(
    record: Record, arrays: dict[str, np.ndarray], draws: np.random.Generator
) -> factory.Kept:
    """Logits as a model gives them: floats that differ, with the same answers."""
    for name, array in arrays.items():
        if array.ndim == 2 and array.shape[1] > 1:
            noise = draws.uniform(0, 0.4, array.shape).astype(np.float32)
            arrays[name] = array + noise
        if "held_out" in name:
            arrays[name] = arrays[name][:HELD_OUT]
    if record.retrieval:
        sizes = [len(getattr(record.retrieval, axis)) for axis in ("taus", "ks", "betas")]
        arrays |= {f"sweep.{split}": draws.random(sizes) for split in ("held_out", "dev")}
    return record, arrays


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run; written as the store does, but without waiting for the disk at each file."""
    made, planned = Store(tmp_path_factory.mktemp("report") / "run"), []
    made.create()
    for record, arrays in cells():
        planned.append(factory.planned(record))
        np.savez_compressed(made.cells / f"{record.key}.npz", **arrays)
        (made.cells / f"{record.key}.json").write_text(record.model_dump_json(indent=1))
    assert len(planned) == CELLS == 5_000
    made.write_run({"command": "bench run", "config": {}, "cells": planned})
    return made.folder


def call(folder: Path, said: Path) -> Spent:
    """``bench report`` in a pipe; the peak is that of its process alone."""
    code = "from bench.cli.main import main; main()"
    command = [sys.executable, "-c", code, "report", str(folder)]
    began = time.perf_counter()
    with said.open("w") as file:
        process = subprocess.Popen(command, stdout=file)
        _, status, usage = os.wait4(process.pid, 0)  # of this child alone, unlike getrusage
    seconds = time.perf_counter() - began
    assert status == 0
    return Spent(seconds, usage.ru_maxrss * 1024, said.read_text(encoding="utf-8"))


def test_five_thousand_cells(folder: Path, tmp_path: Path) -> None:
    first = call(folder, tmp_path / "first.md")
    again = call(folder, tmp_path / "again.md")
    print(
        f"\n{CELLS:,} cells: {first.seconds:.1f} s, peak {first.peak / 2**20:,.0f} MiB; "
        f"again {again.seconds:.2f} s, peak {again.peak / 2**20:,.0f} MiB"
    )
    assert "Differences from kd" in first.said
    assert "Differences from kd that hold" in first.said
    assert again.said == first.said
    assert first.seconds < SECONDS
    assert first.peak < BYTES
    assert again.seconds < AGAIN_SECONDS
