"""The maker of this machine's processor: some libraries end the process on another's."""

from __future__ import annotations

from functools import cache
from pathlib import Path

INTEL = "GenuineIntel"


@cache
def vendor() -> str:
    """The maker as /proc/cpuinfo names it, e.g. ``GenuineIntel``; empty where it cannot be told."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return ""
    lines = info.read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if "vendor_id" in line), "")
