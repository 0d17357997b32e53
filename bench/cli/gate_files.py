"""The files a gate leaves: JSON, JUnit XML, a Markdown summary and the history.

All of them are looked at before anything is measured, so that an hour of measuring is not lost
to a misspelt folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

Paths = Mapping[str, Path]
"""Where to write, of ``json``, ``junit``, ``summary`` and ``history`` what was asked for."""

APPENDED = ("summary", "history")


def start(paths: Paths) -> History:
    """See that every file can be written and the history can be continued, before any work.

    Folders are made. JSON and XML of an earlier call are removed: whatever happens from here on,
    nobody takes them for this call's.

    Returns:
        What the history holds so far.

    Raises:
        UserError: naming the flag and the path.
    """
    seen: dict[Path, str] = {}
    for name, path in paths.items():
        other = seen.setdefault(path.resolve(), name)
        if other != name:
            raise UserError(f"--{name} and --{other} are the same file, {path}")
        if path.is_dir():
            raise UserError(f"--{name} {path}: is a folder, expected a file")
    past = history.read(paths["history"]) if "history" in paths else History()
    for name, path in paths.items():
        with _named_in(name, path):
            if path.exists() and name in APPENDED:
                path.open("ab").close()  # its folder need not be ours to write
            else:
                make_writable(path.parent)
                path.unlink(missing_ok=True)
    return past


def write(paths: Paths, outcome: Outcome, call: Mapping[str, Any]) -> None:
    """Write what was asked for; JSON and XML appear whole or not at all.

    Args:
        paths: where.
        outcome: of the gate.
        call: when and where it was called; ``time`` is UTC, ISO 8601.

    Raises:
        UserError: naming the flag and the path.
    """
    head = {"schema_version": 1, "kind": "gate", "call": dict(call)}
    for name, path in paths.items():
        with _named_in(name, path):
            if name == "json":
                write_json(path, {**head, "outcome": outcome.content()})
            elif name == "junit":
                write_bytes(path, junit.render(outcome, call["time"]))
            elif name == "summary":
                with path.open("a", encoding="utf-8") as file:
                    file.write(markdown(outcome))
            else:
                history.append(path, history.entries(outcome, call["time"]))


@contextmanager
def _named_in(name: str, path: Path) -> Iterator[None]:
    """Tell an error of the file system as a mistake in a flag."""
    try:
        yield
    except OSError as error:
        raise UserError(f"--{name} {path}: cannot be written: {error.strerror}") from error
