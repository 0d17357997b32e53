"""Configurations of transformers: from fields, and what they say of single layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reaugkd.errors import ModelError, reason_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def config_of(fields: Mapping[str, Any], **fixed: Any) -> PretrainedConfig:
    """The configuration of ``fields`` with those ``fixed`` on top; "bert" is the usual type.

    Raises:
        ModelError: if it is not valid.
    """
    from transformers import AutoConfig

    try:
        config: PretrainedConfig = AutoConfig.for_model(**{"model_type": "bert", **fields, **fixed})
    except Exception as error:
        raise invalid(fields, error) from error
    return config


def invalid(fields: Mapping[str, Any], error: Exception) -> ModelError:
    """What is said of ``fields`` that make no model."""
    return ModelError(f"not a valid model config {dict(fields)}: {reason_of(error)}")


def per_layer(config: PretrainedConfig) -> dict[str, list[Any]]:
    """The fields of a configuration that say something of each layer, e.g. ``layer_types``.

    They are known by their name, for another list may happen to be as long as there are layers.
    """
    depth = config.num_hidden_layers
    return {
        name: list(values)
        for name, values in vars(config).items()
        if isinstance(values, list | tuple)
        and len(values) == depth
        and ("layer" in name or name == "attention_window")
    }
