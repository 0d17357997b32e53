"""TAKD: the chain, what each stage learns from, and its place beside KD."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from baselines.kd import KD
from baselines.takd import TAKD, TAKDSettings, halfway
from reaugkd.context import Context
from reaugkd.distiller import Conditions, Distiller, KDSettings, Shape
from reaugkd.errors import ModelError
from reaugkd.models.encoder import Encoder
from reaugkd.models.layers import spread
from reaugkd.models.spec import ModelSpec
from reaugkd.signals import TeacherSignals
from reaugkd.training import inference
from reaugkd.training.loop import DivergedError
from tests import tiny
from tests.baselines.cases import DistillerCase
from tests.baselines.kills import Watch, killed

OWN = {"temperature": 3.0, "soft_weight": 0.7, "hard_weight": 0.3}


class TestTAKD(DistillerCase):
    name = "takd"


def takd(*chain: Any, **settings: Any) -> TAKD:
    return TAKD(TAKDSettings.model_validate({"chain": chain, **OWN, **settings}))


def student(method: Distiller, context: Context, folder: Path) -> Encoder:
    return tiny.distilled(method, context, folder / "checkpoint")


def assistants(folder: Path) -> list[dict[str, Any]]:
    found = (folder / "artifacts" / "assistant").glob("*/manifest.json")
    return [json.loads(path.read_text())["identity"] for path in found]


def learned(method: TAKD, context: Context) -> NDArray[np.float32]:
    """The logits that the student of ``method`` learns from, once it is prepared."""
    signals = method.prepare(context)
    assert signals is not None
    return np.array(signals.logits)


# --- the chain -------------------------------------------------------------------------------


@pytest.mark.parametrize("chain", [[], ["teacher"]])
def test_without_assistants_it_is_kd_bit_for_bit(chain: list[str], tmp_path: Path) -> None:
    expected = student(KD(KDSettings(**OWN)), tiny.context(tmp_path / "kd"), tmp_path / "kd")
    mine = tiny.context(tmp_path / "takd")
    assert tiny.same_weights(student(takd(*chain), mine, tmp_path / "takd"), expected)
    assert mine.stages == []


def test_an_assistant_is_distilled_as_kd_distils(tmp_path: Path) -> None:
    """Not fine-tuned: with the loss, recipe and seed of the stage, vanilla KD makes the same."""
    context = tiny.context(tmp_path, seed=5, teacher_seed=3)
    method = takd(3, assistant={"temperature": 4.0, "soft_weight": 0.6, "hard_weight": 0.2})
    taught = learned(method, context)
    spec = ModelSpec(source="pretrained", layers=(0, 1, 2))
    models = tiny.context(tmp_path / "kd").models
    object.__setattr__(models, "student", lambda _: models.build(spec, 3))
    kd = KD(KDSettings(temperature=4.0, soft_weight=0.6, hard_weight=0.2))
    assistant = student(kd, tiny.context(tmp_path / "kd", seed=3, models=models), tmp_path / "kd")
    assert assistant.depth == 3
    expected = inference.run(assistant, context.splits["fit"], 0).logits
    assert taught.tobytes() == expected.tobytes()


def test_the_second_assistant_learns_from_the_first_and_the_student_from_the_last(
    tmp_path: Path,
) -> None:
    one, two = takd(3), takd(3, 2)
    first, second = tiny.context(tmp_path), tiny.context(tmp_path)
    from_one, from_two = learned(one, first), learned(two, second)
    assert [stage["stage"] for stage in second.stages] == ["assistant", "assistant"]
    made = sorted(assistants(tmp_path), key=lambda identity: bool(identity["previous"]))
    assert [identity["model"]["layers"] for identity in made] == [[0, 1, 2], [0, 2]]
    # The first is shared by both chains; the second equals one that has the first as teacher.
    taught = TeacherSignals(from_one, np.array(first.teacher.embedding))
    again = tiny.context(tmp_path / "again", signals=taught)
    assert learned(takd("pretrained@0,2"), again).tobytes() == from_two.tobytes()
    assert from_two.tobytes() != from_one.tobytes()


def test_after_the_first_assistant_nobody_reads_the_teacher(tmp_path: Path) -> None:
    expected = student(takd(3, 2), tiny.context(tmp_path / "whole"), tmp_path / "whole")
    first = tiny.context(tmp_path)
    takd(3).prepare(first)
    nothing = np.full_like(first.teacher.logits, np.nan)
    poisoned = TeacherSignals(nothing, np.array(first.teacher.embedding))
    context = tiny.context(tmp_path, signals=poisoned)
    assert tiny.same_weights(student(takd(3, 2), context, tmp_path), expected)
    with pytest.raises(DivergedError, match="assistant 1: the loss term 'soft'"):
        takd(3).prepare(tiny.context(tmp_path / "new", signals=poisoned))


@pytest.mark.parametrize(
    "settings",
    [
        {"assistant": {"soft_weight": 0.1, "hard_weight": 0.9}},
        {"assistant": {"temperature": 8.0}},
        {"per_assistant": [{"soft_weight": 0.1}]},
        {"soft_term": "official"},
        {"assistant_recipe": "teacher"},
    ],
)
def test_what_decides_an_assistant(settings: dict[str, Any], tmp_path: Path) -> None:
    longer = tiny.RECIPE.model_copy(update={"epochs": 3})
    tables = []
    for method in (takd(3), takd(3, **settings)):
        context = tiny.context(tmp_path, teacher_recipe=longer)
        tables.append(learned(method, context).tobytes())
    assert tables[0] != tables[1]
    assert len(assistants(tmp_path)) == 2


def test_each_stage_has_its_own_temperature_and_weights(tmp_path: Path) -> None:
    method = takd(3, 2, per_assistant=[{"temperature": 5.0}, {"soft_weight": 0.4}])
    stages = list(method.stages(4, 1))
    assert [stage.settings.temperature for stage in stages] == [5.0, 2.0]
    assert [stage.settings.soft_weight for stage in stages] == [0.9, 0.4]
    assert method.settings.temperature == 3.0


def test_assistants_do_not_depend_on_what_is_the_students_own(tmp_path: Path) -> None:
    for seed in (0, 1):
        takd(3, temperature=2.0 + seed).prepare(tiny.context(tmp_path, seed=seed))
    assert len(assistants(tmp_path)) == 1
    for seed in (2, 3):
        takd(3, assistant_seed="student").prepare(tiny.context(tmp_path, seed=seed))
    assert sorted(identity["seed"] for identity in assistants(tmp_path)) == [0, 2, 3]


def test_the_cost_of_an_assistant(tmp_path: Path) -> None:
    context = tiny.context(tmp_path)
    takd(3).prepare(context)
    rows, epochs = 48, tiny.RECIPE.epochs
    (stage,) = context.stages
    assert stage["forwards"] == epochs * rows + rows  # and one pass for its logits
    assert stage["backwards"] == epochs * rows
    assert stage["seconds"] > 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = tmp_path_factory.mktemp("whole")
    return student(takd(3, 2), tiny.context(folder), folder)


@pytest.mark.parametrize(
    ("stage", "batch", "repeated"),
    [
        ("assistant 1: epoch", 8, {"assistant 1: epoch": 12 - 7, "assistant 2: epoch": 12}),
        ("assistant 1: fit", 1, {"assistant 1: epoch": 0, "assistant 2: epoch": 12}),
        ("assistant 2: epoch", 3, {"assistant 1": 0, "assistant 2: epoch": 12 - 2}),
        ("assistant 2: fit", 1, {"assistant 1": 0, "assistant 2: epoch": 0}),
    ],
)
def test_killed_in_any_stage_and_resumed(
    stage: str,
    batch: int,
    repeated: dict[str, int],
    whole: Encoder,
    tmp_path: Path,
) -> None:
    with killed():
        student(takd(3, 2), tiny.context(tmp_path, reporter=Watch(stage, batch)), tmp_path)
    torch.manual_seed(99)
    watch = Watch()
    resumed = student(takd(3, 2), tiny.context(tmp_path, reporter=watch), tmp_path)
    assert tiny.same_weights(resumed, whole)
    assert {title: watch.batches(title) for title in repeated} == repeated


@given(count=st.integers(1, 40), more=st.integers(0, 40))
def test_layers_are_evenly_chosen(count: int, more: int) -> None:
    layers = spread(count, count + more)
    gaps = {after - before for before, after in pairwise(layers)}
    assert len(layers) == count
    assert layers[0] == 0
    assert layers[-1] < count + more
    assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 1)


@given(teacher=st.integers(1, 48), student=st.integers(1, 48))
def test_halfway_lies_strictly_between(teacher: int, student: int) -> None:
    found = halfway(teacher, student)
    assert (found is None) == (teacher - student < 2)
    assert found is None or student < found < teacher


def test_the_default_is_one_assistant_half_way(tmp_path: Path) -> None:
    (stage,) = TAKD().stages(12, 6)
    assert stage.spec == ModelSpec(source="pretrained", layers=(0, 1, 2, 4, 5, 6, 8, 9, 10))
    assert takd("auto").settings == TAKDSettings(chain="auto", **OWN)
    assert TAKDSettings(chain=9).chain == (9,)


def test_models_can_be_named(tmp_path: Path) -> None:
    method = takd("teacher", "org/bert-8", 3, "teacher@0,1")
    assert method.further_models() == (
        ModelSpec(source="org/bert-8"),
        ModelSpec(source="teacher", layers=(0, 1)),
    )
    specs = [stage.spec for stage in method.stages(4, 2)]
    assert [spec.describe() for spec in specs] == ["org/bert-8", "pretrained@0,1,2", "teacher@0,1"]
    layers_of_the_tuned = takd("teacher@1,3")
    layers_of_the_tuned.prepare(tiny.context(tmp_path))
    assert assistants(tmp_path)[0]["model"] == {"origin": "teacher", "layers": [1, 3]}


@pytest.mark.parametrize(
    ("chain", "teacher", "student", "words"),
    [
        ([5], 4, 2, "5 layers, the teacher has only 4"),
        ([3, 9], 4, 2, "9 layers"),
        (["auto"], 3, 2, r"no depth lies strictly between the teacher \(3 layers\)"),
        (["auto"], 2, 6, "name the assistants"),
    ],
)
def test_an_impossible_chain_is_refused_with_a_reason(
    chain: list[Any], teacher: int, student: int, words: str
) -> None:
    shapes = Shape(8, student), Shape(8, teacher)
    reason = takd(*chain).unsupported(Conditions(tiny.TASK, *shapes, 8))
    assert reason is not None
    assert re.search(words, reason)
    assert takd(teacher, "teacher@0").unsupported(Conditions(tiny.TASK, *shapes, 8)) is None


def test_below_a_black_box_a_chain_consists_of_checkpoints() -> None:
    """Nobody knows its layers, so none can be counted."""
    conditions = Conditions(tiny.TASK, Shape(8, 2), None, 8)
    for chain in (["auto"], [3], ["org/bert", 3]):
        assert "a black-box teacher has none" in str(takd(*chain).unsupported(conditions))
    assert takd("org/bert").unsupported(conditions) is None


def test_a_recipe_without_an_epoch_makes_no_assistant() -> None:
    conditions = Conditions(tiny.TASK, Shape(8, 2), Shape(8, 4), 8, teacher_epochs=0)
    method = TAKD(TAKDSettings(chain=(3,), assistant_recipe="teacher"))
    assert "has no epoch" in str(method.unsupported(conditions))
    assert takd(3).unsupported(conditions) is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"chain": [0]}, "at least 1"),
        ({"chain": ["9"]}, "without quotes"),
        ({"chain": ["config"]}, "no place for its fields"),
        ({"chain": ["config@0"]}, "no place for its fields"),
        ({"chain": [3, "teacher"]}, "can only come first"),
        ({"chain": ["auto", "auto"]}, "can stand once"),
        ({"chain": ["pretrained@a"]}, "layer numbers like 0,2,4"),
        ({"chain": ["pretrained@0,0"]}, "each once"),
        ({"chain": [3], "per_assistant": [{}, {}]}, "2 entries, the chain 1 elements"),
        ({"assistant": {"soft_weight": 0, "hard_weight": 0}}, "nothing would be learned"),
        ({"assistant_seed": 3}, "'teacher' or 'student'"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TAKDSettings.model_validate(settings)


def test_a_layer_that_does_not_exist_names_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="layers 0 to 3"):
        takd("pretrained@0,7").prepare(tiny.context(tmp_path))
