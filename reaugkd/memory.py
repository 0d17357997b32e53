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
    """Give back what earlier work has left behind: garbage, and memory the allocator still holds.

    Without it, the peak of a small model trained after a large one is that of the large one.
    """
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

    None where the system does not tell (no ``/proc``). Where it cannot be reset, the peak is that
    of the whole life of the process.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    peaks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(peaks[0]) * 1024 if peaks else None
