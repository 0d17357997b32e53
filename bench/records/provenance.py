"""Where and with what a figure is made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import reaugkd
from bench.records.run import Provenance
from reaugkd import processor

PACKAGES = (
    *("accelerate", "annoy", "datasets", "faiss-cpu", "hnswlib", "numkong", "numpy"),
    *("onnx", "onnxruntime"),
    *("scalable-vs", "scikit-learn", "scipy", "torch", "torchao", "transformers", "usearch"),
    "voyager",
)


def collect(command: str, load: tuple[float, float, float], device: str) -> Provenance:
    """Provenance of a cell that ends now.

    Args:
        command: the command line that asked for the cell.
        load: load averages when the cell began.
        device: setting of the run, ``auto`` or ``cpu``.
    """
    import torch

    commit, dirty = source_state()
    cpu_name, flags = cpu()
    return Provenance(
        command=command,
        version=reaugkd.__version__,
        commit=commit,
        dirty=dirty,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        python=platform.python_version(),
        packages=packages(),
        cpu=cpu_name,
        cpu_flags=flags,
        cores=os.cpu_count() or 1,
        affinity=sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else [],
        threads=torch.get_num_threads(),
        load=[round(value, 2) for value in load],
        device="cuda" if device == "auto" and torch.cuda.is_available() else "cpu",
    )


@cache
def packages() -> dict[str, str]:
    """Versions of the libraries that decide figures; those not installed are left out."""
    versions = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


@cache
def source_state() -> tuple[str | None, bool | None]:
    """Commit of the source tree this package runs from, and whether it has changes."""
    root = Path(reaugkd.__file__).parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    if not (root / ".git").exists():
        return None, None
    try:
        commit = git("rev-parse", "HEAD")[:12]
        return commit, bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None, None  # no git on this machine, or not our repository


@cache
def cpu() -> tuple[str, list[str]]:
    """Model name of the CPU and its vector extensions."""
    return processor.model(), processor.vector_flags()
