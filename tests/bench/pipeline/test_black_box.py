"""A black-box teacher: students learn from a file of probabilities, whatever made it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result

from bench.pipeline.student import TaskPipeline
from bench.pipeline.workbench import Workbench
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.reporter import Silent
from reaugkd.retrieval.mixing import probabilities
from reaugkd.tasks import get_task, load
from reaugkd.tasks.mini import TRAIN_ROWS
from tests import tiny
from tests.bench import checkpoints, runs

TASK = get_task("follows")
ROWS = ("--limit", 500, "--ann", "exact")


def table(seed: int = 0) -> pd.DataFrame:
    """Probabilities of every row of train: the true label, softened and disturbed."""
    from reaugkd.tasks import mini

    labels = mini.corpus(TASK).train["label"].to_numpy()
    noise = np.random.default_rng(seed).normal(size=(TRAIN_ROWS, TASK.outputs))
    soft = probabilities(3 * np.eye(TASK.outputs)[labels] + noise)
    columns = {f"p_{label}": soft[:, at] for at, label in enumerate(TASK.labels)}
    return pd.DataFrame({"idx": np.arange(TRAIN_ROWS), **columns})


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return table()


@pytest.fixture(scope="module")
def file(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("outputs") / "said.parquet"
    frame.to_parquet(path)
    return path


def with_embeddings(frame: pd.DataFrame, path: Path, width: int = 24) -> Path:
    vectors = np.random.default_rng(5).normal(size=(len(frame), width))
    frame.assign(embeddings=list(vectors)).to_parquet(path)
    return path


def pipeline(cache: Path, path: Path, **flags: Any) -> TaskPipeline:
    given = {"teacher__outputs": str(path), "data__limit": 500, **flags}
    config = runs.resolved(**given).tasks["follows"]
    return Workbench(ArtifactStore(cache), Silent(), "test").pipeline(config)


METHODS = "finetune,kd,pkd,rkd,takd,knn-kd,reaugkd,reaugkd-r"


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, file: Path) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("taught")
    flags = ("--teacher-outputs", file, *ROWS, "--methods", METHODS)
    return folder, runs.run(folder, *flags)


def test_probabilities_alone_teach_and_the_run_says_where_keys_come_from(
    taught: tuple[Path, Result],
) -> None:
    folder, done = taught
    assert done.exit_code == 0, done.output
    records = runs.records(folder / "out")
    assert {name: one.status for name, one in records.items()} == {
        "finetune": "ok",
        "kd": "ok",
        "reaugkd": "ok",
        "reaugkd exact student soft": "ok",
        "pkd": "skipped",
        "rkd": "skipped",
        "takd": "skipped",
        "knn-kd": "skipped",
        "reaugkd-r": "skipped",
        "reaugkd-r exact student soft": "skipped",
    }
    for method, words in {
        "pkd": "no states of [CLS]",
        "rkd": "needs the teacher's embeddings",
        "takd": "a black-box teacher has none",
        "knn-kd": "needs the teacher's embeddings",
        "reaugkd-r": "needs the teacher's embeddings",
    }.items():
        assert words in str(records[method].reason)
    told = "keys are the student's own, and reaugkd learns without alignment"
    reaugkd, finetune = records["reaugkd"].training, records["finetune"].training
    assert reaugkd is not None
    assert finetune is not None
    assert any(told in note for note in reaugkd.notes)
    assert not any(told in note for note in finetune.notes)
    assert told in done.output
    assert reaugkd.teacher is not None
    assert (reaugkd.teacher.init, reaugkd.teacher.parameters) == ("outputs of said.parquet", None)
    assert reaugkd.teacher.scores.keys() == {"held_out"}
    assert reaugkd.cost.teacher_forwards == 0
    report = runs.bench("report", folder / "out")
    assert report.exit_code == 0, report.output
    assert "outputs of said.parquet" in report.output
    assert told in report.output


def test_without_embeddings_reaugkd_is_kd_bit_for_bit(taught: tuple[Path, Result]) -> None:
    records = runs.records(taught[0] / "out")
    kd, reaugkd = records["kd"].training, records["reaugkd"].training
    assert kd is not None
    assert reaugkd is not None
    assert kd.history == reaugkd.history
    assert kd.scores == reaugkd.scores


def test_signals_are_the_rows_of_the_file_by_number(
    frame: pd.DataFrame, file: Path, tmp_path: Path
) -> None:
    made = pipeline(tmp_path, file)
    names = [f"p_{label}" for label in TASK.labels]
    for split in ("fit", "held_out"):
        wanted = frame[names].to_numpy()[np.asarray(made.rows.data.splits()[split]["idx"])]
        got = probabilities(made.teacher.signals[split].logits)
        np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_content_decides_the_key_and_neither_place_nor_order_nor_rows_that_are_not_used(
    frame: pd.DataFrame, file: Path, tmp_path: Path
) -> None:
    identity = pipeline(tmp_path, file).student_identity("kd", 0)
    moved = shutil.copy(file, tmp_path / "moved.parquet")
    shuffled, in_order, part, other = (tmp_path / f"{n}.parquet" for n in "abcd")
    frame.sample(frac=1, random_state=0).to_parquet(shuffled)
    frame.drop(columns="idx").to_parquet(in_order)
    data = load(TASK, limit=500)
    used = [*data.fit["idx"], *data.held_out["idx"]]
    frame[frame["idx"].isin(used)].to_parquet(part)
    for path in (moved, shuffled, in_order, part):
        assert pipeline(tmp_path, Path(path)).student_identity("kd", 0) == identity
    table(1).to_parquet(other)
    assert pipeline(tmp_path, other).student_identity("kd", 0) != identity


def test_a_pretrained_student_is_identified_by_its_checkpoint_too(
    file: Path, tmp_path: Path
) -> None:
    """The teacher's identity, which stands for it elsewhere, says nothing of a checkpoint here."""
    models = [checkpoints.write(tmp_path / name, seed=seed) for seed, name in enumerate("ab")]
    start = {"source": "pretrained", "layers": [0]}
    identities = [
        pipeline(
            tmp_path, file, teacher__model={"source": str(model)}, student__model=start
        ).student_identity("kd", 0)
        for model in models
    ]
    assert identities[0] != identities[1]


EMBEDDED = "rkd,knn-kd,reaugkd,reaugkd-r"


def test_embeddings_are_projected_and_related(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = with_embeddings(frame, tmp_path / "said.parquet")
    done = runs.run(tmp_path, "--teacher-outputs", path, *ROWS, "--methods", EMBEDDED)
    assert done.exit_code == 0, done.output
    records = runs.records(tmp_path / "out")
    assert {one.status for one in records.values()} == {"ok"}
    assert {"reaugkd exact projected soft", "reaugkd-r exact projected soft"} <= set(records)
    training = records["reaugkd"].training
    assert training is not None
    assert "loss/relation" in training.history[0]
    assert any("embeddings in the teacher's outputs" in note for note in training.notes)


def test_a_key_encoder_stands_for_the_embeddings(file: Path, tmp_path: Path) -> None:
    """It reads with its own tokenizer, has its own width, and is no teacher whose rows relate."""
    encoder = checkpoints.write(tmp_path / "keys", seed=3)
    flags = ("--teacher-outputs", file, "--key-encoder", encoder, *ROWS)
    done = runs.run(tmp_path, *flags, "--methods", EMBEDDED)
    assert done.exit_code == 0, done.output
    records = runs.records(tmp_path / "out")
    for method in ("rkd", "knn-kd", "reaugkd-r"):
        assert "needs the teacher's embeddings" in str(records[method].reason)
    assert records["reaugkd exact projected soft"].status == "ok"
    training = records["reaugkd"].training
    assert training is not None
    assert any(f"keys come from {encoder}" in note for note in training.notes)
    assert training.cost.teacher_forwards == training.rows["fit"]
    made = pipeline(tmp_path, file, teacher__key_encoder={"source": str(encoder)})
    embedding = made.teacher.signals["fit"].embedding
    assert embedding is not None
    assert embedding.shape == (training.rows["fit"], tiny.config()["hidden_size"])
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)
    plain = pipeline(tmp_path, file).student_identity("reaugkd", 0)
    assert made.student_identity("reaugkd", 0) != plain


def test_a_folder_also_scores_the_tests(frame: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "said"
    folder.mkdir()
    frame.to_parquet(folder / "train.parquet")
    dev = np.asarray(load(TASK).tests["dev"]["label"])
    pd.DataFrame({"label": dev}).to_csv(folder / "dev.csv", index=False)
    facts = pipeline(tmp_path, folder).teacher.artifact.facts
    assert facts["scores"]["dev"]["accuracy"] == 1.0


def test_held_out_rows_of_a_file_of_their_own_have_answers_of_their_own(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    def given(name: str) -> TaskPipeline:
        made = pipeline(tmp_path, tmp_path / name)
        held_out = made.rows.data.held_out.remove_columns("idx")
        numbered = held_out.add_column("idx", list(range(len(held_out))))
        made.rows.data = replace(made.rows.data, held_out=numbered, held_out_given=True)
        return made

    for name in ("silent", "said"):
        (tmp_path / name).mkdir()
        frame.to_parquet(tmp_path / name / "train.parquet")
    silent = given("silent")
    assert silent.teacher.artifact.facts["scores"] == {}
    assert any("nothing of held-out rows" in note for note in silent.teacher.notes)
    labels = np.asarray(silent.rows.data.held_out["label"])
    pd.DataFrame({"label": labels}).to_csv(tmp_path / "said" / "held_out.csv", index=False)
    assert given("said").teacher.artifact.facts["scores"]["held_out"]["accuracy"] == 1.0
    with pytest.raises(UserError, match="no split 'held_out'"):
        _ = pipeline(tmp_path, tmp_path / "said").teacher.signals


def test_a_poor_teacher_is_kept_from_teaching_unless_any_may(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    wrong, names = frame.copy(), [f"p_{label}" for label in TASK.labels]
    wrong[names] = np.roll(frame[names].to_numpy(), 1, axis=1)
    wrong.to_parquet(tmp_path / "wrong.parquet")
    with pytest.raises(UserError, match=r"teacher\.floor=none"):
        _ = pipeline(tmp_path, tmp_path / "wrong.parquet").teacher.signals
    anyone = pipeline(tmp_path, tmp_path / "wrong.parquet", teacher__floor="none")
    assert len(anyone.teacher.signals["fit"]) > 0


def test_an_assistant_may_be_a_checkpoint(file: Path, tmp_path: Path) -> None:
    assistant = checkpoints.write(tmp_path / "assistant")
    settings = {"takd": {"chain": [str(assistant)]}}
    cells = runs.plan(
        tmp_path, methods=["takd"], settings=settings, teacher__outputs=str(file), data__limit=500
    )
    assert cells[0].skip is None


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--student", "teacher@0"), ("'teacher'", "--student")),
        (("--set", 'retrieval.keys=["teacher"]'), ("no embeddings", "'student'")),
        (("--set", 'retrieval.values=["cross-fitted"]'), ("cross-fitted", "not trained")),
    ],
)
def test_what_a_black_box_cannot_do_is_told_in_the_plan(
    flags: Any, words: tuple[str, ...], file: Path, tmp_path: Path
) -> None:
    done = runs.run(tmp_path, "--teacher-outputs", file, *ROWS, *flags, "--dry-run")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words)


def test_layers_of_no_checkpoint_are_refused() -> None:
    from bench import settings

    tree = {"tasks": ["sst2"], "teacher": {"outputs": "x.csv"}}
    student = {"student": {"model": {"source": "pretrained", "layers": [0]}}}
    with pytest.raises(UserError, match="give a checkpoint of its own with --student"):
        settings.resolve([tree, student])
    named = {"teacher": {"model": {"source": "org/bert"}}}
    assert settings.resolve([tree, student, named]).tasks


@pytest.mark.parametrize("methods", ["kd", "reaugkd"])
def test_a_file_that_does_not_fit_is_refused_before_anything_trains(
    methods: str, frame: pd.DataFrame, tmp_path: Path, nothing_trains: None
) -> None:
    frame.drop(columns="idx").head(100).to_csv(tmp_path / "short.csv", index=False)
    flags = ("--teacher-outputs", tmp_path / "short.csv", *ROWS, "--methods", methods)
    done = runs.run(tmp_path, *flags)
    assert done.exit_code == 2
    assert f"has 100 rows, train has {TRAIN_ROWS}" in done.stderr
