"""Does the gate cry wolf, and does it see a wolf?

On the unchanged tree it must never say ``fails``; with a delay in the query path that lifts the
overhead to 5 % it must say so every time; with retrieval removed it must refuse to pass.
``REAUGKD_GATE_RUNS`` sets how many times (20 for the figure in the documentation); nothing else
may run on the machine. `pytest tests/benchmarks/test_gate_alarm.py -s` shows every interval.

The limit is 3 %. The cell is small and cheap, so that its overhead is far below the limit on any
machine; the delay is computed from the first forward that is measured.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bench.cli.main import main
from bench.measure.gate import ERROR, FAILS, HOLDS, UNDECIDED, Outcome, decide
from bench.measure.latency import LatencyMeter
from bench.measure.options import Options
from bench.records.measurement import LatencyRecord
from bench.records.measurements import Measurements
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.processor import cores
from tests.bench.measure.judged import changed

RUNS = int(os.environ.get("REAUGKD_GATE_RUNS", "3"))
BUDGET = float(os.environ.get("REAUGKD_GATE_BUDGET", "60"))
"""Seconds that a cell may take while it is undecided."""

STUDENT, THREADS = "bert-6l-768", int(os.environ.get("REAUGKD_GATE_THREADS", min(2, cores())))
LIMIT, LIFTED = 0.03, 0.05

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]  # twenty runs take their time


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("cache"))


def measured(cache: ArtifactStore, folder: Path, delay_us: float = 0.0) -> list[LatencyRecord]:
    """The gate's cell, measured anew."""
    options = Options(
        bases=("mrpc",),
        ann=("hnswlib",),
        student=STUDENT,
        threads=(THREADS,),
        build_threads=THREADS,
        limit=LIMIT,
        budget=BUDGET,
    )
    meter = LatencyMeter(
        options,
        Measurements(folder),
        cache,
        "tests/benchmarks/test_gate_alarm.py",
        overwrite="always",
        delay_us=delay_us,
    )
    return meter.run()


def told(what: str, number: int, outcome: Outcome) -> None:
    (one,) = outcome.cells
    assert one.ratio is not None, one.reason
    ends = (
        f"{100 * one.ratio.estimate:.2f}% [{100 * one.ratio.low:.2f}, {100 * one.ratio.high:.2f}]"
    )
    print(f"{what} {number}: {ends} {one.verdict} after {one.seconds:.0f} s")


@pytest.fixture(scope="module")
def first(cache: ArtifactStore, tmp_path_factory: pytest.TempPathFactory) -> LatencyRecord:
    """The unchanged tree, measured once: gives the forward that the delay is computed from."""
    (record,) = measured(cache, tmp_path_factory.mktemp("first"))
    assert record.result is not None, record.reason
    return record


def test_an_unchanged_tree_raises_no_alarm(
    cache: ArtifactStore, first: LatencyRecord, tmp_path: Path
) -> None:
    found = [decide([first], [], LIMIT)]
    found += [decide(measured(cache, tmp_path), [], LIMIT) for _ in range(RUNS - 1)]
    for number, outcome in enumerate(found, start=1):
        told("unchanged", number, outcome)
    codes = [outcome.code for outcome in found]
    print(f"unchanged: {codes.count(HOLDS)} hold, {codes.count(UNDECIDED)} undecided of {RUNS}")
    assert set(codes) <= {HOLDS, UNDECIDED}
    assert codes.count(HOLDS) > 0


def test_an_overhead_lifted_to_5_percent_fails_every_time(
    cache: ArtifactStore, first: LatencyRecord, tmp_path: Path
) -> None:
    assert first.result is not None
    missing = LIFTED - first.result.ratio.estimate
    assert missing > 0, f"the cell is at {first.result.ratio.estimate:.3f} without a delay"
    delay_us = 1000 * missing * first.result.forward.p50
    found = [decide(measured(cache, tmp_path, delay_us), [], LIMIT) for _ in range(RUNS)]
    for number, outcome in enumerate(found, start=1):
        told(f"{delay_us:.0f} us more", number, outcome)
    assert [outcome.code for outcome in found] == [FAILS] * RUNS


def test_with_retrieval_removed_it_refuses_to_pass(
    first: LatencyRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    removed: list[dict[str, Any]] = [{"beta": 0.0}, {"k": 0}]
    for changes in removed:
        assert decide([changed(first, **changes)], [], LIMIT, "pass").code == ERROR
    with pytest.raises(SystemExit) as caught:
        main(["gate", "--bases", "mrpc", "--ann", "hnswlib", "--beta", "0"], prog_name="bench")
    assert caught.value.code == ERROR
    assert "nothing is retrieved" in capsys.readouterr().err
