"""The loop: exact resume, early stop, accumulation, divergence, and what may be asked of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from baselines.finetune import FineTune
from reaugkd.distiller import Batch, LossTerms
from reaugkd.models.encoder import Encoder
from reaugkd.models.learner import Learner, Team
from reaugkd.models.recipe import Recipe
from reaugkd.reporter import Silent
from reaugkd.training.batches import Collator
from reaugkd.training.checkpoint import Checkpoint, Progress
from reaugkd.training.loop import DivergedError, TrainingOptions, TrainingSummary, train
from tests import tiny

RECIPE = Recipe(learning_rate=1e-3, epochs=3, batch_size=8)


class Stopped(Exception):
    """Stands for a kill between two batches."""


class Stoppable(FineTune):
    """Fine-tuning that is killed before batch ``stop_at``, and counts its batches."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.seen, self.stop_at = 0, stop_at

    def step(self, team: Team, batch: Batch, signals: Any) -> LossTerms:
        self.seen += 1
        if self.seen == self.stop_at:
            raise Stopped
        return super().step(team, batch, signals)


def fit(
    model: Encoder,
    folder: Path,
    recipe: Recipe = RECIPE,
    method: FineTune | None = None,
    *,
    every: float | None = None,
    **options: Any,
) -> TrainingSummary:
    """``model`` trained in ``folder``; what is to be killed saves its state after every step."""
    if every is None:
        every = 0.0 if isinstance(method, Stoppable) and method.stop_at else 60.0
    checkpoint = Checkpoint(folder, every=every)
    wanted = TrainingOptions(**options)
    return train(model, method or FineTune(), tiny.setup(recipe), wanted, checkpoint=checkpoint)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def has(model: nn.Module, kept: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("stop_at", [3, 6, 9, 15])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_killed_and_resumed_equals_uninterrupted(
    stop_at: int, accumulation: int, tmp_path: Path
) -> None:
    recipe = RECIPE.model_copy(update={"accumulation": accumulation})
    whole = tiny.encoder()
    expected = fit(whole, tmp_path / "whole", recipe)
    with pytest.raises(Stopped):
        fit(tiny.encoder(), tmp_path / "killed", recipe, Stoppable(stop_at))
    torch.manual_seed(99)  # a new process has another generator state
    resumed = tiny.encoder(seed=7)  # and other weights, until the checkpoint is loaded
    result = fit(resumed, tmp_path / "killed", recipe)
    assert tiny.same_weights(whole, resumed)
    unmeasured = {"seconds": 0.0, "peak_bytes": None}
    assert result._replace(**unmeasured) == expected._replace(**unmeasured)


class Fading(Stoppable):
    """A method with a state of its own: the loss weighs a little less after every batch."""

    weight = 1.0

    def step(self, team: Team, batch: Batch, signals: Any) -> LossTerms:
        self.seen += 1
        if self.seen == self.stop_at:
            raise Stopped
        terms = self.loss(team.student.forward(batch), signals, batch)
        team.student.update(self.weight * terms.total)
        self.weight *= 0.9
        return terms

    def state(self) -> Mapping[str, float]:
        return {"weight": self.weight}

    def restore(self, state: Mapping[str, float]) -> None:
        self.weight = state["weight"]


@pytest.mark.parametrize("stop_at", [1, 4, 7, 14])
def test_the_state_of_a_method_survives_a_kill(stop_at: int, tmp_path: Path) -> None:
    whole, resumed, uninterrupted, second = tiny.encoder(), tiny.encoder(), Fading(), Fading()
    fit(whole, tmp_path / "whole", method=uninterrupted)
    with pytest.raises(Stopped):
        fit(tiny.encoder(), tmp_path / "killed", method=Fading(stop_at))
    fit(resumed, tmp_path / "killed", method=second)
    assert tiny.same_weights(whole, resumed)
    assert second.weight == uninterrupted.weight
    assert second.seen == uninterrupted.seen - (stop_at - 1)


def test_same_seed_same_weights_and_the_global_generator_untouched(tmp_path: Path) -> None:
    """Nor does it matter how often the state is saved."""
    first, second = tiny.encoder(), tiny.encoder()
    before = torch.get_rng_state()
    fit(first, tmp_path / "a", every=0.0)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(5)
    fit(second, tmp_path / "b", every=1e9)
    assert tiny.same_weights(first, second)


def test_interrupted_save_leaves_the_state_before(tmp_path: Path) -> None:
    """A kill between the two renames: the old state is complete and is found."""
    with pytest.raises(Stopped):
        fit(tiny.encoder(), tmp_path / "c", method=Stoppable(9))
    reference, resumed = tiny.encoder(), tiny.encoder()
    shutil.copytree(tmp_path / "c", tmp_path / "d")
    fit(reference, tmp_path / "c")
    (tmp_path / "d" / "current").rename(tmp_path / "d" / "old")
    (tmp_path / "d" / "new").mkdir()
    fit(resumed, tmp_path / "d")
    assert tiny.same_weights(reference, resumed)


def test_damaged_checkpoint_is_named_and_training_begins_again(tmp_path: Path) -> None:
    class Heard(Silent):
        notes: ClassVar[list[str]] = []

        def note(self, text: str) -> None:
            self.notes.append(text)

    whole, again = tiny.encoder(), tiny.encoder()
    fit(whole, tmp_path / "whole")
    with pytest.raises(Stopped):
        fit(tiny.encoder(), tmp_path / "c", method=Stoppable(9))
    damaged = next((tmp_path / "c" / "current" / "state").glob("*.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[:-8])
    assert Checkpoint(tmp_path / "c", reporter=Heard())._complete() is None
    assert "damaged (a file has changed)" in Heard.notes[0]
    fit(again, tmp_path / "c")
    assert tiny.same_weights(whole, again)


def test_progress_is_plain_json() -> None:
    progress = Progress()
    progress.count(LossTerms({"a": torch.tensor(2.0)}, {"a": 1.0}), 4)
    assert progress.plain()["sums"] == {"a": 2.0}
    progress.close_epoch({"a": 2.0}, {"accuracy": 0.5}, "accuracy")
    assert progress.history == [{"epoch": 1, "loss/a": 2.0, "accuracy": 0.5}]


SCRIPT = """
    import dataclasses, sys
    from pathlib import Path
    from baselines.finetune import FineTune
    from reaugkd.models.recipe import Recipe
    from reaugkd.training.checkpoint import Checkpoint
    from reaugkd.reporter import Silent
    from reaugkd.training.loop import train
    from safetensors.torch import save_file
    from tests import tiny

    class Loud(Silent):
        def advance(self, done, values=None):
            print("batch", flush=True)

    model, recipe = tiny.encoder(), Recipe(learning_rate=1e-3, epochs=6, batch_size=8)
    setup = tiny.setup(recipe, reporter=Loud())
    train(model, FineTune(), setup, checkpoint=Checkpoint(Path(sys.argv[1]), every=0.0))
    save_file(model.state_dict(), sys.argv[2])
"""


@pytest.mark.slow
def test_kill_9_three_times_then_the_same_weights(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(SCRIPT))
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}

    def start(state: str, saved: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), str(tmp_path / state), str(tmp_path / saved)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    for batches_to_see in (4, 7, 5):
        process = start("killed", "killed.safetensors")
        assert process.stdout is not None
        for _ in range(batches_to_see):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    for state in ("killed", "whole"):
        assert start(state, f"{state}.safetensors").wait() == 0
    killed, whole = (tmp_path / f"{s}.safetensors" for s in ("killed", "whole"))
    assert killed.read_bytes() == whole.read_bytes()


def test_it_learns(tmp_path: Path) -> None:
    model = tiny.encoder(**tiny.STILL)
    result = fit(model, tmp_path, Recipe(learning_rate=1e-2, epochs=12, batch_size=8))
    losses = [row["loss/hard"] for row in result.history]
    assert losses[-1] < 0.7 * losses[0]
    assert (result.examples, result.steps) == (12 * 48, 12 * 6)


def test_best_epoch_is_restored_and_patience_ends_the_run(tmp_path: Path) -> None:
    values, kept = iter([0.5, 0.9, 0.9, 0.8, 0.7]), []

    def scores(model: Encoder) -> dict[str, float]:
        kept.append(weights(model))
        return {"accuracy": next(values)}

    model = tiny.encoder()
    recipe = RECIPE.model_copy(update={"epochs": 10, "patience": 2})
    result = fit(model, tmp_path, recipe, evaluate=scores)
    assert (result.epoch, result.score, len(result.history)) == (2, 0.9, 4)
    assert has(model, kept[1])


def test_divergence_is_told_with_the_term_and_the_learning_rate(tmp_path: Path) -> None:
    class Exploding(FineTune):
        def loss(self, student: Any, signals: Any, batch: Batch) -> LossTerms:
            return LossTerms({"relation": student.logits.sum() * float("nan")}, {"relation": 1.0})

    with pytest.raises(DivergedError, match=r"'relation' became nan .*learning rate 0.001"):
        fit(tiny.encoder(), tmp_path, method=Exploding())


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


@pytest.mark.parametrize(("batch_size", "accumulation"), [(8, 4), (10, 2), (10, 3), (48, 4)])
def test_a_step_follows_the_mean_loss_over_the_rows_of_its_window(
    batch_size: int, accumulation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the last, incomplete window of an epoch too, and where a batch is shorter than others."""
    rows: list[int] = []
    gradients: list[tuple[list[int], torch.Tensor]] = []

    class Noting(FineTune):
        def loss(self, student: Any, signals: Any, batch: Batch) -> LossTerms:
            rows.extend(batch.rows.tolist())
            return super().loss(student, signals, batch)

    def flat(model: nn.Module) -> torch.Tensor:
        grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        return torch.cat(grads).clone()

    def apply(self: Learner) -> None:
        if self._accelerator.sync_gradients:
            gradients.append((rows.copy(), flat(self.plain)))
            rows.clear()
        original(self)

    original = Learner.apply
    monkeypatch.setattr(Learner, "apply", apply)
    recipe = Recipe(
        learning_rate=1e-12, epochs=1, batch_size=batch_size, accumulation=accumulation, warmup=0
    )
    fit(tiny.encoder(**tiny.STILL), tmp_path, recipe, Noting())
    assert len(gradients) == recipe.steps(48)
    collate = Collator(tiny.splits()["fit"], 0)
    for window, gradient in gradients:
        model, batch = tiny.encoder(**tiny.STILL).train(), collate(window)
        nn.functional.cross_entropy(model(**batch.inputs).logits, batch.labels).backward()
        torch.testing.assert_close(gradient, flat(model), rtol=1e-4, atol=1e-6)


def test_provider_runs_without_dropout_and_without_gradient(tmp_path: Path) -> None:
    class Provider(Stoppable):
        def step(self, team: Team, batch: Batch, signals: Any) -> LossTerms:
            first, second = team.student.provide(batch), team.student.provide(batch)
            assert torch.equal(first.logits, second.logits)
            assert not first.logits.requires_grad
            assert team.student.provide(batch, gradient=True).logits.requires_grad
            assert team.student.model.training
            assert not torch.equal(team.student.forward(batch).logits, first.logits)
            return super().step(team, batch, signals)

    method = Provider()
    fit(tiny.encoder(), tmp_path, method=method)
    assert method.seen == 18


def test_work_is_counted_and_survives_a_kill(tmp_path: Path) -> None:
    class Asking(Stoppable):
        def step(self, team: Team, batch: Batch, signals: Any) -> LossTerms:
            terms = super().step(team, batch, signals)
            team.companions["other"].provide(batch)
            return terms

    def go(method: FineTune) -> TrainingSummary:
        others = {"other": Learner(tiny.encoder(seed=5), RECIPE)}
        return fit(tiny.encoder(), tmp_path, method=method, companions=others)

    with pytest.raises(Stopped):
        go(Asking(7))
    result = go(Asking())
    assert result.work["student"] == {"forwards": 144, "backwards": 144}
    assert result.work["other"] == {"forwards": 144, "backwards": 0}
    assert result.cost(forwards=5)["forwards"] == 2 * 144 + 5


def test_only_the_chosen_rows_are_learned_from(tmp_path: Path) -> None:
    rows, seen = np.array([3, 8, 9, 20, 21, 22, 23, 24, 40, 47]), set()

    class Noting(FineTune):
        def loss(self, student: Any, signals: Any, batch: Batch) -> LossTerms:
            seen.update(batch.rows.tolist())
            return super().loss(student, signals, batch)

    result = fit(tiny.encoder(), tmp_path, method=Noting(), rows=rows)
    assert seen == set(rows.tolist())
    assert (result.steps, result.examples) == (3 * 2, 30)
    assert RECIPE.steps(len(rows)) == 6


@pytest.mark.parametrize(("keep", "epoch"), [("last", 3), ("best", 1)])
def test_the_last_weights_are_kept_on_demand(keep: str, epoch: int, tmp_path: Path) -> None:
    values, states = iter([0.9, 0.5, 0.1]), []

    def scores(model: Encoder) -> dict[str, float]:
        states.append(weights(model))
        return {"accuracy": next(values)}

    model = tiny.encoder()
    assert fit(model, tmp_path, keep=keep, evaluate=scores).epoch == epoch
    assert has(model, states[epoch - 1])


def test_epochs_are_announced_also_to_a_resumed_run(tmp_path: Path) -> None:
    class Curriculum(FineTune):
        def __init__(self) -> None:
            super().__init__()
            self.epochs: list[tuple[int, int]] = []

        def begin_epoch(self, epoch: int, epochs: int) -> None:
            self.epochs.append((epoch, epochs))

    first, second = Curriculum(), Curriculum()
    fit(tiny.encoder(), tmp_path, method=first, until=8, every=0.0)
    fit(tiny.encoder(), tmp_path, method=second)
    assert (first.epochs, second.epochs) == ([(0, 3), (1, 3)], [(1, 3), (2, 3)])


def test_an_adapter_learns_with_the_student(tmp_path: Path) -> None:
    adapter = nn.Linear(16, 16)
    before = adapter.weight.clone()

    class Shifting(FineTune):
        def loss(self, student: Any, signals: Any, batch: Batch) -> LossTerms:
            shift = (adapter(student.embedding) - 1).square().mean()
            return super().loss(student, signals, batch).plus(shift=(1.0, shift))

    fit(tiny.encoder(), tmp_path, method=Shifting(), adapter=adapter)
    assert not torch.equal(adapter.weight, before)
