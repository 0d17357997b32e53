"""transformers' Trainer with a loss of one's own, as its guide to distillation writes it.

Rows in random order, padded to the longest of their batch (``DataCollatorWithPadding``), as its
guide to text classification has it; the teacher answers in every step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

from tests.benchmarks.peers.clock import Epoch, clock
from tests.benchmarks.peers.setting import OBJECTIVE, Setting, as_classifier


class KDTrainer(Trainer):
    """A Trainer whose loss mixes the teacher's soft labels with the model's own loss."""

    def __init__(self, *, teacher: torch.nn.Module, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.teacher = teacher.eval()

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The loss of a batch, with the student's outputs where they are wanted."""
        temperature = OBJECTIVE.temperature
        outputs = model(**inputs)
        with torch.no_grad():
            teacher = self.teacher(**inputs).logits
        soft = F.kl_div(
            F.log_softmax(outputs.logits / temperature, dim=-1),
            F.softmax(teacher / temperature, dim=-1),
            reduction="batchmean",
        )
        loss = OBJECTIVE.soft_weight * temperature**2 * soft
        loss = loss + OBJECTIVE.hard_weight * outputs.loss
        return (loss, outputs) if return_outputs else loss


def make(setting: Setting, folder: Path) -> KDTrainer:
    """The trainer of an epoch; it trains a fresh student."""
    recipe = setting.recipe
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        warmup_steps=setting.warmup,
        lr_scheduler_type="linear",
        max_grad_norm=recipe.clip,
        use_cpu=True,
        seed=0,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    return KDTrainer(
        teacher=as_classifier(setting.teacher),
        model=as_classifier(setting.student()),
        args=arguments,
        train_dataset=setting.their_rows,
        data_collator=DataCollatorWithPadding(setting.tokenizer),
    )


def epoch(setting: Setting, folder: Path) -> Epoch:
    """One epoch of ``Trainer.train``."""
    trainer = make(setting, folder)
    with clock() as counted:
        trainer.train()
    return Epoch(trainer.model, counted.seconds, counted.steps)
