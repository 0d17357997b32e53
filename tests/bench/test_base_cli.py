"""``bench base``: what is listed, added and removed, and every mistake in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from tests.bench import runs
from tests.reaugkd.retrieval.test_classifier import TEXTS, WIDTH
from tests.reaugkd.retrieval.test_editable import editable

ROWS = 'text,intent,number\n"a new, longer thing",x,40\nanother,z,7\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    editable(keys="projected").save_pretrained(tmp_path / "c")
    (tmp_path / "new.csv").write_text(ROWS, encoding="utf-8")
    return tmp_path / "c"


def listed(folder: Path, *more: object) -> dict[str, object]:
    done = runs.bench("base", "list", folder, "--json", *more)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def loaded(folder: Path) -> RetrievalAugmentedClassifier:
    return RetrievalAugmentedClassifier.from_pretrained(folder)


def test_entries_are_listed_for_people_and_for_programs(folder: Path) -> None:
    shown = runs.bench("base", "list", folder, "--limit", 2)
    assert shown.exit_code == 0, shown.output
    assert f"{folder}: k 2, exact, keys projected" in shown.output
    assert "2 of 6 entries: 2 of x, 2 of y, 2 of z" in shown.output
    assert TEXTS[1] in shown.output
    assert TEXTS[2] not in shown.output
    facts = listed(folder)
    assert (facts["size"], facts["edited"], facts["texts"]) == (6, False, True)
    assert [entry["text"] for entry in facts["entries"]] == [[text] for text in TEXTS]  # type: ignore[attr-defined,index]
    assert len(listed(folder, "--limit", 1)["entries"]) == 1  # type: ignore[arg-type]
    KnowledgeBase.build(np.eye(3), [[0.5], [1], [2]], [4, 5, 6]).save(folder / "knowledge_base")
    (folder / "texts" / "texts.jsonl").unlink()
    (folder / "texts" / "texts.json").unlink()
    (folder / "texts").rmdir()
    assert "0.5" in runs.bench("base", "list", folder).output  # scores, and no texts


def test_rows_are_added_and_removed_again(folder: Path, tmp_path: Path) -> None:
    add = ["base", "add", folder, tmp_path / "new.csv", "--text", "text", "--label", "intent"]
    done = runs.bench(*add, "--keys", "student")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"added 2 entries (ids 106 to 107): 8 entries in {folder}\n"
    assert loaded(folder).explain("another").neighbours[0].id == 107
    np.save(tmp_path / "keys.npy", np.eye(WIDTH)[:2])
    more = ["--id", "number", "--embeddings", tmp_path / "keys.npy", "--out", tmp_path / "d"]
    assert "(ids 7 to 40): 10 entries" in runs.bench(*add, *more).stdout
    assert loaded(tmp_path / "d").knowledge_base.keys[8:].tolist() == np.eye(WIDTH)[:2].tolist()
    (tmp_path / "ids.txt").write_text("106\n\n107\n")
    done = runs.bench("base", "remove", folder, "--ids-file", tmp_path / "ids.txt")
    assert done.stdout == f"removed 2 entries: 6 entries in {folder}\n"
    assert not listed(folder)["edited"]
    done = runs.bench("base", "remove", folder, "--ids", "100,103", "--out", tmp_path / "e")
    assert [entry["id"] for entry in listed(tmp_path / "e")["entries"]] == [101, 102, 104, 105]  # type: ignore[attr-defined,index]
    assert listed(folder)["size"] == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["remove", "C", "--ids", "100,9"], "no entry of id 9"),
        (["remove", "C", "--ids", "100,100"], "id 100 is given twice"),
        (["remove", "C", "--ids", "100,101,102,103,104"], "k = 2 is larger than the 1 entries"),
        (["remove", "C", "--ids", "100,101,102,103,104,105"], "these are all 6 entries"),
        (["remove", "C", "--ids", "a"], "expected e.g. 1,2,4"),
        (["remove", "C"], "say which: --ids"),
        (["remove", "C", "--ids-file", "N"], "N, row 1: expected an id, found 'text,intent"),
        (["remove", "none", "--ids", "1"], "describes no classifier"),
        (["list", "none"], "describes no classifier"),
        (["lst", "C"], "list"),
        (["add", "C", "N", "--text", "text", "--label", "intent"], "give embeddings made like"),
        (["add", "C", "N", "--text", "txt", "--label", "intent"], "'text'"),
        (["add", "C", "N", "--text", "text", "--label", "number", "S"], "label 0, '40', is none"),
        (["add", "C", "N", "--text", "text,intent", "--label", "intent", "S"], "takes one"),
        (["add", "C", "B", "--text", "text", "--label", "intent", "S"], "row 2: no text in"),
        (["add", "C", "N", "--text", "text", "--label", "intent", "--id", "text", "S"], "an id"),
        (["add", "C", "N", "--text", "text", "--label", "intent", "E"], "embedding 1 holds NaN"),
        (["add", "C", "N", "--text", "text", "--label", "intent", "E", "S"], "not both"),
        (["add", "C", "N", "--text", "text", "--label", "intent", "--embeddings", "N"], ".npy"),
    ],
)
def test_a_mistake_is_one_line_and_the_folder_stays(
    words: list[str], message: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("N").write_text("text,intent,number\n", encoding="utf-8")
    Path("B.csv").write_text("text,intent\nfine,x\n  ,y\n", encoding="utf-8")
    np.save("E.npy", np.array([[1.0] * WIDTH, [np.nan] * WIDTH]))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    places = {"C": ["c"], "B": ["B.csv"], "S": ["--keys", "student"]}
    places["E"] = ["--embeddings", "E.npy"]
    places["N"] = ["new.csv"] if words[0] == "add" and words[-2] != "--embeddings" else ["N"]
    if words[-2:] == ["--embeddings", "N"]:
        words = [*words[:2], "new.csv", *words[3:]]
    done = runs.bench("base", *(part for word in words for part in places.get(word, [word])))
    assert done.exit_code == 2, done.output
    assert message in done.stderr, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_help_shows_an_example() -> None:
    for words in ((), ("add",), ("remove",), ("list",)):
        assert "bench base" in runs.bench("base", *words, "--help").output
