"""What a procedure may ask of the loop: companions, anchors, rows, an early end, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reaugkd import memory
from reaugkd.distiller import Batch, LossTerms
from reaugkd.models.encoder import Encoder
from reaugkd.training import teacher
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.learner import Learner, Team
from reaugkd.training.loop import Procedure, Recipe, TrainingResult, minimise, steps_of, train
from tests import tiny

RECIPE = Recipe(learning_rate=1e-3, epochs=3, batch_size=8)
PLAIN = minimise(teacher.true_labels).step
CPU = torch.device("cpu")


def fit(
    model: Encoder, procedure: Any, folder: Path, recipe: Recipe = RECIPE, scores: Any = None
) -> TrainingResult:
    data = tiny.splits()
    return train(
        model,
        procedure,
        data["fit"],
        0,
        recipe,
        evaluate=scores or teacher.scorer(tiny.TASK, data["held_out"], 0, recipe.precision),
        select_on="accuracy",
        seed=1,
        checkpoint=Checkpoint(folder, every=0.0),
        device="cpu",
    )


def beside(team: Team, batch: Batch) -> LossTerms:
    """Both models learn the true labels, in turns."""
    other = team.companions["other"]
    other.update(teacher.true_labels(other.forward(batch), batch).total)
    return PLAIN(team, batch)


def test_a_companion_leaves_the_student_as_it_would_be_alone(tmp_path: Path) -> None:
    alone, watched = tiny.encoder(), tiny.encoder()
    fit(alone, teacher.true_labels, tmp_path / "alone")
    companion = tiny.encoder(seed=5)
    before = {name: value.clone() for name, value in companion.state_dict().items()}
    fit(watched, Procedure(beside, {"other": Learner(companion, RECIPE)}), tmp_path / "watched")
    assert tiny.same_weights(alone, watched)
    assert not all(torch.equal(v, before[k]) for k, v in companion.state_dict().items())


def test_a_companion_learns_by_its_own_recipe(tmp_path: Path) -> None:
    slow = RECIPE.model_copy(update={"learning_rate": 1e-5, "weight_decay": 0.0})
    still = tiny.encoder(seed=5, **tiny.STILL)
    alone = tiny.encoder(seed=5, **tiny.STILL)
    last = minimise(teacher.true_labels)
    last.keep = "last"
    fit(alone, last, tmp_path / "alone", slow)
    fit(tiny.encoder(), Procedure(beside, {"other": Learner(still, slow)}), tmp_path / "pair")
    assert tiny.same_weights(alone, still)


def test_a_companions_masks_depend_on_seed_batch_and_call_alone() -> None:
    def masks(stream: int, moment: int, calls: int = 1) -> torch.Tensor:
        learner = Learner(nn.Identity(), RECIPE)
        learner._stream = stream
        learner.begin(moment, 8)
        for _ in range(calls):
            with learner.masks():
                drawn = torch.rand(8)
        return drawn

    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = masks(1, 4)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(77)
    assert torch.equal(first, masks(1, 4))
    for other in (masks(2, 4), masks(1, 5), masks(1, 4, calls=2)):
        assert not torch.equal(first, other)


def test_provider_runs_without_dropout_and_without_gradient(tmp_path: Path) -> None:
    seen: list[bool] = []

    def step(team: Team, batch: Batch) -> LossTerms:
        one, two = team.student.provide(batch), team.student.provide(batch)
        assert torch.equal(one.logits, two.logits)
        assert not one.logits.requires_grad
        graded = team.student.provide(batch, gradient=True)
        assert graded.logits.requires_grad
        assert team.student.model.training
        assert not torch.equal(team.student.forward(batch).logits, one.logits)
        seen.append(True)
        return PLAIN(team, batch)

    fit(tiny.encoder(), Procedure(step), tmp_path)
    assert len(seen) == 18


def test_work_is_counted_and_survives_a_kill(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    left = 7

    def step(team: Team, batch: Batch) -> LossTerms:
        nonlocal left
        left -= 1
        if left == 0:
            raise Stopped
        team.companions["other"].provide(batch)
        return PLAIN(team, batch)

    def procedure() -> Procedure:
        return Procedure(step, {"other": Learner(tiny.encoder(seed=5), RECIPE)})

    with pytest.raises(Stopped):
        fit(tiny.encoder(), procedure(), tmp_path)
    left = 1000
    result = fit(tiny.encoder(), procedure(), tmp_path)
    assert result.work["student"] == {"forwards": 144, "backwards": 144}
    assert result.work["other"] == {"forwards": 144, "backwards": 0}


def test_only_the_chosen_rows_are_learned_from(tmp_path: Path) -> None:
    rows = np.array([3, 8, 9, 20, 21, 22, 23, 24, 40, 47])
    seen: set[int] = set()

    def step(team: Team, batch: Batch) -> LossTerms:
        seen.update(batch.rows.tolist())
        return PLAIN(team, batch)

    result = fit(tiny.encoder(), Procedure(step, rows=rows), tmp_path)
    assert seen == set(rows.tolist())
    assert (result.steps, result.examples) == (3 * 2, 30)
    assert steps_of(RECIPE, len(rows)) == 6


def test_anchors_are_the_weights_at_their_step(tmp_path: Path) -> None:
    kept: dict[int, dict[str, torch.Tensor]] = {}

    def keep(step: int) -> Any:
        def reached(model: Encoder) -> None:
            kept[step] = {name: value.clone() for name, value in model.state_dict().items()}

        return reached

    whole, part = tiny.encoder(), tiny.encoder()
    fit(
        whole, Procedure(PLAIN, at_steps={s: keep(s) for s in (5, 18)}, keep="last"), tmp_path / "a"
    )
    assert all(torch.equal(v, kept[18][k]) for k, v in whole.state_dict().items())
    fifth = kept[5]
    result = fit(part, Procedure(PLAIN, at_steps={5: keep(5)}, until=5), tmp_path / "b")
    assert result.steps == 5
    assert all(torch.equal(value, fifth[name]) for name, value in kept[5].items())
    assert all(torch.equal(v, fifth[k]) for k, v in part.state_dict().items())


def test_the_last_weights_are_kept_on_demand(tmp_path: Path) -> None:
    values = iter([0.9, 0.5, 0.1] * 2)
    states: list[dict[str, torch.Tensor]] = []

    def scores(model: Encoder) -> dict[str, float]:
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"accuracy": next(values)}

    last, best = tiny.encoder(), tiny.encoder()
    result = fit(last, Procedure(PLAIN, keep="last"), tmp_path / "last", scores=scores)
    assert (result.epoch, result.score) == (3, 0.1)
    assert all(torch.equal(v, states[2][k]) for k, v in last.state_dict().items())
    assert fit(best, Procedure(PLAIN), tmp_path / "best", scores=scores).epoch == 1
    assert all(torch.equal(v, states[3][k]) for k, v in best.state_dict().items())


def test_epochs_are_announced_also_to_a_resumed_run(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    fit(
        tiny.encoder(),
        Procedure(PLAIN, begin_epoch=lambda *at: told.append(at), until=8),
        tmp_path,
    )
    assert told == [(0, 3), (1, 3)]
    told.clear()
    fit(tiny.encoder(), Procedure(PLAIN, begin_epoch=lambda *at: told.append(at)), tmp_path)
    assert told == [(1, 3), (2, 3)]


def test_an_adapter_learns_with_the_student(tmp_path: Path) -> None:
    adapter = nn.Linear(16, 16)
    before = adapter.weight.clone()

    def step(team: Team, batch: Batch) -> LossTerms:
        output = team.student.forward(batch)
        terms = teacher.true_labels(output, batch)
        shift = (adapter(output.embedding) - 1).square().mean()
        team.student.update(terms.total + shift)
        return terms

    fit(tiny.encoder(), Procedure(step, adapter=adapter), tmp_path)
    assert not torch.equal(adapter.weight, before)


@pytest.mark.skipif(memory.peak(CPU) is None, reason="this system does not tell")
def test_peak_memory_sees_what_is_freed_again() -> None:
    memory.reset_peak(CPU)
    start = memory.peak(CPU) or 0
    block = np.ones(60_000_000, dtype=np.uint8)
    del block
    assert (memory.peak(CPU) or 0) >= start + 50_000_000


@pytest.mark.skipif(memory.peak(CPU) is None, reason="this system does not tell")
def test_a_peak_does_not_inherit_what_was_freed_before() -> None:
    memory.reset_peak(CPU)
    start = memory.peak(CPU) or 0
    small = [bytearray(2000) for _ in range(100_000)]  # from the heap, which keeps what is freed
    small.append(small)  # type: ignore[arg-type]  # and garbage that only the collector finds
    del small
    memory.reset_peak(CPU)
    assert (memory.peak(CPU) or 0) <= start + 50_000_000
