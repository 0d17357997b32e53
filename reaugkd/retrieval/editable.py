"""A classifier whose knowledge base is edited after training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reaugkd.errors import DataError, UserError
from reaugkd.retrieval import editing
from reaugkd.retrieval.answering import AnsweringClassifier
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.reindex import over
from reaugkd.retrieval.saved import Text
from reaugkd.retrieval.texts import Texts, read_texts
from reaugkd.retrieval.values import read_values

STUDENTS = "student"
Keys = ArrayLike | Literal["student"]


class EditableClassifier(AnsweringClassifier):
    """The part of a classifier that edits its knowledge base, index and texts.

    An edit is made wholly or, after an error, not at all. The index is built anew, like the one
    before: the answers are those of a classifier that was made of the edited base. Neither k, beta
    and tau nor the student change: it may have learned from what is removed. Nothing may be asked
    while an edit is made.
    """

    def add(
        self,
        texts: Texts | None,
        values: Any,
        *,
        ids: ArrayLike | None = None,
        keys: Keys | None = None,
    ) -> NDArray[np.int64]:
        """Add entries; returns their ids [m].

        Args:
            texts: m texts or pairs, of which keys are made and which are kept if the classifier
                keeps texts; or None where ``keys`` are given.
            values: m names or ids of classes, scores, or soft labels [m, C].
            ids: m whole numbers that are no ids yet; None counts on from the largest.
            keys: embeddings [m, D] by whatever made the keys of this base; or ``"student"`` for the
                student's own embeddings of ``texts``, which is also what None means where the
                manifest says that the keys are the student's. Other keys come from a teacher, which
                the folder of a classifier does not hold.

        Raises:
            UserError: for an id that is there already or given twice, keys that have to be given,
                and all that :func:`reaugkd.retrieval.editing.add` refuses.
            TextsError, EmbeddingError, DataError: name the text, key or value that is none.
        """
        rows = None if texts is None else _entries_texts(texts, self.pair)
        vectors = self._vectors(rows, keys)
        labels = read_values(values, self.knowledge_base.values.shape[1], self.labels)
        if len(labels) != len(vectors):
            raise DataError(f"{len(labels)} labels for {len(vectors)} texts or keys")
        before = len(self.knowledge_base)
        base = editing.add(self.knowledge_base, vectors, labels, ids)
        numbers: NDArray[np.int64] = base.ids[before:].copy()
        self._hold(base, self._with_texts(numbers, rows))
        return numbers

    def remove(self, ids: ArrayLike) -> None:
        """Remove the entries of ``ids``: their keys, values and texts.

        A UserError names an id that is no entry or is given twice, an entry that several rows stand
        behind, or tells that fewer than k entries, or none, would be left.
        """
        self._hold(editing.remove(self.knowledge_base, ids), self.texts)

    def replace(
        self,
        ids: ArrayLike,
        texts: Texts | None = None,
        values: Any = None,
        *,
        keys: Keys | None = None,
    ) -> None:
        """Give the entries of ``ids`` other texts (with their keys), other values, or both.

        Arguments and errors as of :meth:`add` and :meth:`remove`; what is None stays.
        """
        numbers = editing.read_ids(ids)
        if texts is None and keys is None and values is None:
            raise UserError("nothing to replace the entries with: give texts, keys or values")
        rows = None if texts is None else _entries_texts(texts, self.pair)
        if rows is None and keys is not None and self.texts:
            raise UserError("the classifier keeps texts: give those of the new keys too")
        if rows is not None and len(rows) != len(numbers):
            raise DataError(f"{len(rows)} texts for {len(numbers)} ids")
        vectors = None if rows is None and keys is None else self._vectors(rows, keys)
        outputs = self.knowledge_base.values.shape[1]
        labels = None if values is None else read_values(values, outputs, self.labels)
        base = editing.replace(self.knowledge_base, numbers, vectors, labels)
        self._hold(base, self._with_texts(numbers, rows))

    def merge(self, other: KnowledgeBase | EditableClassifier) -> None:
        """Add the entries of another base of the same teacher and projection, with their texts.

        A UserError tells what the two do not share, or names an id that both have.
        """
        classifier = None if isinstance(other, KnowledgeBase) else other
        if classifier is not None and classifier.labels != self.labels:
            raise UserError("the classifiers have different classes, or in another order")
        added = other if isinstance(other, KnowledgeBase) else other.knowledge_base
        base = editing.merge(self.knowledge_base, added)
        texts = self.texts
        if texts is not None and classifier is not None:
            texts = {**texts, **(classifier.texts or {})}
        self._hold(base, texts)

    def _vectors(self, rows: Sequence[Text] | None, keys: Keys | None) -> NDArray[Any]:
        """The embeddings [m, D] of new entries."""
        made_by = self.knowledge_base.manifest.get("keys")
        if keys is None and made_by != STUDENTS:
            origin = f"'{made_by}' ones" if made_by else "of unknown origin"
            raise UserError(
                f"the keys of this knowledge base are {origin}, and no teacher is at hand: give "
                f"embeddings made like them [n, {self.knowledge_base.width}], or ask for keys "
                f"'{STUDENTS}', the student's own"
            )
        if keys is None or isinstance(keys, str):
            if keys not in (None, STUDENTS):
                raise UserError(f"keys must be embeddings or '{STUDENTS}', got {keys!r}")
            if rows is None:
                raise UserError("the student's own keys need texts")
            return self.encode([row[0] for row in rows] if rows and len(rows[0]) == 1 else rows)[1]
        vectors = np.asarray(keys)
        if rows is not None and vectors.shape[:1] != (len(rows),):
            raise DataError(f"keys of shape {vectors.shape} for {len(rows)} texts")
        return vectors

    def _with_texts(
        self, ids: NDArray[np.int64], rows: Sequence[Text] | None
    ) -> Mapping[int, Text] | None:
        """The kept texts, with those of ``ids`` where any are kept and there are ``rows``."""
        if self.texts is None or rows is None:
            return self.texts
        return {**self.texts, **dict(zip(ids.tolist(), rows, strict=True))}

    def _hold(self, base: KnowledgeBase, texts: Mapping[int, Text] | None) -> None:
        """Take the place of base, index and texts, all three or none."""
        if self.k > len(base):
            raise UserError(
                f"k = {self.k} is larger than the {len(base)} entries that would be left: keep "
                "more, or give the classifier a smaller k"
            )
        index = over(self.index, base.keys)
        if texts is not None:
            left = set(base.ids.tolist())
            texts = {number: text for number, text in texts.items() if number in left}
        self.knowledge_base, self.index, self.texts = base, index, texts


def _entries_texts(texts: Texts, pair: bool | None) -> list[Text]:
    """Texts of entries as of queries, but none of them empty."""
    rows = read_texts(texts, pair=pair)
    for place, row in enumerate(rows):
        if not all(text.strip() for text in row):
            raise DataError(f"text {place} is empty: an entry has a text")
    if not rows:
        raise DataError("there are no texts to make entries of")
    return rows
