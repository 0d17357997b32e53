"""Threads of torch, as many as the work keeps busy.

Between two parallel regions the threads of OpenMP spin. A tiny encoder has regions of microseconds:
a second thread gains it nothing, and where another process wants the core both wait for a
time slice at every operation.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager

SMALL = 16_000_000
"""Multiplications of the largest matrix product of a batch below which one thread does it: between
an encoder that is slower with two, 64 wide, and one that is faster, 128 wide
(docs/decisions/0017-threads-of-training.md)."""

SPINS = "1000"
"""How often a thread of a training process looks for work before it sleeps: some microseconds,
where libgomp's default is milliseconds on a core that somebody else may want."""

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables by which a user says how threads wait; one that is set stands."""


def share(environment: MutableMapping[str, str] | None = None) -> None:
    """Let threads sleep soon, so that a busy machine costs its share and not ten times that.

    To be called before torch is imported: its OpenMP reads the environment when it is loaded.

    >>> variables = {}
    >>> share(variables)
    >>> variables
    {'GOMP_SPINCOUNT': '1000'}
    """
    variables = os.environ if environment is None else environment
    if not any(name in variables for name in WAITING):
        variables["GOMP_SPINCOUNT"] = SPINS


def is_small(width: int, tokens: float) -> bool:
    """Whether one thread is enough for an encoder ``width`` wide and batches of ``tokens``.

    >>> is_small(64, 32 * 12), is_small(128, 32 * 12)
    (True, False)
    """
    return 4 * width * width * tokens < SMALL


@contextmanager
def fitting(widths: Iterable[int], tokens: float) -> Iterator[None]:
    """One thread of torch while encoders of all ``widths`` are small; otherwise as many as before.

    ``tokens`` are those of a batch, padding included.
    """
    import torch

    before = torch.get_num_threads()
    if all(is_small(width, tokens) for width in widths):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
