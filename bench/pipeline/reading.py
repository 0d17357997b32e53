"""The rows of a task as one tokenizer reads them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reaugkd.artifacts.store import ArtifactStore
from reaugkd.tasks.encode import Encoded, columns, encode, ids_fingerprint, tokenizer_fingerprint
from reaugkd.tasks.task import TaskData

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAMPLE = 256
"""Rows, at most, by which the length of a typical text is told."""


class Reading:
    """The token ids that one tokenizer makes of ``data``, cut at ``max_length`` tokens.

    The ids are an artefact, made when they are first wanted.
    """

    def __init__(
        self,
        data: TaskData,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        artifacts: ArtifactStore,
    ) -> None:
        self.data, self.tokenizer, self.max_length = data, tokenizer, max_length
        self._artifacts = artifacts

    @cached_property
    def vocabulary(self) -> int:
        """Number of ids that a model needs for it: one more than the largest."""
        ids: dict[str, int] = self.tokenizer.get_vocab()
        return max(len(self.tokenizer), 1 + max(ids.values()))

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        return int(self.tokenizer.pad_token_id or 0)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Plain JSON that decides the token ids."""
        return {
            "task": self.data.task.name,
            "data": self.data.fingerprint,
            "tokenizer": tokenizer_fingerprint(self.tokenizer),
            "max_length": self.max_length,
        }

    @cached_property
    def some_lengths(self) -> list[int]:
        """Tokens of some rows of fit, spread evenly over them, cut as they are for models."""
        step = -(-len(self.data.fit) // SAMPLE)
        part = self.data.fit[::step]
        texts = [part[name] for name in ("text_a", "text_b") if name in part]
        length = {"truncation": "longest_first", "max_length": self.max_length}
        return [len(ids) for ids in self.tokenizer(*map(list, texts), **length)["input_ids"]]

    @cached_property
    def encoded(self) -> Encoded:
        """All splits as token ids, from disk."""
        from datasets import load_from_disk

        def build(folder: Path) -> None:
            for name, split in encode(self.data, self.tokenizer, self.max_length).items():
                split.save_to_disk(folder / name)

        artifact = self._artifacts.get("tokens", self.identity, build)
        splits = {name: load_from_disk(artifact.path / name) for name in self.data.splits()}
        return Encoded(splits, self.pad_id)

    def serves(self, tokenizer: PreTrainedTokenizerBase) -> bool:
        """Whether a model of ``tokenizer`` may read these ids: they are its own, nothing lacks.

        An input too many does no harm, for a model is handed only those that it takes.
        """
        same = ids_fingerprint(self.tokenizer) == ids_fingerprint(tokenizer)
        return same and set(columns(tokenizer)) <= set(columns(self.tokenizer))
