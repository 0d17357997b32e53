"""RCO: the route is the teacher's own, the blocks of epochs, and its place beside KD."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from baselines.kd import KD
from baselines.rco import RCO, RCOSettings, anchor_of, blocks, repeated, route_steps
from reaugkd.context import Context
from reaugkd.distiller import Batch, Conditions, Distiller, KDSettings, LossTerms, Shape
from reaugkd.models.encoder import Encoder, EncoderOutput
from reaugkd.training import inference
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.loop import TrainingSummary, distil
from tests import tiny
from tests.baselines.cases import DistillerCase, Stopped
from tests.baselines.kills import Watch

OWN = {"temperature": 3.0, "soft_weight": 0.7, "hard_weight": 0.3}
ROUTE = "teacher's route: epoch"
STEPS = 12  # two epochs of six batches


class TestRCO(DistillerCase):
    name = "rco"
    settings = {"anchors": (0.3, 1.0)}  # noqa: RUF012  never changed


def rco(*anchors: float, **settings: Any) -> RCO:
    return RCO(RCOSettings.model_validate({"anchors": anchors, **OWN, **settings}))


def student(method: Distiller, context: Context, folder: Path) -> Encoder:
    return tiny.distilled(method, context, folder / "checkpoint")


def tables(method: RCO, context: Context) -> list[bytes]:
    """The logits of all anchors of ``method``, once it is prepared."""
    return [np.array(anchor.logits).tobytes() for anchor in method.prepare(context).anchors]


def route(context: Context, steps: list[int]) -> list[bytes]:
    return [anchor.logits.tobytes() for anchor in repeated(context, steps, context.teacher)]


@given(epochs=st.integers(1, 60), anchors=st.integers(1, 12))
def test_blocks_fill_the_epochs_and_end_with_the_final_teacher(epochs: int, anchors: int) -> None:
    sizes = blocks(epochs, anchors)
    assert sum(sizes) == epochs
    assert sizes[-1] == max(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1
    order = [anchor_of(epoch, epochs, anchors) for epoch in range(epochs)]
    assert order == [k for k, size in enumerate(sizes) for _ in range(size)]
    assert order[-1] == anchors - 1


@given(count=st.integers(1, 20), steps=st.integers(1, 10_000))
def test_equal_anchors_are_a_route(count: int, steps: int) -> None:
    anchors = RCOSettings(anchors=count).anchors  # type: ignore[arg-type]
    assert anchors == tuple((number + 1) / count for number in range(count))
    found = route_steps(anchors, steps)
    assert found[-1] == steps
    assert list(found) == sorted(found)
    assert found[0] >= 1


def own_way(context: Context, folder: Path) -> tuple[dict[int, Encoder], TrainingSummary]:
    """The teacher fine-tuned as a run does it: its weights before each step, the last included."""
    encoder, passed = context.models.untrained(), {}

    def before(*_: Any) -> None:
        if encoder.training:
            passed[len(passed)] = {k: v.clone() for k, v in encoder.state_dict().items()}

    encoder.register_forward_pre_hook(before)
    result = tiny.fine_tuned(encoder, context.teacher_setup, folder / "teacher")
    made = {}
    for step, weights in passed.items():
        made[step] = context.models.untrained()
        made[step].load_state_dict(weights)
    return made, result


def said(encoder: Encoder, context: Context) -> bytes:
    return inference.run(encoder, context.splits["fit"], context.pad_id).logits.tobytes()


@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_route_is_the_teachers_own_way(accumulation: int, tmp_path: Path) -> None:
    recipe = tiny.RECIPE.model_copy(update={"accumulation": accumulation})
    context = tiny.context(tmp_path, teacher_recipe=recipe, teacher_seed=3, seed=8)
    passed, _ = own_way(context, tmp_path)
    steps = [1, 2, 3, 4, 5] if accumulation == 2 else [1, 4, 6, 7, 11]
    anchors = route(context, steps)
    assert anchors == [said(passed[step * accumulation], context) for step in steps]
    assert len(set(anchors)) == len(steps)


def test_anchors_are_the_route_and_then_the_final_teacher(tmp_path: Path) -> None:
    context, final = tiny.context(tmp_path), tiny.context(tmp_path).teacher.logits.tobytes()
    assert tables(rco(0.1, 0.5, 1.0), context) == [*route(context, [1, 6]), final]
    (path,) = (tmp_path / "artifacts" / "teacher-route").glob("*/manifest.json")
    made = json.loads(path.read_text())
    assert made["identity"]["steps"] == [1, 6]
    assert set(made["files"]) == {"step-1.logits.npy", "step-6.logits.npy"}  # no embeddings


def test_the_route_costs_its_steps_and_a_pass_for_each_anchor(tmp_path: Path) -> None:
    context = tiny.context(tmp_path)
    rco(0.1, 0.5, 1.0).prepare(context)
    (stage,) = context.stages
    assert stage["backwards"] == 48  # half of two epochs
    assert stage["forwards"] == 48 + 2 * 48


def test_a_teacher_that_stopped_early_stands_in_for_what_it_never_reached(tmp_path: Path) -> None:
    recipe = tiny.RECIPE.model_copy(
        update={"epochs": 6, "patience": 1, "learning_rate": 1e-9, "warmup": 0.0}
    )
    context = tiny.context(tmp_path, teacher_recipe=recipe)
    _, result = own_way(context, tmp_path)
    assert len(result.history) == 2  # the second epoch is no better: 12 of 36 steps
    early, late, final = tables(rco(0.1, 0.9, 1.0), context)
    assert late == final != early
    assert context.stages[0]["forwards"] == 2 * 48 + 48


def test_one_route_for_all_students(tmp_path: Path) -> None:
    for seed in (0, 1):
        rco(0.5, 1.0, temperature=1.0 + seed).prepare(tiny.context(tmp_path, seed=seed))
    assert len(list((tmp_path / "artifacts" / "teacher-route").glob("*/manifest.json"))) == 1
    rco(0.5, 1.0).prepare(tiny.context(tmp_path, teacher_seed=1))
    assert len(list((tmp_path / "artifacts" / "teacher-route").glob("*/manifest.json"))) == 2


@pytest.mark.parametrize(
    ("title", "report", "batches", "anchors"),
    [
        (ROUTE, 1, 9, 2),  # before the first anchor, at step 2
        ("teacher at step 2", 1, 9, 2),
        (ROUTE, 4, 9 - 2, 1),  # between the anchors: it goes on from the first
        ("teacher at step 9", 1, 9 - 6, 1),  # from the end of the first epoch
    ],
)
def test_killed_on_the_route_and_resumed(
    title: str, report: int, batches: int, anchors: int, tmp_path: Path
) -> None:
    whole = tables(rco(2 / STEPS, 9 / STEPS, 1.0), tiny.context(tmp_path / "whole"))
    killed = tiny.context(tmp_path / "killed", reporter=Watch(title, report))
    with pytest.raises(Stopped):
        rco(2 / STEPS, 9 / STEPS, 1.0).prepare(killed)
    torch.manual_seed(99)
    watch = Watch()
    resumed = tiny.context(tmp_path / "killed", reporter=watch)
    assert tables(rco(2 / STEPS, 9 / STEPS, 1.0), resumed) == whole
    assert watch.batches(ROUTE) == batches
    assert watch.batches("teacher at step") == anchors


def test_the_final_teacher_alone_is_kd_bit_for_bit(tmp_path: Path) -> None:
    expected = student(KD(KDSettings(**OWN)), tiny.context(tmp_path / "kd"), tmp_path / "kd")
    mine = tiny.context(tmp_path / "rco")
    assert tiny.same_weights(student(rco(1.0), mine, tmp_path / "rco"), expected)
    assert mine.stages == []


@pytest.mark.parametrize("stop_at", [None, 7, 16])
def test_every_batch_learns_from_the_anchor_of_its_epoch(
    stop_at: int | None, tmp_path: Path
) -> None:
    """Five epochs of six batches for two anchors; killed in the middle of epochs too."""
    recipe = tiny.RECIPE.model_copy(update={"epochs": 5})
    seen: list[float] = []

    def watched(limit: int | None) -> RCO:
        method = rco(0.5, 1.0, soft_weight=1.0, hard_weight=0.0, temperature=1.0)
        prepare, loss, calls = method.prepare, method.loss, 0

        def then_mark(context: Context) -> Any:
            """Each anchor says ten times its number, and nothing else."""
            route = prepare(context)
            for number, anchor in enumerate(route.anchors):
                marks = np.full_like(anchor.logits, 10.0 * number)
                route.anchors[number] = replace(anchor, logits=marks)
            return route

        def noted(output: EncoderOutput, signals: Any, batch: Batch) -> LossTerms:
            nonlocal calls
            calls += 1
            if calls == limit:
                raise Stopped
            seen.append(signals.logits.mean().item())
            return loss(output, signals, batch)

        method.prepare, method.loss = then_mark, noted  # type: ignore[method-assign]
        return method

    def go(limit: int | None) -> None:
        checkpoint = Checkpoint(tmp_path / "checkpoint", every=0.0)
        context = tiny.context(tmp_path, recipe=recipe)
        distil(
            watched(limit), context, context.models.student(2), checkpoint=checkpoint, stage="rco"
        )

    if stop_at is not None:
        with pytest.raises(Stopped):
            go(stop_at)
    go(None)
    assert seen == [0.0] * 2 * 6 + [10.0] * 3 * 6


def test_a_route_that_ends_within_an_epoch_leaves_the_students_steps_alone(tmp_path: Path) -> None:
    """Its loader is left in the middle; four batches make a step, the last two of six as well."""
    recipe = tiny.RECIPE.model_copy(update={"accumulation": 4})
    context = tiny.context(tmp_path, recipe=recipe, teacher_recipe=recipe)
    encoder = context.models.student(2)
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    result = distil(rco(0.6, 1.0), context, encoder, checkpoint=checkpoint, stage="rco")
    assert len(context.stages) == 1
    assert result.steps == 2 * recipe.epochs
    again = tiny.context(tmp_path, recipe=recipe, teacher_recipe=recipe)
    assert tiny.same_weights(student(rco(0.6, 1.0), again, tmp_path / "again"), encoder)


def test_fewer_epochs_than_anchors_are_refused_with_a_reason() -> None:
    shapes = Shape(8, 2), Shape(8, 4)
    reason = RCO().unsupported(Conditions(tiny.TASK, *shapes, 8, epochs=3))
    assert reason is not None
    assert "4 anchors" in reason
    assert "1 would never teach; give at most 3" in reason
    assert RCO().unsupported(Conditions(tiny.TASK, *shapes, 8, epochs=4)) is None


@pytest.mark.parametrize(
    ("anchors", "words"),
    [
        ([], "the last anchor must be 1"),
        (0, "the last anchor must be 1"),
        ([0.5], "the last anchor must be 1"),
        ([0.5, 1.0, 1.5], "the last anchor must be 1"),
        ([0.0, 1.0], "between 0 and 1"),
        ([0.5, 0.5, 1.0], "each larger than the one before"),
        ([0.6, 0.3, 1.0], "each larger"),
        ([1.0, 1.0], "each larger"),
        ("equal", "valid tuple"),
    ],
)
def test_anchors_that_are_no_route(anchors: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        RCOSettings(anchors=anchors)
