"""Which precision trains faster: a pure function of times, times that are taken once and kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from pydantic import ValidationError

from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.models.learner import autocast
from reaugkd.models.recipe import Recipe
from reaugkd.models.spec import ModelSpec
from reaugkd.training import precision
from reaugkd.training.precision import BatchShape, StepQuestion, StepTimes, TrainingMachine
from tests import tiny

CPU = torch.device("cpu")
BATCH = BatchShape(rows=4, tokens=8)
SLOW, FAST = StepTimes(fp32=(1.0,), bf16=(1.4,)), StepTimes(fp32=(2.0,), bf16=(1.0,))


def question(**changes: Any) -> StepQuestion:
    machine = TrainingMachine(processor="one", flags=("avx2",), threads=1, torch="2")
    return StepQuestion(**{"machine": machine, "model": {"layers": 2}, "batch": BATCH, **changes})


def never() -> NoReturn:
    raise AssertionError("it must not be timed")


# --- the decision ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gain", "chosen"), [(0.7, "fp32"), (1.0, "fp32"), (1.09, "fp32"), (1.11, "bf16"), (3, "bf16")]
)
def test_bf16_must_be_clearly_faster(gain: float, chosen: str) -> None:
    assert StepTimes(fp32=(gain,), bf16=(1.0,)).precision == chosen


def test_another_clock_unit_decides_alike_and_one_slow_step_decides_nothing() -> None:
    times = StepTimes(fp32=(1.2, 1.2, 1.2), bf16=(1.0, 1.0, 1.0))
    scaled = StepTimes(fp32=tuple(1e3 * t for t in times.fp32), bf16=(1e3,))
    disturbed = StepTimes(fp32=times.fp32, bf16=(1.0, 50.0, 1.0))
    assert times.ratio == pytest.approx(scaled.ratio) == pytest.approx(disturbed.ratio)


@pytest.mark.parametrize("bad", [{"fp32": ()}, {"bf16": (float("nan"),)}, {"fp16": (1.0,)}])
def test_times_that_say_nothing_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StepTimes(**{"fp32": (1.0,), "bf16": (1.0,), **bad})


def test_a_typical_batch_has_the_mean_length_and_is_never_too_long() -> None:
    assert BatchShape.typical(32, [20, 44], 128).tokens == 32
    assert BatchShape.typical(32, [20, 45], 128).tokens == 48
    assert BatchShape.typical(32, [120], 120).tokens == 120
    assert BatchShape.typical(32, [], 128).tokens == precision.ROUNDED
    assert BatchShape(rows=4, tokens=8).timed_rows == 4
    assert BatchShape(rows=2, tokens=4096).timed_rows == 1


# --- the recipe -----------------------------------------------------------------------------------


def test_a_precision_that_is_left_open_is_neither_a_key_nor_a_way_to_run(tmp_path: Path) -> None:
    recipe = tiny.RECIPE.model_copy(update={"precision": "auto"})
    for attempt in (
        recipe.identity,
        lambda: tiny.fine_tuned(tiny.encoder(), tiny.setup(recipe), tmp_path),
    ):
        with pytest.raises(UserError, match="'auto' is not decided"):
            attempt()


def test_what_is_decided_is_what_was_said() -> None:
    for said in ("fp32", "bf16"):
        recipe = Recipe(precision=said)
        assert recipe.identity()["precision"] == recipe.decided_precision == said


# --- timing ---------------------------------------------------------------------------------------


class Clock:
    """Time goes on in steps alone: ``costs`` by precision, whatever the rows."""

    def __init__(self, fp32: float, bf16: float) -> None:
        self.now, self.costs, self.ran = 0.0, {False: fp32, True: bf16}, 0
        self.rows: list[int] = []

    def __call__(self) -> float:
        return self.now

    def watch(self, model: torch.nn.Module) -> torch.nn.Module:
        def before(_: Any, __: Any, inputs: dict[str, torch.Tensor]) -> None:
            self.rows.append(len(inputs["input_ids"]))
            self.now += self.costs[torch.is_autocast_enabled("cpu")]

        model.register_forward_pre_hook(before, with_kwargs=True)
        return model


def timed(fp32: float, bf16: float, batch: BatchShape = BATCH) -> tuple[StepTimes, Clock]:
    watch = Clock(fp32, bf16)
    model = tiny.encoder()
    watch.watch(model)
    return precision.time_steps(model, batch, vocabulary=tiny.VOCABULARY, clock=watch), watch


def test_steps_are_timed_by_turns_on_the_batch_after_one_row_of_each() -> None:
    times, watch = timed(0.002, 0.001)
    assert times.fp32 == pytest.approx([0.002] * precision.PAIRS)
    assert times.bf16 == pytest.approx([0.001] * precision.PAIRS)
    assert watch.rows == [1] * 4 + [BATCH.rows] * 2 * precision.PAIRS


def test_a_model_whose_steps_take_long_is_timed_once() -> None:
    times, _ = timed(10.0, 9.0)
    assert (times.fp32, times.bf16) == ((10.0,), (9.0,))


def test_no_batch_is_tried_where_one_row_is_hopeless() -> None:
    times, watch = timed(0.1, 1.0)
    assert set(watch.rows) == {1}
    assert times.precision == "fp32"


def test_timing_leaves_random_numbers_and_threads_as_they_were() -> None:
    before, number = torch.random.get_rng_state(), torch.get_num_threads()
    precision.time_steps(tiny.encoder(), BATCH, vocabulary=tiny.VOCABULARY, most_threads=number + 1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == number
    assert not torch.is_autocast_enabled("cpu")


def test_a_timed_step_is_one_of_training_in_either_precision() -> None:
    model, seen = tiny.encoder(), set()
    weights = model.head.weight.detach().clone()
    model.register_forward_hook(
        lambda *_: seen.add((torch.is_autocast_enabled("cpu"), model.training))
    )
    times = precision.time_steps(model, BATCH, vocabulary=tiny.VOCABULARY)
    assert seen == {(False, True), (True, True)}
    assert not torch.equal(model.head.weight, weights)
    assert min(*times.fp32, *times.bf16) > 0
    assert autocast(CPU, times.precision) is not None


# --- what is kept ---------------------------------------------------------------------------------


def test_an_answer_is_timed_once(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    assert precision.kept(question(), store) is None
    first = precision.obtain(question(), store, lambda: FAST)
    again = precision.obtain(question(), ArtifactStore(tmp_path), never)
    assert first == again == precision.kept(question(), ArtifactStore(tmp_path))
    assert again.times.precision == "bf16"


MACHINE = question().machine


@pytest.mark.parametrize(
    "other",
    [
        *(
            {"machine": MACHINE.model_copy(update=changed)}
            for changed in (
                {"processor": "two"},
                {"flags": ("avx2", "amx_bf16")},
                {"threads": 2},
                {"torch": "3"},
            )
        ),
        {"model": {"layers": 3}},
        {"batch": BatchShape(rows=8, tokens=8)},
    ],
)
def test_another_machine_model_or_batch_is_another_question(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    store = ArtifactStore(tmp_path)
    precision.obtain(question(), store, lambda: FAST)
    assert precision.kept(question(**other), store) is None
    assert precision.obtain(question(**other), store, lambda: SLOW).times == SLOW
    assert question().alike(question(**other)) is ("machine" in other)


def test_a_damaged_answer_is_timed_again(tmp_path: Path) -> None:
    precision.obtain(question(), ArtifactStore(tmp_path), lambda: FAST)
    (file,) = tmp_path.rglob("steps.json")
    file.write_text("{}")
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / precision.KIND, copy / precision.KIND)
    assert precision.kept(question(), ArtifactStore(copy)) is None
    assert precision.obtain(question(), ArtifactStore(tmp_path), lambda: SLOW).times == SLOW


def test_an_architecture_is_told_without_weights() -> None:
    teacher = ModelSpec(source="config", config=tiny.config(num_hidden_layers=6, hidden_size=32))
    whole = teacher.architecture()
    some = ModelSpec.parse("pretrained@spread:3").architecture(teacher)
    assert whole["layers"] == 6
    assert some == ModelSpec.parse("teacher@0,2,4").architecture(teacher) == whole | {"layers": 3}
    wider = ModelSpec(source="config", config=tiny.config(num_hidden_layers=6, hidden_size=48))
    assert wider.architecture() != whole
