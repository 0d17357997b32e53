"""KD and ReAugKD as wholes: metamorphic equalities, the head, signals, caching."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from baselines.finetune import FineTune
from baselines.kd import KD
from reaugkd.context import Context
from reaugkd.distiller import Distiller, KDSettings, LossTerms
from reaugkd.errors import ModelError, UserError
from reaugkd.losses import relational_kl
from reaugkd.method import ReAugKD, ReAugKDSettings
from reaugkd.models.encoder import Encoder
from reaugkd.models.recipe import Recipe
from reaugkd.projection import HeadRecipe, apply, train_head
from reaugkd.reporter import Silent
from reaugkd.signals import TeacherSignals
from reaugkd.tasks.encode import Encoded
from reaugkd.training import inference
from reaugkd.training.batches import Collator
from reaugkd.training.inference import write_signals
from tests import tiny

RECIPE = Recipe(learning_rate=1e-3, epochs=2, batch_size=8)
DATA = tiny.splits()


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Encoder, dict[str, TeacherSignals]]:
    """A teacher of another width than the student, and its cached signals."""
    folder = tmp_path_factory.mktemp("signals")
    encoder = tiny.teacher()
    write_signals(encoder, Encoded(DATA, 0), folder, "fp32", Silent(), states=["fit"])
    return encoder, {split: TeacherSignals.open(folder, split) for split in DATA}


def context(folder: Path, fit: TeacherSignals | None, **changes: Any) -> Context:
    return tiny.context(folder, signals=fit, **changes)


def distil(distiller: Distiller, folder: Path, fit: TeacherSignals | None) -> Encoder:
    made = context(folder / "artifacts", fit, seed=4)
    return tiny.distilled(distiller, made, folder / "checkpoint")


def test_reaugkd_without_relation_is_kd_bit_for_bit(taught: Any, tmp_path: Path) -> None:
    fit = taught[1]["fit"]
    kd = distil(KD(KDSettings(temperature=3.0)), tmp_path / "kd", fit)
    plain = ReAugKDSettings(temperature=3.0, relation_weight=0.0)
    same = distil(ReAugKD(plain), tmp_path / "same", fit)
    related = ReAugKDSettings(temperature=3.0, relation_weight=1.0)
    other = distil(ReAugKD(related), tmp_path / "other", fit)
    assert tiny.same_weights(kd, same)
    assert not tiny.same_weights(kd, other)


def test_kd_without_soft_labels_is_fine_tuning_bit_for_bit(taught: Any, tmp_path: Path) -> None:
    only_hard = KDSettings(soft_weight=0.0, hard_weight=1.0)
    kd = distil(KD(only_hard), tmp_path / "kd", taught[1]["fit"])
    assert tiny.same_weights(kd, distil(FineTune(), tmp_path / "ft", None))


def test_signals_are_of_evaluation_mode_and_restore_the_mode(taught: Any) -> None:
    encoder = taught[0].train()
    first = inference.run(encoder, DATA["dev"], 0)
    second = inference.run(encoder, DATA["dev"], 0)
    assert encoder.training
    assert np.array_equal(first.logits, second.logits)


def test_teacher_that_answers_nan_is_told_with_the_row(taught: Any) -> None:
    broken = tiny.encoder(seed=1)
    with torch.no_grad():
        broken.head.bias.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"logits of row 0 \(and 23 more\) is not finite"):
        inference.run(broken, DATA["dev"], 0, stage="teacher")


def test_relational_term_uses_the_projected_keys_of_the_batch(taught: Any, tmp_path: Path) -> None:
    fit = taught[1]["fit"]
    method = ReAugKD(ReAugKDSettings(tau=0.5))
    method.prepare(context(tmp_path, fit))
    batch = Collator(DATA["fit"], 0)([7, 1, 30, 12])
    student = tiny.encoder(seed=2).eval()(**batch.inputs)
    terms = method.loss(student, fit.batch(batch), batch)
    keys = torch.from_numpy(method.project(fit.embedding))[batch.rows]
    expected = relational_kl(student.embedding, keys, 0.5)
    assert terms.values["relation"].item() == pytest.approx(expected.item(), abs=1e-7)
    assert sorted(terms.values) == ["hard", "relation", "soft"]


def test_head_is_trained_once_and_the_seed_decides_it(taught: Any, tmp_path: Path) -> None:
    fit = taught[1]["fit"]

    def keys(seed: int) -> NDArray[np.float32]:
        method = ReAugKD()
        method.prepare(context(tmp_path, fit, seed=seed))
        return method.project(fit.embedding)

    first = keys(0)
    manifests = list((tmp_path / "artifacts" / "projection").glob("*/manifest.json"))
    assert len(manifests) == 1
    assert len(json.loads(manifests[0].read_text())["facts"]["loss"]) == HeadRecipe().epochs
    assert np.array_equal(first, keys(0))
    assert not np.array_equal(first, keys(1))
    assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-6)


def head_of(
    embedding: NDArray[np.float32], labels: NDArray[Any], width: int, **fields: Any
) -> tuple[NDArray[np.float32], list[float]]:
    recipe = HeadRecipe(**fields)
    head, history = train_head(embedding, labels, width, recipe, seed=0, reporter=Silent())
    return apply(head, embedding), history


def clusters(width: int = 24) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 400)
    centres = generator.normal(size=(2, width))
    noise = generator.normal(size=(400, width))
    return (centres[labels] + 2 * noise).astype(np.float32), labels


def test_head_draws_classes_together() -> None:
    embedding, labels = clusters()
    before, _ = head_of(embedding, labels, 16, epochs=0)
    after, history = head_of(embedding, labels, 16, epochs=20)

    def gap(keys: NDArray[np.float32]) -> float:
        similarity, same = keys @ keys.T, labels[:, None] == labels[None, :]
        return float(similarity[same].mean() - similarity[~same].mean())

    assert history[-1] < history[0]
    assert gap(after) > 1.4 * gap(before)


def test_untrained_head_keeps_cosines_where_widths_agree() -> None:
    embedding, labels = clusters(16)
    keys, _ = head_of(embedding, labels, 16, epochs=0)
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    assert np.allclose(keys @ keys.T, unit @ unit.T, atol=1e-5)


def test_regression_head_draws_near_scores_together() -> None:
    generator = np.random.default_rng(1)
    scores = generator.uniform(0, 5, 400).astype(np.float32)
    embedding = generator.normal(size=(400, 12)).astype(np.float32)
    embedding[:, 0] += 2 * scores
    embedding[:, 1:] *= 3
    before, _ = head_of(embedding, scores, 8, epochs=0)
    after, _ = head_of(embedding, scores, 8, epochs=100, learning_rate=1e-2)
    distance = np.abs(scores[:, None] - scores[None, :]).ravel()

    def relation(keys: NDArray[np.float32]) -> float:
        return float(np.corrcoef((keys @ keys.T).ravel(), distance)[0, 1])

    assert relation(after) < 1.5 * relation(before) < 0


def test_identity_head_for_regression_needs_equal_widths() -> None:
    scores = np.linspace(0, 5, 10, dtype=np.float32)
    embedding = np.random.default_rng(0).normal(size=(10, 8)).astype(np.float32)
    keys, history = head_of(embedding, scores, 8, regression="identity")
    assert history == []
    assert np.allclose(keys, embedding / np.linalg.norm(embedding, axis=1, keepdims=True))
    with pytest.raises(UserError, match=r"not 8 \(teacher\) and 4 \(student\)"):
        head_of(embedding, scores, 4, regression="identity")


def test_terms_and_weights_must_match_and_weigh_something() -> None:
    one = torch.tensor(1.0)
    with pytest.raises(ValueError, match="weights"):
        LossTerms({"a": one}, {"b": 1.0})
    with pytest.raises(ValueError, match="weight 0"):
        _ = LossTerms({"a": one}, {"a": 0.0}).total
