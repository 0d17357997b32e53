"""Rows of one's own through the whole of ``bench``: run, resume, pool, report, compare, export."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from bench.records.run import Record
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.tasks import mini
from tests.bench import checkpoints, runs
from tests.bench.test_bad_input import told

TRAIN, TEST = 700, 150
KINDS = {"classes": "tone", "score": "alike"}


def rows(kind: str) -> Iterator[tuple[str, ...]]:
    """Rows of the embedded suite as somebody else would write them."""
    task = mini.TASKS[KINDS[kind]]
    corpus = mini.corpus(task)
    for number, row in enumerate(corpus.tests["dev"].to_pylist()):
        label = row["label"] if task.regression else ["a bad one", "good; great"][row["label"]]
        yield f"{number}", *(row[name] for name in ("text_a", "text_b") if name in row), str(label)


def write(folder: Path, kind: str = "classes", delimiter: str = ";") -> list[object]:
    """Files and a model below ``folder``, and the flags that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    made = list(rows(kind))
    texts = ("sentence",) if len(made[0]) == 3 else ("first", "second")
    for name, part in (("train", made[:TRAIN]), ("test", made[TRAIN : TRAIN + TEST])):
        with (folder / f"{name}.csv").open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows([("id", *texts, "verdict"), *part])
    checkpoints.write(folder / "model")
    return flags(folder, *texts)


def flags(folder: Path, *texts: str) -> list[object]:
    columns = ["--text", ",".join(texts or ["sentence"]), "--label", "verdict"]
    models = ["--teacher", folder / "model", "--student", "pretrained@0"]
    return [*files(folder), *columns, *models]


def files(folder: Path) -> list[object]:
    return ["--train", folder / "train.csv", "--test", folder / "test.csv"]


def run(folder: Path, *more: object) -> Result:
    """The small matrix without its tasks and limit, as for ``runs.run``."""
    words = runs.arguments(folder, *more)
    small = folder / "small.toml"
    text = runs.SMALL.replace('tasks = ["follows"]\n', "").replace("limit = 800", "max_length = 48")
    kept = text[: text.index("[teacher.model.config]")] + text[text.index("[teacher.recipe]") :]
    before, after = kept[: kept.index("[student.model.config]")], kept[kept.index("[student.rec") :]
    small.write_text(before + after, encoding="utf-8")
    return runs.bench(*words)


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: ``data`` has the files, ``out`` the run, ``cache`` its artefacts."""
    folder = tmp_path_factory.mktemp("mine")
    done = run(folder, *write(folder / "data"), "--name", "mail", "--metric", "accuracy,ece,auroc")
    assert done.exit_code == 0, done.output
    (folder / "shown.txt").write_text(done.output, encoding="utf-8")
    return folder


def again(folder: Path, out: Path, *more: object) -> Result:
    return run(folder, *flags(folder / "data"), "--name", "mail", "--out", out, *more)


def record(out: Path, name: str = "finetune") -> Record:
    return runs.records(out)[name]


def test_the_plan_shows_the_rows_and_the_records_say_what_they_are(mine: Path) -> None:
    shown = (mine / "shown.txt").read_text(encoding="utf-8")
    assert "labels: 2 classes" in shown
    assert "tokens: median" in shown
    one = record(mine / "out")
    assert (one.task, one.suite, one.tests) == ("mail", "own", ["test"])
    assert one.metrics == ["accuracy", "ece", "auroc"]
    assert one.training is not None
    assert one.training.rows["test"] == TEST
    assert one.training.source == "train.csv, test.csv"
    assert "labels of column 'verdict' are 2 classes" in one.training.notes
    for name in ("reaugkd exact projected soft", "reaugkd hnswlib projected soft"):
        result = record(mine / "out", name).retrieval
        assert result is not None
        assert set(result.chosen.scores["test"]) == {"accuracy", "ece", "auroc"}
    card = json.loads((mine / "out" / "run.json").read_text())["cards"]["mail"]
    assert card["rows"]["test"] == TEST


def test_report_and_export_know_nothing_but_the_run(mine: Path, tmp_path: Path) -> None:
    report = runs.bench("report", mine / "out")
    assert report.exit_code == 0, report.output
    assert "Suite: own." in report.output
    assert "mail auroc" in report.output
    hidden = mine / "data" / "test.csv"
    words = ["--cache", mine / "cache", "--ann", "exact", "--task", "MAIL"]
    done = runs.bench("export", mine / "out", "--to", tmp_path / "c", *words)
    assert done.exit_code == 0, done.output
    classifier = RetrievalAugmentedClassifier.from_pretrained(tmp_path / "c")
    assert set(classifier.predict(["the soup was tasty"]).labels) <= {"a bad one", "good; great"}
    assert hidden.is_file()
    assert classifier.texts is None
    known = classifier.facts
    assert known is not None
    assert (known.title, known.source) == ("mail", "train.csv, test.csv")
    assert known.rows["test"] == TEST
    written = (tmp_path / "c" / "README.md").read_text(encoding="utf-8")
    assert f"| test ({TEST}) | {known.comparison[0].off:.4f} |" in written
    assert str(mine) not in written
    unlicensed = runs.bench("export", mine / "out", "--to", tmp_path / "e", *words, "--license", "")
    told(unlicensed, "license must be an identifier")
    with_texts = runs.bench(
        "export", mine / "out", "--to", tmp_path / "t", *words, "--texts", "--license", "mit"
    )
    assert with_texts.exit_code == 0, with_texts.output
    kept = RetrievalAugmentedClassifier.from_pretrained(tmp_path / "t")
    assert kept.facts == known.licensed("mit")
    assert set(kept.texts) == set(kept.knowledge_base.ids.tolist())
    written = (mine / "data" / "train.csv").read_text(encoding="utf-8")
    assert all(text in written for (text,) in kept.texts.values())
    unknown = runs.bench("export", mine / "out", "--to", tmp_path / "d", "--task", "mial")
    told(unknown, "unknown task 'mial'", "'mail'")


def test_the_same_rows_elsewhere_are_the_same_cells(mine: Path, tmp_path: Path) -> None:
    shutil.copytree(mine / "data", tmp_path / "moved")
    moved = [*files(tmp_path / "moved"), "--metric", "accuracy,ece,auroc"]
    done = again(mine, mine / "out", *moved, "--dry-run")
    assert "5 there already, 0 left" in done.output, done.output


def test_a_further_metric_trains_nothing_and_another_choice_does(
    mine: Path, tmp_path: Path, nothing_trains: None
) -> None:
    done = again(mine, tmp_path / "more", "--metric", "accuracy,f1,log_loss", "--ann", "exact")
    assert done.exit_code == 0, done.output
    one = record(tmp_path / "more", "kd").training
    assert one is not None
    assert one.teacher is not None
    for scores in (one.scores["test"], one.teacher.scores["test"], one.majority["test"]):
        assert list(scores) == ["accuracy", "f1", "log_loss"]
    before = record(mine / "out", "kd").training
    assert before is not None
    assert one.scores["test"]["accuracy"] == before.scores["test"]["accuracy"]
    chosen = again(mine, tmp_path / "other", "--metric", "f1", "--dry-run")
    assert "0 there already" in chosen.output
    assert "students in the cache" not in chosen.output


@pytest.mark.slow
def test_workers_find_the_rows_too(mine: Path, tmp_path: Path) -> None:
    own = ["--cache", tmp_path / "cache", "--max-workers", 2, "--metric", "accuracy,ece,auroc"]
    done = again(mine, tmp_path / "out", *own)
    assert done.exit_code == 0, done.output
    assert runs.results(tmp_path / "out") == runs.results(mine / "out")


@pytest.mark.slow
def test_scores_pairs_and_seeds(tmp_path: Path) -> None:
    words = [*write(tmp_path / "pairs", "score", ","), "--metric", "spearman,pearson,rmse"]
    told(run(tmp_path, *words), "10 different numbers", "--set data.kind=score")
    words += ["--set", "data.kind=score"]
    done = run(tmp_path, *words, "--seeds", "0,1", "--ann", "exact", "--limit", 300)
    assert done.exit_code == 0, done.output
    assert "labels: scores from" in done.output
    one = record(tmp_path / "out")
    assert (one.task, one.regression, one.select_on) == ("pairs", True, "spearman")
    report = runs.bench("report", tmp_path / "out")
    assert "Not in percent: rmse." in report.output
    assert "Of rmse lower is better." in report.output
    shutil.copytree(tmp_path / "out", tmp_path / "other")
    compared = runs.bench("compare", tmp_path / "out", tmp_path / "other")
    assert compared.exit_code == 0, compared.output


def test_settings_can_stand_in_a_file(tmp_path: Path) -> None:
    write(tmp_path / "data")
    settings = {
        "train": str(tmp_path / "data" / "train.csv"),
        "test": str(tmp_path / "data" / "test.csv"),
        "text": "sentence",
        "label": "verdict",
        "delimiter": ";",
        "labels": ["good; great", "a bad one"],
        "max_length": 48,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    model = json.dumps(str(tmp_path / "data" / "model"))
    text = "\n".join(["[data]", *lines, "[teacher.model]", f"source = {model}"])
    file = tmp_path / "mine.toml"
    file.write_text(f"{text}\n[student.model]\nsource = 'pretrained'\nlayers = [0]\n")
    cache = ["--cache", tmp_path / "cache", "--out", tmp_path / "out"]
    done = runs.bench("run", "--config", file, *cache, "--dry-run")
    assert done.exit_code == 0, done.output
    assert "rows: fit 500, held_out 200, test 150" in done.output


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (["--label", "verdct"], ["train.csv", "unknown column 'verdct'", "'verdict'"]),
        (["--text", "sentence,id,verdict"], ["text is one column or two, not 4"]),  # with the first
        (["--text", "verdict"], ["different columns"]),
        (["--test", "nowhere.csv"], ["no file nowhere.csv"]),
        (["--train", "book.xlsx"], ["book.xlsx", ".parquet"]),
        (["--tasks", "mrpc"], ["has no other task"]),
        (["--name", "MRPC"], ["'MRPC' is a task of its own"]),
        (["--name", "a/b"], ["data.name", "a/b"]),
        (["--metric", "mae"], ["'mae' is not of classes"]),
        (["--metric", "log_loss"], ["cannot come first"]),
        (["--set", "data.kind=scores"], ["data.kind", "'scores'", "score"]),
        (["--set", "data.kind=score"], ["row 1", "a score like 3.5"]),
        (["--set", "data.delimiter=,"], ["unknown column 'verdict'", "data.delimiter"]),
        (["--data-dir", "GLUE"], ["GLUE", "data.dir"]),
    ],
)
def test_a_mistake_is_told_before_anything_trains(
    changed: list[str], words: list[str], tmp_path: Path, nothing_trains: None
) -> None:
    told(run(tmp_path, *write(tmp_path / "data"), *changed), *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--train", "a.csv"], ["data.train", "data.test (--test)", "data.text (--text)"]),
        (["--name", "mine"], ["data.name", "data.train (--train)"]),
        (["--preset", "own"], ["--tasks", "--train, --test, --text, --label"]),
    ],
)
def test_what_is_missing_is_named(given: list[Any], words: list[str]) -> None:
    told(runs.bench("run", *given), *words)


def test_a_model_is_asked_for(tmp_path: Path) -> None:
    words = write(tmp_path / "data")
    told(runs.bench("run", *words[:-4]), "need a teacher: --teacher MODEL")
    told(runs.bench("run", *words[:-2]), "need a student: --student MODEL")
    told(runs.bench("run", *words[:-4], "--preset", "mini"), "suite's tokenizer cannot read")
