"""kNN-KD: whose answers the target is made of, where it is KD, and how often it searches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from baselines import knn_kd
from baselines.kd import KD
from baselines.knn_kd import KNNKD, KNNKDSettings, Mixed, neighbours
from reaugkd.context import Context
from reaugkd.distiller import Conditions, KDSettings, Shape, Signal
from reaugkd.errors import EmbeddingError, UserError
from reaugkd.reporter import Silent
from reaugkd.retrieval import mixing
from reaugkd.retrieval.ann import exact
from reaugkd.signals import TeacherSignals
from reaugkd.training.batches import Collator
from tests import tiny
from tests.baselines.cases import DistillerCase, Stopped
from tests.baselines.kills import Watch

OWN = {"temperature": 3.0, "soft_weight": 0.7, "hard_weight": 0.3}


class TestKNNKD(DistillerCase):
    name = "knn-kd"


def method(**settings: Any) -> KNNKD:
    return KNNKD(KNNKDSettings.model_validate({**OWN, **settings}))


def searches(folder: Path) -> int:
    return len(list((folder / "artifacts" / "neighbours").glob("*/manifest.json")))


def targets(context: Context, **settings: Any) -> NDArray[np.float32]:
    """What the students of a method learn from, [N, C]."""
    source = method(**settings).prepare(context)
    assert source is not None
    rows = range(len(context.splits["fit"]))
    return source.batch(Collator(context.splits["fit"], 0)(rows)).logits.numpy()


def embeddings(rows: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(rows, 6)).astype(np.float32)


def test_without_weight_it_is_kd_bit_for_bit(tmp_path: Path) -> None:
    kd = tiny.distilled(KD(KDSettings(**OWN)), tiny.context(tmp_path / "a"), tmp_path / "kd")
    context = tiny.context(tmp_path / "b")
    none = tiny.distilled(method(retrieval_weight=0.0, k=1000), context, tmp_path / "none")
    assert tiny.same_weights(kd, none)
    assert context.stages == []
    some = tiny.distilled(method(retrieval_weight=0.1), context, tmp_path / "some")
    assert not tiny.same_weights(kd, some)
    assert method(retrieval_weight=0.0).uses() == {Signal.LOGITS}


@pytest.mark.parametrize("regression", [False, True])
@pytest.mark.parametrize("weight", [0.4, 1.0])
def test_the_target_is_the_mixture_of_serving(
    regression: bool, weight: float, tmp_path: Path
) -> None:
    """With the cosines of all rows but the own one, as a query of it would be answered."""
    context = tiny.context(tmp_path, regression=regression)
    embedding, soft = context.teacher.embedding, mixing.probabilities(context.teacher.logits)
    assert embedding is not None
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    near = unit @ unit.T
    np.fill_diagonal(near, -np.inf)
    ids = np.argsort(-near, axis=1)[:, :5]
    expected = mixing.augment(soft, np.take_along_axis(near, ids, 1), ids, soft, 0.2, weight)
    found = targets(context, k=5, tau=0.2, retrieval_weight=weight)
    np.testing.assert_allclose(mixing.probabilities(found), expected, atol=1e-6)


def test_what_a_row_says_is_not_retrieved_for_it(tmp_path: Path) -> None:
    context = tiny.context(tmp_path)
    before = targets(context, retrieval_weight=1.0, k=3)
    logits = np.array(context.teacher.logits)
    logits[7] = [50.0, -50.0]
    after = targets(
        replace(context, signals=replace(context.teacher, logits=logits)), k=3, retrieval_weight=1.0
    )
    changed = np.flatnonzero((before != after).any(axis=1))
    assert 7 not in changed
    assert len(changed) > 0


def test_twins_find_each_other_and_nobody_itself() -> None:
    rows = embeddings(30)
    rows[[4, 11]] = 2.5 * rows[20]
    near, ids = neighbours(rows, 3, Silent())
    assert not (ids == np.arange(30)[:, None]).any()
    assert [set(ids[row, :2]) for row in (4, 11, 20)] == [{11, 20}, {4, 20}, {4, 11}]
    assert near[4, :2].tolist() == pytest.approx([1.0, 1.0], abs=1e-6)
    all_equal = np.ones((9, 4), np.float32)
    _, ids = neighbours(all_equal, 3, Silent())
    assert not (ids == np.arange(9)[:, None]).any()
    assert all(len(set(row)) == 3 for row in ids.tolist())


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows, order = embeddings(40), np.random.default_rng(1).permutation(40)
    near, ids = neighbours(rows, 6, Silent())
    moved, theirs = neighbours(rows[order], 6, Silent())
    assert np.array_equal(order[theirs], ids[order])
    np.testing.assert_array_equal(moved, near[order])


def test_block_by_block_is_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = embeddings(50)
    rows[10:20] = rows[0]
    whole = neighbours(rows, 4, Silent())
    monkeypatch.setattr(knn_kd, "BLOCK", 7)
    monkeypatch.setattr(exact, "_CELLS", 100)
    for part, expected in zip(neighbours(rows, 4, Silent()), whole, strict=True):
        np.testing.assert_array_equal(part, expected)


def test_one_search_serves_every_weight_and_temperature(tmp_path: Path) -> None:
    context = tiny.context(tmp_path)
    made = [
        targets(context, **settings)
        for settings in ({}, {"tau": 1.0}, {"retrieval_weight": 0.9}, {"temperature": 5.0})
    ]
    assert searches(tmp_path) == 1
    assert len({table.tobytes() for table in made}) == 3  # the temperature comes in the loss
    targets(context, k=3)
    assert searches(tmp_path) == 2
    assert {stage["stage"] for stage in context.stages} == {"neighbours"}


def test_killed_in_the_search_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knn_kd, "BLOCK", 10)
    whole = targets(tiny.context(tmp_path / "whole"))
    with pytest.raises(Stopped):
        targets(tiny.context(tmp_path, reporter=Watch("neighbours", 3)))
    watch = Watch()
    assert np.array_equal(targets(tiny.context(tmp_path, reporter=watch)), whole)
    assert watch.batches("neighbours") == 5
    again = Watch()
    targets(tiny.context(tmp_path, reporter=again))
    assert again.batches("neighbours") == 0


def test_more_neighbours_than_others_are_refused(tmp_path: Path) -> None:
    conditions = Conditions(tiny.TASK, Shape(16, 2), Shape(24, 4), 8, rows=48)
    assert method(k=47).unsupported(conditions) is None
    assert "knn-kd.k is 48, but each of the 48 rows" in str(method(k=48).unsupported(conditions))
    assert method(k=48, retrieval_weight=0.0).unsupported(conditions) is None
    with pytest.raises(UserError, match="only 47 others"):
        method(k=48).prepare(tiny.context(tmp_path))


def test_embeddings_that_are_no_directions_or_not_there(tmp_path: Path) -> None:
    context = tiny.context(tmp_path)
    embedding = np.array(context.teacher.embedding)
    embedding[3] = 0.0
    broken = replace(context, signals=replace(context.teacher, embedding=embedding))
    with pytest.raises(EmbeddingError, match="teacher embedding 3 is all zeros"):
        method().prepare(broken)
    bare = TeacherSignals(context.teacher.logits)
    with pytest.raises(UserError, match="needs the teacher's embeddings"):
        method().prepare(replace(context, signals=bare))


def test_a_batch_is_mixed_wherever_its_rows_lie() -> None:
    teacher = TeacherSignals(embeddings(20)[:, :3])
    near, ids = neighbours(embeddings(20, seed=1), 4, Silent())
    source = Mixed(teacher, ids, near, 0.1, 0.5)
    collate = Collator(tiny.rows(20), 0)
    whole = source.batch(collate(range(20))).logits
    assert torch.equal(source.batch(collate([9, 2])).logits, whole[[9, 2]])
