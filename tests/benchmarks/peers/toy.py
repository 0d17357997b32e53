"""The setting of the comparison with tiny models and rows, for laws that need no speed."""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from reaugkd.models.recipe import Recipe
from tests import tiny
from tests.benchmarks.peers.setting import Setting

BATCH = 8


def setting() -> Setting:
    """Three full batches and a part of one."""
    words = Tokenizer(WordLevel({"[PAD]": 0}, "[PAD]"))
    return Setting(
        task=tiny.TASK,
        splits=tiny.splits(3 * BATCH + 3),
        tokenizer=PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]"),
        teacher=tiny.encoder(seed=11, pooling="pooler", **tiny.WIDE).eval(),
        student=lambda: tiny.encoder(seed=1, pooling="pooler"),
        recipe=Recipe(learning_rate=1e-2, epochs=1, batch_size=BATCH),
    )
