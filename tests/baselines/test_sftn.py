"""SFTN: closed forms, the teacher's two ways of learning from branches, its stages, its limits."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from baselines.branches import Branches, boundaries, tail
from baselines.kd import KD
from baselines.sftn import SFTN, SFTNSettings, StudentFriendly, branch_hard, branch_kl
from reaugkd.context import Context
from reaugkd.distiller import Batch, Conditions, LossTerms, Shape
from reaugkd.errors import ModelError
from reaugkd.losses import hard_label
from reaugkd.models.encoder import Encoder, random_backbone
from reaugkd.models.learner import Learner, Team
from reaugkd.models.recipe import Recipe
from reaugkd.signals import TeacherSignals
from reaugkd.training import loop
from reaugkd.training.inference import write_signals
from tests import tiny
from tests.baselines.cases import DistillerCase
from tests.baselines.kills import Watch, killed
from tests.reaugkd.models.test_encoder import FAMILY

KIND = "student-friendly-teacher"
DIRECTIONS = ("teacher||branch", "branch||teacher")
Z_T = torch.tensor([[2.0, 0.0, 0.0]], dtype=torch.float64)
Z_B = torch.tensor([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]], dtype=torch.float64)
Y = torch.tensor([0])
BACKBONES = {**FAMILY, "electra": tiny.config(model_type="electra", embedding_size=8)}


class TestSFTN(DistillerCase):
    name = "sftn"


def test_numbers_worked_out_by_hand() -> None:
    assert hard_label(Z_T, Y).item() == pytest.approx(0.2395447662, abs=1e-9)
    assert branch_hard(Z_B, Y).item() == pytest.approx(1.0514447139, abs=1e-9)
    assert branch_kl(Z_B, Z_T, 1.0).item() == pytest.approx(0.4391255215, abs=1e-9)
    assert branch_kl(Z_T[None], Z_T, 1.0).item() == 0.0
    other = branch_kl(Z_B, Z_T, 1.0, "branch||teacher")
    assert other.item() == pytest.approx(0.4761584947, abs=1e-9)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_it_is_the_mean_over_branches_and_batch_with_tau_squared(direction: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    branches = torch.randn(2, 5, 3, dtype=torch.float64, generator=generator)
    labels = torch.tensor([0, 2, 1, 1, 0])
    expected = 0.0
    for branch in branches:
        for t, b in zip((z / 3).softmax(1).tolist(), (branch / 3).softmax(1).tolist(), strict=True):
            p, q = (t, b) if direction == "teacher||branch" else (b, t)
            expected += sum(x * np.log(x / y) for x, y in zip(p, q, strict=True))
    value = branch_kl(branches, z, 3.0, direction).item()
    assert value == pytest.approx(9 * expected / 10, abs=1e-12)
    each = [torch.nn.functional.cross_entropy(branch, labels).item() for branch in branches]
    assert branch_hard(branches, labels).item() == pytest.approx(np.mean(each), abs=1e-12)


def test_losses_of_half_precision_are_float32() -> None:
    assert branch_kl(Z_B.bfloat16(), Z_T.bfloat16(), 1.0).dtype == torch.float32


@given(blocks=st.integers(2, 12), more=st.integers(0, 12))
def test_every_block_has_a_layer(blocks: int, more: int) -> None:
    depth = blocks + more
    edges = (0, *boundaries(depth, blocks), depth)
    assert len(edges) == blocks + 1
    assert all(a < b for a, b in pairwise(edges))


@pytest.mark.parametrize(("depth", "blocks"), [(2, 3), (4, 1)])
def test_too_many_blocks_or_too_few_are_refused(depth: int, blocks: int) -> None:
    with pytest.raises(ValueError, match="cannot be split"):
        boundaries(depth, blocks)


def sentences() -> dict[str, Tensor]:
    return {
        "input_ids": torch.tensor([[3, 7, 9, 4, 8], [5, 6, 7, 1, 1]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
    }


@pytest.mark.parametrize("family", BACKBONES)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_tail_on_the_students_own_states_is_the_student(family: str, pooling: Any) -> None:
    fields = {**BACKBONES[family], "num_hidden_layers": 3}
    if family == "distilbert":
        fields = {**BACKBONES[family], "n_layers": 3}
    student = Encoder(random_backbone(fields, 40, seed=0, pad_id=1), 2, pooling).double().eval()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    inputs = sentences()
    whole = student(**inputs, states=True)
    for first in (1, 2):
        rest, mask = tail(student, first), inputs["attention_mask"]
        ended = rest(None, mask, inputs_embeds=whole.hidden[first])
        assert torch.allclose(ended.logits, whole.logits, atol=1e-12)
        assert rest.depth == 3 - first
        assert "embeddings" not in " ".join(name for name, _ in rest.named_parameters())
        # What stands at padding must not matter, and without the mask it would.
        spoilt = whole.hidden[first] + 5 * (mask == 0).unsqueeze(-1)
        assert torch.allclose(
            rest(None, mask, inputs_embeds=spoilt).logits, whole.logits, atol=1e-12
        )
        seen = rest(None, torch.ones_like(mask), inputs_embeds=spoilt).logits
        assert not torch.allclose(seen[1], whole.logits[1], atol=1e-6)
    assert student.depth == 3
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())


def test_a_tail_keeps_the_pooler() -> None:
    student = tiny.encoder(pooling="pooler").double().eval()
    inputs = sentences()
    whole = student(**inputs, states=True)
    ended = tail(student, 1)(None, inputs["attention_mask"], inputs_embeds=whole.hidden[1])
    assert torch.allclose(ended.logits, whole.logits, atol=1e-12)
    assert ended.embedding.abs().max() <= 1


def test_a_backbone_without_embeddings_is_refused() -> None:
    student = tiny.encoder()
    del student.backbone.embeddings
    with pytest.raises(ModelError, match="no embeddings"):
        tail(student, 1)


def test_branches_take_the_layers_that_belong_together() -> None:
    student = tiny.encoder(num_hidden_layers=6)
    branches = Branches(student, width=24, depth=12, blocks=3, seed=0)
    assert branches.taken == (4, 8)
    assert [rest.depth for rest in branches.tails] == [4, 2]
    last = branches.tails[1].backbone.encoder.layer
    assert tiny.same_weights(last, student.backbone.encoder.layer[4:])
    hidden = tuple(torch.full((2, 5, 24), torch.nan) for _ in range(13))
    hidden = tuple(torch.randn(2, 5, 24) if k in (4, 8) else h for k, h in enumerate(hidden))
    assert branches(hidden, sentences()["attention_mask"]).isfinite().all()


def test_the_transform_is_the_identity_where_widths_agree() -> None:
    student = tiny.encoder()
    same = Branches(student, width=16, depth=4, blocks=2, seed=0)
    assert not list(same.transforms.parameters())
    wide = Branches(student, width=24, depth=4, blocks=2, seed=0)
    weight = wide.transforms[0].weight
    assert torch.allclose(weight @ weight.T, torch.eye(16), atol=1e-5)
    before = torch.get_rng_state()
    assert tiny.same_weights(wide, Branches(student, width=24, depth=4, blocks=2, seed=0))
    assert not tiny.same_weights(wide, Branches(student, width=24, depth=4, blocks=2, seed=1))
    assert torch.equal(before, torch.get_rng_state())


def team(dtype: torch.dtype = torch.float64, recipe: Recipe = tiny.RECIPE) -> tuple[Team, Batch]:
    """Teacher and branches as stage 1 has them, without dropout; their steps do not move them."""
    teacher = tiny.teacher(**tiny.STILL).to(dtype)
    branches = Branches(tiny.encoder(**tiny.STILL), 24, 4, 2, seed=0).to(dtype)
    learners = (Learner(teacher, recipe, states=True), Learner(branches, recipe))
    accelerator = Accelerator(cpu=True)
    for stream, learner in enumerate(learners):
        learner.attach(accelerator, steps=10, stream=stream)
        learner.apply = lambda: None  # type: ignore[method-assign]
        learner.begin(0, 2)
    batch = Batch(sentences(), torch.tensor([0, 1]), torch.tensor([0, 1]))
    return Team(learners[0], {"branches": learners[1]}), batch


def joint(settings: SFTNSettings, team: Team, batch: Batch) -> LossTerms:
    return StudentFriendly(settings).step(team, batch, None)


def gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in model.named_parameters()
    }


def by_the_kl(path: str, direction: Any) -> dict[str, Tensor]:
    """The teacher's gradient of the KL alone, through one of its two ways or through both."""
    group, batch = team()
    teacher, branches = group.student.plain, group.companions["branches"].plain
    output = teacher(**batch.inputs, states=True)
    hidden, z = output.hidden, output.logits
    if path == "logits":
        hidden = tuple(h.detach() for h in hidden)
    if path == "features":
        z = z.detach()
    branch_kl(branches(hidden, batch.inputs["attention_mask"]), z, 1.0, direction).backward()
    return gradients(teacher)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_teacher_learns_from_the_branches_in_both_ways(direction: Any) -> None:
    logits, features = by_the_kl("logits", direction), by_the_kl("features", direction)
    assert logits["head.weight"].abs().max() > 1e-6
    assert logits["backbone.encoder.layer.3.output.dense.weight"].abs().max() > 1e-6
    assert logits["backbone.encoder.layer.0.output.dense.weight"].abs().max() > 1e-6
    # The branch leaves after layer 2 of 4: what comes later is none of its business.
    assert features["backbone.encoder.layer.1.output.dense.weight"].abs().max() > 1e-6
    assert features["backbone.encoder.layer.2.output.dense.weight"].abs().max() == 0
    assert features["head.weight"].abs().max() == 0

    settings = SFTNSettings(teacher_hard_weight=0, kl_weight=1, branch_hard_weight=0, kl=direction)
    group, batch = team()
    joint(settings, group, batch)
    both = gradients(group.student.plain)
    for name, value in both.items():
        assert torch.allclose(value, logits[name] + features[name], atol=1e-12), name


def test_the_branches_cross_entropy_reaches_the_teacher() -> None:
    group, batch = team()
    joint(SFTNSettings(teacher_hard_weight=0, kl_weight=0, branch_hard_weight=1), group, batch)
    found = gradients(group.student.plain)
    assert found["backbone.encoder.layer.1.output.dense.weight"].abs().max() > 1e-6
    assert found["backbone.encoder.layer.2.output.dense.weight"].abs().max() == 0
    assert gradients(group.companions["branches"].plain)["transforms.0.weight"].abs().max() > 1e-6


def test_terms_and_work_of_a_joint_step() -> None:
    group, batch = team()
    terms = joint(SFTNSettings(), group, batch)
    assert terms.weights == {"hard": 1.0, "kl": 3.0, "branch_hard": 1.0}
    for learner in (group.student, group.companions["branches"]):  # one branch, two examples
        assert (learner.forwards, learner.backwards) == (2, 2)


def test_branches_run_in_the_precision_of_the_recipe() -> None:
    group, batch = team(torch.float32, tiny.RECIPE.model_copy(update={"precision": "bf16"}))
    branches, seen = group.companions["branches"].plain, []
    branches.register_forward_hook(lambda *call: seen.append(call[-1].dtype))
    terms = joint(SFTNSettings(), group, batch)
    assert seen == [torch.bfloat16]
    assert {value.dtype for value in terms.values.values()} == {torch.float32}


def method(**settings: Any) -> SFTN:
    return SFTN(SFTNSettings.model_validate(settings))


def prepared(context: Context, **settings: Any) -> TeacherSignals:
    return method(**settings).prepare(context)


def manifest(context: Context) -> dict[str, Any]:
    (path,) = (context.artifacts.root / KIND).glob("*/manifest.json")
    return dict(json.loads(path.read_text())["facts"])


def manifests(context: Context) -> int:
    """How many teachers stage 1 has made."""
    return len(list((context.artifacts.root / KIND).glob("*/manifest.json")))


PLAIN = {"kl_weight": 0, "branch_hard_weight": 0, "select": "best"}


@pytest.mark.parametrize("start", ["pretrained", "fine-tuned"])
def test_without_branches_the_teacher_is_the_plain_one(start: str, tmp_path: Path) -> None:
    recipe = tiny.RECIPE.model_copy(update={"epochs": 3})
    context = tiny.context(tmp_path, teacher_recipe=recipe, teacher_seed=4)
    found = prepared(context, start=start, **PLAIN)
    encoder = context.models.untrained() if start == "pretrained" else context.models.teacher()
    result = tiny.fine_tuned(encoder, context.teacher_setup, tmp_path / "plain")
    (tmp_path / "own").mkdir()
    write_signals(encoder, context.encoded["teacher"], tmp_path / "own", "fp32", context.reporter)
    own = TeacherSignals.open(tmp_path / "own", "fit")
    assert np.array_equal(found.logits, own.logits)
    assert np.array_equal(found.embedding, own.embedding)
    facts = manifest(context)
    assert facts["held_out"]["accuracy"] == result.score
    assert facts["cost"]["backwards"] == 3 * 48  # nothing but the teacher itself


def test_branches_do_not_disturb_the_teachers_dropout(tmp_path: Path) -> None:
    """With a weight too small to move anything the teacher is the plain one, masks and all."""
    context = tiny.context(tmp_path)
    plain = prepared(context, **PLAIN)
    beside = prepared(context, **{**PLAIN, "branch_hard_weight": 1e-30})
    assert manifests(context) == 2
    assert np.array_equal(plain.logits, beside.logits)


def test_the_student_is_that_of_kd_from_the_same_teacher(tmp_path: Path) -> None:
    context = tiny.context(tmp_path)
    weights = {"temperature": 3.0, "soft_weight": 0.7, "hard_weight": 0.2}
    kind = method(**weights)
    student = tiny.distilled(kind, context, tmp_path / "sftn")
    kd = KD(KD.Settings.model_validate(weights))
    other = tiny.distilled(kd, replace(context, signals=kind.prepare(context)), tmp_path / "kd")
    assert tiny.same_weights(student, other)
    plain = tiny.distilled(kd, context, tmp_path / "plain")
    assert not tiny.same_weights(student, plain)


@pytest.mark.parametrize(
    "settings",
    [
        {"kl_weight": 0.0},
        {"branch_hard_weight": 0.0},
        {"teacher_hard_weight": 0.0},
        {"kl": "branch||teacher"},
        {"tau": 4.0},
        {"branch_learning_rate": 1e-3},
        {"start": "fine-tuned"},
    ],
)
def test_every_setting_of_stage_1_makes_another_teacher(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    context = tiny.context(tmp_path)
    usual, other = prepared(context), prepared(context, **settings)
    assert not np.array_equal(usual.logits, other.logits)


def test_blocks_are_as_many_as_the_shallower_model_allows(tmp_path: Path) -> None:
    deep = {"student_fields": {"num_hidden_layers": 4}}
    for name, fields, count in (("a", {}, 1), ("b", deep, 2)):
        context = tiny.context(tmp_path / name, **fields)
        branches = method()._branches(context)["branches"].plain
        assert isinstance(branches, Branches)
        assert len(branches) == count
    branches = method(blocks=4)._branches(context)["branches"].plain
    assert isinstance(branches, Branches)
    assert branches.taken == (1, 2, 3)


def test_settings_of_stage_2_do_not_repeat_stage_1(tmp_path: Path) -> None:
    context = tiny.context(tmp_path)
    prepared(context)
    prepared(context, temperature=5.0, soft_weight=0.3, hard_weight=0.7)
    prepared(replace(context, seed=9))  # all students share one teacher
    assert manifests(context) == 1
    prepared(replace(context, teacher_seed=9))
    models = replace(context.models, student_identity={"another": "student"})
    prepared(replace(context, models=models))
    assert manifests(context) == 3


def test_fixed_epochs_keep_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that fall: the first epoch is the best, and only ``select`` decides."""
    falling = iter([0.9, 0.8, 0.7, 0.9, 0.8, 0.7])
    monkeypatch.setattr(loop, "scorer", lambda _: lambda _: {"accuracy": next(falling), "f1": 0.0})
    recipe = tiny.RECIPE.model_copy(update={"epochs": 3})
    context = tiny.context(tmp_path, teacher_recipe=recipe)
    last, best = prepared(context), prepared(context, select="best")
    assert not np.array_equal(last.logits, best.logits)
    assert manifests(context) == 2


def test_facts_name_cost_and_held_out_scores(tmp_path: Path) -> None:
    context = tiny.context(tmp_path, student_fields={"num_hidden_layers": 3})
    prepared(context)
    facts = manifest(context)
    assert set(facts["held_out"]) == {"accuracy", "f1"}
    # Two epochs of the teacher and of two branches, and one pass for the signals.
    assert facts["cost"]["forwards"] == 2 * 48 * 3 + 48
    assert facts["cost"]["backwards"] == 2 * 48 * 3
    assert context.stages[0]["stage"] == KIND
    assert context.stages[0]["backwards"] == 2 * 48 * 3


Stage = tuple[dict[str, Any], TeacherSignals, dict[str, Any]]
"""Changes of the context, the signals of an undisturbed stage 1, and its manifest."""


@pytest.fixture(scope="module", params=list(product([1, 2], ["fp32", "bf16"])), ids=str)
def stage_1(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    update = dict(zip(("accumulation", "precision"), request.param, strict=True))
    changes = {"teacher_recipe": tiny.RECIPE.model_copy(update=update)}
    whole = tiny.context(tmp_path_factory.mktemp("whole"), **changes)
    return changes, prepared(whole), manifest(whole)


@pytest.mark.parametrize("stop_at", [1, 4, 6, 8, 12])
def test_stage_1_killed_and_resumed_equals_uninterrupted(
    stop_at: int, stage_1: Stage, tmp_path: Path
) -> None:
    changes, expected, facts = stage_1
    watch = Watch(StudentFriendly.name, stop_at)
    with killed():
        prepared(tiny.context(tmp_path, reporter=watch, **changes))
    torch.manual_seed(99)  # a new process has another generator state
    resumed = tiny.context(tmp_path, **changes)
    found = prepared(resumed)
    assert np.array_equal(found.logits, expected.logits)
    assert np.array_equal(found.embedding, expected.embedding)
    unmeasured = {"seconds": None, "peak_bytes": None}
    one, other = (made | {"cost": made["cost"] | unmeasured} for made in (facts, manifest(resumed)))
    assert one == other


@pytest.mark.parametrize(
    ("settings", "student", "teacher", "reason"),
    [
        ({"blocks": 3}, 2, 4, "3 blocks are too many for a student of depth 2"),
        ({"blocks": 5}, 6, 4, "5 blocks are too many for a teacher of depth 4"),
        ({}, 1, 4, "a student of depth 1"),
        ({"blocks": 3}, 3, 6, None),
        ({}, 2, 12, None),
    ],
)
def test_models_that_cannot_be_split(
    settings: dict[str, Any], student: int, teacher: int, reason: str | None
) -> None:
    conditions = Conditions(tiny.TASK, Shape(16, student), Shape(24, teacher), 8)
    found = method(**settings).unsupported(conditions)
    assert found is None if reason is None else reason in str(found)


def test_regression_is_refused_with_its_reason() -> None:
    conditions = Conditions(tiny.SCORES, Shape(16, 2), Shape(24, 4), 8)
    assert "constantly 0" in str(method().unsupported(conditions))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"teacher_hard_weight": 0, "kl_weight": 0, "branch_hard_weight": 0},
            "the teacher would learn nothing",
        ),
        ({"soft_weight": 0, "hard_weight": 0}, "nothing would be learned"),
        ({"kl": "both"}, "teacher||branch"),
        ({"blocks": 1}, "greater than or equal to 2"),
        ({"tau": 0}, "greater than 0"),
        ({"student_lr": 1}, "Extra inputs"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("||", r"\|\|")):
        method(**settings)
