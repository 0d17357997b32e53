"""How training shares a machine: seconds of a small run, idle and beside one busy process.

    pytest -s -m "" tests/benchmarks/test_threads.py

A busy process for every core but one would be no test on a large machine, so all run on two cores.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORES = sorted(os.sched_getaffinity(0))[:2]

TRAIN = """
import sys, time
width, depth, tokens, share, fit = (int(word) for word in sys.argv[1:])
from reaugkd.models import threads
if share:
    threads.share()
import torch
from reaugkd.models.encoder import Encoder, random_backbone
fields = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": width // 32,
          "intermediate_size": 4 * width}
model = Encoder(random_backbone(fields, 1000, seed=0), outputs=2)
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
ids = torch.randint(0, 1000, (32, tokens))
mask, labels = torch.ones_like(ids), torch.randint(0, 2, (32,))

def step():
    logits = model(input_ids=ids, attention_mask=mask).logits
    torch.nn.functional.cross_entropy(logits, labels).backward()
    optimizer.step()
    optimizer.zero_grad()

with threads.fitting([width] if fit else [10**6], 32 * tokens):
    for _ in range(3):
        step()
    times = []
    end = time.perf_counter() + 4
    while time.perf_counter() < end:
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
print(sum(times) / len(times))
"""
"""Mean seconds of a step, waits included: a median would not see a lost time slice."""


@contextmanager
def busy() -> Iterator[None]:
    """A process that wants one of the cores all the time."""
    code = f"import os; os.sched_setaffinity(0, {set(CORES)}); \nwhile True: pass"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        time.sleep(0.5)
        yield
    finally:
        process.kill()
        process.wait()


def step(width: int, depth: int, tokens: int, *, share: bool, fit: bool) -> float:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    words = [str(int(word)) for word in (width, depth, tokens, share, fit)]
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, CORES),
    )
    return float(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(len(CORES) < 2, reason="one core has no threads to share")
@pytest.mark.parametrize(("width", "depth", "tokens"), [(64, 2, 12), (128, 4, 12), (384, 3, 40)])
def test_a_busy_machine_costs_its_share(width: int, depth: int, tokens: int) -> None:
    """As training runs, at most 3 times as long beside a busy process; by default it may be 10."""
    ways = {"all threads, spinning": (False, False), "threads.share": (True, False),
            "and threads.fitting": (True, True)}  # fmt: skip
    print(f"\n{width} wide, {depth} layers, 32 x {tokens} tokens: milliseconds of a step")
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(2):
        for name, (share, fit) in ways.items():
            idle = step(width, depth, tokens, share=share, fit=fit)
            with busy():
                beside = step(width, depth, tokens, share=share, fit=fit)
            seconds.setdefault((name, "idle"), []).append(idle)
            seconds.setdefault((name, "busy"), []).append(beside)
    medians = {at: statistics.median(values) for at, values in seconds.items()}
    for name in ways:
        print(f"  {name:22} idle {1e3 * medians[name, 'idle']:7.2f}  "
              f"busy {1e3 * medians[name, 'busy']:8.2f}")  # fmt: skip
    last = "and threads.fitting"
    assert medians[last, "busy"] < 3 * medians[last, "idle"]
    assert medians[last, "idle"] < 1.3 * medians["all threads, spinning", "idle"]
