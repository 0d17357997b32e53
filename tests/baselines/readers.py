"""A run whose teacher has another tokenizer than its student, and reads nothing but its own ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from reaugkd.batch import TEACHER
from reaugkd.context import Context
from reaugkd.models.encoder import Encoder
from reaugkd.reporter import Silent
from reaugkd.signals import TeacherSignals
from reaugkd.tasks.encode import Encoded
from reaugkd.training.inference import write_signals
from tests import tiny

CLIP = tiny.RECIPE.model_copy(update={"clip": 1e6})  # a norm sums in the order of the vocabulary
RECIPES = {"recipe": CLIP, "teacher_recipe": CLIP}
OWN = tiny.VOCABULARY + np.random.default_rng(0).permutation(tiny.VOCABULARY)
"""The teacher's id of each of the student's ids, padding too: no id means something to both."""


def renumbered(make: Callable[..., Encoder]) -> Callable[..., Encoder]:
    """Makes the same models with the teacher's numbering; an id of the student's gives no number.

    The student knows no id of the teacher's: its table ends before them.
    """

    def other(*arguments: Any) -> Encoder:
        encoder = make(*arguments)
        known = encoder.backbone.embeddings.word_embeddings.weight.detach()
        table = torch.full((2 * tiny.VOCABULARY, known.shape[1]), torch.nan)
        table[torch.from_numpy(OWN)] = known
        encoder.backbone.embeddings.word_embeddings = nn.Embedding.from_pretrained(
            table, freeze=False, padding_idx=int(OWN[0])
        )
        return encoder

    return other


def two_tokenizers(context: Context, folder: Path) -> Context:
    """The same run with a teacher that has another tokenizer; its signals in ``folder``."""

    def read(row: dict[str, Any]) -> dict[str, Any]:
        return {"input_ids": OWN[row["input_ids"]].tolist()}

    splits = {name: split.map(read) for name, split in context.splits.items()}
    encoded, given = Encoded(splits, int(OWN[0])), context.models
    models = replace(
        given,
        teacher=renumbered(given.teacher),
        untrained=renumbered(given.untrained),
        build=renumbered(given.build),
    )
    kept = folder / "signals of another tokenizer"
    kept.mkdir(parents=True, exist_ok=True)
    wanted = {"states": ["fit"], "splits": ["fit"]}
    write_signals(models.teacher(), encoded, kept, "fp32", Silent(), **wanted)
    return replace(
        context,
        encoded={**context.encoded, TEACHER: encoded},
        signals=TeacherSignals.open(kept, "fit"),
        models=models,
    )
