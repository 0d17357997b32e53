"""A command in a terminal of a given size."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.bench import runs

PATIENCE = 120.0
"""Seconds to wait for a process on a busy machine."""

START = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C reaches it as it reaches a person's command
from bench.cli.main import main
main(prog_name='bench')
"""
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"


def has_cursor(output: str) -> bool:
    """Whether the cursor is to be seen after ``output``."""
    return output.rfind(SHOWN) >= output.rfind(HIDDEN)


class Terminal:
    """A command at work in a terminal, and everything that was written to it."""

    def __init__(self, leader: int, process: subprocess.Popen[bytes]) -> None:
        self.process, self.output, self._leader = process, "", leader

    def _read(self, seconds: float = 0.1) -> bool:
        """Whether the command still has something to say."""
        over = self.process.poll() is not None
        if not select.select([self._leader], [], [], 0 if over else seconds)[0]:
            return not over
        self.output += os.read(self._leader, 65536).decode(errors="replace")
        return True

    def wait_for(self, *words: str) -> None:
        """Read until all words have been written."""
        deadline = time.monotonic() + PATIENCE
        while not all(word in self.output for word in words):
            assert self._read(), f"it ended without saying {words}: {self.output}"
            assert time.monotonic() < deadline, self.output

    def press(self, keys: bytes) -> None:
        """Type ``keys``."""
        os.write(self._leader, keys)

    def end(self) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < deadline, self.output
        return self.process.wait(PATIENCE)


@contextmanager
def terminal(words: Sequence[str], columns: int, rows: int = 40) -> Iterator[Terminal]:
    """``bench`` with ``words`` in a terminal; nothing of it is left behind."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    before = termios.tcgetattr(follower)
    dropped = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_INTERACTIVE")
    kept = {name: value for name, value in runs.environment().items() if name not in dropped}
    process = subprocess.Popen(
        [sys.executable, "-c", START, *words],
        env={**kept, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    try:
        keeper = os.dup(follower)  # its attributes outlive the command
        os.close(follower)
        yield Terminal(leader, process)
        assert termios.tcgetattr(keeper) == before
        os.close(keeper)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait()
        os.close(leader)
