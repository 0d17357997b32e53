"""The test case that every condenser passes: subclass it and name a spec without entries."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from reaugkd.errors import UserError
from reaugkd.retrieval import condense
from reaugkd.retrieval.condense.condenser import Asked, Questions
from reaugkd.retrieval.knowledge_base import KnowledgeBase

DIM, PER_CLASS = 8, 20


def blobs(classes: int = 3, rows: int = PER_CLASS, seed: int = 0) -> KnowledgeBase:
    """``rows`` of each class around a direction of its own, in mixed order; scores for C = 1."""
    random = np.random.default_rng([seed, classes])
    labels = random.permutation(np.repeat(np.arange(max(classes, 2)), rows))
    centres = np.random.default_rng(classes).standard_normal((max(classes, 2), DIM))
    keys = centres[labels] + 0.5 * random.standard_normal((len(labels), DIM))
    values = 0.7 * np.eye(max(classes, 2))[labels] + 0.3 * random.dirichlet(
        np.ones(max(classes, 2)), len(labels)
    )
    if classes == 1:
        values = values[:, :1] * 5
    return KnowledgeBase.build(keys, values, 100 + np.arange(len(labels)), {"teacher": "abc"})


def questions(base: KnowledgeBase, seed: int = 0) -> Questions:
    """A student that is nearly right, and asks near the keys; the fifth of the rows is held out."""
    random = np.random.default_rng(seed)
    queries = (base.keys + 0.1 * random.standard_normal(base.keys.shape)).astype(np.float32)
    classes = base.values.shape[1]
    student = 0.8 * base.values + 0.2 * (1 / classes if classes > 1 else 0)
    labels = base.values[:, 0] if classes == 1 else base.values.argmax(axis=1)
    part = slice(None, None, 5)
    return Questions(
        Asked(queries, student, labels), Asked(queries[part], student[part], labels[part])
    )


class CondenserCase:
    name: ClassVar[str]
    entries: ClassVar[int] = 7

    @property
    def kind(self) -> type[condense.Condenser]:
        return condense.CONDENSERS[self.name]

    def condensed(self, base: KnowledgeBase, entries: int | None = None) -> KnowledgeBase:
        wanted = entries or self.entries
        spec = self.name if self.kind.sized is False else f"{self.name}:{wanted}"
        return condense.make(spec)(base, questions(base) if self.kind.asks else None)

    def classes(self) -> list[int]:
        return [2, 3, 7] + ([1] if self.kind.scores else [])

    def test_it_makes_the_entries_that_are_asked_for(self) -> None:
        for classes in self.classes():
            base = blobs(classes)
            condensed = self.condensed(base)
            if self.kind.sized:
                assert len(condensed) == self.entries
            elif self.kind.sized is None:
                assert len(condensed) <= self.entries
            assert condensed.values.shape[1] == base.values.shape[1]
            assert {**base.manifest, "condense": None} == {**condensed.manifest, "condense": None}
            spec = condensed.manifest.get("condense")  # none of the base itself
            assert (spec is None) == (condensed is base)
            assert spec is None or condense.parse(spec).name == self.kind.name

    def test_the_same_spec_and_base_give_the_same_entries(self) -> None:
        base = blobs()
        first, second = self.condensed(base), self.condensed(base)
        assert_equal(first, second)

    def test_entries_have_the_id_of_a_row_of_their_class(self) -> None:
        for classes in self.classes():
            base = blobs(classes)
            condensed = self.condensed(base)
            rows = condensed.ids - 100
            assert (base.ids[rows] == condensed.ids).all()
            here, there = condensed.values.argmax(axis=1), base.values[rows].argmax(axis=1)
            np.testing.assert_array_equal(here, there)

    def test_counts_sum_to_the_rows_or_are_of_rows_as_they_are(self) -> None:
        for classes in self.classes():
            base = blobs(classes)
            condensed = self.condensed(base)
            if condensed.counts is not None:
                assert condensed.counts.sum() == len(base)
            else:
                np.testing.assert_array_equal(condensed.keys, base.keys[condensed.ids - 100])

    def test_all_rows_are_the_full_base(self) -> None:
        base = blobs()
        if self.kind.sized is not None:
            assert_equal(self.condensed(base, len(base)), base)

    def test_all_rows_but_one_are_no_special_case(self) -> None:
        base = blobs(2, rows=6)
        condensed = self.condensed(base, len(base) - 1)
        if self.kind.sized:
            assert len(condensed) == len(base) - 1

    def test_equal_keys_are_condensed_like_others(self) -> None:
        base = blobs(2, rows=6)
        keys = np.repeat(base.keys[:2], 6, axis=0)
        same = KnowledgeBase.build(keys, base.values, base.ids)
        for entries in (2, 5, 11):
            condensed = self.condensed(same, entries)
            if self.kind.sized:
                assert len(condensed) == entries

    def test_hundreds_of_classes(self) -> None:
        base = blobs(300, rows=2)
        if self.kind.sized is not False:
            condensed = self.condensed(base, 400)
            assert len(condensed) <= 400
            if self.kind.every_class:
                assert len(set(condensed.values.argmax(axis=1))) == 300

    def test_a_condensed_base_is_condensed_again(self) -> None:
        base = blobs(2)
        once = condense.make("kmeans:12")(base)
        twice = self.condensed(once, 5)
        if self.kind.sized and twice.counts is not None and self.kind.every_class:
            assert twice.counts.sum() == len(base)

    def test_keys_of_fewer_dimensions_keep_their_basis(self) -> None:
        base = blobs(3).compressed(5)
        condensed = self.condensed(base)
        np.testing.assert_array_equal(condensed.basis, base.basis)
        assert condensed.keys.shape == (len(condensed), 5)

    def test_values_that_are_rounded_already_are_refused(self) -> None:
        with pytest.raises(UserError, match="values are uint8: condense first"):
            self.condensed(blobs(3).quantised())

    def test_a_spec_that_it_does_not_take_is_refused(self) -> None:
        base = blobs(3)
        if self.kind.sized is False:
            with pytest.raises(UserError, match="takes no number of entries"):
                condense.make(f"{self.name}:5")
        else:
            with pytest.raises(UserError, match=rf"{self.name}:61' makes more .* the 60 rows"):
                self.condensed(base, 61)
            with pytest.raises(UserError, match="at least one entry"):
                condense.make(f"{self.name}:0")
        if self.kind.sized:
            with pytest.raises(UserError, match="needs a number of entries"):
                condense.make(self.name)
        if not self.kind.draws:
            with pytest.raises(UserError, match="leave '@1' out"):
                condense.make(f"{self.name}:5@1" if self.kind.sized else f"{self.name}@1")

    def test_what_it_needs_and_is_not_there_is_named(self) -> None:
        base = blobs(3)
        spec = self.name if self.kind.sized is False else f"{self.name}:5"
        if self.kind.asks:
            with pytest.raises(UserError, match="needs a student's answers"):
                condense.make(spec)(base)
            with pytest.raises(UserError, match="20 questions, 60 rows"):
                condense.make(spec)(base, questions(blobs(2, rows=10)))
        if self.kind.every_class:
            with pytest.raises(UserError, match="fewer entries than the 3 classes"):
                self.condensed(base, 2)
            lacking = base.values.copy()
            lacking[:] = [0.6, 0.4, 0.0]
            lacking[::2] = [0.4, 0.6, 0.0]
            with pytest.raises(UserError, match="class 2 is the most likely one of no row"):
                self.condensed(KnowledgeBase.build(base.keys, lacking, base.ids), 5)
        if not self.kind.scores:
            with pytest.raises(UserError, match="is for classes"):
                self.condensed(blobs(1))


def assert_equal(first: KnowledgeBase, second: KnowledgeBase) -> None:
    """Bit for bit."""
    for name in ("keys", "values", "ids"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert (first.counts is None) == (second.counts is None)
    if first.counts is not None:
        np.testing.assert_array_equal(first.counts, second.counts)
