"""Processes of a run: how many threads they take, and what ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.executors.quiet import ENDINGS, limit_threads, terminable
from reaugkd import processor
from tests.reaugkd.test_lifeline import ends


def test_torch_takes_no_more_threads_than_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        monkeypatch.setattr(processor, "cores", lambda: 2)
        torch.set_num_threads(4)
        limit_threads(None)
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)  # OMP_NUM_THREADS=1
        limit_threads(None)
        assert torch.get_num_threads() == 1
        limit_threads(3)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("number", ENDINGS)
def test_what_ends_a_job_is_ctrl_c_inside_and_as_before_outside(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # under nohup, tests begin deaf
    try:
        with terminable(), pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminable():
            signal.raise_signal(signal.SIGHUP)  # nohup bench run
    finally:
        signal.signal(signal.SIGHUP, before)


POOL = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from bench.executors import tied

def told(number):
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    start = (None, "bench", 1, context.SimpleQueue(), True)
    with ProcessPoolExecutor(2, context, tied.start, start) as workers:
        list(workers.map(told, range(2)))
"""


def test_a_worker_is_tied_before_anything_heavy_is_imported() -> None:
    code = "import sys, bench.executors.tied; print({'torch', 'numpy'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert told.stdout == "set()\n"


@pytest.mark.slow
def test_workers_of_a_pool_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "run.py"
    path.write_text(POOL)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    parent = subprocess.Popen(
        [sys.executable, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert parent.stdout is not None
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    assert parent.wait() == -signal.SIGKILL
    assert all(ends(worker) for worker in workers)
