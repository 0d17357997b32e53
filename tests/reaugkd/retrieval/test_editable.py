"""Laws of editing a classifier: it answers as one made of what is left, and the rest is gone."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from reaugkd.artifacts.disk import DiskFullError
from reaugkd.errors import DataError, EmbeddingError, ModelError, UserError
from reaugkd.retrieval import ann
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.retrieval.editing import digest
from reaugkd.retrieval.explanation import Neighbour
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from tests.reaugkd.retrieval.folders import earlier
from tests.reaugkd.retrieval.test_classifier import TEXTS, WIDTH, classifier, condensed

NAMES = ("x", "y", "z")
IDS = list(range(100, 106))
NEW = ["a stale garden", "the rude soup"]


def editable(spec: str = "exact", keys: str | None = "student", **more: Any) -> Any:
    """The classifier of the other tests with a manifest, names, and texts of its entries."""
    model = classifier(spec, k=2, labels=NAMES, pair=False)
    manifest = {} if keys is None else {"keys": keys}
    base = replace(model.knowledge_base, manifest=manifest)
    texts = {number: (text,) for number, text in zip(IDS, TEXTS, strict=True)}
    return rebuilt(model, base, texts, **more)


def rebuilt(model: Any, base: KnowledgeBase, texts: Any, **more: Any) -> Any:
    """A classifier made afresh of these parts, with an index of the same spec."""
    spec = model.index.name
    index = ann.make(spec if spec != "faiss" else "faiss:Flat")
    index.build(base.keys)
    given = {"k": 2, "tau": 0.1, "beta": 0.5, "labels": NAMES, "pair": False, "max_length": 16}
    return RetrievalAugmentedClassifier(
        model.encoder, model.tokenizer, base, index, texts=texts, **{**given, **more}
    )


def assert_same_answers(one: Any, other: Any) -> None:
    for given, wanted in zip(one.predict(TEXTS + NEW), other.predict(TEXTS + NEW), strict=True):
        np.testing.assert_array_equal(given, wanted)
    assert one.explain(NEW[0]) == other.explain(NEW[0])


@pytest.mark.parametrize("spec", ["exact", "hnswlib", "faiss:Flat", "annoy"])
def test_edited_it_answers_as_one_that_is_made_of_the_same_rows(spec: str) -> None:
    model = editable(spec)
    assert model.add(NEW, ["x", "z"]).tolist() == [106, 107]
    model.remove([101, 104])
    kept = [0, 2, 3, 5]
    whole = editable(spec)
    _, embeddings = whole.encode(NEW)
    base = KnowledgeBase.build(
        np.concatenate([whole.knowledge_base.keys[kept], embeddings]),
        np.concatenate([whole.knowledge_base.values[kept], np.eye(3)[[0, 2]]]),
        [100, 102, 103, 105, 106, 107],
    )
    texts = {n: whole.texts[n] for n in (100, 102, 103, 105)} | {106: (NEW[0],), 107: (NEW[1],)}
    assert model.texts == texts
    assert_same_answers(model, rebuilt(whole, base, texts))
    assert 106 in model.predict(NEW[:1]).neighbours


def test_undone_it_is_as_before() -> None:
    model, before = editable("hnswlib"), editable("hnswlib")
    model.remove(model.add(NEW, np.full((2, 3), 1 / 3)))
    assert_same_answers(model, before)
    assert model.knowledge_base.manifest == before.knowledge_base.manifest
    assert model.texts == before.texts


@pytest.mark.parametrize("spec", ["exact", "hnswlib"])
def test_saving_loading_and_editing_commute(spec: str, tmp_path: Path) -> None:
    model = editable(spec)
    model.save_pretrained(tmp_path / "a")
    loaded = RetrievalAugmentedClassifier.from_pretrained(tmp_path / "a")
    for each in (model, loaded):
        each.add(NEW, [2, 0])
        each.remove([100])
        each.replace([103], values=["y"])
    assert_same_answers(model, loaded)
    model.save_pretrained(tmp_path / "b")
    loaded.save_pretrained(tmp_path / "a")  # over the folder that it is mapped to
    files = [
        sorted(p.relative_to(f) for p in f.rglob("*") if p.is_file())
        for f in (tmp_path / "a", tmp_path / "b")
    ]
    assert files[0] == files[1]
    for name in files[0]:
        if name.name in ("tokenizer_config.json", "checksums.json"):
            continue  # transformers notes in the first that it was loaded
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    again = RetrievalAugmentedClassifier.from_pretrained(tmp_path / "b")
    assert_same_answers(again, model)
    assert_same_answers(copy.deepcopy(model), pickle.loads(pickle.dumps(model)))


@pytest.mark.parametrize("spec", ["exact", "hnswlib", "faiss:Flat"])
def test_of_what_was_removed_no_byte_is_left_in_the_folder(spec: str, tmp_path: Path) -> None:
    model = editable(spec)
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    base = model.knowledge_base
    value = base.values[3].tobytes()
    traces = [TEXTS[3].encode(), base.keys[3].tobytes(), value, base.keys[3, :2].tobytes()]

    def found() -> list[bool]:
        content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
        return [trace in content for trace in traces]

    assert all(found())
    loaded = RetrievalAugmentedClassifier.from_pretrained(folder)
    loaded.remove([IDS[3]])
    loaded.save_pretrained(folder)
    assert not any(found())
    again = RetrievalAugmentedClassifier.from_pretrained(folder)
    assert IDS[3] not in again.kneighbors(TEXTS, k=9).ids
    assert again.texts == {n: (t,) for n, t in zip(IDS, TEXTS, strict=True) if n != IDS[3]}


def test_an_exact_index_leaves_none_of_another_behind(tmp_path: Path) -> None:
    editable("hnswlib").save_pretrained(tmp_path)
    (tmp_path / "NOTES.md").write_text("mine")
    bare = rebuilt(editable(), editable().knowledge_base, None)
    bare.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "NOTES.md",
        "README.md",
        "checksums.json",
        "classifier.json",
        "knowledge_base",
        "student",
    }
    assert RetrievalAugmentedClassifier.from_pretrained(tmp_path).texts is None


def test_merged_it_answers_as_the_whole() -> None:
    whole = editable("hnswlib")
    part, rest = editable("hnswlib"), editable("hnswlib")
    part.remove(IDS[3:])
    rest.remove(IDS[:3])
    part.merge(rest)
    assert_same_answers(part, whole)
    with pytest.raises(UserError, match="different classes"):
        part.merge(editable(labels=("z", "y", "x")))
    with pytest.raises(UserError, match="an entry of id 100"):
        part.merge(whole.knowledge_base)
    with pytest.raises(UserError, match="'keys' is 'student' and 'teacher'"):
        part.merge(editable(keys="teacher"))


def test_a_base_that_is_reduced_weighs_and_skips_is_edited_too(tmp_path: Path) -> None:
    model = condensed("hnswlib", weigh=True)
    model.add(NEW, [0, 1], keys="student")
    assert model.knowledge_base.counts.tolist() == [1, 2, 3, 4, 5, 6, 1, 1]
    model.save_pretrained(tmp_path)
    loaded = RetrievalAugmentedClassifier.from_pretrained(tmp_path)
    assert_same_answers(loaded, model)
    with pytest.raises(UserError, match="entry 102 is made of 3 rows"):
        model.remove([102])
    model.remove([100, 106])
    assert model.knowledge_base.counts.tolist() == [2, 3, 4, 5, 6, 1]


def test_keys_that_nobody_can_make_have_to_be_given() -> None:
    for kind, said in (("projected", "'projected' ones"), (None, "of unknown origin")):
        model = editable(keys=kind)
        with pytest.raises(UserError, match=f"are {said}, and no teacher is at hand"):
            model.add(NEW, ["x", "y"])
        given = np.eye(WIDTH)[:2]
        assert model.add(NEW, ["x", "y"], keys=given).tolist() == [106, 107]
        assert model.knowledge_base.keys[6:].tobytes() == given.astype(np.float32).tobytes()
        model.add(None, ["x"], ids=[7], keys=np.ones((1, WIDTH)))
        assert 7 not in model.texts
        other = editable(keys=kind)
        other.add(NEW, ["x", "y"], keys="student")
        own = editable()
        own.add(NEW, ["x", "y"])
        assert digest(other.knowledge_base) == digest(own.knowledge_base)


def test_labels_in_any_form_and_texts_in_any_sequence() -> None:
    forms = (
        ["z", "x"],
        (2, 0),
        np.array([2, 0]),
        pd.Series([2, 0], index=[5, 1]),
        np.eye(3)[[2, 0]],
        pd.Series(["z", "x"]),
        pd.DataFrame(np.eye(3)[[2, 0]]),
    )
    digests = set()
    for form in forms:
        model = editable()
        model.add(pd.Series(NEW, index=[9, 3]), form)
        digests.add(digest(model.knowledge_base))
    assert len(digests) == 1
    scores = classifier(outputs=1)
    scores.add(NEW, [0.5, 2], keys="student")
    assert scores.knowledge_base.values[6:].tolist() == [[0.5], [2.0]]


@pytest.mark.parametrize(
    ("do", "error", "message"),
    [
        (lambda m: m.add(["", "a"], [0, 1]), DataError, "text 0 is empty"),
        (lambda m: m.add([], []), DataError, "no texts"),
        (lambda m: m.add("text", [0]), DataError, "not one string"),
        (lambda m: m.add(NEW, ["x", "w"]), DataError, "label 1, 'w', is none of the 3 classes"),
        (lambda m: m.add(NEW, [0, 3]), DataError, "label 1 is 3, class ids are 0 to 2"),
        (lambda m: m.add(NEW, [True, False]), DataError, "label 0 is True, expected the name"),
        (lambda m: m.add(NEW, [0.5, 1]), DataError, "label 0 is 0.5, expected the name or id"),
        (lambda m: m.add(NEW, [0]), DataError, "1 labels for 2 texts"),
        (lambda m: m.add(NEW, np.eye(2)), DataError, r"expected labels \[n\] or soft labels"),
        (lambda m: m.add(NEW, 2 * np.eye(3)[:2]), DataError, "sum to 1"),
        (lambda m: m.add(NEW, [0, 1], ids=[7, 7]), UserError, "id 7 is given twice"),
        (lambda m: m.add(NEW, [0, 1], ids=[100, 7]), UserError, "id 100 is in the"),
        (lambda m: m.add(NEW, [0, 1], keys="teacher"), UserError, "embeddings or 'student'"),
        (lambda m: m.add(None, [0]), UserError, "need texts"),
        (
            lambda m: m.add(NEW, [0, 1], keys=np.full((2, WIDTH), np.nan)),
            EmbeddingError,
            "embedding 0 holds NaN",
        ),
        (lambda m: m.add(NEW, [0, 1], keys=np.ones((2, 3))), EmbeddingError, "are 3 wide"),
        (lambda m: m.add(NEW, [0, 1], keys=np.ones((3, WIDTH))), DataError, "for 2 texts"),
        (lambda m: m.remove([100, 9]), UserError, "no entry of id 9"),
        (lambda m: m.remove(IDS), UserError, "these are all 6 entries"),
        (lambda m: m.remove(IDS[1:]), UserError, "k = 2 is larger than the 1 entries"),
        (lambda m: m.replace([100]), UserError, "nothing to replace"),
        (lambda m: m.replace([100], NEW), DataError, "2 texts for 1 ids"),
        (lambda m: m.replace([100], keys=np.ones((1, WIDTH))), UserError, "keeps texts"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_and_changes_nothing(
    do: Any, error: type, message: str
) -> None:
    model = editable()
    parts = model.knowledge_base, model.index, dict(model.texts)
    with pytest.raises(error, match=message) as told:
        do(model)
    assert "\n" not in str(told.value)
    assert (model.knowledge_base, model.index, model.texts) == parts


def test_a_failing_index_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = editable("hnswlib")

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(type(model.index), "_build", fail)
    with pytest.raises(MemoryError):
        model.remove([100])
    monkeypatch.undo()
    assert_same_answers(model, editable("hnswlib"))
    assert len(model.texts) == 6


def test_replacing_an_entry_changes_text_key_and_value(tmp_path: Path) -> None:
    model = editable()
    model.replace([101, 100], NEW, ["x", "y"])
    assert model.texts[101] == (NEW[0],)
    nearest = model.explain(NEW[0]).neighbours[0]
    assert (nearest.id, nearest.text, nearest.label) == (101, (NEW[0],), "x")
    assert nearest.similarity == pytest.approx(1.0)


# --- explanations --------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [1, 3])
def test_an_answer_is_the_sum_of_shares_times_values(outputs: int) -> None:
    for model in (
        classifier(outputs=outputs, k=3, beta=0.4),
        condensed(outputs=outputs, weigh=True),
    ):
        for text, mixed in zip(TEXTS, model.predict(TEXTS).probabilities, strict=True):
            told = model.explain(text)
            total = told.student_share * np.array(told.student)
            for neighbour in told.neighbours:
                total += neighbour.share * np.array(neighbour.values)
            np.testing.assert_allclose(told.probabilities, total, atol=1e-6)
            np.testing.assert_allclose(told.probabilities, mixed, atol=1e-5)
            shares = told.student_share + sum(n.share for n in told.neighbours)
            assert shares == pytest.approx(1.0)
            assert len(told.neighbours) == 3


def test_an_explanation_names_texts_and_labels_or_nobody() -> None:
    model = editable()
    told = model.explain(TEXTS[2])
    first = told.neighbours[0]
    assert (first.id, first.text) == (102, ("bread",))
    assert {told.label, told.student_label, first.label} <= set(NAMES)
    assert all(n.text is None for n in classifier(k=2).explain(TEXTS[0]).neighbours)
    model.beta = 0.0
    alone = model.explain(TEXTS[2])
    assert (alone.neighbours, alone.student_share) == ((), 1.0)
    assert alone.probabilities == alone.student
    assert isinstance(first, Neighbour)


def test_many_texts_are_explained_as_each_alone() -> None:
    for model in (editable(), classifier(outputs=1, k=3, beta=0.4), classifier(beta=0.0)):
        together = model.explain_all(TEXTS)
        for text, told in zip(TEXTS, together, strict=True):
            alone = model.explain(text)
            assert told.label == pytest.approx(alone.label)
            assert told.probabilities == pytest.approx(alone.probabilities, abs=1e-5)
            assert [n.id for n in told.neighbours] == [n.id for n in alone.neighbours]
            shares = [n.share for n in alone.neighbours]
            assert [n.share for n in told.neighbours] == pytest.approx(shares, abs=1e-5)
        assert model.explain_all([]) == []


def test_neighbours_are_found_whatever_an_answer_asks() -> None:
    model = classifier(beta=0.0)
    similarities, ids = model.kneighbors(TEXTS, k=9)
    assert ids[:, 0].tolist() == IDS
    assert (np.sort(ids[:, :6]) == IDS).all()
    assert (ids[:, 6:] == -1).all()
    assert (similarities[:, 6:] == -np.inf).all()
    assert model.kneighbors(TEXTS).ids.shape == (6, 1)
    with pytest.raises(UserError, match="k must be"):
        model.kneighbors(TEXTS, k=0)


def test_texts_of_other_entries_are_refused(tmp_path: Path) -> None:
    model = editable()
    with pytest.raises(ModelError, match="a text of id 9, which is no entry"):
        rebuilt(model, model.knowledge_base, {9: ("a",)})
    model.save_pretrained(tmp_path)
    other = classifier(k=2)
    other.knowledge_base.save(tmp_path / "knowledge_base")
    model.remove([100])
    model.knowledge_base.save(tmp_path / "knowledge_base")
    earlier(tmp_path)
    with pytest.raises(UserError, match="texts of another knowledge base"):
        RetrievalAugmentedClassifier.from_pretrained(tmp_path)
    (tmp_path / "texts" / "texts.jsonl").write_text("{}")
    with pytest.raises(UserError, match=r"texts\.jsonl is damaged"):
        RetrievalAugmentedClassifier.from_pretrained(tmp_path)


# --- saving, threads, forks ----------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["KnowledgeBase", "AnnIndex", "Encoder"])
def test_a_full_disk_leaves_the_old_classifier_whole(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = editable("hnswlib")
    model.save_pretrained(tmp_path / "c")
    files = {p: p.read_bytes() for p in (tmp_path / "c").rglob("*") if p.is_file()}
    changed = editable("hnswlib")
    changed.remove([100])

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    owner, name = {
        "KnowledgeBase": (KnowledgeBase, "save"),
        "AnnIndex": (type(model.index), "_save"),
        "Encoder": (type(model.encoder), "save_pretrained"),
    }[failing]
    monkeypatch.setattr(owner, name, full)
    with pytest.raises(DiskFullError, match=f"^disk full: {tmp_path / 'c'}$"):
        changed.save_pretrained(tmp_path / "c")
    with pytest.raises(DiskFullError):
        changed.save_pretrained(tmp_path / "new")
    assert {p: p.read_bytes() for p in (tmp_path / "c").rglob("*") if p.is_file()} == files
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_save_that_was_killed_while_it_moved_its_parts_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editable("hnswlib").save_pretrained(tmp_path)
    changed = rebuilt(editable(), editable().knowledge_base, None)  # exact, without texts
    changed.remove([100])

    def killed(folder: Path) -> None:
        if (folder / ".parts").is_dir():
            raise KeyboardInterrupt

    monkeypatch.setattr("reaugkd.artifacts.parts.settle", killed)
    with pytest.raises(KeyboardInterrupt):
        changed.save_pretrained(tmp_path)
    loaded = RetrievalAugmentedClassifier.from_pretrained(tmp_path)
    assert loaded.texts is None
    assert_same_answers(loaded, changed)
    monkeypatch.undo()
    loaded.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md",
        "checksums.json",
        "classifier.json",
        "knowledge_base",
        "student",
    ]


@pytest.mark.parametrize("spec", ["exact", "hnswlib", "faiss:Flat"])
def test_eight_threads_are_answered_as_one(spec: str) -> None:
    model = classifier(spec, k=3)

    def ask(start: int) -> list[np.ndarray]:
        return [
            model.predict(
                (TEXTS * 2)[start % 6 :][: 1 + turn], batch_size=1 + turn % 3
            ).probabilities
            for turn in range(3)
        ]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, range(8)))
    for start, answers in enumerate(together):
        for given, wanted in zip(answers, ask(start), strict=True):
            np.testing.assert_array_equal(given, wanted)


def test_the_child_of_a_fork_asks_what_its_parent_asked() -> None:
    """Threads of torch that have worked before a fork do not live on in the child."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        square = torch.ones(600, 600)
        assert float((square @ square)[0, 0]) == 600.0  # the threads have worked
        model = classifier(k=3)
        expected = model.predict(TEXTS * 5).probabilities
        child = os.fork()
        if not child:
            signal.alarm(60)  # ends one that waits for nobody
            try:
                answer = model.predict(TEXTS * 5).probabilities
                several = torch.ones(600, 600) @ torch.ones(600, 600)
                alike = np.allclose(answer, expected, atol=1e-6) and float(several[0, 0]) == 600.0
                os._exit(0 if alike else 3)
            finally:
                os._exit(4)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        torch.set_num_threads(before)
