"""The knowledge base: what the teacher said about every training example, by where it lies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors.numpy import save_file

from reaugkd.artifacts import fingerprint, sealed
from reaugkd.errors import DataError, UserError
from reaugkd.retrieval import compress
from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.compress import Span
from reaugkd.retrieval.normalise import SUM_TOLERANCE, Vectors, unit_queries, unit_rows

FILE = "knowledge_base.safetensors"

_DTYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "U8": "|u1"}

_KINDS = {  # what each array of a file may be, and its dimensions
    "keys": (("F32",), 2),
    "values": (("F32", "U8"), 2),
    "ids": (("I64",), 1),
    "counts": (("I64",), 1),
    "basis": (("F32",), 2),
    "span": (("F64",), 1),
}


@dataclass(frozen=True, eq=False)
class KnowledgeBase:
    """Keys, values and where they come from; all arrays are read-only.

    Attributes:
        keys: [n, d] float32 of unit length: teacher embeddings (or the student's), along ``basis``
            where there is one.
        values: [n, C] float32: class probabilities, or one score (C = 1); or [n, C] uint8, their
            codes of 8 bits (:mod:`reaugkd.retrieval.compress`).
        ids: [n] int64: rows of the source examples; of an entry that stands for several, the row
            whose key is nearest to it.
        manifest: plain JSON: teacher, data, kind of keys and values.
        counts: [n] int64: rows that each entry stands for; None where that is one each.
        basis: [D, d] float32: the directions that keys were reduced to, which queries of width D
            follow; None where keys and queries are as they were embedded.
        span: the scores that the codes 0 and 255 stand for; None where values are no such codes.
    """

    keys: Vectors
    values: NDArray[Any]
    ids: NDArray[np.int64]
    manifest: Mapping[str, Any]
    counts: NDArray[np.int64] | None = None
    basis: Vectors | None = None
    span: Span | None = None

    @classmethod
    def build(
        cls,
        keys: ArrayLike,
        values: ArrayLike,
        ids: ArrayLike,
        manifest: Mapping[str, Any] | None = None,
        counts: ArrayLike | None = None,
        basis: ArrayLike | None = None,
        span: Span | None = None,
    ) -> Self:
        """Check and normalise; arrays that fit already are held without a copy.

        Keys are as wide as ``basis`` reduces a query to. Values in uint8 are codes. Counts that
        are all 1 are left out. An EmbeddingError names the first key without a direction, a
        DataError lengths that differ, the first value that is not finite or, for C > 1, not a
        probability distribution, the first count below 1, or codes of scores without a span.
        """
        unit = unit_rows(keys, "key")
        codes = np.asarray(values).dtype == np.uint8
        rows = np.ascontiguousarray(values, dtype=np.uint8 if codes else np.float32)
        numbers = np.ascontiguousarray(ids, dtype=np.int64)
        if rows.ndim != 2 or numbers.ndim != 1 or not len(unit) == len(rows) == len(numbers) > 0:
            raise DataError(
                "a knowledge base needs keys [n, d], values [n, C] and ids [n] with n > 0, got "
                f"{unit.shape}, {rows.shape} and {numbers.shape}"
            )
        _check_values(rows, span)
        stands_for = None if counts is None else _checked_counts(counts, len(unit))
        directions = None if basis is None else _checked_basis(basis, unit.shape[1])
        fingerprint.of_json(dict(manifest or {}))
        arrays = _frozen(unit), _frozen(rows), _frozen(numbers)
        return cls(*arrays, dict(manifest or {}), stands_for, directions, span)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def width(self) -> int:
        """The width D of the embeddings that ask it; its keys may be less wide."""
        return int(self.keys.shape[1] if self.basis is None else self.basis.shape[0])

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays: n (4 d + 4 C + 8), and what there is of the others.

        That is n C instead of 4 n C where values are codes, 8 n for counts, 4 D d for a basis and
        16 for a span.
        """
        return sum(array.nbytes for array in self._arrays().values())

    def _arrays(self) -> dict[str, NDArray[Any]]:
        span = None if self.span is None else np.array(self.span, np.float64)
        arrays = {
            "keys": self.keys,
            "values": self.values,
            "ids": self.ids,
            "counts": self.counts,
            "basis": self.basis,
            "span": span,
        }
        return {name: array for name, array in arrays.items() if array is not None}

    def queries(self, embeddings: ArrayLike) -> Vectors:
        """Embeddings [q, D] as its keys are compared with: unit rows [q, d].

        An EmbeddingError tells of another width, or names the first query without a direction.
        """
        if self.basis is None:
            return unit_queries(embeddings)
        return compress.along(compress.transposed(self.basis), embeddings)

    def compressed(self, dims: int) -> Self:
        """The same entries with keys of ``dims`` dimensions, the leading ones of these keys.

        Raises:
            UserError: if the keys are not that wide.
            EmbeddingError: names the first key that has nothing in these dimensions.
        """
        basis = compress.fit(self.keys, dims)
        keys = compress.reduced(self.keys, basis)
        if self.basis is not None:
            basis = (self.basis.astype(np.float64) @ basis).astype(np.float32)
        return replace(self, keys=_frozen(keys), basis=_frozen(basis))

    def quantised(self) -> Self:
        """The same entries with values of 8 bits; those that are already stay as they are."""
        if self.values.dtype == np.uint8:
            return self
        values, span = compress.encode(self.values)
        return replace(self, values=_frozen(values), span=span)

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
            _require_whole(arrays)
            ends = arrays.get("span")
            return cls(
                arrays["keys"],
                arrays["values"],
                arrays["ids"],
                dict(manifest["manifest"]),
                arrays.get("counts"),
                arrays.get("basis"),
                None if ends is None else (float(ends[0]), float(ends[1])),
            )
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


def _check_values(values: NDArray[Any], span: Span | None) -> None:
    codes, scores = values.dtype == np.uint8, values.shape[1] == 1
    if (codes and scores) != (span is not None):
        raise DataError("scores in uint8 are codes and need their span, other values have none")
    if span is not None and not (np.isfinite(span).all() and span[0] <= span[1]):
        raise DataError(f"the span of the scores is {span}, not two finite numbers in order")
    fits = np.isfinite(values).all(axis=1)
    expected = "one finite score"
    if codes and not scores:
        fits = values.sum(axis=1, dtype=np.int64) == compress.LEVELS
        expected = f"codes that sum to {compress.LEVELS}"
    elif not scores:
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


def _checked_basis(basis: ArrayLike, width: int) -> Vectors:
    """The basis [D, d] of keys that are ``width`` wide."""
    directions = np.ascontiguousarray(basis, dtype=np.float32)
    if directions.ndim != 2 or directions.shape[1] != width or not np.isfinite(directions).all():
        raise DataError(
            f"a basis of shape {directions.shape} does not fit keys of width {width}: expected "
            f"finite numbers [D, {width}]"
        )
    return _frozen(directions)


def _require_whole(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise :class:`ValueError` unless the arrays of a file belong to one knowledge base."""
    keys, values, ids = arrays["keys"], arrays["values"], arrays["ids"]
    counts, basis, span = arrays.get("counts"), arrays.get("basis"), arrays.get("span")
    codes = values.dtype == np.uint8 and values.shape[1] == 1
    if not len(keys) == len(values) == len(ids) == len(ids if counts is None else counts):
        raise ValueError("its arrays differ in length")
    if basis is not None and basis.shape[1] != keys.shape[1]:
        raise ValueError(f"a basis of shape {basis.shape} and keys of width {keys.shape[1]}")
    if codes != (span is not None and span.shape == (2,)):
        raise ValueError("codes of scores and their span go together")


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
    arrays = {}
    for name in header.keys() & _KINDS.keys():
        entry, (dtypes, dimensions) = header[name], _KINDS[name]
        if entry["dtype"] not in dtypes or len(entry["shape"]) != dimensions:
            raise ValueError(
                f"{name} are {entry['dtype']} {entry['shape']}, not {' or '.join(dtypes)} in "
                f"{dimensions} dimensions"
            )
        offset = 8 + length + entry["data_offsets"][0]
        dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
        arrays[name] = np.asarray(np.memmap(path, dtype, mode="r", offset=offset, shape=shape))
    return arrays
