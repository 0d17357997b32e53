"""Distillation methods to compare ReAugKD with, one file each, and the registry of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reaugkd.registry import Entry, Registry

if TYPE_CHECKING:
    from reaugkd.distiller import Distiller

_BASELINES = {
    "finetune": ("FineTune", "the student on hard labels, no teacher"),
    "kd": ("KD", "soft labels of the teacher (Hinton et al., 2015)"),
    "pkd": ("PKD", "soft labels and the teacher's intermediate layers (Sun et al., 2019)"),
    "rkd": ("RKD", "distances and angles among a batch's examples (Park et al., 2019)"),
    "takd": ("TAKD", "KD over a chain of assistants (Mirzadeh et al., 2020)"),
    "rco": ("RCO", "KD along the teacher's own training route (Jin et al., 2019)"),
    "dml": ("DML", "teacher and student teach each other (Zhang et al., 2018)"),
    "prokt": ("ProKT", "the teacher learns in steps the student can follow (Shi et al., 2021)"),
    "sftn": (
        "SFTN",
        "a teacher trained with branches of student layers, then KD (Park et al., 2021)",
    ),
    "metadistil": (
        "MetaDistil",
        "a teacher that learns to teach from the student's quiz (Zhou et al., 2022)",
    ),
    "knn-kd": ("KNNKD", "soft labels mixed with those of the nearest rows (Yang et al., 2022)"),
}

METHODS: Registry[type[Distiller]] = Registry(
    "method",
    {
        **{
            name: Entry(f"baselines.{name.replace('-', '_')}:{kind}", says)
            for name, (kind, says) in _BASELINES.items()
        },
        "reaugkd": Entry(
            "reaugkd.method:ReAugKD",
            "soft labels, relational alignment and retrieval (Zhang et al., 2023)",
        ),
        "reaugkd-r": Entry(
            "baselines.reaugkd_r:ReAugKDR",
            "reaugkd, trained for the mixture: it retrieves inside the loss (ours, as TabR does)",
        ),
    },
    group="reaugkd.methods",
)
