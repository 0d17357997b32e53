"""DML: oracles, who learns from what, and both models alone when nothing is exchanged."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from baselines.dml import DML, DMLSettings, mutual_loss
from baselines.finetune import FineTune
from reaugkd.losses import soft_label
from tests import tiny
from tests.baselines import teams
from tests.baselines.cases import DistillerCase

A = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
B = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
FIRST = torch.tensor([0])
FORMS = [
    {"order": order, "peer": peer}
    for order in ("sequential", "simultaneous")
    for peer in ("train", "eval")
]
STILL: dict[str, Any] = {"teacher_fields": tiny.STILL, "student_fields": tiny.STILL}

numbers = st.floats(-20, 20)
rows = st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=5)


def logits(values: list[list[float]]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


class TestDML(DistillerCase):
    name = "dml"

    @pytest.mark.parametrize("form", FORMS)
    def test_every_form_resumes_exactly(self, form: dict[str, Any], tmp_path: Path) -> None:
        case = TestDML()
        case.settings = form  # type: ignore[misc]
        whole = case.train(tmp_path / "whole")
        case.test_killed_and_resumed_equals_uninterrupted(5, whole, tmp_path / "killed")


def test_oracles() -> None:
    peer = B.clone().requires_grad_()
    a, b = mutual_loss(A, peer, FIRST), mutual_loss(B, A, FIRST)
    assert mutual_loss(A, A, FIRST).values["soft"].item() == 0.0
    mutual_loss(A.clone().requires_grad_(), peer, FIRST).total.backward()
    assert peer.grad is None
    assert a.values["hard"].item() == pytest.approx(0.3132616875, abs=1e-9)
    assert b.values["hard"].item() == pytest.approx(1.3132616875, abs=1e-9)
    assert a.values["soft"].item() == pytest.approx(math.tanh(0.5), abs=1e-12)
    assert teams.total(a) == pytest.approx(0.7753788448, abs=1e-9)
    assert teams.total(b) == pytest.approx(1.7753788448, abs=1e-9)


@given(values=rows, weight=st.floats(0, 5))
def test_gradient_is_the_distance_to_label_and_peer(
    values: list[list[float]], weight: float
) -> None:
    own = logits(values).requires_grad_()
    peer, labels = own.detach().flip(1), torch.ones(len(values), dtype=torch.int64)
    mutual_loss(own, peer, labels, weight).total.backward()
    p, q, y = own.detach().softmax(1), peer.softmax(1), F.one_hot(labels, 3)
    assert own.grad is not None
    assert torch.allclose(own.grad, ((p - y) + weight * (p - q)) / len(values), atol=1e-12)


def test_label_smoothing_by_hand() -> None:
    log_p = A.log_softmax(1)
    expected = -(0.95 * log_p[0, 0] + 0.05 * log_p[0, 1])  # 0.1 spread evenly over two classes
    hard = mutual_loss(A, B, FIRST, label_smoothing=0.1).values["hard"]
    assert hard.item() == pytest.approx(expected.item(), abs=1e-12)


BOTH = "student forward, teacher forward, "
ORDER = [
    BOTH + "teacher update, teacher forward without gradient, student update",
    BOTH + "student provide, teacher update, teacher provide, student update",
    BOTH + "teacher update, student update",
    BOTH + "student provide, teacher provide, teacher update, student update",
]


@pytest.mark.parametrize(("form", "expected"), list(zip(FORMS, ORDER, strict=True)))
def test_order_within_a_step(form: dict[str, Any], expected: str, tmp_path: Path) -> None:
    method = DML(DMLSettings.model_validate(form))
    team = teams.team(method, tiny.context(tmp_path))
    events = teams.traced(team)
    method.step(team, teams.batch(), None)
    assert ", ".join(events) == expected


@pytest.mark.parametrize("form", FORMS)
def test_what_a_step_costs(form: dict[str, Any], tmp_path: Path) -> None:
    method = DML(DMLSettings.model_validate(form))
    _, _, result = teams.both_trained(method, tiny.context(tmp_path), tmp_path / "run")
    seen = result.examples
    again = form["order"] == "sequential" or form["peer"] == "eval"
    assert result.work == {
        "student": {"forwards": seen * (1 + (form["peer"] == "eval")), "backwards": seen},
        "teacher": {"forwards": seen * (1 + again), "backwards": seen},
    }


@pytest.mark.parametrize("form", FORMS)
def test_each_gradient_is_that_of_its_own_loss_alone(form: dict[str, Any], tmp_path: Path) -> None:
    batch = teams.batch()
    context = tiny.context(tmp_path, recipe=teams.STEADY, teacher_recipe=teams.STEADY, **STILL)
    method = DML(DMLSettings.model_validate(form))
    team = teams.team(method, context)
    own, peer = team.student, team.companions["teacher"]
    before = {"student": copy.deepcopy(own.plain), "teacher": copy.deepcopy(peer.plain)}
    found = teams.moved(method, team, batch)

    def alone(learner: Any, example: Any) -> list[Tensor]:
        with torch.no_grad():
            target = example.train()(**batch.inputs).logits
        mine = learner.train()(**batch.inputs).logits
        loss = F.cross_entropy(mine, batch.labels) + soft_label(mine, target, 1.0)
        learner.zero_grad()
        loss.backward()
        return teams.gradient(learner)

    updated = found["updated teacher"]
    shown, other = (before["teacher"], updated)
    if form["order"] == "sequential":
        shown, other = other, shown
    assert teams.same(found["teacher"], alone(before["teacher"], before["student"]))
    assert teams.same(found["student"], alone(before["student"], shown))
    assert not teams.same(found["student"], alone(before["student"], other))

    # One backward pass of both losses without detach is something else.
    one, two = before["student"], before["teacher"]
    one.zero_grad()
    mine, theirs = one(**batch.inputs).logits, two(**batch.inputs).logits
    p, q = mine.log_softmax(1), theirs.log_softmax(1)
    kl = (q.exp() * (q - p)).sum(1).mean() + (p.exp() * (p - q)).sum(1).mean()
    (F.cross_entropy(mine, batch.labels) + F.cross_entropy(theirs, batch.labels) + kl).backward()
    assert not teams.same(found["student"], teams.gradient(one))


@pytest.mark.parametrize("form", FORMS)
def test_without_exchange_both_learn_alone_bit_for_bit(
    form: dict[str, Any], tmp_path: Path
) -> None:
    # The student keeps its dropout; the companion draws its masks from a stream of its own.
    recipe = tiny.RECIPE.model_copy(
        update={"learning_rate": 5e-4, "weight_decay": 0.05, "warmup": 0.3, "clip": 0.5}
    )
    context = tiny.context(tmp_path, teacher_recipe=recipe, teacher_fields=tiny.STILL, seed=4)
    apart = DML(DMLSettings.model_validate({**form, "kl_weight": 0.0}))
    student, companion, _ = teams.both_trained(apart, context, tmp_path / "dml")
    assert tiny.same_weights(student, tiny.distilled(FineTune(), context, tmp_path / "ft"))

    alone = context.models.untrained()
    tiny.fine_tuned(alone, tiny.setup(recipe, 4), tmp_path / "alone", keep="last")
    assert tiny.same_weights(companion, alone)

    together, other, _ = teams.both_trained(
        DML(DMLSettings.model_validate(form)), context, tmp_path / "together"
    )
    assert not tiny.same_weights(together, student)
    assert not tiny.same_weights(other, companion)


def test_the_teachers_learning_rate_is_its_own(tmp_path: Path) -> None:
    context = tiny.context(tmp_path)
    _, resting, _ = teams.both_trained(
        DML(DMLSettings(teacher_learning_rate=0.0)), context, tmp_path / "resting"
    )
    assert tiny.same_weights(resting, context.models.untrained())
    assert not tiny.same_weights(resting, context.models.teacher())
    recipe = DML(DMLSettings(teacher_learning_rate=3e-3)).companions(context)["teacher"].recipe
    assert recipe == context.teacher_recipe.model_copy(update={"learning_rate": 3e-3})
    assert DML().companions(context)["teacher"].recipe == context.teacher_recipe


def test_refusals(tmp_path: Path) -> None:
    context = tiny.context(tmp_path, regression=True)
    reason = DML().unsupported(TestDML().conditions(context))
    assert reason is not None
    assert "dml needs classes" in reason
    for wrong in ({"label_smoothing": 1.0}, {"kl_weight": -1}, {"order": "both"}, {"T": 2}):
        with pytest.raises(ValidationError):
            DMLSettings.model_validate(wrong)
    output = tiny.encoder()(**teams.batch().inputs)
    with pytest.raises(ValueError, match="needs the teacher's logits"):
        DML().loss(output, None, teams.batch())
