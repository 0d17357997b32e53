"""Tiny checkpoints on disk: a model folder with a tokenizer beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from reaugkd.tasks import mini
from tests import tiny

WORDS = len(mini.tokenizer())


def other_tokenizer() -> PreTrainedTokenizerFast:
    """One that reads other words."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = {word: number for number, word in enumerate([*special, "any", "other", "word"])}
    backend = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]"
    )


def letters(kind: type[PreTrainedTokenizerBase] = BertTokenizer) -> PreTrainedTokenizerBase:
    """One that reads letter by letter; its padding comes last."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    inner = (f"##{letter}" for letter in alphabet)
    words = ["[UNK]", "[CLS]", "[SEP]", "[MASK]", *alphabet, *inner, "[PAD]"]
    return kind(vocab={word: number for number, word in enumerate(words)})


def write(
    folder: Path,
    *,
    seed: int = 0,
    vocabulary: int | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Path:
    """An encoder of two layers that reads the embedded suite, by its tokenizer or another one."""
    reads = tokenizer or mini.tokenizer()
    encoder = tiny.encoder(seed, max_position_embeddings=64)
    encoder.backbone.resize_token_embeddings(vocabulary or len(reads))
    encoder.backbone.save_pretrained(folder)
    reads.save_pretrained(folder)
    return folder


def write_classifier(folder: Path, labels: int | Sequence[str]) -> Path:
    """The same with a head of its own, for so many labels or for those of these names."""
    fields = tiny.config(max_position_embeddings=64, initializer_range=0.3)
    config = BertConfig(**fields, vocab_size=WORDS)
    config.num_labels = labels if isinstance(labels, int) else len(labels)
    if not isinstance(labels, int):
        config.id2label = dict(enumerate(labels))
        config.label2id = {name: number for number, name in enumerate(labels)}
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    mini.tokenizer().save_pretrained(folder)
    return folder
