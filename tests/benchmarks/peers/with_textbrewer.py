"""TextBrewer, as its examples write it: tensors padded to the largest length, random order.

``GeneralDistiller`` is what its documentation recommends; the teacher answers in every step.
``BasicDistiller`` can keep the teacher's answers, with the batches that they belong to.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from textbrewer import BasicDistiller, DistillationConfig, GeneralDistiller, TrainingConfig
from torch.utils.data import DataLoader
from transformers import get_linear_schedule_with_warmup

from tests.benchmarks.peers.clock import Epoch, clock
from tests.benchmarks.peers.setting import LONGEST, OBJECTIVE, Setting, as_classifier

Row = dict[str, torch.Tensor]


def padded(setting: Setting) -> list[Row]:
    """The rows as tensors of :data:`LONGEST` tokens; only a student of fewer has them shorter."""
    longest = min(LONGEST, setting.teacher.longest)
    table = setting.tokenizer.pad(
        setting.their_rows[:], padding="max_length", max_length=longest, return_tensors="pt"
    )
    return [{name: table[name][at] for name in table} for at in range(setting.rows)]


def adaptor(batch: Row, outputs: Any) -> dict[str, Any]:
    """What TextBrewer asks of a model's outputs: logits, and the loss on the true labels."""
    return {"logits": outputs.logits, "losses": outputs.loss}


def make(setting: Setting, folder: Path, *, keep: bool = False) -> Any:
    """A distiller of a fresh student; with ``keep`` the teacher answers once for all epochs."""
    temperature = OBJECTIVE.temperature
    config = DistillationConfig(
        temperature=temperature,
        kd_loss_type="ce",
        kd_loss_weight=OBJECTIVE.soft_weight * temperature**2,  # its term has no factor T^2
        hard_label_weight=OBJECTIVE.hard_weight,
        is_caching_logits=keep,
    )
    kind = BasicDistiller if keep else GeneralDistiller
    return kind(
        train_config=TrainingConfig(device=torch.device("cpu"), output_dir=str(folder)),
        distill_config=config,
        model_T=as_classifier(setting.teacher),
        model_S=as_classifier(setting.student()),
        adaptor_T=adaptor,
        adaptor_S=adaptor,
    )


def epoch(setting: Setting, folder: Path, *, keep: bool = False) -> Epoch:
    """One epoch of ``train``."""
    recipe, distiller, preparing = setting.recipe, make(setting, folder, keep=keep), 0.0
    loader = DataLoader(padded(setting), batch_size=recipe.batch_size, shuffle=True)
    optimizer = torch.optim.AdamW(
        distiller.model_S.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = {"num_warmup_steps": setting.warmup, "num_training_steps": setting.steps}
    keep_answers = distiller.cache_logits

    def timed(*given: Any) -> None:
        nonlocal preparing
        began = perf_counter()
        keep_answers(*given)
        preparing += perf_counter() - began

    distiller.cache_logits = timed
    torch.manual_seed(0)
    with clock() as counted, distiller:
        distiller.train(
            optimizer,
            loader,
            num_epochs=1,
            scheduler_class=get_linear_schedule_with_warmup,
            scheduler_args=schedule,
            max_grad_norm=recipe.clip,
        )
    return Epoch(distiller.model_S, counted.seconds - preparing, counted.steps, preparing)
