"""Every condenser against the shared case, and what is special about each."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from reaugkd.errors import UnknownNameError, UserError
from reaugkd.retrieval import calibration, condense, mixing
from reaugkd.retrieval.condense.condenser import Asked, Questions
from reaugkd.retrieval.condense.learned import Learned
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from tests.reaugkd.retrieval.condense.cases import (
    DIM,
    CondenserCase,
    assert_equal,
    blobs,
    questions,
)


def mixture(base: KnowledgeBase, asked: Asked, tau: float = 0.05, beta: float = 0.9) -> np.ndarray:
    """What the mixture over all entries is, counts as ``log n``, by hand."""
    queries = asked.queries / np.linalg.norm(asked.queries, axis=1, keepdims=True)
    counts = np.ones(len(base)) if base.counts is None else base.counts
    weights = mixing.weights(queries @ base.keys.T / tau + np.log(counts), 1.0)
    return (1 - beta) * asked.student + beta * weights @ base.values


def means_by_hand(base: KnowledgeBase) -> tuple[np.ndarray, np.ndarray]:
    classes = base.values.argmax(axis=1)
    keys = np.stack([base.keys[classes == c].mean(axis=0) for c in np.unique(classes)])
    values = np.stack([base.values[classes == c].mean(axis=0) for c in np.unique(classes)])
    return keys / np.linalg.norm(keys, axis=1, keepdims=True), values


def rotation(seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((DIM, DIM)))[0]


def permuted(base: KnowledgeBase, order: np.ndarray) -> KnowledgeBase:
    return KnowledgeBase.build(base.keys[order], base.values[order], base.ids[order])


def by_id(base: KnowledgeBase) -> KnowledgeBase:
    order = base.ids.argsort()
    counts = None if base.counts is None else base.counts[order]
    arrays = base.keys[order], base.values[order], base.ids[order]
    return KnowledgeBase.build(*arrays, base.manifest, counts)


class TestFull(CondenserCase):
    name = "full"

    def test_it_is_the_base_itself(self) -> None:
        base = blobs()
        assert condense.make("full")(base) is base


class TestRandom(CondenserCase):
    name = "random"

    def test_fewer_entries_are_a_part_of_more(self) -> None:
        base = blobs()
        few, many = (set(self.condensed(base, size).ids) for size in (5, 20))
        assert few < many

    def test_another_draw_is_another_choice(self) -> None:
        base = blobs()
        drawn = [set(condense.make(f"random:10@{draw}")(base).ids) for draw in range(3)]
        assert len({frozenset(ids) for ids in drawn}) == 3


class Means:
    """What holds beside the case of a condenser whose entries are means of their rows."""

    name: ClassVar[str]

    def test_one_entry_per_class_is_its_mean_by_hand(self) -> None:
        base = blobs(3)
        condensed = condense.make(f"{self.name}:3")(base)
        order = condensed.values.argmax(axis=1).argsort()
        keys, values = means_by_hand(base)
        np.testing.assert_allclose(condensed.keys[order], keys, atol=1e-6)
        np.testing.assert_allclose(condensed.values[order], values, atol=1e-6)
        assert condensed.counts is not None
        assert condensed.counts.tolist() == [20, 20, 20]


class TestKMeans(Means, CondenserCase):
    name = "kmeans"

    def test_turned_keys_give_turned_entries(self) -> None:
        base, turn = blobs(), rotation()
        turned = KnowledgeBase.build(base.keys @ turn, base.values, base.ids)
        expected, condensed = self.condensed(base), self.condensed(turned)
        np.testing.assert_array_equal(condensed.counts, expected.counts)
        np.testing.assert_allclose(condensed.keys, expected.keys @ turn, atol=1e-5)

    def test_one_entry_per_class_does_not_depend_on_the_order_of_rows(self) -> None:
        base = blobs()
        order = np.random.default_rng(1).permutation(len(base))
        expected, condensed = (self.condensed(b, 3) for b in (base, permuted(base, order)))
        np.testing.assert_allclose(by_id(condensed).keys, by_id(expected).keys, atol=1e-6)

    def test_what_lies_apart_is_found_apart(self) -> None:
        """Two far groups within a class: an entry each, whatever the draw."""
        keys = np.array([[1.0, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [-1, 0], [-0.9, -0.1]])
        values = np.eye(2)[[0, 0, 0, 0, 1, 1]]
        base = KnowledgeBase.build(keys, values, np.arange(6))
        for draw in range(5):
            condensed = condense.make(f"kmeans:3@{draw}")(base)
            assert condensed.counts.tolist() == [2, 2, 2]

    def test_a_row_that_is_alone_in_its_class_stays_as_it_is(self) -> None:
        base = blobs(2)
        values = base.values.copy()
        values[:] = [1, 0]
        values[17] = [0.1, 0.9]
        alone = KnowledgeBase.build(base.keys, values, base.ids)
        condensed = self.condensed(alone, 4)
        entry = condensed.values.argmax(axis=1).argmax()
        np.testing.assert_array_equal(condensed.keys[entry], base.keys[17])
        np.testing.assert_array_equal(condensed.values[entry], values[17])
        assert (condensed.ids[entry], condensed.counts[entry]) == (117, 1)

    def test_keys_that_point_away_from_each_other_have_no_mean(self) -> None:
        keys = np.array([[1.0, 0], [-1, 0], [0, 1]])
        base = KnowledgeBase.build(keys, np.eye(2)[[0, 0, 1]], np.arange(3))
        np.testing.assert_array_equal(self.condensed(base, 2).keys, [[1, 0], [0, 1]])


class TestMedoid(CondenserCase):
    name = "medoid"

    def test_entries_are_rows_as_they_are_near_the_means(self) -> None:
        base = blobs(3)
        condensed = self.condensed(base, 3)
        rows = condensed.ids - 100
        np.testing.assert_array_equal(condensed.keys, base.keys[rows])
        np.testing.assert_array_equal(condensed.values, base.values[rows])
        classes = base.values.argmax(axis=1)
        for row, key in zip(rows, means_by_hand(base)[0][classes[rows]], strict=True):
            same = np.flatnonzero(classes == classes[row])
            assert row == same[(base.keys[same] @ key).argmax()]

    def test_no_row_stands_for_two_cells(self) -> None:
        assert len(set(self.condensed(blobs(), 30).ids)) == 30


class TestMerge(Means, CondenserCase):
    name = "merge"

    def test_copies_are_joined_first_and_answer_as_the_full_base(self) -> None:
        base = blobs(3)
        copies = np.random.default_rng(0).permutation(np.repeat(np.arange(len(base)), 3))
        many = permuted(base, copies)
        merged = self.condensed(many, len(base))
        arrays = base.keys, base.values, base.ids
        assert_equal(
            by_id(merged), KnowledgeBase.build(*arrays, base.manifest, np.full(len(base), 3))
        )

    def test_with_counts_as_weights_uneven_copies_answer_as_the_full_base(self) -> None:
        base = blobs(3)
        copies = np.repeat(np.arange(len(base)), 1 + np.arange(len(base)) % 4)
        many = permuted(base, copies)
        merged = self.condensed(many, len(base))
        asked = questions(base).held_out
        np.testing.assert_allclose(mixture(merged, asked), mixture(many, asked), atol=1e-6)

    def test_the_nearest_pair_of_a_class_is_joined_first(self) -> None:
        angles = np.radians([0, 10, 30, 31, 90, 33])
        keys = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        values = np.eye(2)[[0, 0, 0, 0, 0, 1]]
        base = KnowledgeBase.build(keys, values, np.arange(6))
        assert self.condensed(base, 5).counts.tolist() == [1, 1, 2, 1, 1]
        # 0 and 10 degrees are the next pair of a round in which each entry is joined once.
        assert self.condensed(base, 4).counts.tolist() == [2, 2, 1, 1]
        assert self.condensed(base, 2).counts.tolist() == [5, 1]

    @pytest.mark.parametrize("seed", range(3))
    def test_order_and_rotation_of_the_rows_change_nothing(self, seed: int) -> None:
        base, turn = blobs(seed=seed), rotation(seed)
        order = np.random.default_rng(seed).permutation(len(base))
        turned = KnowledgeBase.build((base.keys @ turn)[order], base.values[order], base.ids[order])
        expected, condensed = by_id(self.condensed(base)), by_id(self.condensed(turned))
        np.testing.assert_array_equal(condensed.ids, expected.ids)
        np.testing.assert_array_equal(condensed.counts, expected.counts)
        np.testing.assert_allclose(condensed.keys, expected.keys @ turn, atol=1e-5)


class TestCNN(CondenserCase):
    name = "cnn"

    def test_without_a_limit_student_and_base_answer_as_the_teacher(self) -> None:
        """Also where classes overlap, and with far fewer rows than there are."""
        random = np.random.default_rng(0)
        base = blobs(3, rows=200)
        keys = base.keys + 0.3 * random.standard_normal(base.keys.shape)
        base = KnowledgeBase.build(keys, base.values, base.ids)
        fit = Asked(base.keys, np.full(base.values.shape, 1 / 3), base.values.argmax(axis=1))
        condensed = condense.make("cnn")(base, Questions(fit, fit))
        answers = mixture(condensed, fit).argmax(axis=1)
        np.testing.assert_array_equal(answers, fit.labels)
        assert 3 < len(condensed) < 200
        np.testing.assert_array_equal(condensed.keys, base.keys[condensed.ids - 100])

    def test_a_student_that_is_right_needs_one_row_per_class(self) -> None:
        base = blobs(3)
        labels = base.values.argmax(axis=1)
        centres = means_by_hand(base)[0][labels].astype(np.float32)
        fit = Asked(centres, np.eye(3)[labels], labels)
        assert len(condense.make("cnn")(base, Questions(fit, fit))) == 3

    def test_the_order_of_rows_changes_nothing(self) -> None:
        base = blobs(3)
        asked = questions(base)
        order = np.random.default_rng(1).permutation(len(base))
        moved = Questions(
            Asked(*(array[order] for array in vars(asked.fit).values())), asked.held_out
        )
        expected = condense.make("cnn")(base, asked)
        assert set(condense.make("cnn")(permuted(base, order), moved).ids) == set(expected.ids)


class TestLearned(CondenserCase):
    name = "learned"

    def held_out_loss(self, base: KnowledgeBase, condensed: KnowledgeBase) -> float:
        """Of the mixture that is trained: over all entries alike."""
        held_out = questions(base).held_out
        alike = KnowledgeBase.build(condensed.keys, condensed.values, condensed.ids)
        answers = mixture(alike, held_out, Learned.tau, Learned.beta)
        (loss,) = calibration.loss(answers, held_out.labels).values()
        return loss

    @pytest.mark.parametrize("classes", [1, 2, 7])
    def test_it_answers_held_out_rows_better_than_its_start(self, classes: int) -> None:
        base = blobs(classes)
        start = condense.make(f"kmeans:{self.entries}")(base)
        learned = self.condensed(base)
        assert self.held_out_loss(base, learned) < self.held_out_loss(base, start)

    def test_held_out_rows_that_only_lose_leave_the_start(self) -> None:
        base = blobs(3)
        asked = questions(base)
        against = Asked(asked.fit.queries, asked.fit.student, 2 - asked.fit.labels)
        learned = condense.make("learned:7")(base, Questions(asked.fit, against))
        start = condense.make("kmeans:7")(base)
        np.testing.assert_allclose(learned.keys, start.keys, atol=1e-6)
        np.testing.assert_allclose(learned.values, start.values, atol=1e-3)

    def test_another_draw_is_another_start(self) -> None:
        base = blobs(3)
        first, second = (
            condense.make(f"learned:12@{draw}")(base, questions(base)) for draw in (0, 1)
        )
        assert not np.array_equal(first.keys, second.keys)


def test_every_condenser_has_its_case() -> None:
    assert {case.name for case in CondenserCase.__subclasses__()} == set(condense.CONDENSERS)


def test_a_name_that_does_not_exist_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'kmeans'"):
        condense.make("kmean:4")
    for spec in ("kmeans:many", "kmeans:", "kmeans:4@x", "random:-1"):
        with pytest.raises(UserError, match="whole numbers"):
            condense.make(spec)
