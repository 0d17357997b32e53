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

from reaugkd.errors import UserError

Launch = Callable[[str, Mapping[str, str]], bytes]
"""Does a job, JSON, with variables in the environment; the content of the result file."""

HANG = 1_800.0
"""Seconds after which a measuring process counts as hung."""


class ProcessError(UserError):
    """A measuring process that left no result; the message is the reason."""


@dataclass(frozen=True)
class Launcher:
    """Starts ``command JOB RESULT`` and waits for it.

    Attributes:
        command: the words before the two paths.
        timeout: seconds after which the process is ended.
    """

    command: Sequence[str]
    timeout: float = HANG

    @classmethod
    def module(cls, name: str, timeout: float = HANG) -> Launcher:
        """``python -m name`` with this interpreter."""
        return cls((sys.executable, "-m", name), timeout)

    def __call__(self, job: str, variables: Mapping[str, str]) -> bytes:
        """The content of the result file.

        Whatever happens, the process has ended when this returns or raises, and nothing of it is
        left on disk.

        Args:
            job: JSON.
            variables: on top of this process's environment.

        Raises:
            ProcessError: with the last line of its stderr, the signal that killed it, or that it
                did not end.
        """
        with tempfile.TemporaryDirectory(prefix="reaugkd-") as folder:
            asked, result = Path(folder, "job.json"), Path(folder, "result")
            asked.write_text(job, encoding="utf-8")
            self._run([*self.command, str(asked), str(result)], variables)
            if not result.is_file():
                raise ProcessError("the measuring process ended without a result")
            return result.read_bytes()

    def _run(self, command: Sequence[str], variables: Mapping[str, str]) -> None:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **variables},
        )
        try:
            _, stderr = child.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired as error:
            message = f"the measuring process did not end within {self.timeout:g} s"
            raise ProcessError(message) from error
        finally:  # a timeout, Ctrl-C: it must not go on measuring behind the user's back
            if child.poll() is None:
                child.kill()
                child.communicate()
        if child.returncode:
            raise ProcessError(_reason(child.returncode, stderr.decode(errors="replace")))


def _reason(code: int, stderr: str) -> str:
    if code < 0:
        names = {number.value: number.name for number in signal.Signals}
        memory = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
        return f"the measuring process was ended by {names.get(-code, f'signal {-code}')}{memory}"
    lines = [" ".join(line.split()) for line in stderr.splitlines() if line.strip()]
    last = lines[-1].removeprefix("error: ") if lines else "it said nothing"
    return f"the measuring process failed (exit code {code}): {last}"
