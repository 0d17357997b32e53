"""Tokenise every split once; padding is left to the batches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reaugkd.artifacts import fingerprint
from reaugkd.errors import UserError
from reaugkd.tasks.task import TaskData

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Encoded:
    """The rows of a task, split by split, as token ids of one tokenizer."""

    splits: Mapping[str, Any]
    pad_id: int


def encode(
    data: TaskData, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Dataset]:
    """Token ids of all splits, in memory, without padding; rows stay in their order.

    A text that is too long loses tokens from the end of its longer sentence (``longest_first``).
    Columns: ``input_ids`` (int32 list), ``token_type_ids`` (int8 list, where the tokenizer makes
    them), ``label``, ``idx`` and ``length`` (int32, number of tokens). A UserError tells that
    ``max_length`` leaves no room for a token of the text.
    """
    needed = tokenizer.num_special_tokens_to_add(pair=data.task.pair) + 1 + data.task.pair
    if max_length < needed:
        raise UserError(f"max_length must be at least {needed} for this tokenizer: {max_length}")
    kept = columns(tokenizer)

    def batch(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        texts = [rows[name] for name in ("text_a", "text_b") if name in rows]
        tokens = tokenizer(*texts, truncation="longest_first", max_length=max_length)
        columns = {name: tokens[name] for name in kept}
        return {**columns, "length": [len(ids) for ids in tokens["input_ids"]]}

    key = [data.fingerprint, tokenizer_fingerprint(tokenizer), max_length]
    with _no_progress_bars():
        return {
            name: split.map(
                batch,
                batched=True,
                remove_columns=[c for c in split.column_names if c.startswith("text_")],
                features=_features(split, kept),
                keep_in_memory=True,
                load_from_cache_file=False,
                new_fingerprint=fingerprint.of_json([name, *key]),
            )
            for name, split in data.splits().items()
        }


def columns(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The columns of ids that :func:`encode` makes with ``tokenizer``."""
    return [name for name in ("input_ids", "token_type_ids") if name in tokenizer.model_input_names]


def _features(split: Dataset, kept: list[str]) -> Any:
    from datasets import Features, List, Value

    types = {"input_ids": List(Value("int32")), "token_type_ids": List(Value("int8"))}
    return Features(
        {name: types[name] for name in kept}
        | {name: split.features[name] for name in ("label", "idx")}
        | {"length": Value("int32")}
    )


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """``Dataset.map`` without its bar: progress is the reporter's business."""
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Fingerprint of all that decides the ids of a text, wherever the tokenizer was loaded from."""
    shown: dict[str, Any] = {
        "inputs": list(tokenizer.model_input_names),
        "special": _special(tokenizer),
        "sides": [tokenizer.truncation_side, tokenizer.padding_side],
    }
    return fingerprint.of_json({**shown, **_content(tokenizer)})


def ids_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Fingerprint of what decides the ids of a text and nothing else: equal ones, equal ids.

    BERT's tokenizer and DistilBERT's have one. Left out are the names of the inputs (only BERT has
    token types), the way back from ids to text, and the side of padding, which batches choose.
    """
    content = _content(tokenizer) | {
        "side": tokenizer.truncation_side,
        "padding": tokenizer.pad_token_id,
    }
    if "state" in content:
        content["state"].pop("decoder", None)
    else:
        content["special"] = _special(tokenizer)
    return fingerprint.of_json(content)


def _special(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    return {name: str(token) for name, token in tokenizer.special_tokens_map.items()}


def _content(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Vocabulary and rules of a tokenizer as plain JSON."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        state = json.loads(backend.to_str())
        # The last call leaves its truncation and padding behind; they are arguments, not identity.
        return {"state": {k: v for k, v in state.items() if k not in ("truncation", "padding")}}
    plain = (bool, int, float)
    return {
        "class": type(tokenizer).__name__,
        "vocabulary": tokenizer.get_vocab(),
        "settings": {
            name: value
            for name, value in tokenizer.init_kwargs.items()
            if isinstance(value, plain) and name != "model_max_length"
        },
    }
