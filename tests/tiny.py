"""Tiny encoders and encoded rows, so that real code runs in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, List, Value

from baselines.finetune import FineTune
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.batch import STUDENT, TEACHER, Shape
from reaugkd.context import Context, Models, Setup
from reaugkd.distiller import Distiller
from reaugkd.models.encoder import Encoder
from reaugkd.models.recipe import Recipe
from reaugkd.models.spec import ModelSpec, build_student
from reaugkd.reporter import Silent
from reaugkd.signals import TeacherSignals
from reaugkd.tasks.encode import Encoded
from reaugkd.tasks.task import Task
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.inference import write_signals
from reaugkd.training.loop import TrainingOptions, TrainingSummary, distil, train

VOCABULARY = 40
TASK = Task("toy", "toy", "mini", False, ("no", "yes"), ("accuracy", "f1"), "accuracy")
SCORES = Task("toys", "toys", "mini", False, (), ("pearson",), "pearson", value_range=(0, 5))


def config(**fields: Any) -> dict[str, Any]:
    return {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 32,
        **fields,
    }


def encoder(seed: int = 0, outputs: int = 2, pooling: Any = "cls", **fields: Any) -> Encoder:
    spec = ModelSpec(source="config", config=config(**fields))
    return build_student(
        spec, spec, None, vocabulary=VOCABULARY, outputs=outputs, pooling=pooling, seed=seed
    )


@cache
def rows(count: int, seed: int = 0, regression: bool = False) -> Dataset:
    """Rows whose label is whether the token 7 occurs (or how often, for regression)."""
    generator = np.random.default_rng(seed)
    ids = [generator.integers(5, 12, generator.integers(3, 12)).tolist() for _ in range(count)]
    found = [row.count(7) for row in ids]
    label_type = Value("float32" if regression else "int64")
    return Dataset.from_dict(
        {
            "input_ids": ids,
            "token_type_ids": [[0] * len(row) for row in ids],
            "label": [float(n) if regression else int(n > 0) for n in found],
            "idx": list(range(count)),
            "length": [len(row) for row in ids],
        },
        features=Features(
            {
                "input_ids": List(Value("int32")),
                "token_type_ids": List(Value("int8")),
                "label": label_type,
                "idx": Value("int64"),
                "length": Value("int32"),
            }
        ),
    )


def splits(count: int = 48, regression: bool = False) -> dict[str, Dataset]:
    return {
        "fit": rows(count, 0, regression),
        "held_out": rows(24, 1, regression),
        "dev": rows(24, 2, regression),
    }


def setup(recipe: Recipe, seed: int = 1, **changes: Any) -> Setup:
    """What one training run on the toy rows is made of."""
    given = {"encoded": {STUDENT: Encoded(splits(), 0)}, "device": "cpu", **changes}
    return Setup(task=TASK, recipe=recipe, seed=seed, **given)


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
WIDE = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 4}
RECIPE = Recipe(learning_rate=1e-3, epochs=2, batch_size=8)


def teacher(outputs: int = 2, **fields: Any) -> Encoder:
    """A teacher that is wider and deeper than the student; "fine-tuned" is another seed."""
    return encoder(seed=11, outputs=outputs, **{**WIDE, **fields})


def context(
    folder: Path,
    *,
    regression: bool = False,
    teacher_fields: Mapping[str, Any] | None = None,
    student_fields: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Context:
    """A context as a run makes it: rows, a teacher with cached signals, artefacts in ``folder``."""
    outputs, data = 1 if regression else 2, splits(regression=regression)
    fields, own = {**WIDE, **(teacher_fields or {})}, dict(student_fields or {})

    def build(spec: ModelSpec, seed: int) -> Encoder:
        origin = ModelSpec(source="config", config=config(**fields))
        tuned = encoder(seed=11, outputs=outputs, **fields) if spec.source == "teacher" else None
        return build_student(
            spec, origin, tuned, vocabulary=VOCABULARY, outputs=outputs, pooling="cls", seed=seed
        )

    def student(seed: int) -> Encoder:
        return encoder(seed=seed, outputs=outputs, **own)

    models = Models(
        student=student,
        teacher=lambda: encoder(seed=11, outputs=outputs, **fields),
        untrained=lambda: encoder(seed=0, outputs=outputs, **fields),
        build=build,
        student_shape=Shape(student(0).width, student(0).depth),
        teacher_shape=Shape(fields["hidden_size"], fields["num_hidden_layers"]),
        student_identity={"config": own},
    )
    shared = Encoded(changes.pop("splits", data), changes.pop("pad_id", 0))
    both = changes.setdefault("encoded", {STUDENT: shared, TEACHER: shared})
    if "signals" not in changes:
        kept = folder / "signals"
        kept.mkdir(parents=True, exist_ok=True)
        wanted = {"states": ["fit"], "splits": ["fit"]}
        write_signals(models.teacher(), both[TEACHER], kept, "fp32", Silent(), **wanted)
        changes["signals"] = TeacherSignals.open(kept, "fit")
    given: dict[str, Any] = {
        "task": SCORES if regression else TASK,
        "models": models,
        "artifacts": ArtifactStore(folder / "artifacts"),
        "identity": {"teacher": "toy"},
        "recipe": RECIPE,
        "teacher_recipe": RECIPE,
        "device": "cpu",
        **changes,
    }
    return Context(**given)


def fine_tuned(encoder: Encoder, setup: Setup, folder: Path, **options: Any) -> TrainingSummary:
    """``encoder`` trained on the true labels, in place; the checkpoint in ``folder``."""
    wanted = TrainingOptions(**options)
    return train(encoder, FineTune(), setup, wanted, checkpoint=Checkpoint(folder))


def distilled(distiller: Distiller, context: Context, folder: Path) -> Encoder:
    """A student of seed 2 trained by ``distiller``, the checkpoint in ``folder``."""
    student = context.models.student(2)
    distil(distiller, context, student, checkpoint=Checkpoint(folder), stage=distiller.name)
    return student
