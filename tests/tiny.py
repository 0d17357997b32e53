"""Tiny encoders and encoded rows, so that real code runs in milliseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, List, Value

from reaugkd.model_spec import ModelSpec, build_student
from reaugkd.models import Encoder
from reaugkd.tasks.task import Task

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


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)
