"""Laws of editing a knowledge base: what is edited is the base that is built of the rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reaugkd.errors import DataError, EmbeddingError, UserError
from reaugkd.retrieval import condense, editing
from reaugkd.retrieval.knowledge_base import FILE, KnowledgeBase
from tests.reaugkd.retrieval.cases import DIM, vectors

N, MORE = 30, 5
MANIFEST = {"signals": {"teacher": "abc"}, "keys": "projected", "seed": 0}


def rows(count: int = N, seed: int = 0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    values = random.dirichlet(np.ones(max(classes, 2)), count).astype(np.float32)[:, :classes]
    return vectors(count, seed), values


def base(classes: int = 3, first: int = 0, seed: int = 0, **fields: Any) -> KnowledgeBase:
    ids = first + np.arange(N)
    return KnowledgeBase.build(*rows(seed=seed, classes=classes), ids, {**MANIFEST, **fields})


def kinds(classes: int) -> list[KnowledgeBase]:
    """Whole, of fewer dimensions, of 8 bits, and both."""
    whole = base(classes)
    return [whole, whole.compressed(5), whole.quantised(), whole.compressed(5).quantised()]


def new(classes: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    keys, values = rows(MORE, seed, classes)
    return keys, values if classes > 1 else np.clip(values, 0.3, 0.6)  # within the span of codes


def arrays(base: KnowledgeBase, by_id: bool = False) -> dict[str, np.ndarray]:
    order = np.argsort(base.ids) if by_id else np.arange(len(base))
    rows = {
        name: a if name in ("basis", "span") else a[order] for name, a in base._arrays().items()
    }
    return {name: array.tobytes() for name, array in rows.items()}


@pytest.mark.parametrize("classes", [1, 3])
def test_add_then_remove_is_as_before_bit_for_bit(classes: int) -> None:
    for before in kinds(classes):
        more = editing.add(before, *new(classes))
        assert more.ids[N:].tolist() == [*range(N, N + MORE)]
        assert editing.EDITED in more.manifest
        again = editing.remove(more, more.ids[N:])
        assert arrays(again) == arrays(before)
        assert again.manifest == before.manifest


@pytest.mark.parametrize("classes", [1, 3])
def test_remove_then_add_is_as_before_but_for_the_order(classes: int) -> None:
    before = base(classes)
    gone = [3, 29, 0]
    less = editing.remove(before, gone)
    again = editing.add(less, before.keys[gone], before.values[gone], gone)
    assert arrays(again, by_id=True) == arrays(before, by_id=True)
    assert less.ids.tolist() == [i for i in range(N) if i not in gone]


@pytest.mark.parametrize("classes", [1, 3])
def test_the_order_of_adding_does_not_matter(classes: int) -> None:
    keys, values = new(classes)
    ids = np.array([90, 70, 80, 60, 99])
    for before in kinds(classes):
        at_once = editing.add(before, keys, values, ids)
        turned = editing.add(before, keys[::-1], values[::-1], ids[::-1])
        singly = before
        for row in range(MORE):
            singly = editing.add(singly, keys[[row]], values[[row]], ids[[row]])
        assert arrays(singly) == arrays(at_once)
        assert singly.manifest == at_once.manifest
        assert arrays(turned, by_id=True) == arrays(at_once, by_id=True)


@pytest.mark.parametrize("classes", [1, 3])
def test_a_merged_base_is_the_base_of_the_rows_of_both(classes: int) -> None:
    ours, theirs = base(classes), base(classes, first=N, seed=1, share=0.5, drawn=3)
    merged = editing.merge(ours, theirs)
    pairs = zip(rows(classes=classes), rows(seed=1, classes=classes), strict=True)
    both = KnowledgeBase.build(*map(np.concatenate, pairs), np.arange(2 * N))
    assert arrays(merged) == arrays(both)
    assert arrays(editing.merge(theirs, ours), by_id=True) == arrays(both)
    assert editing.remove(merged, theirs.ids).manifest == ours.manifest


def test_replacing_is_removing_and_adding_in_place() -> None:
    for before in kinds(3):
        keys, values = new(3)
        ids = [9, 4, 20, 0, 7]
        made = editing.replace(before, ids, keys, values)
        other = editing.add(editing.remove(before, ids), keys, values, ids)
        assert arrays(made, by_id=True) == arrays(other, by_id=True)
        assert made.ids.tolist() == before.ids.tolist()
        valued = editing.replace(before, ids, values=values)
        assert valued.keys.tobytes() == before.keys.tobytes()
        assert valued.values.tobytes() == made.values.tobytes()


def test_editing_and_saving_commute(tmp_path: Path) -> None:
    for number, before in enumerate(kinds(3)):
        edited = editing.remove(editing.add(before, *new(3)), [1, 2])
        before.save(tmp_path / "first")
        loaded = KnowledgeBase.load(tmp_path / "first")
        editing.remove(editing.add(loaded, *new(3)), [1, 2]).save(tmp_path / "then")
        edited.save(tmp_path / "at-once")
        files = [(tmp_path / name / FILE).read_bytes() for name in ("then", "at-once")]
        assert files[0] == files[1], number


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda b: editing.remove(b, [3, 77]), UserError, "no entry of id 77"),
        (lambda b: editing.remove(b, [3, 4, 3]), UserError, "id 3 is given twice"),
        (lambda b: editing.remove(b, []), UserError, "whole numbers, at least one"),
        (lambda b: editing.remove(b, [1.5]), UserError, "whole numbers"),
        (lambda b: editing.remove(b, [-1]), UserError, "ids count from 0"),
        (lambda b: editing.remove(b, b.ids), UserError, "these are all 30 entries"),
        (lambda b: editing.add(b, *new(3), np.arange(5)), UserError, "id 0 is in the know"),
        (lambda b: editing.add(b, *new(3), [50] * 5), UserError, "id 50 is given twice"),
        (lambda b: editing.add(b, new(3)[0], new(3)[1][:4]), DataError, "n > 0, got"),
        (lambda b: editing.add(b, new(3)[0][:, :4], new(3)[1]), EmbeddingError, "are 4 wide"),
        (lambda b: editing.add(b, new(3)[0] * np.nan, new(3)[1]), EmbeddingError, "0 holds NaN"),
        (lambda b: editing.add(b, *new(2)), DataError, r"has \[n, 3\]"),
        (lambda b: editing.add(b, new(3)[0], 2 * new(3)[1]), DataError, "sum to 1"),
        (lambda b: editing.replace(b, [1, 2], *new(3)), DataError, "5 keys or values for 2 ids"),
        (lambda b: editing.merge(b, base()), UserError, "both bases have an entry of id 0"),
        (
            lambda b: editing.merge(b, base(first=N, signals={"teacher": "other"})),
            UserError,
            "come from different teachers",
        ),
        (lambda b: editing.merge(b, base(2, first=N)), UserError, "values of 3 and 2 classes"),
        (lambda b: editing.merge(b, base(first=N).compressed(5)), UserError, "directions"),
        (lambda b: editing.merge(b, base(first=N).quantised()), UserError, "different ways"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(do: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message) as told:
        do(base())
    assert "\n" not in str(told.value)


def test_bases_that_differ_in_a_field_of_their_manifests_name_it() -> None:
    other = replace(base(first=N), manifest={**MANIFEST, "seed": 1})
    with pytest.raises(UserError, match="'seed' is 0 and 1"):
        editing.merge(base(), other)
    narrow = KnowledgeBase.build(np.eye(3, 4), np.eye(3), np.arange(3) + N, MANIFEST)
    with pytest.raises(UserError, match=f"are {DIM} and 4 wide"):
        editing.merge(base(), narrow)


def test_a_score_outside_the_span_of_codes_is_refused() -> None:
    with pytest.raises(UserError, match=r"score 9\.0 lies outside the span"):
        editing.add(base(1).quantised(), vectors(1, 7), [[9.0]])


def test_an_id_that_stands_for_several_entries_goes_with_all_of_them() -> None:
    doubled = KnowledgeBase.build(*rows(), np.arange(N) // 2)
    assert editing.remove(doubled, [4]).ids.tolist() == [i // 2 for i in range(N) if i // 2 != 4]
    with pytest.raises(UserError, match="several entries"):
        editing.replace(doubled, [4], *(array[:1] for array in new(3)))


@pytest.mark.parametrize("spec", ["random:8", "medoid:8", "kmeans:8", "merge:8"])
def test_of_a_condensed_base_what_is_a_row_can_go(spec: str) -> None:
    small = condense.make(spec)(base())
    assert small.manifest["condense"] == spec
    alone = editing.behind(small)
    assert alone.all() == spec.startswith(("random", "medoid"))
    for row, number in enumerate(small.ids.tolist()):
        if alone[row]:
            assert small.keys[row].tobytes() == base().keys[number].tobytes()
            assert number not in editing.remove(small, [number]).ids
        else:
            with pytest.raises(UserError, match=r"made of \d+ rows, and which ones is not kept"):
                editing.remove(small, [number])
    absent = next(number for number in range(N) if number not in small.ids)
    with pytest.raises(UserError, match=f"no entry of id {absent} .it was condensed, '{spec}'"):
        editing.remove(small, [absent])
    more = editing.add(small, *new(3))
    assert arrays(editing.remove(more, more.ids[8:])) == arrays(small)
    if small.counts is not None:
        assert more.counts.tolist() == [*small.counts.tolist(), *[1] * MORE]


def test_of_trained_entries_nothing_is_known() -> None:
    trained = base(condense="learned:8")
    for edit in (
        lambda: editing.remove(trained, [0]),
        lambda: editing.add(trained, *new(3)),
        lambda: editing.merge(trained, base(first=N, condense="learned:8")),
    ):
        with pytest.raises(UserError, match=r"trained .*: edit the whole"):
            edit()
    with pytest.raises(UserError, match="'condense' is 'learned:8' and None"):
        editing.merge(trained, base(first=N))
