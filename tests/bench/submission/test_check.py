"""A valid submission has no problem; each thing broken in it is named."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from bench.submission import check, write
from bench.submission.layout import ABOUT, ARCHIVE, FILES, HEADER, AnswerFile, written
from reaugkd.errors import UserError
from reaugkd.tasks.glue import TASKS
from tests.bench import runs
from tests.bench.submission.submissions import (
    ROWS,
    SMALL,
    SOURCES,
    contents,
    outputs,
    submission,
    zipped,
)

COUNTS = {
    "CoLA": 1063, "SST-2": 1821, "MRPC": 1725, "STS-B": 1379, "QQP": 390965, "MNLI-m": 9796,
    "MNLI-mm": 9847, "QNLI": 5463, "RTE": 3000, "WNLI": 146, "AX": 1104,
}  # fmt: skip


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return submission(tmp_path_factory.mktemp("valid") / "out")


def test_the_server_wants_eleven_files_of_all_nine_tasks() -> None:
    assert {file.name: file.rows for file in FILES} == {f"{n}.tsv": c for n, c in COUNTS.items()}
    assert {file.task for file in FILES} == {*TASKS}
    assert [file.name for file in FILES if file.task == "mnli"] == [
        "MNLI-m.tsv",
        "MNLI-mm.tsv",
        "AX.tsv",
    ]


def test_a_folder_and_its_zip_are_valid_and_the_same(valid: Path) -> None:
    assert check.problems(valid, SMALL) == check.problems(valid / ARCHIVE, SMALL) == []
    with zipfile.ZipFile(valid / ARCHIVE) as archive:
        assert {*archive.namelist()} == {file.name for file in SMALL}
        assert all(archive.read(f.name) == (valid / f.name).read_bytes() for f in SMALL)


def test_the_same_answers_give_the_same_zip(valid: Path, tmp_path: Path) -> None:
    again = submission(tmp_path / "again")
    assert (again / ARCHIVE).read_bytes() == (valid / ARCHIVE).read_bytes()


@pytest.mark.parametrize("file", SMALL, ids=lambda file: file.name)
def test_what_is_written_reads_back_as_the_answers(file: AnswerFile) -> None:
    answers = outputs(file)
    header, *rows = written(file, answers).splitlines()
    assert header == HEADER
    assert [row.split("\t")[0] for row in rows] == [str(number) for number in range(ROWS)]
    cells = [row.split("\t")[1] for row in rows]
    if file.labels:
        assert [file.labels.index(cell) for cell in cells] == answers.argmax(axis=1).tolist()
    else:
        assert np.array_equal(np.float32(cells), answers[:, 0].clip(0, 5))
        assert {"0.0", "5.0"} <= {*cells}, "some are cut"


def test_an_answer_for_every_row() -> None:
    with pytest.raises(UserError, match=r"RTE\.tsv: 8 answers for 9 rows"):
        written(SMALL[8], outputs(SMALL[8])[:8])
    lost = outputs(SMALL[8])
    lost[3, 1] = np.nan
    with pytest.raises(UserError, match=r"RTE\.tsv: the answer to row 3 is not finite"):
        written(SMALL[8], lost)


BROKEN = {
    "a row less": ("RTE.tsv", "8\tentailment\n", "", "RTE.tsv: expected 9 rows, found 8"),
    "a number twice": ("RTE.tsv", "8\t", "7\t", "RTE.tsv:10: expected index 8, found '7'"),
    "an id for a name": ("RTE.tsv", "8\tentailment", "8\t0", "RTE.tsv:10: expected entailment or"),
    "a name for an id": ("WNLI.tsv", "8\t0", "8\tentailment", "WNLI.tsv:10: expected 0 or 1"),
    "quotes": ("AX.tsv", "8\tentailment", '8\t"entailment"', "AX.tsv:10: expected entailment or "),
    "a class of RTE": ("AX.tsv", "8\tentailment", "8\tnot_entailment", "AX.tsv:10: expected enta"),
    "a high score": (
        "STS-B.tsv",
        "8\t0.0",
        "8\t5.01",
        "STS-B.tsv:10: expected a score from",
    ),
    "no number": ("STS-B.tsv", "8\t0.0", "8\tnan", "STS-B.tsv:10: expected a score from"),
    "a comma": ("CoLA.tsv", "8\t0", "8,0", "CoLA.tsv:10: expected two columns with a tab"),
    "three columns": ("CoLA.tsv", "8\t0", "8\t0\t0", "CoLA.tsv:10: expected two columns"),
    "no header": ("CoLA.tsv", f"{HEADER}\n", "", "CoLA.tsv:1: expected the header"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_broken_is_named(name: str, packed: bool, tmp_path: Path) -> None:
    file, old, new, told = BROKEN[name]
    whole = {f.name: written(f, np.eye(f.of.outputs, dtype=np.float32)[[0] * ROWS]) for f in SMALL}
    whole["STS-B.tsv"] = HEADER + "".join(f"\n{row}\t0.0" for row in range(ROWS)) + "\n"
    assert old in whole[file]
    write.write(tmp_path / "out", whole, SOURCES, SMALL)
    broken = {**whole, file: whole[file].replace(old, new)}
    if packed:
        assert check.problems(zipped(tmp_path / "broken.zip", broken), SMALL)[0].startswith(told)
    else:
        (tmp_path / "out" / file).write_text(broken[file])
        flaws = check.problems(tmp_path / "out", SMALL)
        assert flaws[0].startswith(told)
        assert flaws[-1] == f"{ARCHIVE}: {file} is not the file beside it"


def test_files_too_many_too_few_and_deeper(tmp_path: Path) -> None:
    parts = contents()
    del parts["QQP.tsv"]
    parts |= {"sub/QQP.tsv": "", "README.md": ""}
    path = zipped(tmp_path / "some.zip", parts)
    assert [flaw.partition(" ")[0] for flaw in check.problems(path, SMALL)] == [
        "QQP.tsv",
        "sub/QQP.tsv",
        "README.md",
    ]
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("AX.tsv", parts["AX.tsv"])
    assert "AX.tsv is there 2 times" in check.problems(path, SMALL)


def test_the_diagnostic_rows_are_answered_by_the_student_of_mnli(tmp_path: Path) -> None:
    folder = submission(tmp_path / "out")
    about = json.loads((folder / ABOUT).read_text())
    about["files"]["AX.tsv"]["cell"] = "rte"
    (folder / ABOUT).write_text(json.dumps(about))
    assert check.problems(folder, SMALL) == [
        f"{ABOUT}: AX.tsv is not answered by the student of MNLI"
    ]
    (folder / ABOUT).write_text("{}")
    assert check.problems(folder, SMALL)[0].startswith(f"{ABOUT}: does not say")


def test_a_truncated_zip_and_what_is_none_are_one_line(valid: Path, tmp_path: Path) -> None:
    whole = (valid / ARCHIVE).read_bytes()
    for name, raw in {"half.zip": whole[: len(whole) // 2], "text.zip": b"index\n"}.items():
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(UserError, match=rf"{name} is no whole zip"):
            check.problems(tmp_path / name, SMALL)
    with pytest.raises(UserError, match="does not exist"):
        check.problems(tmp_path / "nothing", SMALL)


def test_an_invalid_submission_leaves_nothing_behind(tmp_path: Path) -> None:
    parts = contents() | {"AX.tsv": HEADER}
    with pytest.raises(UserError, match=r"nothing is written: AX\.tsv: expected 9 rows, found 0"):
        write.write(tmp_path / "out", parts, SOURCES, SMALL)
    assert [*tmp_path.iterdir()] == []


def test_a_killed_write_leaves_no_zip_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile.ZipFile, "writestr", kill)
    with pytest.raises(KeyboardInterrupt):
        submission(tmp_path / "out")
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_is_there_is_not_touched(valid: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in valid.iterdir()}
    with pytest.raises(UserError, match="is there already: name a new folder with --out"):
        submission(valid)
    assert {path: path.stat().st_mtime_ns for path in valid.iterdir()} == before


def test_the_command_checks_by_its_exit_code(valid: Path, tmp_path: Path) -> None:
    whole = zipped(tmp_path / "whole.zip", contents(FILES))
    done = runs.bench("submit", "--check", whole)
    assert (done.exit_code, done.stdout) == (0, f"{whole}: valid, 11 files with 426309 answers\n")
    done = runs.bench("submit", "--check", valid)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 22), "each file, and in the zip too"
    assert runs.bench("submit", "--check", tmp_path / "nothing").exit_code == 2
