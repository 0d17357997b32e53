"""ProKT: oracles, who learns from what, the order of a step, zero heads."""

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

from baselines.prokt import ProKT, ProKTSettings, next_multiplier, teacher_loss
from reaugkd.distiller import Batch, SignalBatch
from reaugkd.losses import soft_label
from reaugkd.models.encoder import EncoderOutput
from tests import tiny
from tests.baselines import teams
from tests.baselines.cases import DistillerCase

A = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
B = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
FIRST = torch.tensor([0])
STILL: dict[str, Any] = {"teacher_fields": tiny.STILL, "student_fields": tiny.STILL}
DUAL: dict[str, Any] = {"constraint": "dual", "dual_bound": 0.0, "dual_rate": 20.0}
"""A dual form whose multiplier moves a lot within a few steps."""


def prokt(**settings: Any) -> ProKT:
    return ProKT(ProKTSettings.model_validate(settings))


def output(logits: Tensor) -> EncoderOutput:
    return EncoderOutput(logits, logits)


class TestProKT(DistillerCase):
    name = "prokt"


class TestDualProKT(DistillerCase):
    name = "prokt"
    settings = DUAL


# --- the losses --------------------------------------------------------------------------------


def test_oracles() -> None:
    own = A.clone().requires_grad_()
    terms = teacher_loss(own, B, FIRST, 0.6, 0.4)
    terms.total.backward()
    assert teams.total(terms) == pytest.approx(0.3728038755, abs=1e-9)
    # The sign test: the pull towards the student is stronger than the true label.
    assert own.grad is not None
    assert own.grad[0, 0].item() == pytest.approx(0.0234820101, abs=1e-9)

    batch = Batch({}, FIRST, FIRST)
    loss = prokt().loss(output(B), SignalBatch(A, A), batch)
    assert teams.total(loss) == pytest.approx(math.tanh(0.5), abs=1e-12)
    assert teams.total(loss) == pytest.approx(0.4621171573, abs=1e-9)


def test_the_directions_differ() -> None:
    certain, uniform = torch.tensor([[9.0, 0.0]], dtype=torch.float64), torch.zeros_like(A)
    batch = Batch({}, FIRST, FIRST)
    # Student: KL(teacher || student); teacher: KL(student || teacher). The target decides.
    spread = soft_label(uniform, certain, 1.0).item()
    narrow = soft_label(certain, uniform, 1.0).item()
    assert spread < math.log(2) < 3 < narrow
    student = prokt().loss(output(uniform), SignalBatch(certain, certain), batch)
    assert student.values["soft"].item() == spread
    assert teacher_loss(uniform, certain, FIRST, 0.6, 0.4).values["proximal"].item() == spread


def test_both_providers_are_constants() -> None:
    own, student = A.clone().requires_grad_(), B.clone().requires_grad_()
    teacher_loss(own, student, FIRST, 0.6, 0.4).total.backward()
    assert student.grad is None
    shown, learns = A.clone().requires_grad_(), B.clone().requires_grad_()
    batch = Batch({}, FIRST, FIRST)
    prokt().loss(output(learns), SignalBatch(shown, shown), batch).total.backward()
    assert shown.grad is None
    assert learns.grad is not None


@given(
    values=st.lists(st.lists(st.floats(-20, 20), min_size=3, max_size=3), min_size=1, max_size=5),
    lam=st.floats(0, 0.99),
)
def test_gradient_of_the_teacher(values: list[list[float]], lam: float) -> None:
    own = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    student, labels = own.detach().flip(1), torch.zeros(len(values), dtype=torch.int64)
    teacher_loss(own, student, labels, 1 - lam, lam).total.backward()
    p, q, y = own.detach().softmax(1), student.softmax(1), F.one_hot(labels, 3)
    assert own.grad is not None
    expected = ((1 - lam) * (p - y) + lam * (p - q)) / len(values)
    assert torch.allclose(own.grad, expected, atol=1e-12)


def test_gradient_against_finite_differences() -> None:
    own = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    student, labels = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 1])
    assert torch.autograd.gradcheck(lambda x: teacher_loss(x, student, labels, 0.6, 0.4).total, own)


def test_without_a_pull_the_teacher_has_plain_labels() -> None:
    terms = teacher_loss(A, B, FIRST, 1.0, 0.0)
    assert teams.total(terms) == F.cross_entropy(A, FIRST).item()


@given(
    multiplier=st.floats(0, 10),
    proximal=st.floats(0, 10),
    bound=st.floats(0, 10),
    rate=st.floats(0, 1),
)
def test_the_multiplier_follows_the_constraint(
    multiplier: float, proximal: float, bound: float, rate: float
) -> None:
    after = next_multiplier(multiplier, proximal, bound, rate)
    assert after >= 0
    assert (after >= multiplier) if proximal >= bound else (after <= multiplier)
    assert after == max(0.0, multiplier + rate * (proximal - bound))


# --- one step ----------------------------------------------------------------------------------


def test_order_within_a_step(tmp_path: Path) -> None:
    method = prokt()
    team = teams.team(method, tiny.context(tmp_path))
    events = teams.traced(team)
    of_student = teams.modes(team.student.plain)
    of_teacher = teams.modes(team.companions["teacher"].plain)
    method.step(team, teams.batch(), None)
    assert events == [
        "student provide",
        "teacher forward",
        "teacher update",
        "teacher provide",
        "student forward",
        "student update",
    ]
    # Dropout off for the one who provides, on for the one who learns.
    assert of_student == [False, True]
    assert of_teacher == [True, False]


def test_each_learns_from_the_others_present_weights(tmp_path: Path) -> None:
    context = tiny.context(tmp_path, recipe=teams.STEADY, teacher_recipe=teams.STEADY, **STILL)
    method, batch = prokt(zero_heads=False), teams.batch()
    team = teams.team(method, context)
    own, peer = team.student, team.companions["teacher"]
    before = {"student": copy.deepcopy(own.plain), "teacher": copy.deepcopy(peer.plain)}
    found: dict[str, Any] = {}

    def teacher_moves() -> None:
        found["teacher"] = teams.gradient(peer.plain)
        found["in the student meanwhile"] = teams.gradient(own.plain)

    def student_moves() -> None:
        found["student"] = teams.gradient(own.plain)
        found["in the teacher meanwhile"] = teams.gradient(peer.plain)
        found["updated teacher"] = copy.deepcopy(peer.plain)

    teams.at_update(peer, teacher_moves)
    teams.at_update(own, student_moves)
    method.step(team, batch, None)

    def alone(learner: Any, example: Any, hard: float, soft: float) -> list[Tensor]:
        with torch.no_grad():
            target = example(**batch.inputs).logits
        mine = learner(**batch.inputs).logits
        loss = hard * F.cross_entropy(mine, batch.labels) + soft * soft_label(mine, target, 1.0)
        learner.zero_grad()
        loss.backward()
        return teams.gradient(learner)

    def same(a: list[Tensor], b: list[Tensor]) -> bool:
        return all(torch.allclose(x, y, atol=1e-7) for x, y in zip(a, b, strict=True))

    updated = found["updated teacher"]
    assert not tiny.same_weights(updated, before["teacher"])
    assert same(found["teacher"], alone(before["teacher"], before["student"], 0.6, 0.4))
    assert same(found["student"], alone(before["student"], updated, 0.0, 1.0))
    assert not same(found["student"], alone(before["student"], before["teacher"], 0.0, 1.0))
    assert not any(g.any() for g in found["in the student meanwhile"])
    assert not any(g.any() for g in found["in the teacher meanwhile"])


def test_each_is_clipped_and_scheduled_on_its_own(tmp_path: Path) -> None:
    mine = tiny.RECIPE.model_copy(update={"warmup": 0.0, "clip": 0.5})
    theirs = mine.model_copy(update={"clip": 0.25})
    context = tiny.context(tmp_path, recipe=mine, teacher_recipe=theirs)
    method = prokt(teacher_learning_rate=3e-4)
    team = teams.team(method, context)
    peer, seen = team.companions["teacher"], []
    accelerator = peer._accelerator  # both learners share it
    clip = accelerator.clip_grad_norm_

    def watched(parameters: Any, largest: float) -> Any:
        seen.append(({id(p) for p in parameters}, largest))
        return clip(parameters, largest)

    accelerator.clip_grad_norm_ = watched
    method.step(team, teams.batch(), None)
    assert seen == [
        ({id(p) for p in peer.plain.parameters()}, 0.25),
        ({id(p) for p in team.student.plain.parameters()}, 0.5),
    ]
    rates = [learner._schedule.get_last_lr()[0] for learner in (team.student, peer)]
    assert rates == pytest.approx([1e-3 * 99 / 100, 3e-4 * 99 / 100])


def test_zero_heads_begin_uniform_and_first_move_the_heads_alone(tmp_path: Path) -> None:
    context = tiny.context(tmp_path, recipe=teams.STEADY, teacher_recipe=teams.STEADY)
    method, batch = prokt(), teams.batch()
    team = teams.team(method, context)
    own, peer = team.student.plain, team.companions["teacher"].plain
    before = {"student": copy.deepcopy(own), "teacher": copy.deepcopy(peer)}
    terms = method.step(team, batch, None).floats()
    assert 0.6 * terms["teacher_hard"] == pytest.approx(0.6 * math.log(2), abs=1e-7)
    assert terms["teacher_proximal"] == 0.0
    for name, model in (("student", own), ("teacher", peer)):
        assert tiny.same_weights(model.backbone, before[name].backbone)
        assert not tiny.same_weights(model.head, before[name].head)
    method.step(team, batch, None)
    assert not tiny.same_weights(own.backbone, before["student"].backbone)
    assert not tiny.same_weights(peer.backbone, before["teacher"].backbone)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_zero_heads_in_numbers(classes: int) -> None:
    uniform, labels = torch.zeros(4, classes, dtype=torch.float64), torch.tensor([0, 1, 1, 0])
    terms = teacher_loss(uniform, uniform, labels, 0.6, 0.4)
    assert teams.total(terms) == pytest.approx(0.6 * math.log(classes), abs=1e-12)
    assert terms.values["proximal"].item() == 0.0


def test_heads_may_stay_as_they_are(tmp_path: Path) -> None:
    context = tiny.context(tmp_path)
    for zeroed in (True, False):
        method, student = prokt(zero_heads=zeroed), context.models.student(2)
        method.initialise(student)
        encoder: Any = method.companions(context)["teacher"].plain
        for head in (student.head, encoder.head):
            assert bool(head.weight.any()) is not zeroed
        assert tiny.same_weights(student, context.models.student(2)) is not zeroed


def test_refusals(tmp_path: Path) -> None:
    context = tiny.context(tmp_path, regression=True)
    reason = prokt().unsupported(TestProKT().conditions(context))
    assert reason is not None
    assert "prokt needs classes" in reason
    for wrong in (
        {"proximal_weight": 1.0},
        {"teacher_learning_rate": -1e-5},
        {"constraint": "hard"},
        {"dual_rate": -1},
        {"temperature": 2},
    ):
        with pytest.raises(ValidationError):
            ProKTSettings.model_validate(wrong)
    batch = teams.batch()
    with pytest.raises(ValueError, match="needs the teacher's logits"):
        prokt().loss(tiny.encoder()(**batch.inputs), None, batch)
