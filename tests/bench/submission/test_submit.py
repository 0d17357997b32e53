"""A finished run on tiny files of GLUE becomes a submission: whose answers, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import export
from bench.cell import Cell
from bench.pipeline.workbench import Workbench
from bench.records.results import Results, load
from bench.records.run import Record
from bench.records.store import Store
from bench.submission import check, make
from bench.submission.answers import CHUNK, alone, answered, with_retrieval
from bench.submission.finished import FinishedStore, StudentChoice, choose
from bench.submission.layout import ABOUT, ARCHIVE, written
from bench.submission.make import FileOrigin
from reaugkd.errors import UserError
from reaugkd.reporter import Silent
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.tasks import glue_tests
from reaugkd.tasks.glue import TASKS
from tests.bench import checkpoints, runs
from tests.bench.submission.submissions import SMALL, path_of, write_rows, write_tests
from tests.bench.test_bad_input import told

PRESENT = ("mnli", "stsb", "cola")
FILES = {file.name: file for file in SMALL}
WITH = StudentChoice("reaugkd", backend="exact")


@dataclass
class Place:
    """A finished run: folder of GLUE, cache and results."""

    glue: Path
    cache: Path
    results: Results

    def workbench(self) -> Workbench:
        return Workbench(FinishedStore(self.cache, Silent(), "bench run"), Silent(), "test")

    def submit(self, out: Path, wanted: StudentChoice = WITH, **options: Any) -> list[FileOrigin]:
        chosen, bench = choose(self.results, wanted), self.workbench()
        options = {"missing": "constant", "files": SMALL, "command": "bench submit", **options}
        return make.make(out, self.results, chosen, bench, Silent(), **options)

    def cell(self, task: str, wanted: StudentChoice = WITH) -> tuple[Cell, Record]:
        state = choose(self.results, wanted).cells[task]
        assert state.record is not None
        cells = export.planned(Store(self.results.folder), self.workbench(), task=task)
        return next(cell for cell in cells if cell.key == state.plan.key), state.record


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("glue")
    for task in PRESENT:
        write_rows(folder / "GLUE", task, 48)
        write_tests(folder / "GLUE", task)
    checkpoints.write(folder / "model", tokenizer=checkpoints.letters())
    done = runs.bench(
        "run", "--preset", "glue-minilm", "--tasks", ",".join(PRESENT), "--methods", "kd,reaugkd",
        "--data-dir", folder / "GLUE", "--teacher", folder / "model", "--student", "pretrained@0",
        "--ann", "exact,faiss", "--k", "1,4", "--set", "data.max_length=32", "--beta", "0.5",
        "--set", "teacher.floor=none", "--set", "teacher.recipe.epochs=1",
        "--set", "student.recipe.epochs=1", "--set", "student.recipe.precision=fp32",
        "--cache", folder / "cache", "--out", folder / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return Place(folder / "GLUE", folder / "cache", load(Store(folder / "out")))


@pytest.fixture(scope="module")
def made(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "out"
    place.submit(out)
    return out


def texts(place: Place, name: str) -> list[Any]:
    """The rows of a file as a classifier takes them."""
    file = FILES[name]
    rows = glue_tests.from_folder(file.of, file.split, place.glue).texts
    return rows if file.of.pair else [text for (text,) in rows]


@pytest.mark.usefixtures("nothing_trains")
@pytest.mark.parametrize("task", PRESENT)
def test_answers_are_bit_equal_to_those_of_the_exported_classifier(
    task: str, place: Place, made: Path, tmp_path: Path
) -> None:
    done = runs.bench(
        "export", place.results.folder, "--task", task, "--method", "reaugkd", "--ann", "exact",
        "--cache", place.cache, "--to", tmp_path / "saved",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    classifier = RetrievalAugmentedClassifier.from_pretrained(tmp_path / "saved")
    answer = with_retrieval(*place.cell(task), place.workbench())
    for file in (file for file in SMALL if file.task == task):
        answers = classifier.predict(texts(place, file.name))
        assert answers.asked.all()
        assert not np.array_equal(answers.probabilities, answers.student)
        rows = glue_tests.from_folder(file.of, file.split, place.glue).texts
        assert np.array_equal(answer(rows), answers.probabilities)
        assert (made / file.name).read_text() == written(file, answers.probabilities)


@pytest.mark.usefixtures("nothing_trains")
def test_chunks_do_not_change_the_answers(place: Place) -> None:
    file = FILES["STS-B.tsv"]
    rows = glue_tests.from_folder(file.of, "test", place.glue).texts
    answer = with_retrieval(*place.cell("stsb"), place.workbench())
    whole, parts = (answered(file, rows, answer, Silent(), chunk) for chunk in (CHUNK, 2))
    assert np.allclose(whole, parts, atol=1e-6)


@pytest.mark.usefixtures("nothing_trains")
@pytest.mark.parametrize("method", ["kd", "reaugkd"])
def test_students_alone_say_what_the_run_recorded_of_them(method: str, place: Place) -> None:
    cell, _ = place.cell("mnli", StudentChoice(method, retrieval=False))
    pipeline, answer = place.workbench().pipeline(cell.config), alone(cell, place.workbench())
    dev = pipeline.rows.data.tests["dev_matched"]
    answers = answer([*zip(dev["text_a"], dev["text_b"], strict=True)])
    recorded = Store(place.results.folder).arrays(cell.key)["logits.dev_matched"]
    assert np.array_equal(answers.argmax(axis=1), recorded.argmax(axis=1))
    assert np.allclose(np.log(answers[:, :1] / answers), recorded[:, :1] - recorded, atol=1e-5)


@pytest.mark.usefixtures("nothing_trains")
def test_without_retrieval_the_same_files_come_from_the_students(
    place: Place, tmp_path: Path
) -> None:
    sources = place.submit(tmp_path / "out", StudentChoice("kd", retrieval=False))
    answered_by = {source.file.task: source.words for source in sources if source.cell}
    assert answered_by == dict.fromkeys(PRESENT, "kd seed 0 alone")
    assert check.problems(tmp_path / "out", SMALL) == []


def test_mnli_answers_three_files_and_what_nobody_answered_is_said(made: Path) -> None:
    about = json.loads((made / ABOUT).read_text())["files"]
    assert len({about[name]["cell"] for name in ("MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv")}) == 1
    empty = {name: source["answers"] for name, source in about.items() if not source["cell"]}
    assert {FILES[name].task for name in empty} == {*TASKS} - {*PRESENT}
    assert empty["RTE.tsv"] == "no student: entailment for every row, a constant"
    assert about["CoLA.tsv"]["answers"].startswith("reaugkd seed 0 + exact (projected")
    assert check.problems(made, SMALL) == check.problems(made / ARCHIVE, SMALL) == []


def test_majority_is_of_train(place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.glue, tmp_path / "GLUE")
    for task in {*TASKS} - {*PRESENT}:
        write_rows(tmp_path / "GLUE", task, 3)
    some = load(Store(place.results.folder))
    some = replace(some, cells=tuple(c for c in some.cells if c.plan.task != "stsb"))
    options: dict[str, Any] = {"missing": "majority", "data_dir": tmp_path / "GLUE"}
    replace(place, results=some).submit(tmp_path / "out", **options)
    second = {n: (tmp_path / "out" / n).read_text().splitlines()[1] for n in FILES}
    assert second["RTE.tsv"] == "0\tentailment", "two of three rows of train"
    assert second["WNLI.tsv"] == "0\t0"
    scores = [2.5 * (row % 2) for row in range(48)]
    assert float(second["STS-B.tsv"].split("\t")[1]) == pytest.approx(np.mean(scores))


def test_tasks_without_an_answer_are_refused_by_name(place: Place, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none for SST-2, MRPC.*not planned\).*--missing maj"):
        place.submit(tmp_path / "out", missing=None)
    with pytest.raises(UserError, match=r"GLUE/SST-2 is not a folder.*--missing constant reads no"):
        place.submit(tmp_path / "out", missing="majority")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("STS-B.tsv", "\n8\t-\t", "\n8\t", r"STS-B/test\.tsv:10: expected 4 tab-separated columns"),
        ("STS-B.tsv", "\n8\t", "\n9\t", r"test\.tsv:10: expected row 8 in 'index', found '9'"),
        ("STS-B.tsv", "index\t", "row\t", r"STS-B/test\.tsv:1: expected a header .*missing: index"),
        ("CoLA.tsv", "\n8\t-\t\"a test z", "", r"CoLA/test\.tsv has 8 rows, the server expects 9"),
        ("AX.tsv", None, "", r"has none of diagnostic/diagnostic\.tsv, AX/diagnostic\.tsv"),
        ("MNLI-mm.tsv", None, "", r"MNLI/test_mismatched\.tsv is missing"),
    ],
)  # fmt: skip
def test_test_files_that_are_not_whole_are_named(
    name: str, old: str | None, new: str, reason: str, place: Place, tmp_path: Path
) -> None:
    shutil.copytree(place.glue, tmp_path / "GLUE")
    path = path_of(tmp_path / "GLUE", FILES[name])
    text = path.read_text()
    if old is None:
        path.unlink()
    else:
        assert old in text
        path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=reason):
        place.submit(tmp_path / "out", data_dir=tmp_path / "GLUE")


def test_a_student_that_is_gone_is_not_trained_again(place: Place, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"student \w+ reaugkd 0 is not in the cache .*`bench run`"):
        replace(place, cache=tmp_path / "empty").submit(tmp_path / "out")
    assert [*tmp_path.iterdir()] == []


def test_students_that_are_damaged_are_not_trained_again(place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.cache, tmp_path / "cache")
    for path in (tmp_path / "cache" / "student").glob("*/encoder/model.safetensors"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"student \w+ reaugkd 0 is not in the cache"):
        replace(place, cache=tmp_path / "cache").submit(tmp_path / "out")


def test_other_rows_than_the_run_had_are_refused(place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.glue, tmp_path / "GLUE")
    write_rows(tmp_path / "GLUE", "mnli", 50)
    with pytest.raises(UserError, match=r"mnli reaugkd .* cannot be made from .* any more: the ro"):
        place.submit(tmp_path / "out", data_dir=tmp_path / "GLUE")


def test_the_first_index_of_the_plan_answers_unless_another_is_named(place: Place) -> None:
    for named, taken in {None: "exact", "exact": "exact", "faiss": "faiss"}.items():
        cells = choose(place.results, StudentChoice("reaugkd", backend=named)).cells
        assert [cell.plan.backend for cell in cells.values()] == [taken] * len(PRESENT)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--method reaugk", ("unknown method of the run 'reaugk'", "'reaugkd'")),
        ("--seed 7", ("no seed 7 of reaugkd, only 0",)),
        ("--ann annoy", ("no finished cell of reaugkd seed 0 with retrieval behind annoy", "mnli")),
        ("--ann anoy", ("unknown ANN backend 'anoy'",)),
        ("--method kd", ("no finished cell of kd seed 0 with retrieval", "--no-retrieval")),
        ("--ann exact --no-retrieval", ("--ann", "--no-retrieval")),
        ("", ("SST-2", "--missing")),
    ],
)
def test_what_the_run_does_not_have_is_one_line(
    flags: str, words: tuple[str, ...], place: Place
) -> None:
    done = runs.bench("submit", place.results.folder, "--cache", place.cache, *flags.split())
    told(done, *words)


def test_runs_that_are_not_there_or_not_of_glue_are_one_line(
    tmp_path: Path, finished: Path
) -> None:
    told(runs.bench("submit", tmp_path / "none"), "no run at")
    told(runs.bench("submit", finished / "out"), "no finished cell of reaugkd", "follows")
