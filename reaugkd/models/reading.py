"""The boundary to libraries that read model files: whatever they raise ends in one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reaugkd.errors import ModelError, UserError, reason_of


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn every failure of the block into a ModelError: "cannot load ``what``: ...".

    Files that others wrote fail in as many ways as there are libraries behind a checkpoint:
    transformers' strict configurations, tokenizers' plain ``Exception``, torch's unpickler,
    safetensors, attributes of a list that should be a table. None of them is a defect of ours, and
    a list of their types would miss the next one; the cause stays attached.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise ModelError(f"cannot load {what}: {reason_of(error)}") from error
