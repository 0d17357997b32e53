"""A module in a process of its own: what it says on failure, how long it may take, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reaugkd.artifacts.disk import DiskFullError, has_room, writing
from reaugkd.errors import UserError
from reaugkd.lifeline import lifeline

Launch = Callable[[str, Mapping[str, str]], bytes]
"""Does a job, JSON, with variables in the environment; the content of the result file."""


class ProcessError(UserError):
    """A measuring process that left no result; the message is the reason."""


@dataclass(frozen=True)
class Launcher:
    """Starts ``command JOB RESULT`` and waits, at most ``timeout`` seconds."""

    command: Sequence[str] = (sys.executable, "-m", "bench.measure.worker")
    timeout: float = 1_800.0

    def __call__(self, job: str, variables: Mapping[str, str]) -> bytes:
        """The content of the result file of a job, JSON, with ``variables`` in the environment.

        Whatever happens, the process has ended when this returns or raises, and nothing of it is
        left on disk; it also ends with this process.

        Raises:
            ProcessError: with the last line of its stderr, the signal that killed it, or that it
                did not end.
            DiskFullError: if there is no room for temporary files.
        """
        place = Path(tempfile.gettempdir())
        with (
            writing(place),
            tempfile.TemporaryDirectory(prefix="reaugkd-", dir=place) as folder,
            lifeline() as stdin,
        ):
            asked, result = Path(folder, "job.json"), Path(folder, "result")
            asked.write_text(job, encoding="utf-8")
            try:
                done = subprocess.run(
                    [*self.command, str(asked), str(result)],
                    stdin=stdin,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env={**os.environ, **variables},
                    timeout=self.timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                message = f"the measuring process did not end within {self.timeout:g} s"
                raise ProcessError(message) from error
            if done.returncode and not has_room(place):
                raise DiskFullError(f"disk full: {place}")
            if done.returncode:
                raise ProcessError(_reason(done.returncode, done.stderr.decode(errors="replace")))
            if not result.is_file():
                raise ProcessError("the measuring process ended without a result")
            return result.read_bytes()


def _reason(code: int, stderr: str) -> str:
    if code < 0:
        names = {number.value: number.name for number in signal.Signals}
        memory = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
        return f"the measuring process was ended by {names.get(-code, f'signal {-code}')}{memory}"
    lines = [" ".join(line.split()) for line in stderr.splitlines() if line.strip()]
    last = lines[-1].removeprefix("error: ") if lines else "it said nothing"
    return f"the measuring process failed (exit code {code}): {last}"
