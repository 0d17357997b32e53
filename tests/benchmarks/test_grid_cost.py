"""The whole grid of retrieval against the training of one student, by the harness's own records.

MRPC, all-MiniLM-L6-v2, three of its layers, the preset's six epochs in fp32. A retrieval cell is
all of it, by the clock: build the index, find its effort, search once, sweep every k, beta and tau,
and time single queries; training is the loop alone. Needs REAUGKD_GLUE_DIR; about eight minutes on
two cores, most of them for teacher and student.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bench.records.store import Store
from reaugkd.retrieval.sweep import Grid
from tests.bench import runs

GLUE = os.environ.get("REAUGKD_GLUE_DIR")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not GLUE, reason="needs real MRPC rows: set REAUGKD_GLUE_DIR"),
]

BACKENDS = ("exact", "hnswlib", "faiss", "annoy", "usearch")
AT_MOST = 0.1


@pytest.mark.benchmark(group="grid")
def test_five_indexes_and_all_settings_cost_little(benchmark: Any, tmp_path: Path) -> None:
    assert GLUE is not None
    done = benchmark.pedantic(
        runs.bench,
        (
            *("run", "--preset", "glue-minilm", "--tasks", "mrpc", "--data-dir", GLUE),
            *("--methods", "reaugkd", "--ann", ",".join(BACKENDS)),
            *("--set", "teacher.recipe.epochs=1", "--set", "teacher.recipe.precision=fp32"),
            *("--set", "student.recipe.precision=fp32", "--set", "teacher.floor=none"),
            *("--cache", tmp_path / "cache", "--out", tmp_path / "out"),
        ),
        rounds=1,
        iterations=1,
    )
    assert done.exit_code == 0, done.output
    records, problems = Store(tmp_path / "out").records()
    assert not problems
    cells = {cell.retrieval.backend: cell for cell in records if cell.retrieval is not None}
    assert set(cells) == set(BACKENDS)
    for cell in cells.values():
        assert cell.retrieval is not None
        settings = (cell.retrieval.taus, cell.retrieval.ks, cell.retrieval.betas)
        assert tuple(map(len, settings)) == Grid().shape
    (training,) = (cell.training.seconds for cell in records if cell.training is not None)
    seconds = {backend: cell.seconds for backend, cell in cells.items()}
    share = sum(seconds.values()) / training
    benchmark.extra_info |= {"share of training": share, "training": training, **seconds}
    print(benchmark.extra_info)
    assert share < AT_MOST
