"""Where runs are found, and the files that a report leaves behind."""

from __future__ import annotations

from pathlib import Path

from bench.report import markdown, tidy
from bench.report.document import Report
from bench.store import RUN, StoreError
from reaugkd.artifacts import write_json
from reaugkd.errors import UnknownNameError

RUNS = Path("results/runs")
"""Where ``bench run`` puts its runs unless told otherwise."""

MARKDOWN, CSV, JSON = "report.md", "results.csv", "results.json"


def find(name: str | None, runs: Path = RUNS) -> Path:
    """The folder of a run: a path, a name below ``runs``, or without ``name`` the newest there.

    Raises:
        StoreError: if there are no runs.
        UnknownNameError: with the nearest run's name.
    """
    known = {path.parent.name: path for path in runs.glob(f"*/{RUN}")}
    if name is not None:
        for folder in (Path(name), runs / name):
            if folder.is_dir():
                return folder
        if Path(name).name != name or not known:
            raise StoreError(f"no run at {name}: expected {Path(name) / RUN}")
        raise UnknownNameError("run", name, known)
    if not known:
        raise StoreError(f"no runs in {runs}: `bench run` makes one")
    return max(known.values(), key=lambda path: path.stat().st_mtime).parent


def write(report: Report, folder: Path) -> list[Path]:
    """Write the report as Markdown, CSV and JSON into ``folder``, made if needed.

    Raises:
        StoreError: if it cannot be written.
    """
    texts = {MARKDOWN: markdown.render(report), CSV: tidy.as_csv(report.rows)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        write_json(folder / JSON, report.data)
    except OSError as error:
        raise StoreError(f"cannot write the report to {folder}: {error.strerror}") from error
    return [folder / name for name in (*texts, JSON)]
