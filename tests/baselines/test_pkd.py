"""PKD: which layers are matched, the patience loss, and its place beside KD."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from baselines.kd import KD
from baselines.pkd import PKD, Layers, PKDSettings, patience, teacher_layers
from reaugkd.context import Context
from reaugkd.distiller import Conditions, Distiller, KDSettings, LossTerms, Shape, SignalBatch
from reaugkd.losses import soft_label
from reaugkd.models.encoder import Encoder
from reaugkd.training.batches import Collator
from tests import tiny
from tests.baselines.cases import DistillerCase

F64 = torch.float64
WIDE = {"hidden_size": 16, "intermediate_size": 32}  # a teacher as wide as the student
DEEP = {"num_hidden_layers": 3}  # a student with two layers to match
seeds = st.integers(0, 2**31 - 1)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


class TestPKD(DistillerCase):
    name = "pkd"
    context = {"teacher_fields": WIDE}  # noqa: RUF012  never changed


class TestPKDWithProjection(DistillerCase):
    """The laws again, with parameters that are trained beside the student's."""

    name = "pkd"
    settings = {"projection": True, "patience_weight": 5.0}  # noqa: RUF012  never changed


@pytest.mark.parametrize(
    ("rule", "teacher", "student", "expected"),
    [
        ("skip", 12, 6, (2, 4, 6, 8, 10)),
        ("skip", 24, 6, (4, 8, 12, 16, 20)),
        ("skip", 12, 3, (4, 8)),
        ("skip", 6, 3, (2, 4)),
        ("skip", 6, 6, (1, 2, 3, 4, 5)),
        ("last", 12, 6, (7, 8, 9, 10, 11)),
        ("last", 12, 3, (10, 11)),
        ("last", 6, 6, (1, 2, 3, 4, 5)),
        ((3, 3, 1), 4, 4, (3, 3, 1)),
        # Depths that do not divide: m D_t / D_s rounded, halves up.
        ("skip", 12, 5, (2, 5, 7, 10)),
        ("skip", 5, 2, (3,)),
        ("skip", 12, 8, (2, 3, 5, 6, 8, 9, 11)),
    ],
)
def test_matched_layers(
    rule: Layers, teacher: int, student: int, expected: tuple[int, ...]
) -> None:
    assert teacher_layers(rule, teacher, student) == expected


@given(st.sampled_from(["skip", "last"]), st.integers(2, 48), st.integers(0, 48))
def test_rules_give_ascending_layers_without_embeddings_and_last(
    rule: Any, student: int, more: int
) -> None:
    layers = teacher_layers(rule, student + more, student)
    assert len(layers) == student - 1
    assert layers == tuple(sorted(set(layers)))
    assert layers[0] >= 1
    assert layers[-1] < student + more
    if rule == "skip":
        exact = [(m + 1) * (student + more) / student for m in range(student - 1)]
        assert all(abs(a - b) <= 0.5 for a, b in zip(layers, exact, strict=True))


def test_oracle() -> None:
    s, t = torch.tensor([[[3.0, 4.0]]], dtype=F64), torch.tensor([[[0.0, 2.0]]], dtype=F64)
    assert patience(s, t, reduction="sum").item() == pytest.approx(0.4, abs=1e-12)
    assert patience(s, t, reduction="mean").item() == pytest.approx(0.2, abs=1e-12)
    assert patience(s, t, normalise=False, reduction="sum").item() == 9 + 4
    assert patience(s, t, normalise=False, reduction="mean").item() == (9 + 4) / 2
    assert patience(s, -s, reduction="sum").item() == pytest.approx(4.0, abs=1e-12)
    assert patience(s, 7 * s).item() == pytest.approx(0.0, abs=1e-12)


@given(seed=seeds, normalise=st.booleans())
def test_mean_form_is_the_sum_form_over_layers_and_width(seed: int, normalise: bool) -> None:
    s, t = normal(3, 5, 7, seed=seed), normal(3, 5, 7, seed=seed + 1)
    summed = patience(s, t, normalise=normalise, reduction="sum").item()
    mean = patience(s, t, normalise=normalise, reduction="mean").item()
    assert mean == pytest.approx(summed / (5 * 7), rel=1e-12)
    if normalise:
        cosine = torch.cosine_similarity(s, t, dim=2)
        assert summed == pytest.approx((2 - 2 * cosine).sum(dim=1).mean().item(), rel=1e-9)


def test_only_the_student_gets_gradient_and_it_is_right() -> None:
    s, t = normal(2, 3, 4, seed=0).requires_grad_(), normal(2, 3, 4, seed=1).requires_grad_()
    patience(s, t).backward()
    assert s.grad is not None
    assert s.grad.abs().sum() > 0
    assert t.grad is None
    fixed = t.detach()
    assert torch.autograd.gradcheck(lambda x: patience(x, fixed), (s,))
    assert torch.autograd.gradcheck(lambda x: patience(x, fixed, reduction="sum"), (s,))
    # Along itself a normalised vector cannot move.
    assert torch.allclose((s.grad * s).sum(dim=2), torch.zeros(2, 3, dtype=F64), atol=1e-12)


@pytest.mark.parametrize("low", [torch.float16, torch.bfloat16])
def test_half_precision_neither_underflows_nor_overflows(low: torch.dtype) -> None:
    s, t = normal(2, 5, 768, seed=0), normal(2, 5, 768, seed=1)
    near = patience((s + 1e-2 * t).to(low), s.to(low))
    assert near.dtype == torch.float32
    assert 0 < near.item() < 1e-6  # in halves hardly a digit would be left
    assert torch.isfinite(patience((100 * s).to(low), t.to(low)))


def terms_of(method: PKD, context: Context) -> tuple[LossTerms, Encoder, Any, SignalBatch]:
    batch = Collator(context.splits["fit"], 0)([7, 1, 30, 12])
    student = context.models.student(2).eval()
    signals = context.teacher.batch(batch)
    return (
        method.loss(student(**batch.inputs, states=True), signals, batch),
        student,
        batch,
        signals,
    )


@pytest.mark.parametrize(
    ("layers", "matched"), [("skip", (1, 3)), ("last", (2, 3)), ((3, 1), (3, 1))]
)
def test_cls_of_student_layers_meets_cls_of_the_matched_teacher_layers(
    layers: Layers, matched: tuple[int, ...], tmp_path: Path
) -> None:
    """The [CLS] vectors are taken from the backbones themselves, by name of the layer."""
    loud = {"initializer_range": 0.4}  # else layers of random weights hardly differ
    fields = {"teacher_fields": WIDE | loud, "student_fields": DEEP | loud}
    context = tiny.context(tmp_path, **fields)
    method, teacher = PKD(PKDSettings(layers=layers)), context.models.teacher().eval()
    _, student, batch, cached = terms_of(method, context)
    live = cached._replace(states=teacher(**batch.inputs, states=True).states)
    output = student(**batch.inputs, states=True)

    def cls(encoder: Encoder, wanted: tuple[int, ...]) -> Tensor:
        kept: dict[int, Tensor] = {}
        for number, layer in enumerate(encoder.backbone.encoder.layer, start=1):
            layer.register_forward_hook(
                lambda _m, _i, out, k=number: kept.__setitem__(
                    k, (out[0] if isinstance(out, tuple) else out)[:, 0]
                )
            )
        with torch.no_grad():
            encoder(**batch.inputs)
        return torch.stack([kept[layer] for layer in wanted], dim=1)

    found = method.loss(output, live, batch).values["patience"].item()
    pairs = {(a, b) for a in (1, 2, 3, 4) for b in (1, 2, 3, 4)}
    mine = cls(student, (1, 2))
    expected = {pair: patience(mine, cls(teacher, pair)).item() for pair in pairs}
    assert found == pytest.approx(expected.pop(matched), rel=1e-5)
    assert all(abs(other - found) > 1e-3 * found for other in expected.values())
    for wrong in ((2, 3), (2, 1)):
        other = patience(cls(student, wrong), cls(teacher, matched)).item()
        assert abs(other - found) > 1e-3 * found


def test_without_patience_it_is_kd_bit_for_bit(tmp_path: Path) -> None:
    context = tiny.context(tmp_path, teacher_fields=WIDE, seed=4)

    def student(method: Distiller, name: str) -> Encoder:
        return tiny.distilled(method, context, tmp_path / name)

    kd = student(KD(KDSettings(temperature=3.0)), "kd")
    without = PKDSettings(temperature=3.0, patience_weight=0.0)
    assert tiny.same_weights(kd, student(PKD(without), "without"))
    projected = without.model_copy(update={"projection": True})
    assert tiny.same_weights(kd, student(PKD(projected), "projected"))
    patient = PKDSettings(temperature=3.0)
    assert not tiny.same_weights(kd, student(PKD(patient), "patient"))


def test_official_soft_term_is_divided_by_the_classes(tmp_path: Path) -> None:
    context = tiny.context(tmp_path, teacher_fields=WIDE)
    ours, student, batch, signals = terms_of(PKD(), context)
    official = terms_of(PKD(PKDSettings(soft_term="official")), context)[0]
    canonical = soft_label(student(**batch.inputs).logits, signals.logits, 2.0).item()
    assert ours.values["soft"].item() == pytest.approx(canonical, rel=1e-6)
    assert official.values["soft"].item() == pytest.approx(canonical / 2, rel=1e-6)
    assert official.values["hard"].item() == ours.values["hard"].item()


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_form_of_the_term_is_a_setting(normalise: bool, reduction: Any, tmp_path: Path) -> None:
    context = tiny.context(tmp_path, teacher_fields=WIDE)
    form = {"normalise": normalise, "reduction": reduction}
    terms, student, batch, signals = terms_of(PKD(PKDSettings(**form)), context)
    assert signals.states is not None
    mine = student(**batch.inputs, states=True).states[:, 1:2]
    expected = patience(mine, signals.states[:, 2:3], **form).item()
    assert terms.values["patience"].item() == pytest.approx(expected, rel=1e-6)
    assert terms.weights["patience"] == 100.0


def test_projection_is_made_from_the_seed_and_disturbs_no_other_random_number(
    tmp_path: Path,
) -> None:
    def made(seed: int) -> Tensor:
        method = PKD(PKDSettings(projection=True))
        module = method.adapter(tiny.context(tmp_path / str(seed), seed=seed))
        assert module is not None
        (weight,) = module.parameters()
        return weight.detach()

    state = torch.get_rng_state()
    first = made(0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(77)
    assert torch.equal(first, made(0))
    assert not torch.equal(first, made(1))
    assert first.shape == (24, 16)
    assert torch.allclose(first.T @ first, torch.eye(16), atol=1e-5)
    assert PKD().adapter(tiny.context(tmp_path)) is None


def test_projection_learns_and_stays_apart_from_the_student(tmp_path: Path) -> None:
    context = tiny.context(tmp_path)
    method = PKD(PKDSettings(projection=True))
    student = tiny.distilled(method, context, tmp_path / "checkpoint")
    learned, fresh = method._projection, PKD(PKDSettings(projection=True)).adapter(context)
    assert learned is not None
    assert fresh is not None
    assert not tiny.same_weights(learned, fresh)
    assert student.state_dict().keys() == context.models.student(2).state_dict().keys()


def test_signals_without_states_are_refused(tmp_path: Path) -> None:
    context = tiny.context(tmp_path, teacher_fields=WIDE)
    _, student, batch, signals = terms_of(PKD(), context)
    with pytest.raises(ValueError, match=r"states of \[CLS\]"):
        PKD().loss(student(**batch.inputs, states=True), signals._replace(states=None), batch)
    with pytest.raises(ValueError, match="not asked for hidden states"):
        PKD().loss(student(**batch.inputs), signals, batch)


@pytest.mark.parametrize(
    ("settings", "student", "teacher", "reason"),
    [
        ({}, Shape(384, 6), Shape(768, 12), "has 768 and the student 384: set pkd.projection=true"),
        ({}, Shape(768, 1), Shape(768, 12), "one layer has nothing to match"),
        ({}, Shape(768, 6), Shape(768, 5), "has 5 layers and the student 6"),
        ({"layers": "last"}, Shape(768, 6), Shape(768, 5), "pkd.layers=last needs a teacher"),
        ({"layers": [1, 2]}, Shape(768, 6), Shape(768, 12), "lists 2 .* student has 5 to match"),
        ({"layers": [0, 12]}, Shape(768, 3), Shape(768, 12), r"\[0, 12\]: .* are 1 to 11"),
        ({"layers": [1, 2]}, Shape(8, 3), Shape(9, 4), "vectors of one width"),
        ({}, Shape(768, 6), None, "needs a teacher"),
        ({}, Shape(768, 6), Shape(768, 6), None),
        ({"projection": True}, Shape(384, 6), Shape(768, 12), None),
        ({"layers": [1, 11]}, Shape(768, 3), Shape(768, 12), None),
        ({"layers": [1, 1, 2]}, Shape(768, 4), Shape(768, 3), None),
    ],
)
def test_refused_with_a_reason_or_accepted(
    settings: dict[str, Any], student: Shape, teacher: Shape | None, reason: str | None
) -> None:
    method = PKD(PKDSettings.model_validate(settings))
    told = method.unsupported(Conditions(tiny.TASK, student, teacher, 8))
    assert told is None if reason is None else re.search(reason, str(told))


@pytest.mark.parametrize("wrong", [{"layers": "first"}, {"reduction": "batch"}, {"beta": 1.0}])
def test_settings_that_do_not_exist(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PKDSettings.model_validate(wrong)
