"""MetaDistil: the hypergradient against double backward, the pilot's traces, the quiz."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn
from torch.func import functional_call

from baselines.hypergradient import (
    Objective,
    hypergradient,
    quiz_rows,
    response,
    soft_term,
    take_quiz,
)
from baselines.metadistil import MetaDistil, MetaDistilSettings
from reaugkd.context import Context
from reaugkd.distiller import Batch, Distiller, KDSettings, LossTerms
from reaugkd.errors import UserError
from reaugkd.losses import hard_label
from reaugkd.models.encoder import Encoder
from reaugkd.models.learner import Learner, Team
from reaugkd.models.recipe import Recipe
from reaugkd.training.batches import Collator
from tests import tiny
from tests.baselines.cases import DistillerCase

KINDS = ["kl", "softmax-mse", "logit-mse"]
T, SOFT, HARD, RATE = 3.0, 0.7, 0.3, 0.5
DATA = tiny.splits()
FIRST = torch.tensor([0])


class TestMetaDistil(DistillerCase):
    name: ClassVar[str] = "metadistil"
    # steps that are large enough to be seen in a student of two layers
    settings: ClassVar[dict[str, Any]] = {"pilot_learning_rate": 0.1, "teacher_learning_rate": 1e-3}

    def test_regression_learns_from_logits(self, tmp_path: Path) -> None:
        method = self.method(soft_term="logit-mse")
        context = self.given(tmp_path, regression=True)
        assert method.unsupported(self.conditions(context)) is None
        _, result = self.train(tmp_path, context, method)
        assert all(value == value for row in result.history for value in row.values())


def objective(temperature: float, soft: float, hard: float, kind: Any = "kl") -> Objective:
    weights = {"soft_weight": soft, "hard_weight": hard}
    return Objective(KDSettings(temperature=temperature, **weights), kind)


def reference_loss(z_s: Tensor, z_t: Tensor, labels: Tensor, kind: str) -> Tensor:
    """L_S from its definition, differentiable in both logits."""
    p_s, p_t = (torch.softmax(z / T, dim=1) for z in (z_s, z_t))
    soft = {
        "kl": T**2 * (p_t * (p_t.log() - p_s.log())).sum(dim=1).mean(),
        "softmax-mse": T**2 * ((p_t - p_s) ** 2).mean(),
        "logit-mse": ((z_t - z_s) ** 2).mean(),
    }[kind]
    return SOFT * soft + HARD * F.cross_entropy(z_s, labels)


class Pair:
    """A student and a teacher in float64, a batch and a quiz; dropout as configured."""

    def __init__(self, **fields: Any) -> None:
        self.student = tiny.encoder(seed=1, outputs=3, **fields).double()
        self.teacher = tiny.teacher(outputs=3, **fields).double().eval()
        for model in (self.student, self.teacher):  # logits that differ from row to row
            with torch.no_grad():
                model.head.weight.mul_(20)
        collate = Collator(DATA["fit"], 0)
        self.batch, self.quiz = collate([3, 8, 20, 33]), collate([1, 40, 17])

    def student_logits(self) -> Tensor:
        torch.manual_seed(5)
        logits: Tensor = self.student.train()(**self.batch.inputs).logits
        return logits

    def teacher_logits(self) -> Tensor:
        logits: Tensor = self.teacher(**self.batch.inputs).logits
        return logits

    def quiz_loss(self, kind: str, *, create_graph: bool = True) -> Tensor:
        """q(theta - lambda grad L_S), with the graph that double backward needs."""
        total = reference_loss(
            self.student_logits(), self.teacher_logits(), self.batch.labels, kind
        )
        weights = dict(self.student.named_parameters())
        gradients = torch.autograd.grad(total, list(weights.values()), create_graph=create_graph)
        pilot = {n: p - RATE * g for (n, p), g in zip(weights.items(), gradients, strict=True)}
        self.student.eval()
        logits = functional_call(self.student, pilot, (), self.quiz.inputs).logits
        self.student.train()
        return F.cross_entropy(logits, self.quiz.labels)

    def cheap(self, kind: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Our quiz loss and our gradient for every weight of the teacher."""
        z_t = self.teacher_logits()
        lender = Learner(self.student, tiny.RECIPE)
        lender._accelerator = Accelerator(cpu=True)
        loss, cotangent = hypergradient(
            self.student,
            self.student_logits(),
            z_t,
            self.batch.labels,
            objective=objective(T, SOFT, HARD, kind),
            rate=RATE,
            quiz=lambda pilot: take_quiz(lender, pilot, [self.quiz]),
        )
        names, weights = zip(*self.teacher.named_parameters(), strict=True)
        found = torch.autograd.grad((z_t * cotangent).sum(), weights)
        return loss, dict(zip(names, found, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dropout", [{}, tiny.STILL], ids=["dropout", "still"])
def test_hypergradient_is_that_of_double_backward(kind: str, dropout: dict[str, float]) -> None:
    pair = Pair(**dropout)
    expected_loss = pair.quiz_loss(kind)
    names, weights = zip(*pair.teacher.named_parameters(), strict=True)
    expected = dict(zip(names, torch.autograd.grad(expected_loss, weights), strict=True))
    loss, found = pair.cheap(kind)
    assert loss.item() == pytest.approx(expected_loss.item(), abs=1e-12)
    for name, gradient in expected.items():
        assert (found[name] - gradient).abs().max() < 1e-12, name
    largest = max(gradient.abs().max() for gradient in expected.values())
    assert largest > 1e-4  # so the agreement above says something


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["head.weight", "backbone.encoder.layer.1.output.dense.weight"])
def test_hypergradient_is_that_of_finite_differences(kind: str, name: str) -> None:
    pair = Pair()
    _, found = pair.cheap(kind)
    weight, at, step = dict(pair.teacher.named_parameters())[name], (1, 2), 1e-4
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[at] += sign * step
        ends.append(pair.quiz_loss(kind).item())
        with torch.no_grad():
            weight[at] -= sign * step
    slope = (ends[0] - ends[1]) / (2 * step)
    assert abs(slope) > 1e-7
    assert found[name][at].item() == pytest.approx(slope, rel=1e-6, abs=1e-11)


def test_hypergradient_in_bf16_points_where_that_in_fp32_does() -> None:
    gradients = []
    for precision in ("fp32", "bf16"):
        pair = Pair()
        pair.student.float()
        pair.teacher.float()
        lender = Learner(pair.student, tiny.RECIPE.model_copy(update={"precision": precision}))
        lender._accelerator = Accelerator(cpu=True)
        with lender.precision:
            z_s, z_t = pair.student_logits(), pair.teacher_logits()
        assert z_s.dtype == (torch.float32 if precision == "fp32" else torch.bfloat16)
        _, cotangent = hypergradient(
            pair.student,
            z_s,
            z_t,
            pair.batch.labels,
            objective=objective(T, SOFT, HARD),
            rate=RATE,
            quiz=lambda pilot, lender=lender, pair=pair: take_quiz(lender, pilot, [pair.quiz]),
        )
        assert cotangent.dtype == torch.float32
        gradients.append(cotangent.flatten())
    assert F.cosine_similarity(*gradients, dim=0) > 0.99


class Free(nn.Module):
    """A student whose logits are its parameters."""

    def __init__(self, logits: list[list[float]]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits, dtype=torch.float64))


def quiz_of(loss: Callable[[Tensor], Tensor]) -> Any:
    def quiz(weights: Any) -> tuple[Tensor, list[Tensor]]:
        value = loss(weights["logits"])
        return value.detach(), list(torch.autograd.grad(value, list(weights.values())))

    return quiz


def gradient_of(
    start: list[float], z_t: Tensor, how: Objective, rate: float, loss: Callable[[Tensor], Tensor]
) -> tuple[list[float], Tensor, Tensor]:
    """Where the pilot of a free student ends, its quiz loss and the gradient in ``z_t``."""
    student, seen = Free([start]), []

    def noted(w: Tensor) -> Tensor:
        seen.extend(w[0].tolist())
        return loss(w)

    labels, quiz = torch.zeros(1, dtype=torch.int64), quiz_of(noted)
    z_s = student.logits * 1.0
    value, gradient = hypergradient(student, z_s, z_t, labels, objective=how, rate=rate, quiz=quiz)
    return seen, value, gradient[0]


def test_scalar_oracle() -> None:
    inner = objective(1.0, 0.5, 0.0, "logit-mse")  # (w - v)^2 / 2
    v = torch.ones(1, 1, dtype=torch.float64)
    pilot, _, slope = gradient_of([0.0], v, inner, 0.1, lambda w: ((w - 0.5) ** 2 / 2).sum())
    assert pilot == [pytest.approx(0.1, abs=1e-15)]
    assert slope.item() == pytest.approx(-0.04, abs=1e-15)


def test_logit_oracle() -> None:
    z_t = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    pilot, loss, slope = gradient_of(
        [0.0, 0.0], z_t, objective(1.0, 1.0, 0.0), 1.0, lambda z: F.cross_entropy(z, 1 - FIRST)
    )
    assert pilot == pytest.approx([0.3807970780, -0.3807970780], abs=1e-10)
    assert loss.item() == pytest.approx(1.1447601347, abs=1e-10)
    assert slope.tolist() == pytest.approx([0.1431482003, -0.1431482003], abs=1e-10)


logits = st.lists(st.floats(-4, 4), min_size=6, max_size=6).map(
    lambda values: torch.tensor(values, dtype=torch.float64).view(2, 3)
)


@given(logits, logits, logits, st.sampled_from(KINDS), st.floats(0.5, 20))
def test_response_is_the_mixed_derivative(
    z_s: Tensor, z_t: Tensor, direction: Tensor, kind: Any, temperature: float
) -> None:
    z_s, z_t = z_s.clone().requires_grad_(), z_t.clone().requires_grad_()
    if kind == "kl":
        p_t, p_s = (torch.softmax(z / temperature, dim=1) for z in (z_t, z_s))
        soft = temperature**2 * (p_t * (p_t.log() - p_s.log())).sum() / 2
    elif kind == "softmax-mse":
        p_t, p_s = (torch.softmax(z / temperature, dim=1) for z in (z_t, z_s))
        soft = temperature**2 * ((p_t - p_s) ** 2).sum() / 6
    else:
        soft = ((z_t - z_s) ** 2).sum() / 6
    assert torch.allclose(soft, soft_term(z_s, z_t, temperature, kind))
    slope = torch.autograd.grad(soft, z_s, create_graph=True)[0]
    expected = -torch.autograd.grad((slope * direction).sum(), z_t)[0]
    assert torch.allclose(response(direction, z_s, z_t, temperature, kind), expected, atol=1e-12)


def prepared(
    folder: Path, recipe: Recipe = tiny.RECIPE, **settings: Any
) -> tuple[MetaDistil, Context]:
    method = MetaDistil(MetaDistilSettings.model_validate({**TestMetaDistil.settings, **settings}))
    context = tiny.context(folder, recipe=recipe)
    method.prepare(context)
    return method, context


def team_of(method: MetaDistil, context: Context, *, double: bool = False, seed: int = 0) -> Team:
    """A team at its first batch, its models in float64 if ``double``."""
    accelerator = Accelerator(cpu=True)
    student = Learner(context.models.student(2), context.recipe)
    team = Team(student, method.companions(context), seed=seed)
    for number, learner in enumerate((student, team.companions["teacher"])):
        if double:
            learner.plain.double()
        learner.attach(accelerator, 10, stream=number)
    return team


def begin(team: Team, batch: Batch, moment: int) -> None:
    team.moment = moment
    for learner in (team.student, *team.companions.values()):
        learner.begin(moment, len(batch.labels))


def first_batch(method: MetaDistil, context: Context, size: int = 8) -> Batch:
    return Collator(context.splits["fit"], 0)(method.rows(context)[:size].tolist())


def test_one_step_is_the_written_out_one(tmp_path: Path) -> None:
    """Pilot, quiz, AdamW on the teacher, AdamW on the student: all by plain torch, in float64."""
    recipe = tiny.RECIPE.model_copy(update={"warmup": 0.0})
    method, context = prepared(tmp_path, recipe, quiz_batches="all", temperature=2.0)
    settings, team = method.settings, team_of(method, context, double=True)
    batch = first_batch(method, context)
    student, teacher = (
        copy.deepcopy(team.student.plain),
        copy.deepcopy(team.companions["teacher"].plain),
    )
    begin(team, batch, 0)
    torch.manual_seed(3)
    terms = method.step(team, batch, None)

    def total(z_s: Tensor, z_t: Tensor) -> Tensor:
        p_t = torch.softmax(z_t / 2, dim=1)
        kl = (p_t * (p_t.log() - torch.log_softmax(z_s / 2, dim=1))).sum(dim=1).mean()
        return 0.5 * 4 * kl + 0.5 * F.cross_entropy(z_s, batch.labels)

    def moved(model: Encoder, gradients: Any, recipe_rate: float, decay: float) -> None:
        weights = list(model.parameters())
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient.detach().clone()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        groups = [
            {"params": [w for w in weights if w.ndim > 1], "weight_decay": decay},
            {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
        ]
        torch.optim.AdamW(groups, lr=recipe_rate).step()

    rows = quiz_rows(context.labels, 0.1, 0)
    quiz = Collator(context.splits["fit"], 0)(rows.tolist())
    torch.manual_seed(3)
    z_s = student.train()(**batch.inputs).logits
    z_t = teacher.eval()(**batch.inputs).logits
    weights = dict(student.named_parameters())
    slope = torch.autograd.grad(total(z_s, z_t), list(weights.values()), create_graph=True)
    pilot = {
        n: w - settings.pilot_learning_rate * g
        for (n, w), g in zip(weights.items(), slope, strict=True)
    }
    answers = functional_call(student.eval(), pilot, (), quiz.inputs).logits
    loss = F.cross_entropy(answers, quiz.labels)
    moved(teacher, torch.autograd.grad(loss, list(teacher.parameters())), 1e-3, 0.0)
    torch.manual_seed(3)
    with torch.no_grad():
        z_t = teacher(**batch.inputs).logits
    total_now = total(student.train()(**batch.inputs).logits, z_t)
    moved(student, torch.autograd.grad(total_now, list(weights.values())), 1e-3, 0.01)

    assert terms.values["quiz"].item() == pytest.approx(loss.item(), abs=1e-12)
    assert terms.total.item() == pytest.approx(total_now.item(), abs=1e-12)
    ours = team.companions["teacher"].plain
    for mine, theirs in ((team.student.plain, student), (ours, teacher)):
        for (name, a), b in zip(mine.named_parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-9, rtol=0), name
    assert not tiny.same_weights(ours, context.models.teacher().double())


class Static(Distiller):
    """Distillation from a live teacher in evaluation mode: what remains when it does not move."""

    name = "static"
    needs = MetaDistil.needs
    Settings = MetaDistilSettings

    def rows(self, context: Context) -> Any:
        return MetaDistil(self.settings).rows(context)

    def prepare(self, context: Context) -> None:
        self._teacher = context.models.teacher().eval()

    def step(self, team: Team, batch: Batch, signals: Any) -> LossTerms:
        with torch.no_grad():
            z_t = self._teacher(**batch.inputs).logits
        z_s = team.student.forward(batch).logits
        settings = self.settings
        terms = LossTerms(
            {
                "soft": soft_term(z_s, z_t, settings.temperature, settings.soft_term),
                "hard": hard_label(z_s, batch.labels),
            },
            {"soft": settings.soft_weight, "hard": settings.hard_weight},
        )
        team.student.update(terms.total)
        return terms

    def loss(self, student: Any, signals: Any, batch: Batch) -> LossTerms:
        raise NotImplementedError


class Held(MetaDistil):
    """All of MetaDistil, but the teacher's optimiser does nothing."""

    def companions(self, context: Context) -> Any:
        found = super().companions(context)
        learner = found["teacher"]

        def forget() -> None:
            for weight in learner.plain.parameters():
                weight.grad = None

        learner.apply = forget  # type: ignore[method-assign]
        return found


def trained(kind: type[Distiller], folder: Path, **settings: Any) -> Encoder:
    method = kind(MetaDistilSettings.model_validate({**TestMetaDistil.settings, **settings}))
    return tiny.distilled(method, tiny.context(folder, seed=4), folder / "checkpoint")


@pytest.mark.parametrize("kind", KINDS)
def test_a_teacher_that_does_not_move_leaves_static_distillation_bit_for_bit(
    kind: str, tmp_path: Path
) -> None:
    static = trained(Static, tmp_path / "static", soft_term=kind)
    frozen = trained(MetaDistil, tmp_path / "frozen", soft_term=kind, teacher_learning_rate=0.0)
    assert tiny.same_weights(static, frozen)
    # Pilot, quiz and hypergradient run here, and leave no trace in the student.
    held = trained(Held, tmp_path / "held", soft_term=kind)
    assert tiny.same_weights(static, held)
    moving = trained(MetaDistil, tmp_path / "moving", soft_term=kind)
    assert not tiny.same_weights(static, moving)


def test_work_of_a_step(tmp_path: Path) -> None:
    method, context = prepared(tmp_path, quiz_batch_size=2, quiz_batches=2, every=2)
    team = team_of(method, context)
    batch = first_batch(method, context)
    student, teacher = team.student, team.companions["teacher"]
    begin(team, batch, 0)
    method.step(team, batch, None)
    assert (student.forwards, student.backwards) == (8 + 4, 8 + 8 + 8 + 4)
    assert (teacher.forwards, teacher.backwards) == (16, 8)
    moved = copy.deepcopy(teacher.plain)
    begin(team, batch, 1)
    terms = method.step(team, batch, None)
    assert sorted(terms.values) == ["hard", "soft"]
    assert (student.forwards, student.backwards) == (12 + 8, 28 + 8)
    assert (teacher.forwards, teacher.backwards) == (24, 8)
    assert tiny.same_weights(moved, teacher.plain)


def test_teachers_schedule_ends_with_the_run_however_often_it_learns(tmp_path: Path) -> None:
    for every in (1, 3):
        method, context = prepared(tmp_path, every=every)
        team = team_of(method, context)
        batch = first_batch(method, context)
        for moment in range(10):
            begin(team, batch, moment)
            method.step(team, batch, None)
        assert team.companions["teacher"]._schedule.get_last_lr() == [0.0, 0.0]


def test_quiz_rows_are_fits_own_and_nobody_learns_from_them(tmp_path: Path) -> None:
    method, context = prepared(tmp_path, quiz_batch_size=3)
    learned = method.rows(context)
    quiz = quiz_rows(context.labels, 0.1, 0)
    assert len(quiz) in (4, 5, 6)
    assert sorted([*learned, *quiz]) == list(range(48))
    # A step asks for no split but fit, so it cannot see dev or held_out.
    only = tiny.context(tmp_path / "only", splits={"fit": context.splits["fit"]})
    method.prepare(only)
    team, drawn = team_of(method, only), set()
    for team.moment in range(30):
        for batch in method._quiz_batches(team, torch.device("cpu")):
            assert torch.equal(batch.labels, torch.from_numpy(context.labels[batch.rows]))
            drawn |= set(batch.rows.tolist())
    assert drawn == set(quiz.tolist())


def test_quiz_follows_seed_and_moment_alone(tmp_path: Path) -> None:
    method, context = prepared(tmp_path, quiz_share=0.5, quiz_batch_size=4, quiz_batches=2)

    def drawn(seed: int, moment: int) -> list[list[int]]:
        team = team_of(method, context, seed=seed)
        team.moment = moment
        np.random.default_rng().random()
        return [b.rows.tolist() for b in method._quiz_batches(team, torch.device("cpu"))]

    assert drawn(0, 3) == drawn(0, 3)
    assert drawn(0, 3) != drawn(0, 4)
    assert drawn(0, 3) != drawn(1, 3)
    first, second = drawn(0, 3)
    assert len(first) == len(second) == 4
    assert not set(first) & set(second)
    whole, _ = prepared(tmp_path, quiz_share=0.5, quiz_batch_size=5, quiz_batches="all")
    every = whole._quiz_batches(team_of(whole, context), torch.device("cpu"))
    asked = [row for batch in every for row in batch.rows.tolist()]
    assert asked == quiz_rows(context.labels, 0.5, 0).tolist()


def test_quiz_in_parts_is_the_quiz_as_a_whole(tmp_path: Path) -> None:
    pair, rows = Pair(), [1, 40, 17, 5, 9]
    learner = Learner(pair.student.train(), tiny.RECIPE)
    learner._accelerator = Accelerator(cpu=True)
    weights = {n: p.detach().requires_grad_() for n, p in pair.student.named_parameters()}
    collate = Collator(DATA["fit"], 0)
    whole, expected = take_quiz(learner, weights, [collate(rows)])
    parts, found = take_quiz(learner, weights, [collate(rows[:2]), collate(rows[2:])])
    assert parts.item() == pytest.approx(whole.item(), abs=1e-12)
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(expected, found, strict=True))
    assert pair.student.training


@given(
    st.lists(st.integers(0, 2), min_size=20, max_size=80), st.floats(0.1, 0.5), st.integers(0, 9)
)
def test_quiz_rows_are_stratified_and_follow_the_seed(
    labels: list[int], share: float, seed: int
) -> None:
    table = np.array(labels)
    rows = quiz_rows(table, share, seed)
    assert np.array_equal(rows, quiz_rows(table, share, seed))
    assert np.array_equal(rows, np.unique(rows))
    for label in np.unique(table):
        of_class = (table == label).sum()
        assert (table[rows] == label).sum() == round(share * of_class)
    scores = quiz_rows(table.astype(np.float32), share, seed)
    assert len(scores) == round(share * len(table))


def test_an_empty_quiz_is_an_error_that_names_the_setting() -> None:
    with pytest.raises(UserError, match=r"quiz_share"):
        quiz_rows(np.array([0, 1, 0, 1]), 0.1, 0)


def test_refused_runs_say_why(tmp_path: Path) -> None:
    case = TestMetaDistil()
    scores = case.conditions(case.given(tmp_path, regression=True))
    assert "logit-mse" in str(case.method().unsupported(scores))
    recipe = tiny.RECIPE.model_copy(update={"accumulation": 2})
    parts = case.conditions(case.given(tmp_path, recipe=recipe))
    assert "accumulation" in str(case.method().unsupported(parts))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("soft_weight", [0.0]),
        ("pilot_learning_rate", [0.0]),
        ("teacher_learning_rate", [-1e-5]),
        ("every", [0]),
        ("quiz_share", [0.0, 0.6]),
        ("quiz_batches", [0, "none"]),
        ("quiz_batch_size", [0]),
        ("soft_term", ["mse"]),
        ("patience_weight", [100.0]),
    ],
)
def test_refused_settings(field: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ValidationError, match=field):
            MetaDistilSettings.model_validate({field: value})
