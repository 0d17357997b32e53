"""Threads, cores and precision of a measuring process: set by the parent, checked by the child."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.records.measurement import PRECISIONS
from reaugkd.errors import MissingLibraryError, UnknownNameError, UserError

if TYPE_CHECKING:
    from bench.records.measurement import Environment

NATIVE_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""CPU flags of bf16 arithmetic on x86 and ARM. Without any, bf16 is emulated: slow, so it would
make what retrieval adds look small."""

SPINS = "10000"
"""How often an OpenMP thread looks for more work before it sleeps.

Long enough for the gaps between the operations of a forward, so that it is not slowed down; over
before a search of another runtime wants the core (docs/decisions/0013-measuring-process.md)."""


def variables(threads: int) -> dict[str, str]:
    """What the parent puts into the environment of a measuring process, before it starts.

    Thread pools read these once, when their library is loaded.
    """
    number = str(threads)
    return {
        "OMP_NUM_THREADS": number,
        "MKL_NUM_THREADS": number,
        "OPENBLAS_NUM_THREADS": number,
        "NUMEXPR_NUM_THREADS": number,
        "OMP_DYNAMIC": "FALSE",
        "OMP_PROC_BIND": "FALSE",  # it gathers the threads of a second runtime on one core
        "GOMP_SPINCOUNT": SPINS,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
    }


def cores() -> list[int]:
    """The cores this process may use, in order."""
    every = range(os.cpu_count() or 1)
    return sorted(os.sched_getaffinity(0) if sys.platform == "linux" else every)


def require(threads: int, precision: str) -> None:
    """Refuse what this machine cannot measure.

    Raises:
        UserError: for less than one thread or more threads than cores, or bf16 on a CPU that
            only emulates it.
        UnknownNameError: for a precision that does not exist, with the nearest.
        MissingLibraryError: for int8 without its library.
    """
    allowed = len(cores())
    if not 1 <= threads <= allowed:
        raise UserError(f"threads {threads}: this process may use 1 to {allowed} cores")
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    if precision == "bf16" and not NATIVE_BF16 & cpu_flags():
        raise UserError(
            "precision bf16: this CPU has no bf16 arithmetic "
            f"(none of {', '.join(sorted(NATIVE_BF16))}): use fp32"
        )
    if precision == "int8" and find_spec("torchao") is None:
        raise MissingLibraryError("torchao", "int8")


def pin(threads: int, environment: Mapping[str, str] = os.environ) -> list[int]:
    """Keep this process on the first ``threads`` of its cores; before torch is imported.

    Returns:
        The cores.

    Raises:
        UserError: if the environment was not set as :func:`variables` says: a library may have
            started with another number of threads.
    """
    wrong = [name for name, value in variables(threads).items() if environment.get(name) != value]
    if wrong:
        raise UserError(
            f"a measuring process with {threads} threads must be started with "
            f"{wrong[0]}={variables(threads)[wrong[0]]}, not {environment.get(wrong[0])}"
        )
    chosen = cores()[:threads]
    if sys.platform == "linux":
        os.sched_setaffinity(0, chosen)
    return chosen


def observe(before_load: tuple[float, float, float]) -> Environment:
    """This process as it is now, at the end of its measuring.

    Args:
        before_load: load averages when it began.
    """
    import torch
    from threadpoolctl import threadpool_info

    from bench.records.measurement import Environment

    names = [name for name in os.environ if name.startswith(("OMP_", "GOMP_", "KMP_", "MKL_"))]
    kept = {*names, *variables(1)} & {*os.environ}
    return Environment(
        affinity=cores(),
        variables={name: os.environ[name] for name in sorted(kept)},
        torch_threads=torch.get_num_threads(),
        pools=[
            {
                "api": pool["user_api"],
                "library": Path(pool["filepath"]).name,
                "version": pool["version"],
                "threads": pool["num_threads"],
            }
            for pool in threadpool_info()
        ],
        load_before=[round(value, 2) for value in before_load],
        load_after=[round(value, 2) for value in os.getloadavg()],
        peak_bytes=memory_status().get("VmHWM", 0),
    )


def memory_status() -> dict[str, int]:
    """Sizes of this process in bytes: RssAnon, RssFile, VmRSS, VmHWM; none without /proc."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return {}
    lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    sizes = (line.split() for line in lines if line.endswith(" kB"))
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in sizes}


@cache
def cpu_flags() -> frozenset[str]:
    """Flags of the first CPU; empty where there is no /proc/cpuinfo."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return frozenset()
    for line in info.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()
