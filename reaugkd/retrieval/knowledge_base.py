"""The knowledge base: what the teacher said about every training example, by where it lies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import save_file

from reaugkd.artifacts import fingerprint, sealed
from reaugkd.errors import DataError, UserError
from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.normalise import Vectors, unit_rows

FILE = "knowledge_base.safetensors"

_DTYPES = {"F32": "<f4", "I64": "<i8"}

SUM_TOLERANCE = 1e-3  # how far a row of probabilities may sum from 1 (softmax in half precision)


@dataclass(frozen=True, eq=False)
class KnowledgeBase:
    """Keys, values and where they come from; all arrays are read-only.

    Attributes:
        keys: [n, d] float32 of unit length: teacher embeddings (or the student's).
        values: [n, C] float32: class probabilities, or one score (C = 1).
        ids: [n] int64: rows of the source examples; of an entry that stands for several, the row
            whose key is nearest to it.
        manifest: plain JSON: teacher, data, kind of keys and values.
        counts: [n] int64: rows that each entry stands for; None where that is one each.
    """

    keys: Vectors
    values: NDArray[np.float32]
    ids: NDArray[np.int64]
    manifest: Mapping[str, Any]
    counts: NDArray[np.int64] | None = None

    @classmethod
    def build(
        cls,
        keys: ArrayLike,
        values: ArrayLike,
        ids: ArrayLike,
        manifest: Mapping[str, Any] | None = None,
        counts: ArrayLike | None = None,
    ) -> Self:
        """Check and normalise; arrays that fit already are held without a copy.

        Counts that are all 1 are left out. An EmbeddingError names the first key without a
        direction, a DataError lengths that differ, the first value that is not finite or, for
        C > 1, not a probability distribution, or the first count below 1.
        """
        unit = unit_rows(keys, "key")
        rows = np.ascontiguousarray(values, dtype=np.float32)
        numbers = np.ascontiguousarray(ids, dtype=np.int64)
        if rows.ndim != 2 or numbers.ndim != 1 or not len(unit) == len(rows) == len(numbers) > 0:
            raise DataError(
                "a knowledge base needs keys [n, d], values [n, C] and ids [n] with n > 0, got "
                f"{unit.shape}, {rows.shape} and {numbers.shape}"
            )
        _check_values(rows)
        stands_for = None if counts is None else _checked_counts(counts, len(unit))
        fingerprint.of_json(dict(manifest or {}))
        arrays = _frozen(unit), _frozen(rows), _frozen(numbers)
        return cls(*arrays, dict(manifest or {}), stands_for)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays: n (4 d + 4 C + 8), and 8 n of counts where there are some."""
        return sum(array.nbytes for array in self._arrays().values())

    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {
            "keys": self.keys,
            "values": self.values,
            "ids": self.ids,
        }
        return arrays if self.counts is None else {**arrays, "counts": self.counts}

    def save(self, folder: Path) -> None:
        """Write safetensors and a JSON manifest into ``folder``."""
        tensors = self._arrays()
        manifest = {"manifest": dict(self.manifest)}
        sealed.write(folder, FILE, manifest, lambda path: save_file(tensors, path))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote; the arrays are memory-mapped.

        A UserError names the file that is missing, damaged or foreign.
        """
        path, manifest = sealed.read(folder, FILE)
        try:
            arrays = _mapped(path)
            told = dict(manifest["manifest"])
            return cls(arrays["keys"], arrays["values"], arrays["ids"], told, arrays.get("counts"))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} holds no knowledge base: {error}") from error


def checksum(folder: Path) -> str:
    """SHA-256 of the knowledge base that lies in ``folder``, as its manifest says."""
    return str(sealed.peek(folder, FILE)["payload"]["sha256"])


def require_own(index: AnnIndex, folder: Path) -> None:
    """Raise :class:`UserError` if ``index`` was saved for another knowledge base than this one.

    Sizes may agree by chance, and the wrong soft labels would be gathered without a word.
    """
    if index.base not in (None, checksum(folder)):
        raise UserError(f"the index was built over another knowledge base than {folder}")


def _check_values(values: NDArray[np.float32]) -> None:
    fits = np.isfinite(values).all(axis=1)
    expected = "one finite score"
    if values.shape[1] > 1:
        fits &= (values >= 0).all(axis=1) & (abs(values.sum(axis=1) - 1.0) <= SUM_TOLERANCE)
        expected = "probabilities that sum to 1"
    if not fits.all():
        row = int(np.argmin(fits))
        raise DataError(f"value {row} of the knowledge base is {values[row]}, not {expected}")


def _checked_counts(counts: ArrayLike, entries: int) -> NDArray[np.int64] | None:
    """The counts [n], or None where every entry stands for one row."""
    numbers = np.ascontiguousarray(counts, dtype=np.int64)
    if numbers.shape != (entries,):
        raise DataError(f"counts of shape {numbers.shape} do not fit {entries} entries")
    if (numbers < 1).any():
        row = int(np.argmax(numbers < 1))
        raise DataError(f"entry {row} of the knowledge base stands for {numbers[row]} rows")
    return None if (numbers == 1).all() else _frozen(numbers)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written through; the caller's array keeps its own flag."""
    view = array.view()
    view.flags.writeable = False
    return view


def _mapped(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file, mapped: its own reader for numpy copies each of them."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    return {
        name: np.asarray(
            np.memmap(
                path,
                _DTYPES[entry["dtype"]],
                mode="r",
                offset=8 + length + entry["data_offsets"][0],
                shape=tuple(entry["shape"]),
            )
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }
