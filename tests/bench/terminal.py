"""A command in a terminal of a given size, and what a person would see there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
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

_CODE = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])")


class Screen:
    """As much of a terminal as rich needs: lines, wrapping, the cursor, erasing."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows: list[list[str]] = [[]]
        self.row = self.column = 0
        self.cursor = True

    def write(self, text: str) -> None:
        at = 0
        while at < len(text):
            if found := _CODE.match(text, at):
                self._code(*found.groups())
                at = found.end()
            else:
                self._put(text[at])
                at += 1

    def _code(self, private: str, arguments: str, name: str) -> None:
        if private:
            if arguments == "25":
                self.cursor = name == "h"
        elif name == "A":
            self.row = max(0, self.row - int(arguments or 1))
        elif name == "K":
            assert arguments == "2"
            self.rows[self.row] = []
        else:
            assert name == "m", f"a code this terminal does not know: {name}"

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self._down()
        elif character >= " ":
            if self.column == self.columns:
                self._down()
                self.column = 0
            line = self.rows[self.row]
            line += [" "] * (self.column + 1 - len(line))
            line[self.column] = character
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])

    @property
    def lines(self) -> list[str]:
        """What is to be seen, with what has scrolled away."""
        return ["".join(row).rstrip() for row in self.rows]


class Terminal:
    """A command at work in a terminal.

    Attributes:
        screen: as it is now.
        output: everything that was written to it.
    """

    def __init__(self, leader: int, process: subprocess.Popen[bytes], columns: int) -> None:
        self.process, self.screen, self.output = process, Screen(columns), ""
        self._leader, self._rest = leader, b""

    def read(self, seconds: float = 0.1) -> bool:
        """Whether the command still has something to say."""
        over = self.process.poll() is not None
        if not select.select([self._leader], [], [], 0 if over else seconds)[0]:
            return not over
        data = os.read(self._leader, 65536)
        self._rest += data
        whole = self._rest.rfind(b"\n") + 1 or self._rest.rfind(b"\r") + 1
        text, self._rest = self._rest[:whole].decode(), self._rest[whole:]
        self._show(text)
        return True

    def _show(self, text: str) -> None:
        self.output += text
        self.screen.write(text)

    def wait_for(self, *words: str) -> None:
        """Read until all words have been written."""
        deadline = time.monotonic() + PATIENCE
        while not all(word in self.output for word in words):
            assert self.read(), f"it ended without saying {words}: {self.output}"
            assert time.monotonic() < deadline, self.output

    def press(self, keys: bytes) -> None:
        """Type ``keys``."""
        os.write(self._leader, keys)

    def end(self) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.read():
            assert time.monotonic() < deadline, self.output
        self._show(self._rest.decode())
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
        found = Terminal(leader, process, columns)
        yield found
        assert termios.tcgetattr(keeper) == before
        os.close(keeper)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait()
        os.close(leader)
