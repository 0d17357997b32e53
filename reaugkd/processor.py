"""This machine's processor, as the system describes it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path

INTEL = "GenuineIntel"


@cache
def facts() -> Mapping[str, str]:
    """What /proc/cpuinfo says of the first CPU; empty where there is no such file."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    pairs = (line.partition(":") for line in reversed(lines))  # the first CPU's count
    return {name.strip(): value.strip() for name, _, value in pairs}


def model() -> str:
    """The model, e.g. ``Intel(R) Xeon(R) Processor``."""
    return facts().get("model name") or platform.processor() or platform.machine()


def vendor() -> str:
    """The maker, e.g. ``GenuineIntel``; empty where it cannot be told."""
    return facts().get("vendor_id", "")


def cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
