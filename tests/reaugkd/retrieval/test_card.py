"""The model card says what is known, in valid metadata, and never overwrites an edited one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from reaugkd.errors import UserError
from reaugkd.retrieval import card, facts
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.retrieval.facts import ClassifierFacts, OverheadFacts, ScoresOffOn
from tests.reaugkd.retrieval.test_classifier import classifier
from tests.reaugkd.retrieval.test_editable import editable

SCORES = ScoresOffOn(split="test", metric="accuracy", off=0.9, on=0.91, difference=0.005, seeds=1)
TIMED = OverheadFacts(
    verdict="holds",
    limit=0.03,
    estimate=0.011,
    low=0.009,
    high=0.012,
    batch=1,
    precision="fp32",
    threads=2,
    cpu="a processor",
)
KNOWN = ClassifierFacts(
    title="Mail",
    source="train.csv",
    rows={"fit": 9003, "held_out": 1000},
    teacher="org/teacher",
    student="org/teacher@0,2,4",
    method="reaugkd",
    seed=0,
    metric="accuracy",
    chosen_on="held_out",
    k=2,
    beta=0.5,
    tau=0.1,
    comparison=(SCORES,),
    overhead=(TIMED,),
)


def rendered(known: ClassifierFacts | None = None, **changed: object) -> str:
    model = editable()
    model.facts = known and known.model_copy(update=changed)
    return card.render(model)


def test_the_metadata_is_valid_and_says_the_license() -> None:
    for known, license_id in ((None, "unknown"), (KNOWN.licensed("apache-2.0"), "apache-2.0")):
        data = ModelCard(rendered(known)).data
        assert (data.license, data.library_name) == (license_id, "reaugkd")
        assert data.pipeline_tag == "text-classification"
        assert data.metrics == (["accuracy"] if known else None)


def test_what_is_known_is_said_and_what_is_not_is_called_unknown() -> None:
    told = rendered(KNOWN)
    for words in (
        "# Mail",
        "| data | train.csv; 9,003 fit, 1,000 held_out |",
        "| teacher | org/teacher |",
        "| entries | 6 |",
        "| k, beta, tau | 2, 0.5, 0.1 |",
        "k, beta and tau were chosen on the split held_out, by accuracy.",
        "| test | 0.9000 | 0.9100 | +0.0050 | none (one seed) | 1 |",
        "One seed: the difference may be chance.",
        "| holds | 1.1 % | [0.9, 1.2] | 3 % | 1 | fp32 | 2 | a processor |",
        "and their texts: whoever has the files has them",
    ):
        assert words in told
    bare = rendered()
    for words in (
        "| teacher | unknown |",
        "Not known: this classifier was saved without a record of such a comparison.",
        "Not measured.",
        "Where k, beta and tau were chosen is not known.",
        "Unknown: whoever publishes this states it.",
    ):
        assert words in bare
    assert "None" not in told + bare


def test_an_interval_is_shown_where_there_are_seeds() -> None:
    several = SCORES.model_copy(update={"low": -0.01, "high": 0.02, "seeds": 3, "examples": 3080})
    told = rendered(KNOWN, comparison=(several,))
    assert "| test (3,080) | 0.9000 | 0.9100 | +0.0050 | [-0.0100, +0.0200] | 3 |" in told
    assert "are over all seeds of the run" in told


def test_a_comparison_that_is_no_longer_of_this_classifier_says_so() -> None:
    assert "which flatters retrieval" in rendered(KNOWN, chosen_on="test")
    assert "which are not those of now" in rendered(KNOWN, k=5)
    assert "the student alone was as good" in rendered(KNOWN, beta=0.0)
    model = editable()
    model.facts = KNOWN
    model.remove([100])
    told = card.render(model)
    assert "The knowledge base was edited afterwards." in told
    assert "| entries | 5 (edited) |" in told
    assert "may have learned from entries that were removed" in told


def test_what_others_wrote_is_no_markup() -> None:
    told = rendered(KNOWN, title="a|b\n---\n# <script>`", notes=("| x |\n- y",))
    body = ModelCard(told).text
    assert "<script>" not in body
    assert "# a&#124;b --- # &lt;script>'" in body
    assert "- &#124; x &#124; - y" in body


def test_scores_pairs_and_numbered_classes() -> None:
    assert "It scores sentences" in card.render(classifier(outputs=1, pair=False))
    pairs = card.render(classifier(pair=True))
    assert "pairs of sentences" in pairs
    assert 'predict([("one sentence", "and another")])' in pairs
    assert "3 classes: numbered from 0" in pairs


def test_facts_come_back_as_they_were(tmp_path: Path) -> None:
    known = KNOWN.licensed("cc-by-4.0")
    facts.write(tmp_path / "facts.json", known)
    assert facts.read(tmp_path / "facts.json") == known
    assert facts.read(tmp_path / "none.json") is None
    (tmp_path / "facts.json").write_text('{"rows": {"fit": "many"}}')
    with pytest.raises(UserError, match=r"facts\.json holds no facts of a classifier: ") as told:
        facts.read(tmp_path / "facts.json")
    assert "\n" not in str(told.value)
    with pytest.raises(UserError, match=r"license must be an identifier like 'apache-2\.0'"):
        known.licensed("MIT or so\n")


def test_a_card_is_written_anew_until_somebody_edits_it(tmp_path: Path) -> None:
    model, path = editable(), tmp_path / "README.md"
    model.save_pretrained(tmp_path, license="mit")
    before = path.read_text()
    loaded = RetrievalAugmentedClassifier.from_pretrained(tmp_path)
    loaded.remove([100])
    loaded.save_pretrained(tmp_path)
    after = path.read_text()
    assert card.is_ours(after)
    assert after != before
    assert "license: mit" in after
    for edited in (after.replace("# Text classifier", "# Mine"), "mine", f"{after}more\n"):
        path.write_text(edited)
        loaded.save_pretrained(tmp_path)
        assert path.read_text() == edited
    path.write_bytes(b"\xff")
    loaded.save_pretrained(tmp_path)
    assert path.read_bytes() == b"\xff"


def test_rows_of_a_table_have_as_many_cells_as_its_head() -> None:
    for table in re.findall(r"(?:^\|.*\n)+", rendered(KNOWN), re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1
