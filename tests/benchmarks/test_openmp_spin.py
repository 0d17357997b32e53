"""How long idle OpenMP threads may spin: the forward wants them awake, the next runtime asleep.

Run on a quiet machine with two cores or more: ``pytest -s tests/benchmarks/test_openmp_spin.py``.
One process per setting; they take turns, all but one being stopped, so that whatever else the
machine does meets all settings alike.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product

import numpy as np
import pytest

from bench.measure import environment

SETTINGS: dict[str, dict[str, str]] = {
    "library's default": {},
    "sleep at once": {"OMP_WAIT_POLICY": "PASSIVE"},
    **{f"{spins} spins": {"GOMP_SPINCOUNT": str(spins)} for spins in (300, 1000, 3000, 10000)},
}
CHOSEN = f"{environment.SPINS} spins"
CASES = list(product(("fp32", "bf16"), (1, 32), ("exact", "faiss:HNSW16,Flat")))
TURNS, LAPS = 8, {1: 5, 32: 2}

CHILD = """if True:
    import json, sys, time
    import numpy as np, torch
    torch.set_num_threads(2)
    from bench.measure import inputs, student
    from bench.measure.job import RandomStudent
    from reaugkd.retrieval import ann
    draw = np.random.default_rng(0).standard_normal
    made = {}
    for spec in ("exact", "faiss:HNSW16,Flat"):
        made[spec] = ann.make(spec, threads=2, build_threads=2)
        made[spec].build(draw((8000, 768), np.float32))
    students = {p: student.load(RandomStudent(), p, 2) for p in ("fp32", "bf16")}
    batches = {b: inputs.fixed(24, b, 30522).tensors(np.arange(b)) for b in (1, 32)}
    queries = {b: draw((b, 768), np.float32) for b in (1, 32)}
    print("ready", flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            precision, batch, spec, laps = json.loads(line)
            seen = []
            for _ in range(laps + 1):  # the first wakes everything up
                start = time.perf_counter_ns()
                students[precision](**batches[batch])
                middle = time.perf_counter_ns()
                made[spec].search(queries[batch], 10)
                seen.append((middle - start, time.perf_counter_ns() - middle))
            print(json.dumps(seen[1:]), flush=True)
"""


@contextmanager
def waiting(setting: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A child under ``setting``, stopped until it is asked."""
    kept = {k: v for k, v in environment.variables(2).items() if k != "GOMP_SPINCOUNT"}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        env={**os.environ, **kept, **setting},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGSTOP)
        yield child
    finally:
        child.kill()
        child.communicate()


def ask(child: subprocess.Popen[str], *question: object) -> list[list[int]]:
    assert child.stdin is not None
    assert child.stdout is not None
    child.send_signal(signal.SIGCONT)
    child.stdin.write(json.dumps(question) + "\n")
    child.stdin.flush()
    laps: list[list[int]] = json.loads(child.stdout.readline())
    child.send_signal(signal.SIGSTOP)
    return laps


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(len(environment.cores()) < 2, reason="needs two cores")
def test_the_chosen_spin_slows_neither_the_forward_nor_the_search_after_it() -> None:
    with ExitStack() as stack:
        children = {name: stack.enter_context(waiting(s)) for name, s in SETTINGS.items()}
        times: dict[tuple[object, ...], list[list[int]]] = {}
        for _, case, (name, child) in product(range(TURNS), CASES, children.items()):
            times.setdefault((case, name), []).extend(ask(child, *case, LAPS[case[1]]))
    medians = {key: np.median(laps, axis=0) / 1e6 for key, laps in times.items()}
    for case, name in times:
        forward, search = medians[case, name]
        print(f"{' '.join(map(str, case)):28} {name:18} {forward:9.3f} {search:9.3f} ms")
    for case in CASES:
        best = np.min([medians[case, name] for name in SETTINGS], axis=0)
        slower = medians[case, CHOSEN] / best
        assert slower[0] <= 1.05, f"{case}: the forward takes {slower[0]:.2f}x the best setting's"
        assert slower[1] <= 1.25, f"{case}: the search takes {slower[1]:.2f}x the best setting's"
