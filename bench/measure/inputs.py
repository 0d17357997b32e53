"""What a student is given: real sentences, or ids of real lengths.

Latency depends on how many tokens there are and how they are padded, hardly on which. Lengths are
those of a task, as its train file has them; padding all to the longest would flatter the claim.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from reaugkd.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

LENGTHS = Path(__file__).with_name("lengths.json")

STAND_INS = {"qnli": "mrpc", "qqp": "stsb", "mnli": "wnli"}
"""Tasks whose files were not at hand when lengths were recorded: pairs of about these lengths."""

ENOUGH = 208
"""Distinct inputs that a cell of two processes wants, in whole batches of 8."""

_CLS, _SEP, _FIRST = 101, 102, 999
"""BERT's ids; below the first ordinary one its vocabulary holds special and unused tokens."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Token ids of n inputs, one after another, without padding.

    Attributes:
        ids: [total] int32.
        offsets: [n + 1] int64: input i is ``ids[offsets[i]:offsets[i + 1]]``.
        types: [total] int8 token types, or None where the student is given none.
        pad_id: id of the padding token.
        label: where they come from, as a table shows it.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    types: NDArray[np.int8] | None
    pad_id: int
    label: str

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each input [n], special ones included."""
        return np.diff(self.offsets)

    @classmethod
    def of(
        cls,
        rows: Sequence[Sequence[int]],
        label: str,
        types: Sequence[Sequence[int]] | None = None,
        pad_id: int = 0,
    ) -> Self:
        """Inputs from lists of ids (and token types of the same lengths).

        Raises:
            UserError: if there are none, or one is empty.
        """
        lengths = np.array([len(row) for row in rows], np.int64)
        if not len(rows) or not lengths.all():
            raise UserError(f"inputs '{label}': none, or one without tokens")
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        flat = np.concatenate([np.asarray(row, np.int32) for row in rows])
        kinds = None if types is None else np.concatenate([np.asarray(t, np.int8) for t in types])
        return cls(flat, offsets, kinds, pad_id, label)

    def save(self, path: Path) -> None:
        """Write an npz."""
        types: dict[str, Any] = {} if self.types is None else {"types": self.types}
        with path.open("wb") as file:
            np.savez(
                file,
                ids=self.ids,
                offsets=self.offsets,
                pad_id=self.pad_id,
                label=self.label,
                **types,
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: naming the file that is missing or holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                types = stored.get("types")
                ids, offsets = stored["ids"], stored["offsets"]
                inputs = cls(ids, offsets, types, int(stored["pad_id"]), str(stored["label"]))
            whole = offsets[0] == 0 and offsets[-1] == len(ids) and (np.diff(offsets) > 0).all()
            if not whole or len(inputs) < 1:
                raise ValueError("offsets do not fit")
        except (OSError, ValueError, KeyError, IndexError, EOFError, BadZipFile) as error:
            raise UserError(f"{path} holds no inputs: {error}") from error
        return inputs

    def draw(self, count: int, seed: int, process: int) -> NDArray[np.int64]:
        """Row numbers [count] for a process: different ones for every process while there are any.

        All processes of a seed deal from one shuffled order, and start over where it ends.
        """
        return dealt(len(self), count, seed, process)

    def grouped(self, rows: NDArray[np.int64], batch: int) -> list[NDArray[np.int64]]:
        """``rows`` in batches of like length, longest first, as serving makes them."""
        from reaugkd.training.batches import by_length

        return [rows[part] for part in by_length(self.lengths[rows].tolist(), batch)]

    def tensors(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """A batch [b, L] int64, padded to its own longest input.

        Returns:
            ``input_ids``, ``attention_mask`` and, where there are any, ``token_type_ids``.
        """
        import torch

        lengths = self.lengths[rows]
        shape = (len(rows), int(lengths.max()))
        mask = np.arange(shape[1]) < lengths[:, None]
        flat = np.concatenate([np.arange(self.offsets[r], self.offsets[r + 1]) for r in rows])
        ids = np.full(shape, self.pad_id, np.int64)
        ids[mask] = self.ids[flat]
        arrays = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
        if self.types is not None:
            arrays["token_type_ids"] = np.zeros(shape, np.int64)
            arrays["token_type_ids"][mask] = self.types[flat]
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


def dealt(n: int, count: int, seed: int, process: int) -> NDArray[np.int64]:
    """The ``process``-th hand of ``count`` of n cards, shuffled by ``seed``; wraps at the end."""
    order = np.random.default_rng(seed).permutation(n)
    return order[(process * count + np.arange(count)) % n]


def recorded(task: str | None, count: int, vocabulary: int, seed: int = 0) -> Inputs:
    """Random ids whose lengths follow a task's recorded distribution as closely as count allows.

    Args:
        task: a GLUE task; None for an even mixture of all that are recorded.
        count: number of inputs.
        vocabulary: ids the student knows.
        seed: of the ids.

    Raises:
        UnknownNameError: for a task without recorded lengths, with the nearest.
    """
    tables = histograms()
    if task is None:
        shares = np.mean([table / table.sum() for table in tables.values()], axis=0)
        label = "recorded mixture"
    else:
        name = STAND_INS.get(task, task)
        if name not in tables:
            raise UnknownNameError("task with recorded lengths", task, [*tables, *STAND_INS])
        shares = tables[name] / tables[name].sum()
        label = f"recorded {name}" + (f", standing in for {task}" if name != task else "")
    # The middles of `count` equal shares of the distribution: no luck in the lengths of a cell.
    at = (np.arange(count) + 0.5) / count
    lengths = np.searchsorted(np.cumsum(shares) / shares.sum(), at)
    return _random(lengths, vocabulary, seed, label)


def fixed(length: int, count: int, vocabulary: int, seed: int = 0) -> Inputs:
    """Random ids, ``length`` tokens each.

    Raises:
        UserError: for a length without room for a token between the special ones.
    """
    if length < 3:
        raise UserError(f"length {length}: an input has at least 3 tokens")
    return _random(np.full(count, length), vocabulary, seed, f"fixed {length}")


def real(
    task: str, data_dir: Path | str, tokenizer: PreTrainedTokenizerBase, max_length: int = 128
) -> Inputs:
    """The sentences of a task in the folder of the GLUE download.

    Those of dev, as the entries of a real knowledge base come from train; where dev has fewer than
    :data:`ENOUGH` (WNLI), train's follow, and the label says so.

    Raises:
        UnknownNameError: for a task that GLUE does not have.
        DataError: naming the file that is missing or malformed.
    """
    from reaugkd.tasks.glue import TASKS
    from reaugkd.tasks.glue_folder import from_folder

    if task not in TASKS:
        raise UnknownNameError("GLUE task", task, TASKS)
    corpus = from_folder(TASKS[task], data_dir)
    tables, label = list(corpus.tests.values()), f"real {task}"
    if sum(table.num_rows for table in tables) < ENOUGH:
        tables.append(corpus.train)
        label += " (dev and train)"
    encoded = [tokens(table, tokenizer, max_length) for table in tables]
    types = None
    if all("token_type_ids" in part for part in encoded):
        types = [row for part in encoded for row in part["token_type_ids"]]
    rows = [row for part in encoded for row in part["input_ids"]]
    return Inputs.of(rows, label, types, int(tokenizer.pad_token_id or 0))


def tokens(table: Any, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Mapping[str, Any]:
    """What a tokenizer makes of the texts of a split, cut at ``max_length``, without padding."""
    names = [name for name in ("text_a", "text_b") if name in table.column_names]
    texts = [table[name].to_pylist() for name in names]
    encoded: Mapping[str, Any] = tokenizer(
        *texts, truncation="longest_first", max_length=max_length
    )
    return encoded


@cache
def histograms() -> dict[str, NDArray[np.int64]]:
    """By task, how many inputs of train have 0, 1, 2, ... tokens."""
    stored = json.loads(LENGTHS.read_text(encoding="utf-8"))
    width = stored["max_length"] + 1
    tables = {}
    for task, counts in stored["tasks"].items():
        tables[task] = np.zeros(width, np.int64)
        for length, number in counts.items():
            tables[task][int(length)] = number
    return tables


def _random(lengths: NDArray[Any], vocabulary: int, seed: int, label: str) -> Inputs:
    """Ids as BERT's: a [CLS], ordinary tokens, a [SEP]; in a tiny vocabulary anything but 0."""
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    first = _FIRST if vocabulary > 2 * _FIRST else 1
    random = np.random.default_rng(seed)
    ids = random.integers(first, vocabulary, int(offsets[-1]), dtype=np.int32)
    if first == _FIRST:
        ids[offsets[:-1]], ids[offsets[1:] - 1] = _CLS, _SEP
    return Inputs(ids, offsets, None, 0, label)
