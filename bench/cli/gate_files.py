"""The files a gate leaves: JSON, JUnit XML, a Markdown summary and the history.

All of them are looked at before anything is measured, so that an hour of measuring is not lost
to a misspelt folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bench.measure import history, junit
from bench.measure.gate import Outcome
from bench.measure.history import History
from bench.records.store import make_writable
from bench.report.gate import markdown
from reaugkd.artifacts.atomic import write_bytes
from reaugkd.artifacts.store import write_json
from reaugkd.errors import UserError

SCHEMA = 1
"""Of the JSON file."""


@dataclass(frozen=True)
class Files:
    """Where to write; None: nowhere."""

    json: Path | None = None
    junit: Path | None = None
    summary: Path | None = None
    history: Path | None = None

    def start(self) -> History:
        """See that every file can be written and the history can be continued, before any work.

        Folders are made. JSON and XML of an earlier call are removed: whatever happens from here
        on, nobody takes them for this call's.

        Returns:
            What the history holds so far.

        Raises:
            UserError: naming the flag and the path.
        """
        seen: dict[Path, str] = {}
        for flag, path in self._given():
            real = path.resolve()
            if real in seen:
                raise UserError(f"{flag} and {seen[real]} are the same file, {path}")
            seen[real] = flag
            if path.is_dir():
                raise UserError(f"{flag} {path}: is a folder, expected a file")
        past = History() if self.history is None else history.read(self.history)
        for flag, path in self._given():
            with _named_in(flag, path):
                if path.exists() and path in (self.summary, self.history):
                    path.open("ab").close()  # its folder need not be ours to write
                else:
                    make_writable(path.parent)
                    path.unlink(missing_ok=True)
        return past

    def write(self, outcome: Outcome, call: Mapping[str, Any]) -> None:
        """Write what was asked for; JSON and XML appear whole or not at all.

        Args:
            outcome: of the gate.
            call: when and where it was called; ``time`` is UTC, ISO 8601.

        Raises:
            UserError: naming the flag and the path.
        """
        if self.history is not None:
            history.append(self.history, history.entries(outcome, call["time"]))
        for flag, path in self._given():
            with _named_in(flag, path):
                if path is self.json:
                    head = {"schema_version": SCHEMA, "kind": "gate", "call": dict(call)}
                    write_json(path, {**head, "outcome": outcome.content()})
                elif path is self.junit:
                    write_bytes(path, junit.render(outcome, call["time"]))
                elif path is self.summary:
                    with path.open("a", encoding="utf-8") as file:
                        file.write(markdown(outcome))

    def _given(self) -> Iterator[tuple[str, Path]]:
        for field in fields(self):
            path: Path | None = getattr(self, field.name)
            if path is not None:
                yield f"--{field.name}", path


@contextmanager
def _named_in(flag: str, path: Path) -> Iterator[None]:
    """Tell an error of the file system as a mistake in ``flag``."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{flag} {path}: cannot be written: {error.strerror}") from error
