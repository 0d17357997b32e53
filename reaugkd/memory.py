"""The most memory this process has held, as the system counts it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def release() -> None:
    """Give back garbage and memory that the allocator still holds: no part of a later peak."""
    gc.collect()
    if os.name == "posix":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, others do not
        if trim is not None:
            trim(0)


def reset_peak(device: torch.device) -> None:
    """Begin a new measurement where the system allows it (Linux, and CUDA's own counter)."""
    release()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with contextlib.suppress(OSError):  # another system, or a container that forbids it
        _CLEAR.write_text("5", encoding="ascii")


def peak(device: torch.device) -> int | None:
    """Bytes at the peak since :func:`reset_peak`: of the GPU's memory, or resident memory.

    None where the system does not tell; of the whole process where it cannot be reset.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    peaks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(peaks[0]) * 1024 if peaks else None
