"""ProKT as a whole: KD as its resting case, fine-tuning as its free one, costs, the dual form."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.kd import KD
from baselines.prokt import ProKT, ProKTSettings, zero
from reaugkd.context import Context
from reaugkd.distiller import Batch, KDSettings, SignalBatch
from reaugkd.models.encoder import EncoderOutput
from reaugkd.training import teacher
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.distil import distil
from reaugkd.training.loop import minimise
from tests import tiny
from tests.baselines import teams

DUAL: dict[str, Any] = {"constraint": "dual", "dual_bound": 0.0, "dual_rate": 20.0}
"""A dual form whose multiplier moves a lot within a few steps."""


def prokt(**settings: Any) -> ProKT:
    return ProKT(ProKTSettings.model_validate(settings))


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
    alone, plain = context.models.untrained(), minimise(teacher.true_labels)
    zero(alone.head)
    plain.keep = "last"
    context.train(alone, plain, tmp_path / "alone", recipe=recipe, seed=4, stage="alone")
    assert tiny.same_weights(companion, alone)
    _, held, _ = teams.both_trained(prokt(), context, tmp_path / "held")
    assert not tiny.same_weights(held, alone)


def with_other_labels(context: Context) -> Context:
    fit = context.splits["fit"]
    flipped = fit.map(lambda row: {"label": 1 - row["label"]})
    return dataclasses.replace(context, splits={**context.splits, "fit": flipped})


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
