"""ReAugKD trained for its mixture: what is judged, by whom it is answered, where it is ReAugKD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from baselines.reaugkd_r import ReAugKDR, ReAugKDRSettings
from reaugkd.context import Context
from reaugkd.distiller import Conditions, LossTerms, Shape
from reaugkd.errors import UserError
from reaugkd.losses import soft_label
from reaugkd.method import ReAugKD, ReAugKDSettings
from reaugkd.models.encoder import EncoderOutput
from reaugkd.retrieval import mixing
from reaugkd.retrieval.ann.exact import Exact
from reaugkd.training.batches import Collator
from tests import tiny
from tests.baselines.cases import DistillerCase

ROWS = [30, 2, 41, 7]


class TestReAugKDR(DistillerCase):
    name = "reaugkd-r"


def method(**retrieval: Any) -> ReAugKDR:
    return ReAugKDR(ReAugKDRSettings.model_validate({"temperature": 3.0, "retrieval": retrieval}))


def judged(context: Context, asked: ReAugKDR) -> tuple[EncoderOutput, LossTerms]:
    """What a fresh student says of four rows, and its loss."""
    batch = Collator(context.splits["fit"], 0)(ROWS)
    student = context.models.student(2).eval()(**batch.inputs)
    return student, asked.loss(student, context.teacher.batch(batch), batch)


def test_without_beta_it_is_reaugkd_bit_for_bit(tmp_path: Path) -> None:
    plain = ReAugKD(ReAugKDSettings(temperature=3.0))
    expected = tiny.distilled(plain, tiny.context(tmp_path / "a"), tmp_path / "plain")
    context = tiny.context(tmp_path / "b")
    same = tiny.distilled(method(beta=0.0, k=1000), context, tmp_path / "same")
    assert tiny.same_weights(expected, same)
    other = tiny.distilled(method(beta=0.1), context, tmp_path / "other")
    assert not tiny.same_weights(expected, other)


@pytest.mark.parametrize("regression", [False, True])
def test_what_is_judged_is_what_serving_answers(regression: bool, tmp_path: Path) -> None:
    """A knowledge base as it is served, without the row that asks."""
    context, asked = tiny.context(tmp_path, regression=regression), method(k=5, tau=0.2, beta=0.4)
    asked.prepare(context)
    student, terms = judged(context, asked)
    embedding, logits = context.teacher.embedding, context.teacher.logits
    assert embedding is not None
    index = Exact()
    index.build(asked.project(embedding))
    found = index.search(student.embedding.detach().numpy(), 6)
    near, ids = mixing.without_self(*found, ROWS)
    own, soft = student.logits.detach().numpy(), mixing.probabilities(logits)
    expected = mixing.augment(mixing.probabilities(own), near, ids, soft, 0.2, 0.4)
    labels = context.labels[ROWS]
    if regression:
        hard = np.mean((expected[:, 0] - labels) ** 2)
        mixture = torch.from_numpy(expected)
    else:
        hard = -np.mean(np.log(expected[range(4), labels]))
        mixture = torch.from_numpy(np.log(expected))
    assert terms.values["hard"].item() == pytest.approx(hard, abs=1e-5)
    taught = soft_label(mixture, torch.from_numpy(logits[ROWS]), 3.0)
    assert terms.values["soft"].item() == pytest.approx(taught.item(), abs=1e-5)
    plain = ReAugKD()
    plain.prepare(context)
    batch = Collator(context.splits["fit"], 0)(ROWS)
    relation = plain.loss(student, context.teacher.batch(batch), batch).values["relation"]
    assert torch.equal(terms.values["relation"], relation)


def test_what_the_teacher_said_of_a_row_is_not_retrieved_for_it(tmp_path: Path) -> None:
    context, asked = tiny.context(tmp_path), method(k=47, beta=0.9)
    asked.prepare(context)
    batch = Collator(context.splits["fit"], 0)(ROWS)
    student = context.models.student(2).eval()(**batch.inputs)
    before = asked.answer(student, batch)
    assert asked._values is not None
    asked._values[ROWS[1]] = torch.tensor([80.0, -80.0])
    after = asked.answer(student, batch)
    assert [torch.equal(*pair) for pair in zip(before, after, strict=True)] == [
        False,
        True,
        False,
        False,
    ]


def test_the_mixture_moves_the_embedding(tmp_path: Path) -> None:
    """Not only the head: what is retrieved depends on where the student puts the row."""
    context, asked = tiny.context(tmp_path), method()
    asked.prepare(context)
    batch = Collator(context.splits["fit"], 0)(ROWS)
    student = context.models.student(2).eval()(**batch.inputs)
    alone = EncoderOutput(student.logits.detach(), student.embedding.detach().requires_grad_())
    terms = asked.loss(alone, context.teacher.batch(batch), batch)
    (gradient,) = torch.autograd.grad(terms.values["soft"], alone.embedding)
    assert (gradient.abs().sum(dim=1) > 0).all()


def test_its_head_is_that_of_reaugkd(tmp_path: Path) -> None:
    context, asked, plain = tiny.context(tmp_path), method(), ReAugKD()
    plain.prepare(context)
    asked.prepare(context)
    assert len(list((tmp_path / "artifacts" / "projection").glob("*/manifest.json"))) == 1
    embedding = context.teacher.embedding
    assert embedding is not None
    assert np.array_equal(plain.project(embedding), asked.project(embedding))
    assert asked.projection_identity() == plain.projection_identity()


def test_more_neighbours_than_others_are_refused(tmp_path: Path) -> None:
    conditions = Conditions(tiny.TASK, Shape(16, 2), Shape(24, 4), 8, rows=48)
    assert method(k=47).unsupported(conditions) is None
    assert "reaugkd-r.retrieval.k is 48" in str(method(k=48).unsupported(conditions))
    assert method(k=48, beta=0.0).unsupported(conditions) is None
    with pytest.raises(UserError, match="only 47 others"):
        method(k=48).prepare(tiny.context(tmp_path))


def test_settings_that_train_nothing_or_do_not_exist() -> None:
    for retrieval in ({"beta": 1.0}, {"beta": -0.1}, {"k": 0}, {"tau": 0.0}, {"weight": 0.5}):
        with pytest.raises(ValidationError):
            method(**retrieval)
