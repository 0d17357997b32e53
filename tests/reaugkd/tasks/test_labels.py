"""Somebody else's classes in the task's order."""

from __future__ import annotations

from itertools import permutations

import pytest

from reaugkd.tasks.labels import LabelError, match

OURS = ("entailment", "not_entailment", "not sure")


def test_every_order_of_the_same_names_is_found_and_told_unless_it_is_ours() -> None:
    for order in permutations(range(3)):
        theirs = [OURS[place].upper().replace(" ", "-").replace("_", " ") for place in order]
        places, note = match(theirs, OURS, "it")
        assert [order[place] for place in places] == [0, 1, 2]
        assert (note is None) == (order == (0, 1, 2))
        assert note is None or (theirs[0] in note and OURS[0] in note)


def test_names_that_say_nothing_are_taken_by_place_and_told() -> None:
    places, note = match(["LABEL_0", "LABEL_1", "LABEL_2"], OURS, "it")
    assert places == (0, 1, 2)
    assert note is not None
    assert "by place" in note


def test_numbers_are_class_ids_unless_the_classes_are_called_so() -> None:
    places, note = match(["2", "0", "1"], OURS, "it")
    assert places == (1, 2, 0)
    assert note is not None
    assert match(["2", "0", "1"], ("1", "2", "0"), "it").places == (2, 0, 1)


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (["entailment", "neutral", "contradiction"], ("neutral", "not_entailment")),
        (["entailment", "not entailment"], ("2 classes", "not sure")),
        (["entailment", "ENTAILMENT", "not sure"], ("ENTAILMENT", "not_entailment")),
        (["1", "2", "3"], ("1, 2, 3", "not_entailment")),
    ],
)
def test_other_classes_are_refused_naming_both_sets(theirs: list[str], words: list[str]) -> None:
    with pytest.raises(LabelError) as refused:
        match(theirs, OURS, "the teacher")
    assert all(word in str(refused.value) for word in ("the teacher", *words))
