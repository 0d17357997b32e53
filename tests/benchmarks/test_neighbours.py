"""The neighbours of every row of fit, which kNN-KD looks for once per teacher and k.

The search is exact and block by block: its time grows with the square of the rows. One thread.
"""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from baselines.knn_kd import neighbours
from reaugkd.reporter import Silent
from reaugkd.retrieval.clusters import Clusters

WIDTH, K = 384, 16


@pytest.mark.parametrize("rows", [10_000, pytest.param(60_000, marks=pytest.mark.slow)])
def test_neighbours(
    benchmark: BenchmarkFixture, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    embedding = Clusters(WIDTH).draw(rows, seed=0)[0].astype(np.float32)
    benchmark.group = f"neighbours of {rows} rows"
    began = process_time()
    _, ids = benchmark.pedantic(neighbours, (embedding, K, Silent()), rounds=1, warmup_rounds=0)
    benchmark.extra_info |= {"cpu_seconds": process_time() - began}
    assert ids.shape == (rows, K)
