"""A measuring process without a model: times as its job's base and number say, or a death.

``python fake_worker.py BEHAVIOUR JOB RESULT``, or :func:`content` without a process.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

ENVIRONMENT = {
    "affinity": [0],
    "variables": {},
    "torch_threads": 1,
    "pools": [],
    "load_before": [0.1, 0.1, 0.1],
    "load_after": [0.1, 0.1, 0.1],
    "peak_bytes": 1,
}


def times(job: dict[str, Any], share: float, spread: float) -> dict[str, Any]:
    random = np.random.default_rng(job["process"])
    shape = (job["rounds"], job["count"] // job["cell"]["batch"])
    forward = np.full(shape, 10_000_000)
    factor = 1 + spread * (-1) ** job["process"]
    added = (share * factor * forward * random.uniform(0.99, 1.01, shape)).astype(np.int64)
    rows = np.arange(job["count"]) + job["process"] * job["count"]
    return {
        "forward": forward,
        "added": added,
        "plain": forward,
        "rows": rows,
        "tokens": np.full(job["count"], 20),
        "environment": np.array(json.dumps(ENVIRONMENT)),
    }


def note(job: dict[str, Any], variables: Mapping[str, str]) -> None:
    log = os.environ.get("FAKE_LOG")
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            told = {"pid": os.getpid(), "job": job, "omp": variables.get("OMP_NUM_THREADS")}
            file.write(json.dumps(told) + "\n")


def content(behaviour: str, text: str, variables: Mapping[str, str]) -> bytes:
    """What the result file would hold."""
    job = json.loads(text)
    note(job, variables)
    share, spread = (float(part) for part in (behaviour.partition(":")[2] or "0.01,0").split(","))
    arrays = times(job, share, spread)
    if behaviour.startswith("skips"):  # every other batch, which takes a tenth
        arrays["asked"] = np.arange(arrays["added"].shape[1]) % 2
        arrays["added"] = np.where(arrays["asked"], arrays["added"], arrays["added"] // 10)
    made = io.BytesIO()
    np.savez(made, **arrays)
    return made.getvalue()


def main(kind: str, job_path: str, result: str) -> None:
    job = json.loads(Path(job_path).read_text(encoding="utf-8"))
    note(job, os.environ)
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hangs":
        time.sleep(600)
    if kind == "garbage":
        Path(result).write_bytes(b"PK\x03\x04 no archive")
        return
    if kind == "nothing":
        return
    if kind == "mistake":
        sys.stderr.write("a warning\nerror: the student is 32 wide, the knowledge base 16\n")
        sys.exit(2)
    if kind == "dies-on-exact" and job["spec"] == "exact":
        os.kill(os.getpid(), signal.SIGKILL)
    made = times(job, 0.01, 0)
    if kind == "zero":
        made["added"] = np.zeros_like(made["added"])
    if kind == "empty":
        made["added"] = np.full_like(made["added"], 80)
    if kind == "float":
        made["added"] = made["added"] / 1.0
    with Path(result).open("wb") as file:
        np.savez(file, **made)


if __name__ == "__main__":
    main(*sys.argv[1:])
