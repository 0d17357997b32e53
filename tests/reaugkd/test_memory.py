"""The memory meter: a peak is seen, and does not inherit what was freed before it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reaugkd import memory

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(memory.peak(CPU) is None, reason="this system does not tell")


def test_peak_memory_sees_what_is_freed_again() -> None:
    memory.reset_peak(CPU)
    start = memory.peak(CPU) or 0
    block = np.ones(60_000_000, dtype=np.uint8)
    del block
    assert (memory.peak(CPU) or 0) >= start + 50_000_000


def test_a_peak_does_not_inherit_what_was_freed_before() -> None:
    memory.reset_peak(CPU)
    start = memory.peak(CPU) or 0
    small = [bytearray(2000) for _ in range(100_000)]  # from the heap, which keeps what is freed
    small.append(small)  # type: ignore[arg-type]  # and garbage that only the collector finds
    del small
    memory.reset_peak(CPU)
    assert (memory.peak(CPU) or 0) <= start + 50_000_000
