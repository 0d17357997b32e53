"""The measuring process: ``python -m bench.measure.worker JOB.json RESULT``.

Exit code 0 with the result, an npz of a latency job and JSON of a memory job, or 2 with one line on
stderr. What reads thread settings is imported after the process has been put on its cores.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.measure import environment
from bench.measure import job as jobs
from bench.measure.job import LatencyJob, MemoryJob
from reaugkd.artifacts.atomic import write_bytes
from reaugkd.errors import UserError
from reaugkd.lifeline import end_with_parent


def measure(job: LatencyJob | MemoryJob) -> bytes:
    """Do the job; the content of its result.

    Raises:
        UserError: if the parts are missing, damaged or do not belong together.
    """
    load = os.getloadavg()
    if job.kind == "memory":
        from bench.measure import footprint

        return json.dumps(footprint.measure(job)).encode()
    from bench.measure import timed

    return timed.packed(timed.measure(job, load))


def main(arguments: Sequence[str]) -> int:
    """Run the job; returns the exit code."""
    try:
        if len(arguments) != 2:
            raise UserError("usage: python -m bench.measure.worker JOB.json RESULT")
        job, result = jobs.read(Path(arguments[0])), Path(arguments[1])
        environment.require(job.cell.threads, job.cell.precision)
        environment.pin(job.cell.threads)
        content = measure(job)
        try:
            write_bytes(result, content)
        except OSError as error:
            raise UserError(f"cannot write {result}: {error.strerror}") from error
    except UserError as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 2
    return 0


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(sys.argv[1:]))
