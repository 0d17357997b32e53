"""Tiny submissions: test files in the official layout, and what a valid folder holds."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.submission import write
from bench.submission.layout import FILES, AnswerFile, written
from reaugkd.tasks.glue import COLUMNS, DIAGNOSTIC, TASKS
from tests.reaugkd.tasks import glue_files

ROWS = 9
SMALL = tuple(replace(file, rows=ROWS) for file in FILES)
SOURCES = {"files": {file.name: {"cell": file.task, "answers": "made up"} for file in SMALL}}


def outputs(file: AnswerFile, seed: int = 0) -> np.ndarray:
    """Random answers."""
    drawn = np.random.default_rng(seed).random((file.rows, file.of.outputs), dtype=np.float32)
    return drawn if file.labels else 8 * drawn - 1.5


def contents(files: Sequence[AnswerFile] = SMALL, seed: int = 0) -> dict[str, str]:
    return {file.name: written(file, outputs(file, seed)) for file in files}


def submission(folder: Path, files: Sequence[AnswerFile] = SMALL) -> Path:
    """A valid one."""
    write.write(folder, contents(files), SOURCES, files)
    return folder


def zipped(path: Path, contents: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def path_of(folder: Path, file: AnswerFile) -> Path:
    """Where the official download has the rows of ``file``."""
    if file.split == DIAGNOSTIC:
        return folder / "diagnostic" / "diagnostic.tsv"
    return folder / TASKS[file.task].title / f"{file.split}.tsv"


def write_rows(folder: Path, task: str, rows: int) -> None:
    """Train and dev files of ``task``; the number of a row is in letters, which models read."""
    glue_files.write_folder(folder, TASKS[task], rows)
    for path in (folder / TASKS[task].title).glob("*.tsv"):
        spelled = re.sub(r"(?<= [ab] )\d+", _letters, path.read_text(encoding="utf-8"))
        path.write_text(spelled, encoding="utf-8", newline="")


def _letters(number: re.Match[str]) -> str:
    return number[0].translate(str.maketrans("0123456789", "qrstuvwxyz"))


def write_tests(folder: Path, task: str, files: Sequence[AnswerFile] = SMALL) -> None:
    """The test rows of ``task``; texts begin with a quote that nothing closes."""
    texts = COLUMNS[task].texts
    columns = ["id" if task == "qqp" else "index", "genre", *texts]
    for file in (file for file in files if file.task == task):
        lines = ["\t".join(columns)]
        for row in range(file.rows):
            sides = [f'"{side} {file.split} {"xyz"[row % 3]}' for side in "ab"[: len(texts)]]
            lines.append("\t".join([str(row), "-", *sides]))
        path = path_of(folder, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
