"""Teacher and student need not share token ids: each reads its own of the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines import METHODS
from reaugkd.context import Context
from reaugkd.models.encoder import Encoder
from reaugkd.tasks.encode import Encoded
from tests import tiny

CLIP = tiny.RECIPE.model_copy(update={"clip": 1e6})  # a norm sums in the order of the vocabulary
NEW = np.concatenate([[0], 1 + np.random.default_rng(0).permutation(tiny.VOCABULARY - 1)])
"""The teacher's id of each of the student's ids; padding stays what it is."""


def renumbered(make: Callable[..., Encoder]) -> Callable[..., Encoder]:
    """Makes the same models, whose vocabulary is numbered by ``NEW``."""

    def other(*arguments: Any) -> Encoder:
        encoder = make(*arguments)
        table = encoder.backbone.embeddings.word_embeddings.weight
        with torch.no_grad():
            table[torch.from_numpy(NEW)] = table.clone()
        return encoder

    return other


def apart(context: Context) -> Context:
    """The same run, whose teacher has another tokenizer than its student."""

    def read(row: dict[str, Any]) -> dict[str, Any]:
        return {"input_ids": [int(NEW[token]) for token in row["input_ids"]]}

    splits = {name: split.map(read) for name, split in context.splits.items()}
    models = context.models
    return replace(
        context,
        encoded={**context.encoded, "teacher": Encoded(splits, 0)},
        models=replace(
            models,
            teacher=renumbered(models.teacher),
            untrained=renumbered(models.untrained),
            build=renumbered(models.build),
        ),
    )


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("takd", {"chain": [3]}),
        ("rco", {"anchors": 2}),
        ("dml", {}),
        ("prokt", {}),
        ("sftn", {}),
        ("metadistil", {}),
    ],
)
def test_another_numbering_of_the_teachers_vocabulary_changes_nothing(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    kind, students = METHODS[name], []
    for folder, change in (("alike", lambda same: same), ("apart", apart)):
        context = tiny.context(tmp_path / folder, recipe=CLIP, teacher_recipe=CLIP)
        method = kind(kind.Settings.model_validate(settings))
        students.append(tiny.distilled(method, change(context), tmp_path / folder / "student"))
    assert tiny.same_weights(*students)
