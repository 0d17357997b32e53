"""ProKT: oracles, who learns from what, zero heads, KD and fine-tuning as its limits."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from baselines.kd import KD
from baselines.prokt import ProKT, ProKTSettings, teacher_loss, zero
from reaugkd.context import Context
from reaugkd.distiller import Batch, KDSettings, SignalBatch
from reaugkd.losses import soft_label
from reaugkd.models.encoder import EncoderOutput
from reaugkd.tasks.encode import Encoded
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.loop import distil
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
    found = teams.moved(method, team, batch)

    def alone(learner: Any, example: Any, hard: float, soft: float) -> list[Tensor]:
        with torch.no_grad():
            target = example(**batch.inputs).logits
        mine = learner(**batch.inputs).logits
        loss = hard * F.cross_entropy(mine, batch.labels) + soft * soft_label(mine, target, 1.0)
        learner.zero_grad()
        loss.backward()
        return teams.gradient(learner)

    updated = found["updated teacher"]
    assert not tiny.same_weights(updated, before["teacher"])
    assert teams.same(found["teacher"], alone(before["teacher"], before["student"], 0.6, 0.4))
    assert teams.same(found["student"], alone(before["student"], updated, 0.0, 1.0))
    assert not teams.same(found["student"], alone(before["student"], before["teacher"], 0.0, 1.0))


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


def fine_tuned_start(context: Context) -> Context:
    """The same context, in which the live teacher starts fine-tuned."""
    models = dataclasses.replace(context.models, untrained=context.models.teacher)
    return dataclasses.replace(context, models=models)


class LiveKD(KD):
    """KD whose frozen teacher answers live, in the batches of the student."""

    def __init__(self, encoder: Any) -> None:
        super().__init__(KDSettings(temperature=1.0, soft_weight=1.0, hard_weight=0.0))
        self.encoder = encoder.eval()

    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> Any:
        with torch.inference_mode():
            answer = self.encoder(**batch.inputs)
        return super().loss(student, SignalBatch(answer.logits, answer.embedding), batch)


def test_a_resting_fine_tuned_teacher_makes_it_kd_bit_for_bit(tmp_path: Path) -> None:
    context = fine_tuned_start(tiny.context(tmp_path, seed=4))
    method = prokt(teacher_learning_rate=0.0, zero_heads=False)
    student, resting, _ = teams.both_trained(method, context, tmp_path / "prokt")
    assert tiny.same_weights(resting, context.models.teacher())
    live = tiny.distilled(LiveKD(context.models.teacher()), context, tmp_path / "live")
    assert tiny.same_weights(student, live)
    # The cached logits come from batches that are padded otherwise: equal but for rounding.
    settings = KDSettings(temperature=1.0, soft_weight=1.0, hard_weight=0.0)
    cached = tiny.distilled(KD(settings), context, tmp_path / "cached")
    for a, b in zip(student.parameters(), cached.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-4)
    moving, _, _ = teams.both_trained(prokt(zero_heads=False), context, tmp_path / "moving")
    assert not tiny.same_weights(moving, student)


@pytest.mark.parametrize(
    "settings",
    [{"proximal_weight": 0.0}, {"constraint": "dual", "dual_start": 0.0, "dual_bound": 100.0}],
)
def test_without_a_pull_the_teacher_is_fine_tuned_bit_for_bit(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    recipe = tiny.RECIPE.model_copy(update={"learning_rate": 5e-4, "warmup": 0.3, "clip": 0.5})
    context = tiny.context(tmp_path, teacher_recipe=recipe, teacher_fields=tiny.STILL, seed=4)
    _, companion, _ = teams.both_trained(prokt(**settings), context, tmp_path / "prokt")
    alone = context.models.untrained()
    zero(alone.head)
    tiny.fine_tuned(alone, tiny.setup(recipe, 4), tmp_path / "alone", keep="last")
    assert tiny.same_weights(companion, alone)
    _, held, _ = teams.both_trained(prokt(), context, tmp_path / "held")
    assert not tiny.same_weights(held, alone)


def with_other_labels(context: Context) -> Context:
    fit = context.splits["fit"]
    flipped = fit.map(lambda row: {"label": 1 - row["label"]})
    rows = Encoded({**context.splits, "fit": flipped}, context.pad_id)
    return dataclasses.replace(context, encoded={"student": rows, "teacher": rows})


def test_the_student_never_sees_the_true_labels_by_default(tmp_path: Path) -> None:
    context = fine_tuned_start(tiny.context(tmp_path))
    other, resting = with_other_labels(context), {"teacher_learning_rate": 0.0, "zero_heads": False}

    def trained(name: str, context: Context, **settings: Any) -> Any:
        method = prokt(**{**resting, **settings})
        return tiny.distilled(method, context, tmp_path / name)

    assert tiny.same_weights(trained("a", context), trained("b", other))
    seeing = {"student_hard_weight": 0.5}
    assert not tiny.same_weights(trained("c", context, **seeing), trained("d", other, **seeing))
    # Only through the teacher does it learn of them.
    moving = {"teacher_learning_rate": 1e-3}
    assert not tiny.same_weights(trained("e", context, **moving), trained("f", other, **moving))


def test_what_a_step_costs(tmp_path: Path) -> None:
    _, _, result = teams.both_trained(prokt(), tiny.context(tmp_path), tmp_path / "run")
    each = {"forwards": 2 * result.examples, "backwards": result.examples}
    assert result.work == {"student": each, "teacher": each}
    names = {"soft", "hard", "teacher_hard", "teacher_proximal"}
    assert names == {n.removeprefix("loss/") for n in result.history[0] if "loss/" in n}


def test_the_multiplier_is_kept_and_starts_anew(tmp_path: Path) -> None:
    context, method = tiny.context(tmp_path), prokt(**DUAL)
    runs = []
    for name in ("a", "b"):
        checkpoint = Checkpoint(tmp_path / name, every=0.0)
        student = context.models.student(2)
        distil(method, context, student, checkpoint=checkpoint, stage=name)
        kept = json.loads((tmp_path / name / "current" / "progress.json").read_text())
        assert kept["progress"]["state"] == method.state()
        runs.append((student, dict(method.state())))
    assert tiny.same_weights(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]
    assert runs[0][1]["multiplier"] > ProKTSettings().dual_start
    assert prokt().state() == {}


def test_the_multiplier_weighs_the_pull(tmp_path: Path) -> None:
    context = tiny.context(tmp_path, recipe=teams.STEADY, teacher_recipe=teams.STEADY)
    method = prokt(**DUAL, zero_heads=False)
    team, expected = teams.team(method, context), 1.0
    for _ in range(3):
        before: Mapping[str, float] = method.state()
        assert before == {"multiplier": pytest.approx(expected)}
        terms = method.step(team, teams.batch(), None)
        assert terms.weights["teacher_proximal"] == before["multiplier"]
        assert terms.weights["teacher_hard"] == 1.0
        expected += 20.0 * terms.floats()["teacher_proximal"]
