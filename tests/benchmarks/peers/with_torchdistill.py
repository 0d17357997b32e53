"""torchdistill: a distillation box, configured as its example for GLUE configures one.

Rows in random order, padded to the longest of their batch; the teacher answers in every step. The
logits are read by hooks, the loss on the true labels is the model's own. The example's Accelerator
is left out (see docs/peers.md): the box without one is its documented default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.utils.data import RandomSampler
from torchdistill.core.distillation import get_distillation_box
from torchdistill.datasets.registry import register_collate_func
from torchdistill.losses.registry import register_func2extract_model_output
from torchdistill.optim.registry import register_scheduler
from transformers import DataCollatorWithPadding, get_linear_schedule_with_warmup

from tests.benchmarks.peers.clock import Epoch, clock
from tests.benchmarks.peers.setting import OBJECTIVE, Setting, as_classifier

register_scheduler(get_linear_schedule_with_warmup)


@register_func2extract_model_output
def own_loss(outputs: Any, targets: Any = None, **_: Any) -> dict[str, torch.Tensor]:
    """The loss that a model of transformers gives with its logits."""
    return {"loss": outputs.loss}


def configuration(setting: Setting) -> dict[str, Any]:
    """What a YAML file of torchdistill's would say."""
    recipe, temperature = setting.recipe, OBJECTIVE.temperature
    model = {
        "forward_proc": "forward_batch_only_as_kwargs",
        "forward_hook": {"input": [], "output": ["classifier"]},
    }
    logits = {
        f"{who}_module_{what}": value
        for who in ("student", "teacher")
        for what, value in (("path", "classifier"), ("io", "output"))
    }
    # Without targets its term is the divergence alone, without the factor T^2.
    soft = {
        "criterion": {
            "key": "KDLoss",
            "kwargs": {**logits, "temperature": temperature, "reduction": "batchmean"}
            | {"alpha": OBJECTIVE.hard_weight},
        },
        "weight": OBJECTIVE.soft_weight * temperature**2,
    }
    return {
        "num_epochs": 1,
        "train_data_loader": {
            "dataset_id": "mrpc/train",
            "requires_supp": False,
            "sampler": {"class_or_func": RandomSampler, "kwargs": {}},
            "collate_fn": "padding",
            "kwargs": {"batch_size": recipe.batch_size, "num_workers": 0, "drop_last": False},
        },
        "teacher": {**model, "requires_grad": False},
        "student": {**model, "requires_grad": True},
        "optimizer": {
            "key": "AdamW",
            "kwargs": {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay},
            "max_grad_norm": recipe.clip,
        },
        "scheduler": {
            "key": "get_linear_schedule_with_warmup",
            "kwargs": {
                "num_warmup_steps": setting.warmup,
                "num_training_steps": setting.steps,
            },
            "scheduling_step": 1,
        },
        "criterion": {
            "key": "WeightedSumLoss",
            "func2extract_model_loss": "own_loss",
            "kwargs": {
                "model_term": {"weight": OBJECTIVE.hard_weight},
                "sub_terms": {"kd": soft},
            },
        },
    }


def make(setting: Setting, folder: Path) -> Any:
    """A box over a fresh student."""
    register_collate_func(DataCollatorWithPadding(setting.tokenizer), key="padding")
    return get_distillation_box(
        as_classifier(setting.teacher),
        as_classifier(setting.student()),
        {"mrpc/train": setting.their_rows},
        configuration(setting),
        torch.device("cpu"),
        None,
        False,
        1.0,
    )


def epoch(setting: Setting, folder: Path) -> Epoch:
    """One epoch of the loop around the box that its examples write."""
    torch.manual_seed(0)
    box = make(setting, folder)
    with clock() as counted:
        box.pre_epoch_process(epoch=0)
        for batch in box.train_data_loader:
            loss = box.forward_process(batch, targets=None, supp_dict=None)
            box.post_forward_process(loss=loss)
            loss.item()  # as its logger does
        box.post_epoch_process()
    return Epoch(box.student_model, counted.seconds, counted.steps)
