"""Entries that come to a finished knowledge base, leave it or change: pure functions.

What is known of a base that was condensed decides what can be done to it. Entries that are rows as
they are (``random``, ``cnn``, ``medoid``) can go. So can an entry that stands for one row where the
others are means (``kmeans``, ``merge``); which rows stand behind a mean is not kept. Entries that
were trained (``learned``) owe something to every row. A compressed base keeps its directions, and
the span of scores in 8 bits: a new entry is written in them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reaugkd.artifacts import fingerprint
from reaugkd.errors import DataError, EmbeddingError, UserError
from reaugkd.retrieval import compress, condense
from reaugkd.retrieval.condense.condenser import ROWS, TRAINED
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.normalise import unit_rows

EDITED = "edited"
"""In the manifest of an edited base: the digest of the base that was edited first. Without it the
other fields decide the content. Who undoes all edits has the first base again, bit for bit."""

ROWS_OF = frozenset({"share", "drawn", EDITED})
"""Fields of a manifest that say which rows are entries; all others say what keys and values are."""

AGAIN = "edit the whole base, then condense it again"

Ids = NDArray[np.int64]


def add(
    base: KnowledgeBase, keys: ArrayLike, values: ArrayLike, ids: ArrayLike | None = None
) -> KnowledgeBase:
    """The base with further entries behind its own, in the order they are given in.

    Args:
        keys: [m, D], as wide as the queries, of any length.
        values: [m, C] class probabilities or scores, as numbers also where the base has codes.
        ids: [m] whole numbers from 0 that the base does not have; None counts on from its largest.

    Raises:
        UserError: for ids that are there or given twice, another width, scores outside the span of
            a base of 8 bits, and trained entries.
        EmbeddingError, DataError: name the key or value that :meth:`KnowledgeBase.build` refuses.
    """
    _require_untrained(base)
    rows = _fitted_keys(base, keys)
    numbers = next_ids(base, len(rows)) if ids is None else read_ids(ids)
    if (there := np.isin(numbers, base.ids)).any():
        raise UserError(f"id {numbers[there.argmax()]} is in the knowledge base already")
    new = KnowledgeBase.build(rows, _fitted_values(base, values), numbers, span=base.span)
    return _edited(base, _joined(base, new))


def remove(base: KnowledgeBase, ids: ArrayLike) -> KnowledgeBase:
    """The base without the entries of ``ids``; the others keep their order.

    A UserError names an id that is no entry or given twice, an entry that is a mean of several
    rows, or tells that nothing would be left.
    """
    numbers = read_ids(ids)
    keep = np.ones(len(base), bool)
    keep[_places(base, numbers)] = False
    if not keep.any():
        raise UserError(f"these are all {len(base)} entries: a knowledge base has at least one")
    return _edited(base, _selected(base, keep))


def replace(
    base: KnowledgeBase,
    ids: ArrayLike,
    keys: ArrayLike | None = None,
    values: ArrayLike | None = None,
) -> KnowledgeBase:
    """The base with other keys, values or both for the entries of ``ids``, in their places.

    Arguments as for :func:`add`, errors as of it and :func:`remove`.
    """
    numbers = read_ids(ids)
    places = _places(base, numbers)
    if len(places) != len(numbers):
        raise UserError("an id stands for several entries of this base: remove and add them")
    places = places[np.argsort(base.ids[places])][np.argsort(np.argsort(numbers))]
    made = KnowledgeBase.build(
        base.keys if keys is None else _put(base.keys, places, _fitted_keys(base, keys)),
        base.values if values is None else _put(base.values, places, _fitted_values(base, values)),
        base.ids,
        counts=base.counts,
        basis=base.basis,
        span=base.span,
    )
    return _edited(base, made)


def merge(base: KnowledgeBase, other: KnowledgeBase) -> KnowledgeBase:
    """The entries of both, those of ``other`` behind; that is the base built of the rows of both.

    A UserError tells what the two do not share: width, values, basis, span, teacher or any other
    field of their manifests that says what keys and values are; or names an id that both have.
    """
    require_same_space(base, other)
    _require_untrained(base)
    if (both := np.isin(other.ids, base.ids)).any():
        raise UserError(f"both bases have an entry of id {other.ids[both.argmax()]}")
    return _edited(base, _joined(base, other))


def require_same_space(base: KnowledgeBase, other: KnowledgeBase) -> None:
    """Raise :class:`UserError` unless the entries of both can stand in one base."""
    if base.width != other.width:
        raise UserError(f"the bases are {base.width} and {other.width} wide")
    if base.values.shape[1] != other.values.shape[1]:
        outputs = base.values.shape[1], other.values.shape[1]
        raise UserError(f"the bases have values of {outputs[0]} and {outputs[1]} classes")
    ours, theirs = _space(base.manifest), _space(other.manifest)
    for field in sorted(ours.keys() | theirs.keys()):
        pair = ours.get(field), theirs.get(field)
        if pair[0] != pair[1]:
            what = (
                "come from different teachers" if field == "signals" else "do not belong together"
            )
            shown = " and ".join(map(_shown, pair))
            raise UserError(f"the bases {what}: '{field}' is {shown}")
    if base.values.dtype != other.values.dtype or base.span != other.span:
        raise UserError("the bases hold their values in different ways: merge first, round then")
    bases = base.basis, other.basis
    if (bases[0] is None) != (bases[1] is None) or not np.array_equal(*map(_or_none, bases)):
        raise UserError(
            "the keys of the bases lie along different directions: merge first, then reduce them"
        )


def next_ids(base: KnowledgeBase, number: int) -> Ids:
    """The next ``number`` whole numbers after the largest id."""
    return int(max(base.ids.max(), -1)) + 1 + np.arange(number, dtype=np.int64)


def read_ids(ids: ArrayLike) -> Ids:
    """Ids [m] as whole numbers from 0, each once; a UserError names what is none."""
    numbers = np.asarray(ids)
    if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu":
        raise UserError(f"ids must be whole numbers, at least one, got {_shown(ids)}")
    if (numbers < 0).any():
        raise UserError(f"ids count from 0, got {numbers.min()}")
    unique, counts = np.unique(numbers, return_counts=True)
    if (counts > 1).any():
        raise UserError(f"id {unique[counts.argmax()]} is given twice")
    return np.ascontiguousarray(numbers, dtype=np.int64)


def digest(base: KnowledgeBase) -> str:
    """Fingerprint of all arrays, in their order; the manifest does not matter."""
    names = ("keys", "values", "ids", "counts", "basis")
    arrays = {name: getattr(base, name) for name in names if getattr(base, name) is not None}
    prints = {name: fingerprint.of_array(array) for name, array in arrays.items()}
    return fingerprint.of_json({**prints, "span": base.span})


def behind(base: KnowledgeBase) -> NDArray[np.bool_]:
    """Of which entries [n] it is known that their own row alone stands behind them."""
    kinds = _kinds(base.manifest)
    if TRAINED in kinds:
        return np.zeros(len(base), bool)
    if base.counts is None or (kinds and kinds <= {ROWS}):
        return np.ones(len(base), bool)
    return np.asarray(base.counts == 1)


def _kinds(manifest: Mapping[str, Any]) -> set[str]:
    """What the condensers that the manifest names make entries of; nothing where it names none."""
    specs = filter(None, str(manifest.get("condense") or "").split(", "))
    names = (condense.parse(spec).name for spec in specs)
    return {condense.CONDENSERS[name].makes for name in names}


def _require_untrained(base: KnowledgeBase) -> None:
    if TRAINED in _kinds(base.manifest):
        raise UserError(
            f"the entries of this base were trained ('{base.manifest['condense']}'), each from "
            f"many rows: {AGAIN}"
        )


def _places(base: KnowledgeBase, ids: Ids) -> NDArray[np.int64]:
    """The rows of the entries of ``ids``, ascending; each id must be there and alone in its own."""
    _require_untrained(base)
    spec = base.manifest.get("condense")
    if (absent := ~np.isin(ids, base.ids)).any():
        gone = f" (it was condensed, '{spec}': not every row has one)" if spec else ""
        raise UserError(f"the knowledge base has no entry of id {ids[absent.argmax()]}{gone}")
    places = np.flatnonzero(np.isin(base.ids, ids))
    if not (alone := behind(base)[places]).all():
        row = places[alone.argmin()]
        assert base.counts is not None  # else every entry is alone
        raise UserError(
            f"entry {base.ids[row]} is made of {base.counts[row]} rows, and which ones is not "
            f"kept: {AGAIN}"
        )
    return places


def _fitted_keys(base: KnowledgeBase, keys: ArrayLike) -> NDArray[np.float32]:
    rows = unit_rows(keys, "embedding")
    if rows.shape[1] != base.width:
        raise EmbeddingError(
            f"the embeddings are {rows.shape[1]} wide, the knowledge base takes {base.width}"
        )
    return rows if base.basis is None else compress.reduced(rows, base.basis)


def _fitted_values(base: KnowledgeBase, values: ArrayLike) -> NDArray[Any]:
    numbers = np.asarray(values, dtype=np.float32)
    outputs = base.values.shape[1]
    if numbers.ndim != 2 or numbers.shape[1] != outputs:
        raise DataError(f"values of shape {numbers.shape}, the knowledge base has [n, {outputs}]")
    # Checked as numbers, by their own places: of what is no distribution codes would make one.
    KnowledgeBase.build(np.ones((len(numbers), 1)), numbers, np.arange(len(numbers)))
    return numbers if base.values.dtype != np.uint8 else compress.encode(numbers, base.span)[0]


def _put(rows: NDArray[Any], places: NDArray[np.int64], new: NDArray[Any]) -> NDArray[Any]:
    """A copy of ``rows`` [n, w] with ``new`` [m, w] in the ``places`` [m]."""
    if len(new) != len(places):
        raise DataError(f"{len(new)} keys or values for {len(places)} ids")
    changed = rows.copy()
    changed[places] = new
    return changed


def _joined(base: KnowledgeBase, other: KnowledgeBase) -> KnowledgeBase:
    """The entries of both as a base without a manifest, along the basis of the first."""
    counts = None
    if not (base.counts is None and other.counts is None):
        counts = np.concatenate([_counts(base), _counts(other)])
    return KnowledgeBase.build(
        np.concatenate([base.keys, other.keys]),
        np.concatenate([base.values, other.values]),
        np.concatenate([base.ids, other.ids]),
        counts=counts,
        basis=base.basis,
        span=base.span,
    )


def _selected(base: KnowledgeBase, keep: NDArray[np.bool_]) -> KnowledgeBase:
    counts = None if base.counts is None else base.counts[keep]
    arrays = base.keys[keep], base.values[keep], base.ids[keep]
    return KnowledgeBase.build(*arrays, counts=counts, basis=base.basis, span=base.span)


def _edited(base: KnowledgeBase, made: KnowledgeBase) -> KnowledgeBase:
    """``made`` with the manifest of ``base``, from which it departs, or has come back to it."""
    first = base.manifest.get(EDITED) or digest(base)
    manifest = {field: value for field, value in base.manifest.items() if field != EDITED}
    if digest(made) != first:
        manifest[EDITED] = first
    return dataclasses.replace(made, manifest=manifest)


def _counts(base: KnowledgeBase) -> NDArray[np.int64]:
    return np.ones(len(base), np.int64) if base.counts is None else base.counts


def _space(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in manifest.items() if field not in ROWS_OF}


def _or_none(array: Any) -> Any:
    return np.empty(0) if array is None else array


def _shown(value: Any) -> str:
    """A value in a message: as it is where it is short, else its fingerprint."""
    text = repr(value)
    if len(text) <= 40:
        return text
    if isinstance(value, Mapping | list):
        return fingerprint.of_json(value)
    return f"{text[:40]}..."
