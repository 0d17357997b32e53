"""A submission from a finished run: students found, test rows read and answered, files written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bench import export
from bench.cell import Cell
from bench.config import DataConfig
from bench.pipeline.workbench import Workbench
from bench.records.results import CellState, Results
from bench.records.run import Record
from bench.records.store import RUN, Store, StoreError
from bench.submission import answers, layout, write
from bench.submission.answers import Answerer, Filling
from bench.submission.finished import Chosen
from bench.submission.layout import FILES, AnswerFile
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter
from reaugkd.tasks.glue_tests import UnlabelledRows


@dataclass(frozen=True)
class FileOrigin:
    """What answered the rows of one file: a finished cell, or with ``cell`` None nobody."""

    file: AnswerFile
    cell: str | None
    words: str


def make(
    out: Path,
    results: Results,
    chosen: Chosen,
    workbench: Workbench,
    reporter: Reporter,
    *,
    command: str,
    missing: Filling | None = None,
    data_dir: Path | None = None,
    files: Sequence[AnswerFile] = FILES,
) -> list[FileOrigin]:
    """Answer GLUE's test rows by the ``chosen`` cells of a run and write the submission to ``out``.

    All that can be wrong with folders, rows and the cache's students is told before the first row
    is answered.

    Args:
        out: new folder.
        results: of the run.
        chosen: its finished cells, by task.
        workbench: over a cache that has the students.
        reporter: told of the progress.
        command: for the submission's own record.
        missing: what stands in for tasks without a cell; None refuses them.
        data_dir: where GLUE lies, if not where the run read it.
        files: those that the server wants.

    Returns:
        What answered each file.

    Raises:
        UserError: tasks are missing, ``out`` is there already, a cell is not what was planned any
            more, or the rows of a test file are not as many as the server's.
    """
    write.require_new(out)
    _require_all(chosen, missing)
    data = {file.task: _data(results, file.task, data_dir) for file in files}
    rows = {f.name: _rows(f, data[f.task]) for f in files if f.task in chosen.cells}
    contents: dict[str, str] = {}
    sources: dict[str, FileOrigin] = {}
    for file in files:
        if missing and file.task in chosen.missing:
            outputs = answers.filled(file, missing, data[file.task])
            contents[file.name] = layout.written(file, outputs)
            sources[file.name] = FileOrigin(
                file, None, _of_nobody(file, missing, contents[file.name])
            )
    for task, (cell, record) in _cells(results, chosen, workbench, data_dir).items():
        answer, words = _answerer(cell, record, workbench)
        for file in (file for file in files if file.task == task):
            texts = rows.pop(file.name).texts
            outputs = answers.answered(file, texts, answer, reporter)
            contents[file.name] = layout.written(file, outputs)
            sources[file.name] = FileOrigin(file, cell.key, words)
    ordered = [sources[file.name] for file in files]
    about = {
        "command": command,
        "run": str(results.folder),
        "files": {s.file.name: {"cell": s.cell, "answers": s.words} for s in ordered},
    }
    write.write(out, {file.name: contents[file.name] for file in files}, about, files)
    return ordered


def _require_all(chosen: Chosen, missing: Filling | None) -> None:
    if chosen.missing and missing is None:
        raise UserError(
            "the server wants answers for all tasks, and there are none for "
            f"{'; '.join(chosen.lacking)}. Finish them with `bench run`, or let --missing majority "
            "or --missing constant stand in"
        )


def _data(results: Results, task: str, data_dir: Path | None) -> DataConfig:
    """Where the run reads the rows of ``task``, or would if it had it."""
    run = results.run
    tree = (run.get("tasks") or {}).get(task) or run.get("config") or {}
    try:
        data = DataConfig.model_validate(tree.get("data", {}))
    except ValidationError as error:
        message = f"{results.folder / RUN} is damaged: {error.errors()[0]['msg']}"
        raise StoreError(message) from error
    return data if data_dir is None else data.model_copy(update={"dir": data_dir})


def _rows(file: AnswerFile, data: DataConfig) -> UnlabelledRows:
    rows = answers.rows_of(file, data)
    if len(rows.texts) != file.rows:
        raise UserError(f"{rows.source} has {len(rows.texts)} rows, the server expects {file.rows}")
    return rows


def _cells(
    results: Results, chosen: Chosen, workbench: Workbench, data_dir: Path | None
) -> dict[str, tuple[Cell, Record]]:
    """The cells as they are planned here and now, each with its student in the cache."""
    cells = {}
    for task, state in chosen.cells.items():
        cell, record = _planned_again(results, state, workbench, data_dir)
        workbench.pipeline(cell.config).student(cell.method, cell.seed)
        cells[task] = cell, record
    return cells


def _planned_again(
    results: Results, state: CellState, workbench: Workbench, data_dir: Path | None
) -> tuple[Cell, Record]:
    plan, store = state.plan, Store(results.folder)
    backend = plan.asked or plan.backend
    cells = export.planned(store, workbench, task=plan.task, backend=backend, data_dir=data_dir)
    cell = next((cell for cell in cells if cell.key == plan.key), None)
    if cell is None or state.record is None:
        raise StoreError(
            f"{plan.label} cannot be made from {results.folder} any more: the rows, models or "
            "libraries here are not those that it was run with"
        )
    return cell, state.record


def _answerer(cell: Cell, record: Record, workbench: Workbench) -> tuple[Answerer, str]:
    """What answers for a cell, and in words."""
    if record.retrieval is None:
        return answers.alone(cell, workbench), f"{cell.method} seed {cell.seed} alone"
    at = record.retrieval.chosen
    words = f"{cell.label.removeprefix(f'{cell.task} ')}, k {at.k}, beta {at.beta}, tau {at.tau}"
    return answers.with_retrieval(cell, record, workbench), words


def _of_nobody(file: AnswerFile, missing: Filling, content: str) -> str:
    answer = content.split("\n", 2)[1].partition("\t")[2]
    of = {"majority": "the majority of train", "constant": "a constant"}[missing]
    if not file.labels and missing == "majority":
        of = "the mean of train"
    return f"no student: {answer} for every row, {of}"
