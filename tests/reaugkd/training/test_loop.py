"""The loop: exact resume, order of batches, early stop, accumulation, divergence."""

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
from hypothesis import given
from hypothesis import strategies as st

from reaugkd.distiller import Batch, LossTerms
from reaugkd.models.encoder import Encoder, EncoderOutput
from reaugkd.reporter import Silent
from reaugkd.training import batches, teacher
from reaugkd.training.batches import Collator, length_grouped
from reaugkd.training.checkpoint import Checkpoint, Progress
from reaugkd.training.learner import Team
from reaugkd.training.loop import DivergedError, Procedure, Recipe, TrainingResult, train
from tests import tiny

RECIPE = Recipe(learning_rate=1e-3, epochs=3, batch_size=8)


class Stopped(Exception):
    """Stands for a kill between two batches."""


def fit(
    model: Encoder,
    folder: Path,
    recipe: Recipe = RECIPE,
    *,
    stop_at: int | None = None,
    every: float = 60.0,
    loss: Any = teacher.true_labels,
    scores: Any = None,
) -> TrainingResult:
    data, seen = tiny.splits(), 0

    def counted(output: EncoderOutput, batch: Batch) -> LossTerms:
        nonlocal seen
        seen += 1
        if seen == stop_at:
            raise Stopped
        return loss(output, batch)

    evaluate = scores or teacher.scorer(tiny.TASK, data["held_out"], 0, recipe.precision)
    return train(
        model,
        counted,
        data["fit"],
        0,
        recipe,
        evaluate=evaluate,
        select_on="accuracy",
        seed=1,
        checkpoint=Checkpoint(folder, every=every),
        device="cpu",
    )


@pytest.mark.parametrize("stop_at", [3, 6, 9, 15])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_killed_and_resumed_equals_uninterrupted(
    stop_at: int, accumulation: int, tmp_path: Path
) -> None:
    recipe = RECIPE.model_copy(update={"accumulation": accumulation})
    whole = tiny.encoder()
    expected = fit(whole, tmp_path / "whole", recipe)
    with pytest.raises(Stopped):
        fit(tiny.encoder(), tmp_path / "killed", recipe, stop_at=stop_at, every=0.0)
    torch.manual_seed(99)  # a new process has another generator state
    resumed = tiny.encoder(seed=7)  # and other weights, until the checkpoint is loaded
    result = fit(resumed, tmp_path / "killed", recipe)
    assert tiny.same_weights(whole, resumed)
    unmeasured = {"seconds": 0.0, "peak_bytes": None}
    assert result._replace(**unmeasured) == expected._replace(**unmeasured)


class Fading:
    """A step with a state of its own: the loss weighs a little less after every batch."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.weight, self.seen, self.stop_at = 1.0, 0, stop_at

    def step(self, team: Team, batch: Batch) -> LossTerms:
        self.seen += 1
        if self.seen == self.stop_at:
            raise Stopped
        terms = teacher.true_labels(team.student.forward(batch), batch)
        team.student.update(self.weight * terms.total)
        self.weight *= 0.9
        return terms

    def restore(self, state: Mapping[str, float]) -> None:
        self.weight = state["weight"]

    def train(self, model: Encoder, folder: Path) -> None:
        data = tiny.splits()
        train(
            model,
            Procedure(self.step, state=lambda: {"weight": self.weight}, restore=self.restore),
            data["fit"],
            0,
            RECIPE,
            evaluate=teacher.scorer(tiny.TASK, data["held_out"], 0, RECIPE.precision),
            select_on="accuracy",
            seed=1,
            checkpoint=Checkpoint(folder, every=0.0),
            device="cpu",
        )


@pytest.mark.parametrize("stop_at", [1, 4, 7, 14])
def test_the_state_of_a_procedure_survives_a_kill(stop_at: int, tmp_path: Path) -> None:
    whole, killed, resumed = tiny.encoder(), tiny.encoder(), tiny.encoder()
    uninterrupted, second = Fading(), Fading()
    uninterrupted.train(whole, tmp_path / "whole")
    with pytest.raises(Stopped):
        Fading(stop_at).train(killed, tmp_path / "killed")
    second.train(resumed, tmp_path / "killed")
    assert tiny.same_weights(whole, resumed)
    assert second.weight == uninterrupted.weight
    assert second.seen == uninterrupted.seen - (stop_at - 1)


def test_same_seed_same_weights_and_the_global_generator_untouched(tmp_path: Path) -> None:
    first, second = tiny.encoder(), tiny.encoder()
    before = torch.get_rng_state()
    fit(first, tmp_path / "a")
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(5)
    fit(second, tmp_path / "b")
    assert tiny.same_weights(first, second)


def test_saving_more_often_changes_nothing(tmp_path: Path) -> None:
    first, second = tiny.encoder(), tiny.encoder()
    fit(first, tmp_path / "a", every=0.0)
    fit(second, tmp_path / "b", every=1e9)
    assert tiny.same_weights(first, second)


def test_it_learns(tmp_path: Path) -> None:
    model = tiny.encoder(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    result = fit(model, tmp_path, Recipe(learning_rate=1e-2, epochs=12, batch_size=8))
    losses = [row["loss/hard"] for row in result.history]
    assert losses[-1] < 0.7 * losses[0]
    assert result.examples == 12 * 48
    assert result.steps == 12 * 6


def test_best_epoch_is_restored_and_patience_ends_the_run(tmp_path: Path) -> None:
    values = iter([0.5, 0.9, 0.9, 0.8, 0.7])
    kept: list[dict[str, torch.Tensor]] = []

    def scores(model: Encoder) -> dict[str, float]:
        kept.append({k: v.clone() for k, v in model.state_dict().items()})
        return {"accuracy": next(values)}

    model = tiny.encoder()
    recipe = RECIPE.model_copy(update={"epochs": 10, "patience": 2})
    result = fit(model, tmp_path, recipe, scores=scores)
    assert (result.epoch, result.score, len(result.history)) == (2, 0.9, 4)
    assert all(torch.equal(v, kept[1][k]) for k, v in model.state_dict().items())


def test_accumulated_steps_equal_one_large_batch_without_dropout(tmp_path: Path) -> None:
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    rows = tiny.rows(16)
    large, small = tiny.encoder(**still).double(), tiny.encoder(**still).double()
    order = list(range(16))
    grads = []
    for model, size in ((large, 16), (small, 4)):
        for at in range(0, 16, size):
            batch = Collator(rows, 0)(order[at : at + size])
            loss = teacher.true_labels(model(**batch.inputs), batch).total
            (loss * size / 16).backward()
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert torch.allclose(*grads, atol=1e-12)


def test_divergence_is_told_with_the_term_and_the_learning_rate(tmp_path: Path) -> None:
    def explode(output: EncoderOutput, batch: Batch) -> LossTerms:
        return LossTerms({"relation": output.logits.sum() * float("nan")}, {"relation": 1.0})

    with pytest.raises(DivergedError, match=r"'relation' became nan .*learning rate 0.001"):
        fit(tiny.encoder(), tmp_path, loss=explode)


def test_bf16_trains_float32_weights(tmp_path: Path) -> None:
    model = tiny.encoder()
    result = fit(model, tmp_path, RECIPE.model_copy(update={"precision": "bf16"}))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert np.isfinite(result.score)


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=300),
    size=st.integers(1, 9),
    epoch=st.integers(0, 3),
)
def test_every_row_once_per_epoch(lengths: list[int], size: int, epoch: int) -> None:
    made = length_grouped(lengths, size, seed=0, epoch=epoch)
    assert sorted(row for batch in made for row in batch) == list(range(len(lengths)))
    assert max(map(len, made)) <= size
    assert length_grouped(lengths, size, seed=0, epoch=epoch) == made


def test_grouping_saves_padding_and_epochs_differ() -> None:
    lengths = np.random.default_rng(0).integers(5, 120, 4000)

    def padded(made: list[list[int]]) -> int:
        return sum(len(batch) * max(lengths[batch]) for batch in made)

    grouped = length_grouped(lengths, 32, seed=0, epoch=0)
    shuffled = np.array_split(np.random.default_rng(0).permutation(4000), 125)
    assert padded(grouped) < 1.1 * lengths.sum()
    assert padded([part.tolist() for part in shuffled]) > 1.7 * lengths.sum()
    assert length_grouped(lengths, 32, seed=0, epoch=1) != grouped


def test_collated_batch_is_padded_to_its_longest_and_no_further() -> None:
    rows = tiny.rows(10)
    batch = Collator(rows, pad_id=3)([4, 2])
    lengths = [rows[4]["length"], rows[2]["length"]]
    assert batch.inputs["input_ids"].shape == (2, max(lengths))
    assert batch.inputs["attention_mask"].sum(dim=1).tolist() == lengths
    assert (batch.inputs["input_ids"][batch.inputs["attention_mask"] == 0] == 3).all()
    assert batch.rows.tolist() == [4, 2]
    longest_first = [len(b) for b in batches.by_length([1, 2, 3, 4, 5], 2)]
    assert longest_first == [2, 2, 1]


def test_interrupted_save_leaves_the_state_before(tmp_path: Path) -> None:
    """A kill between the two renames: the old state is complete and is found."""
    with pytest.raises(Stopped):
        fit(tiny.encoder(), tmp_path / "c", stop_at=9, every=0.0)
    reference = tiny.encoder()
    shutil.copytree(tmp_path / "c", tmp_path / "d")
    fit(reference, tmp_path / "c")
    (tmp_path / "d" / "current").rename(tmp_path / "d" / "old")
    (tmp_path / "d" / "new").mkdir()
    resumed = tiny.encoder()
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
        fit(tiny.encoder(), tmp_path / "c", stop_at=9, every=0.0)
    weights = next((tmp_path / "c" / "current" / "state").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-8])
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
    import sys
    from pathlib import Path
    from reaugkd.training.checkpoint import Checkpoint
    from reaugkd.reporter import Silent
    from reaugkd.training.loop import train
    from reaugkd.training import teacher
    from safetensors.torch import save_file
    from tests import tiny
    from tests.reaugkd.test_training import RECIPE

    class Loud(Silent):
        def advance(self, done, values=None):
            print("batch", flush=True)

    data, model = tiny.splits(), tiny.encoder()
    train(model, teacher.true_labels, data["fit"], 0, RECIPE.model_copy(update={"epochs": 6}),
          evaluate=teacher.scorer(tiny.TASK, data["held_out"], 0, "fp32"), select_on="accuracy",
          seed=1, checkpoint=Checkpoint(Path(sys.argv[1]), every=0.0), device="cpu",
          reporter=Loud())
    save_file(model.state_dict(), sys.argv[2])
"""


def test_kill_9_three_times_then_the_same_weights(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(SCRIPT))
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}

    def start(state: str, weights: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), str(tmp_path / state), str(tmp_path / weights)]
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
