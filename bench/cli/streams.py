"""Standard output and error as they must be: printing takes no result with it.

A narrow encoding (a pipe on Windows, a locale of ISO 8859) cannot say everything a table holds, and
a reader may leave (``bench report | head -1``). Neither is a mistake of what is printed, so neither
may change what is written or the exit code.
"""

from __future__ import annotations

import io
import sys
from typing import Any


class Patient(io.FileIO):
    """A stream whose reader may leave: what comes after that is dropped."""

    def write(self, content: Any) -> int:
        """Write ``content``, or pretend to."""
        try:
            return super().write(content) or 0
        except BrokenPipeError:
            return memoryview(content).nbytes


def make_safe() -> None:
    """Let ``sys.stdout`` and ``sys.stderr`` take any text, and let the reader of either leave.

    Characters that the encoding lacks become ``?``. Streams that somebody else has put there, and
    that are no files, keep their own way.
    """
    for name, original in (("stdout", sys.__stdout__), ("stderr", sys.__stderr__)):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if stream is original and isinstance(stream.buffer, io.BufferedWriter):
            setattr(sys, name, _patient(stream))
        else:
            stream.reconfigure(errors="replace")


def _patient(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    stream.flush()
    file = Patient(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
