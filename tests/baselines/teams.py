"""A team of learners outside the loop, so that a test can look inside one step."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from reaugkd.context import Context
from reaugkd.distiller import Batch, Distiller, LossTerms
from reaugkd.models.encoder import Encoder
from reaugkd.models.learner import Learner, Team
from reaugkd.training.batches import Collator
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.loop import TrainingSummary, distil
from tests import tiny

STEADY = tiny.RECIPE.model_copy(update={"warmup": 0.0, "weight_decay": 0.0})
"""A recipe whose first step has the full learning rate and moves nothing without a gradient."""


def batch(size: int = 8) -> Batch:
    return Collator(tiny.rows(48), 0)(list(range(size)))


def team(method: Distiller, context: Context) -> Team:
    """What the loop hands to the first step of ``method``, a student of seed 2 among it."""
    encoder, accelerator = context.models.student(2), Accelerator(cpu=True)
    method.initialise(encoder)
    made = Team(Learner(encoder, context.recipe), method.companions(context), seed=context.seed)
    for number, learner in enumerate([made.student, *made.companions.values()]):
        learner.attach(accelerator, 100, stream=number and 1000 + number)
        learner.begin(0, 8)
    return made


def traced(team: Team) -> list[str]:
    """What the learners of ``team`` do from now on, in order."""
    events: list[str] = []

    def watch(name: str, learner: Learner, action: str) -> None:
        inner = getattr(learner, action)

        def outer(*arguments: Any, **options: Any) -> Any:
            silent = action == "forward" and not torch.is_grad_enabled()
            events.append(f"{name} {action}" + (" without gradient" if silent else ""))
            return inner(*arguments, **options)

        setattr(learner, action, outer)

    for name, learner in {"student": team.student, **team.companions}.items():
        for action in ("forward", "provide", "update"):
            watch(name, learner, action)
    return events


def modes(model: nn.Module) -> list[bool]:
    """Whether ``model`` is in training mode, for every forward pass from now on."""
    seen: list[bool] = []
    model.register_forward_pre_hook(lambda module, _: seen.append(module.training))
    return seen


def gradient(model: nn.Module) -> list[torch.Tensor]:
    """A copy of all gradients, zeros where there is none."""
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]


def at_update(learner: Learner, look: Any) -> None:
    """Call ``look`` between the backward pass of ``learner`` and its clipping and step."""
    apply = learner.apply

    def outer() -> None:
        look()
        apply()

    learner.apply = outer  # type: ignore[method-assign]


def moved(method: Distiller, team: Team, batch: Batch) -> dict[str, Any]:
    """What one step does: gradients of each at its own update, and of the other meanwhile."""
    own, peer, seen = team.student, team.companions["teacher"], {}

    def teacher_moves() -> None:
        seen["teacher"] = gradient(peer.plain)
        seen["in the student meanwhile"] = gradient(own.plain)

    def student_moves() -> None:
        seen["student"] = gradient(own.plain)
        seen["in the teacher meanwhile"] = gradient(peer.plain)
        seen["updated teacher"] = copy.deepcopy(peer.plain)

    at_update(peer, teacher_moves)
    at_update(own, student_moves)
    method.step(team, batch, None)
    for other in ("student", "teacher"):
        assert not any(g.any() for g in seen[f"in the {other} meanwhile"])
    return seen


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.allclose(x, y, atol=1e-7) for x, y in zip(a, b, strict=True))


def both_trained(
    method: Distiller, context: Context, folder: Path
) -> tuple[Encoder, Any, TrainingSummary]:
    """Student (seed 2, best epoch), teacher (last epoch) and result of a whole run."""
    kept: dict[str, Learner] = {}
    companions = method.companions

    def remembered(context: Context) -> Any:
        kept.update(companions(context))
        return kept

    method.companions = remembered  # type: ignore[method-assign]
    student = context.models.student(2)
    result = distil(method, context, student, checkpoint=Checkpoint(folder), stage="both")
    return student, kept["teacher"].plain, result


def total(terms: LossTerms) -> float:
    return float(terms.total.detach())
