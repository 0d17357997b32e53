"""This machine's processor, as the system describes it."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping
from functools import cache
from pathlib import Path

INTEL = "GenuineIntel"
VECTOR_FLAGS = ("avx", "amx", "asimd", "bf16", "sve", "fma", "sse4")
"""How the names of vector and matrix extensions begin."""


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


def full_model() -> str:
    """The model with its numbers, which tell more where the name is a hypervisor's."""
    numbers = [facts().get(name, "") for name in ("cpu family", "model", "stepping")]
    return " ".join(filter(None, [model(), "/".join(filter(None, numbers))]))


def vector_flags() -> list[str]:
    """The vector and matrix extensions, e.g. ``avx512_bf16``, in alphabetical order."""
    flags = facts().get("flags", facts().get("Features", "")).split()
    return sorted(flag for flag in flags if flag.startswith(VECTOR_FLAGS))


def vendor() -> str:
    """The maker, e.g. ``GenuineIntel``; empty where it cannot be told."""
    return facts().get("vendor_id", "")


def cores() -> int:
    """Number of cores that this process may keep busy: its affinity and its share of time.

    A container's ``--cpus`` and a unit's ``CPUQuota`` grant time, rounded up to whole cores.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    allowed = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return int(min(allowed, max(1, math.ceil(min(quota(), allowed)))))


def quota(own: Path = Path("/proc/self/cgroup"), tree: Path = Path("/sys/fs/cgroup")) -> float:
    """The time, in cores, that the control groups of this process grant; infinite without a limit.

    ``own`` names its groups and ``tree`` holds them, of either version of Linux's interface; a
    group's limit binds those below it. (joblib's ``cpu_count`` looks at the top of the tree only.)
    """
    shares = [math.inf]
    for line in own.read_text(encoding="utf-8").splitlines() if own.is_file() else []:
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = Path(name.lstrip("/"))
        for above in (group, *group.parents):
            shares.append(_share(tree / controllers / above))
    return min(shares)


def _share(group: Path) -> float:
    """The limit of one group: ``cpu.max``, or in the first version two files."""
    try:
        if (group / "cpu.max").is_file():
            time, period = (group / "cpu.max").read_text(encoding="ascii").split()
        else:
            files = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            time, period = ((group / name).read_text(encoding="ascii").strip() for name in files)
        return math.inf if time in ("max", "-1") else int(time) / int(period)
    except (OSError, ValueError):
        return math.inf  # no such group here, or no limit
