"""Cross-fitted values: honest, less sure than in-sample ones, each fold trained once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.pipeline import crossfit
from bench.pipeline.crossfit import CrossFit
from bench.pipeline.teacher import TaskTeacher
from bench.pipeline.workbench import Workbench
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.reporter import Reporter, Silent
from reaugkd.retrieval import calibration
from reaugkd.retrieval.mixing import probabilities
from tests.bench import runs

FOLDS = 3


class Stopped(BaseException):
    """Stands for a kill between two batches."""


class Watch(Silent):
    """Counts batches by stage, and stops at a batch of a stage."""

    def __init__(self, stage: str = "", at: int = 0) -> None:
        self.seen: Counter[str] = Counter()
        self.stage, self.at, self.now = stage, at, ""

    def start(self, stage: str, total: int, unit: str = "examples") -> None:
        self.now = stage

    def advance(self, done: int, values: Mapping[str, float] | None = None) -> None:
        self.seen[self.now] += 1
        if self.now == self.stage and self.seen[self.now] == self.at:
            raise Stopped

    def stages(self) -> set[str]:
        return {stage for stage in self.seen if "fold" in stage and "teacher" in stage}


def teacher(cache: Path, reporter: Reporter | None = None, **flags: Any) -> TaskTeacher:
    listener = reporter or Silent()
    config = runs.resolved(**{"teacher__recipe__epochs": 2, **flags}).tasks["follows"]
    return Workbench(ArtifactStore(cache, listener), listener, "test").pipeline(config).teacher


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> CrossFit:
    made = CrossFit(teacher(tmp_path_factory.mktemp("plain")), FOLDS)
    assert made.logits.shape == (600, 3)
    return made


def poisoned(cache: Path, fold: int, monkeypatch: pytest.MonkeyPatch, plain: CrossFit) -> CrossFit:
    """The same with other labels in one fold; the division stays as it was."""
    made = teacher(cache)
    splits: Any = made.rows.teacher.encoded.splits
    fit = splits["fit"]
    labels = np.asarray(fit["label"])
    wrong = np.where(plain.fold == fold, (labels + 1) % 3, labels)
    splits["fit"] = fit.remove_columns("label").add_column("label", wrong.tolist())
    monkeypatch.setattr(crossfit, "folds", lambda *_: plain.fold)
    return CrossFit(made, FOLDS)


@pytest.mark.parametrize("fold", [0, 2])
def test_a_folds_own_labels_do_not_touch_its_values(
    fold: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: CrossFit
) -> None:
    found = poisoned(tmp_path, fold, monkeypatch, plain).logits
    own = plain.fold == fold
    assert np.array_equal(found[own], plain.logits[own])
    assert not np.isclose(found[~own], plain.logits[~own]).any()


@pytest.mark.slow
def test_they_are_less_sure_and_nearer_the_truth_of_rows_not_seen(tmp_path: Path) -> None:
    """On a task that the teacher learns by heart, its own soft labels look better than they are."""
    flags = {"teacher__recipe__epochs": 12, "data__limit": 420}
    made = teacher(tmp_path, **flags)
    labels = made.rows.labels("fit")
    seen = probabilities(made.signals["fit"].logits)
    honest = probabilities(CrossFit(made, FOLDS).logits)
    assert honest.max(axis=1).mean() < seen.max(axis=1).mean() - 0.02
    assert (seen.argmax(1) == labels).mean() > (honest.argmax(1) == labels).mean() + 0.05
    assert calibration.loss(seen, labels)["nll"] < calibration.loss(honest, labels)["nll"]


def test_killed_in_a_fold_it_goes_on_there(tmp_path: Path, plain: CrossFit) -> None:
    second = "mini-follows fold 2/3 teacher: epoch 2/2"
    with pytest.raises(Stopped):
        _ = CrossFit(teacher(tmp_path, Watch(second, at=2)), FOLDS).logits
    watch = Watch()
    found = CrossFit(teacher(tmp_path, watch), FOLDS).logits
    assert np.array_equal(found, plain.logits)
    assert watch.stages() == {
        second,
        "mini-follows fold 3/3 teacher: epoch 1/2",
        "mini-follows fold 3/3 teacher: epoch 2/2",
    }


def test_what_is_there_is_not_made_again(plain: CrossFit) -> None:
    watch = Watch()
    cache = plain.teacher.artifacts.root
    assert np.array_equal(CrossFit(teacher(cache, watch), FOLDS).logits, plain.logits)
    assert not watch.seen
