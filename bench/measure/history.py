"""The history of a gate: a file of JSON lines, one per cell and call, only ever appended to.

A kill in the middle of an append leaves at most one torn line. It is named and passed over, and
the next append starts on a line of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field, ValidationError

from bench.measure.gate import Outcome, Ruling
from bench.records.frozen import Frozen, first_of
from bench.records.measurement import Interval, LatencyCell
from bench.records.store import Problem
from reaugkd.errors import UserError

SCHEMA: Literal[1] = 1

_START = f'{{"schema_version":{SCHEMA},"kind":"gate",'.encode()
"""How every line begins: tells a torn line of ours from a line of another file."""


class HistoryError(UserError):
    """The history file is of another schema, or no history, or cannot be written."""


class HistoryEntry(Frozen):
    """One cell at one call of the gate."""

    schema_version: Literal[1] = SCHEMA
    kind: Literal["gate"] = "gate"
    time: str = Field(description="of the gate's call, UTC, ISO 8601")
    measured: str = Field(description="when the cell was measured")
    commit: str | None = Field(description="of the tree that was measured")
    dirty: bool | None
    cpu: str
    cores: int
    key: str = Field(description="of the cell's record")
    cell: LatencyCell
    spec: str | None = Field(description="backend that was searched; differs from the cell's: auto")
    ratio: Interval | None
    limit: float
    verdict: Ruling
    reason: str | None

    @property
    def line(self) -> str:
        """The entry as it stands in the file, without the end of the line."""
        return json.dumps(self.model_dump(mode="json"), separators=(",", ":"), allow_nan=False)


class History(NamedTuple):
    """The entries of a file in their order, and the lines that were passed over."""

    entries: tuple[HistoryEntry, ...] = ()
    problems: tuple[Problem, ...] = ()


def entries(outcome: Outcome, time: str) -> tuple[HistoryEntry, ...]:
    """What the history keeps of a call at ``time`` (ISO 8601)."""
    names = ("key", "cell", "ratio", "limit", "verdict", "reason")
    return tuple(
        HistoryEntry(
            time=time,
            measured=judged.provenance.time,
            spec=judged.index.spec if judged.index is not None else None,
            **judged.provenance.model_dump(include={"commit", "dirty", "cpu", "cores"}),
            **{name: getattr(judged, name) for name in names},
        )
        for judged in outcome.cells
    )


def read(path: Path) -> History:
    """All entries; a file that does not exist has none.

    Raises:
        HistoryError: for another schema version or a file that is no history, with the line.
    """
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise HistoryError(f"cannot read the history {path}: {error.strerror}") from error
    numbered = enumerate(data.split(b"\n"), start=1)
    lines = [_parse(f"{path} line {number}", line) for number, line in numbered if line.strip()]
    return History(
        tuple(entry for entry in lines if isinstance(entry, HistoryEntry)),
        tuple(problem for problem in lines if isinstance(problem, Problem)),
    )


def _parse(where: str, line: bytes) -> HistoryEntry | Problem:
    try:
        content = json.loads(line)
    except ValueError as error:
        if not (line.startswith(_START) or _START.startswith(line)):
            raise HistoryError(f"{where}: not a line of a gate's history") from error
        return Problem(Path(where), "torn, as a kill leaves it")
    if not isinstance(content, dict) or content.get("kind") != "gate":
        raise HistoryError(f"{where}: not a line of a gate's history")
    version = content.get("schema_version")
    if version != SCHEMA:
        message = f"schema version {version}, this is {SCHEMA}: give another --history"
        raise HistoryError(f"{where}: {message}")
    try:
        return HistoryEntry.model_validate(content)
    except ValidationError as error:
        return Problem(Path(where), first_of(error))


def append(path: Path, added: Sequence[HistoryEntry]) -> None:
    """Write the lines of one call behind what is there, all in one write.

    Processes that append at the same time wait for each other.

    Raises:
        HistoryError: if the file cannot be written; what was there is untouched.
    """
    if not added:
        return
    try:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            _append(file, added)
        finally:
            os.close(file)  # unlocks it as well
    except OSError as error:
        raise HistoryError(f"cannot write the history {path}: {error.strerror}") from error


def _append(file: int, added: Iterable[HistoryEntry]) -> None:
    size = os.fstat(file).st_size
    torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
    data = b"\n" * torn + "".join(f"{entry.line}\n" for entry in added).encode()
    try:
        if os.write(file, data) < len(data):
            raise OSError(28, "No space left on device")
        os.fsync(file)
    except OSError:
        os.ftruncate(file, size)  # on a full disk: no half of a call
        raise


def series(entries: Iterable[HistoryEntry]) -> Iterator[tuple[HistoryEntry, ...]]:
    """The entries of each cell on each machine, oldest first."""
    groups: dict[tuple[str, str, int], list[HistoryEntry]] = {}
    for entry in entries:
        group = (entry.cell.model_dump_json(), entry.cpu, entry.cores)
        groups.setdefault(group, []).append(entry)
    for same in groups.values():
        yield tuple(sorted(same, key=lambda entry: entry.time))
