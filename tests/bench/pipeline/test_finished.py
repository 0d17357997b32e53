"""A teacher as it is: its own head, its own label names, and no training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from transformers import AutoModelForSequenceClassification

from bench.pipeline.student import TaskPipeline
from bench.pipeline.teacher import TeacherFloorError
from bench.pipeline.workbench import Workbench
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.reporter import Silent
from reaugkd.tasks import get_task, mini
from tests.bench import checkpoints, runs

LABELS = get_task("follows").labels  # follows, open, contradicted
AS_IT_IS = ("--set", "teacher.finetune=false", "--set", "teacher.floor=none")


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def pipeline(cache: Path, folder: Path, reporter: Any = None, **flags: Any) -> TaskPipeline:
    given = {
        "teacher__model": {"source": str(folder)},
        "teacher__finetune": False,
        "teacher__floor": "none",
        "data__limit": 500,
        **flags,
    }
    config = runs.resolved(**given).tasks["follows"]
    listener = reporter or Silent()
    return Workbench(ArtifactStore(cache), listener, "test").pipeline(config)


def said(folder: Path, texts: Any) -> torch.Tensor:
    """Logits by transformers alone."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = mini.tokenizer()(texts["text_a"], texts["text_b"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits: torch.Tensor = model(**inputs).logits
    return logits


@pytest.fixture(scope="module")
def reversed_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = [label.upper() for label in reversed(LABELS)]
    return checkpoints.write_classifier(tmp_path_factory.mktemp("models") / "reversed", names)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, reversed_labels: Path) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("taught")
    flags = ("--teacher", reversed_labels, "--methods", "kd,rkd,reaugkd", "--ann", "exact")
    return folder, runs.run(folder, *flags, *AS_IT_IS, "--limit", 500)


def test_its_own_logits_teach_in_the_order_of_the_data(
    reversed_labels: Path, tmp_path: Path
) -> None:
    finished = pipeline(tmp_path, reversed_labels)
    wanted = said(reversed_labels, finished.rows.data.fit[:]).flip(1).numpy()
    signals = finished.teacher.signals["fit"]
    np.testing.assert_allclose(signals.logits, wanted, atol=1e-5)
    assert signals.embedding is not None
    assert signals.embedding.shape == (len(wanted), finished.teacher.shape[0].width)


def test_a_run_says_how_labels_were_matched_and_that_nothing_was_trained(
    taught: tuple[Path, Result],
) -> None:
    folder, done = taught
    assert done.exit_code == 0, done.output
    assert "mapped by name to follows, open, contradicted" in done.output
    kd = runs.records(folder / "out")["kd"].training
    assert kd is not None
    assert any("mapped by name" in note for note in kd.notes)
    assert kd.teacher is not None
    assert (kd.teacher.seconds, kd.teacher.best_epoch) == (0.0, 0)
    assert kd.teacher.init.endswith("reversed, as it is")
    assert set(kd.teacher.scores) == {"held_out", "dev"}
    report = runs.bench("report", folder / "out")
    assert report.exit_code == 0, report.output
    assert "as it is" in report.output


def test_what_it_says_does_not_depend_on_the_recipe_but_on_its_weights(
    reversed_labels: Path, tmp_path: Path
) -> None:
    other = checkpoints.write_classifier(tmp_path / "other", LABELS)
    cache = tmp_path / "cache"
    identity = pipeline(cache, reversed_labels).teacher.identity
    no_epoch = {"teacher__finetune": True, "teacher__recipe__epochs": 0}
    for same in ({"teacher__recipe__epochs": 9}, {"teacher__seed": 3}, no_epoch):
        assert pipeline(cache, reversed_labels, **same).teacher.identity == identity
    assert pipeline(cache, other).teacher.identity != identity
    trained = pipeline(cache, reversed_labels, teacher__finetune=True).teacher.identity
    assert trained != identity
    assert "finetune" not in trained


def test_a_student_may_be_made_of_its_layers(reversed_labels: Path, tmp_path: Path) -> None:
    flags = {"student__model": {"source": "teacher", "layers": [1]}, "methods": ["kd"]}
    made = pipeline(tmp_path, reversed_labels, **flags)
    made.check_models(taught=True)
    student = made.context("kd", 0).models.student(0).backbone.state_dict()
    model = AutoModelForSequenceClassification.from_pretrained(reversed_labels).bert.state_dict()
    layer = "encoder.layer.{}.output.dense.weight"
    assert torch.equal(student[layer.format(0)], model[layer.format(1)])


def test_methods_that_train_their_teacher_say_so(reversed_labels: Path, tmp_path: Path) -> None:
    made = pipeline(tmp_path, reversed_labels)
    for method in ("dml", "prokt", "sftn", "metadistil", "rco"):
        assert "a finished teacher is not trained" in str(made.unsupported(method))
    for method in ("finetune", "kd", "rkd", "reaugkd"):
        assert made.unsupported(method) is None


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (("yes", "no", "maybe"), ("yes, no, maybe", "follows, open, contradicted")),
        (2, ("2 classes", "follows, open, contradicted")),
    ],
)
def test_another_set_of_labels_is_refused(labels: Any, words: Any, tmp_path: Path) -> None:
    folder = checkpoints.write_classifier(tmp_path / "other", labels)
    done = runs.run(tmp_path, "--teacher", folder, *AS_IT_IS)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words)


def test_a_regression_takes_one_output(tmp_path: Path) -> None:
    one = checkpoints.write_classifier(tmp_path / "one", 1)
    two = checkpoints.write_classifier(tmp_path / "two", 2)
    flags = ("--tasks", "alike", "--methods", "kd", "--limit", 500, *AS_IT_IS, "--dry-run")
    assert runs.run(tmp_path, "--teacher", one, *flags).exit_code == 0
    done = runs.run(tmp_path, "--teacher", two, *flags)
    assert done.exit_code == 2
    assert "2 labels, mini-alike is a score" in done.stderr


def test_labels_without_names_are_taken_by_place_and_told(tmp_path: Path) -> None:
    folder, heard = checkpoints.write_classifier(tmp_path / "three", 3), Heard()
    made = pipeline(tmp_path, folder, heard)
    made.check_models(taught=True)
    assert any("LABEL_0, LABEL_1, LABEL_2" in note for note in heard.notes)
    wanted = said(folder, made.rows.data.fit[:8]).numpy()
    np.testing.assert_allclose(made.teacher.signals["fit"].logits[:8], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"teacher__model": {"source": "x", "layers": [0]}}, "whole, without @layers"),
        ({"teacher__model": {"source": "config", "config": {}}}, "not random weights"),
        ({"teacher__key_encoder": {"source": "x"}}, "give outputs as well"),
        ({"teacher__outputs": "x.csv"}, "leave finetune out"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(flags: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        runs.resolved(**{"teacher__finetune": False, **flags})


def test_no_epoch_without_a_head_is_planned_told_and_held_by_the_floor(tmp_path: Path) -> None:
    """An untrained head knows nothing: the plan says so, and the floor keeps it from teaching."""
    folder, heard = checkpoints.write(tmp_path / "base"), Heard()
    flags = {"teacher__finetune": True, "teacher__recipe__epochs": 0, "teacher__floor": "majority"}
    made = pipeline(tmp_path, folder, heard, **flags, teacher__floor_margin=0.3)
    made.check_models(taught=True)
    assert heard.notes == ["mini-follows: the teacher's head is not trained (0 epochs)"]
    assert "a finished teacher is not trained" in str(made.unsupported("rco"))
    with pytest.raises(TeacherFloorError, match=r"teacher\.floor=none"):
        _ = made.teacher.signals
    none = pipeline(tmp_path, folder, **{**flags, "teacher__floor": "none"})
    assert none.teacher.identity == made.teacher.identity
    assert none.teacher.artifact.facts["steps"] == 0


def test_a_checkpoint_without_a_head_is_not_finished(tmp_path: Path) -> None:
    done = runs.run(tmp_path, "--teacher", checkpoints.write(tmp_path / "base"), *AS_IT_IS)
    assert done.exit_code == 2
    assert "has no head of its own" in done.stderr, done.stderr


def test_there_are_no_cross_fitted_values_of_a_finished_teacher(
    reversed_labels: Path, tmp_path: Path
) -> None:
    flags = ("--teacher", reversed_labels, *AS_IT_IS, "--methods", "reaugkd", "--dry-run")
    values = ("--set", 'retrieval.values=["soft", "cross-fitted"]')
    done = runs.run(tmp_path, *flags, *values)
    assert done.exit_code == 0
    assert "this teacher is not trained" in done.output
