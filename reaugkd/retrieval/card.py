"""The model card of a classifier: what it is, how it was made, what it was seen to do.

It says no more than is known. huggingface_hub writes the metadata; the text is a template of Jinja
(``card.md.j2``). The last line of a card is a comment with its checksum, by which a card that
somebody has edited is told from one that may be written anew.
"""

from __future__ import annotations

import hashlib
import math
import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reaugkd.retrieval.facts import ClassifierFacts, OverheadFacts, ScoresOffOn

if TYPE_CHECKING:
    from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier

TEMPLATE = "card.md.j2"
MANY = 12
"""Classes above which a card shows the first of them."""

_MARK = re.compile(r"\n<!-- written by reaugkd, ([0-9a-f]{16}): [^\n]*-->\n\Z")
PLACE = "FOLDER"


def is_ours(text: str) -> bool:
    """Whether a card was written here and nobody has edited it since."""
    mark = _MARK.search(text)
    return mark is not None and mark[1] == _digest(text[: mark.start()])


def may_be_written(path: Path) -> bool:
    """Whether there is no card at ``path``, or one that is ours."""
    if not (path.exists() or path.is_symlink()):
        return True
    try:
        return is_ours(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return False


def render(classifier: RetrievalAugmentedClassifier, place: str = PLACE) -> str:
    """The card as Markdown; ``place`` is what ``from_pretrained`` reads, a name on the hub."""
    from huggingface_hub import ModelCard, ModelCardData

    facts = classifier.facts or ClassifierFacts()
    data = ModelCardData(
        library_name="reaugkd",
        license=facts.license or "unknown",
        pipeline_tag="text-classification",
        tags=["reaugkd", "knowledge-distillation", "retrieval-augmented"],
        metrics=[facts.metric] if facts.metric else None,
    )
    template = files("reaugkd.retrieval").joinpath(TEMPLATE).read_text(encoding="utf-8")
    written = ModelCard.from_template(
        data, template_str=template, **_context(classifier, facts, place)
    )
    text = str(written.content).rstrip("\n") + "\n"
    note = "edit this file and it is never overwritten"
    return f"{text}\n<!-- written by reaugkd, {_digest(text)}: {note} -->\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _context(
    classifier: RetrievalAugmentedClassifier, facts: ClassifierFacts, place: str
) -> dict[str, Any]:
    """What the template shows; all text that others wrote is made harmless to Markdown."""
    base = classifier.knowledge_base
    regression, edited = base.values.shape[1] == 1, "edited" in base.manifest
    kinds = {True: "pairs of sentences", False: "sentences", None: "sentences or pairs of them"}
    return {
        "title": _safe(facts.title or "Text classifier"),
        "regression": regression,
        "kind": kinds[classifier.pair],
        "classes": _classes(classifier),
        "made": [(name, _safe(str(value))) for name, value in _made(facts)],
        "notes": [_safe(note) for note in facts.notes],
        "retrieval": _retrieval(classifier),
        "chosen": _chosen(facts),
        "metric": facts.metric or "the metric that is named",
        "comparison": [_scores(row) for row in facts.comparison],
        "caveats": [*_caveats(classifier, facts, edited)],
        "overhead": [_overhead(row) for row in facts.overhead],
        "place": place,
        "example": '[("one sentence", "and another")]' if classifier.pair else '["a sentence"]',
        "limits": _limits(classifier, edited),
        "license": facts.license or "Unknown: whoever publishes this states it.",
    }


def _safe(text: str) -> str:
    """Text in one line that begins no markup.

    >>> print(_safe("a|b <i>   `c`"))
    a&#124;b &lt;i> 'c'
    """
    plain = " ".join(text.split()).replace("`", "'").replace("<", "&lt;")
    return plain.replace("|", "&#124;")


def _classes(classifier: RetrievalAugmentedClassifier) -> str:
    outputs, labels = classifier.knowledge_base.values.shape[1], classifier.labels
    if outputs == 1:
        return "a score"
    shown = ", ".join(f"`{_safe(label)}`" for label in labels[:MANY]) or "numbered from 0"
    return f"{outputs} classes: {shown}{', ...' if len(labels) > MANY else ''}"


def _made(facts: ClassifierFacts) -> list[tuple[str, object]]:
    rows = ", ".join(f"{count:,} {split}" for split, count in facts.rows.items())
    data = "; ".join(filter(None, [facts.source, rows]))
    known = {
        "data": data,
        "teacher": facts.teacher,
        "student": facts.student,
        "method": facts.method,
        "seed": facts.seed,
        "reaugkd": facts.version,
    }
    return [(name, "unknown" if value in (None, "") else value) for name, value in known.items()]


def _retrieval(classifier: RetrievalAugmentedClassifier) -> list[tuple[str, object]]:
    base, counts = classifier.knowledge_base, classifier.knowledge_base.counts
    condensed = base.manifest.get("condense") or ("unknown" if counts is not None else "full")
    skips = classifier.skip_above < math.inf
    return [
        ("entries", f"{len(base):,}" + (" (edited)" if "edited" in base.manifest else "")),
        ("condenser", _safe(str(condensed))),
        ("bytes", f"{base.nbytes:,}"),
        ("keys", _safe(f"{base.manifest.get('keys', 'unknown')}, {base.keys.shape[1]} wide")),
        ("values", "8 bits" if base.values.dtype.itemsize == 1 else "32 bits"),
        ("index", _safe(classifier.index.name)),
        ("k, beta, tau", f"{classifier.k}, {classifier.beta:g}, {classifier.tau:g}"),
        ("skips", f"above a margin of {classifier.skip_above:g}" if skips else "never"),
    ]


def _chosen(facts: ClassifierFacts) -> str:
    if facts.chosen_on is None:
        return "Where k, beta and tau were chosen is not known."
    return f"k, beta and tau were chosen on the split {facts.chosen_on}, by {facts.metric}."


def _scores(row: ScoresOffOn) -> list[str]:
    ends = "none (one seed)" if row.seeds == 1 else "unknown"
    if row.low is not None and row.high is not None:
        ends = f"[{row.low:+.4f}, {row.high:+.4f}]"
    count = "" if row.examples is None else f" ({row.examples:,})"
    figures = f"{row.off:.4f}", f"{row.on:.4f}", f"{row.difference:+.4f}"
    return [f"{_safe(row.split)}{count}", *figures, ends, str(row.seeds)]


def _caveats(
    classifier: RetrievalAugmentedClassifier, facts: ClassifierFacts, edited: bool
) -> list[str]:
    said = []
    if any(row.seeds == 1 for row in facts.comparison):
        said.append("One seed: the difference may be chance.")
    if any(row.seeds > 1 for row in facts.comparison):
        said.append(
            f"The scores are of seed {facts.seed}, this student; difference and interval are over "
            "all seeds of the run."
        )
    if any(row.split == facts.chosen_on for row in facts.comparison):
        said.append(
            f"k, beta and tau were chosen on {facts.chosen_on} itself, which flatters retrieval."
        )
    if facts.beta == 0:
        said.append("beta 0 was chosen: on held-out rows the student alone was as good.")
    if edited:
        said.append("The knowledge base was edited afterwards.")
    now = classifier.k, classifier.beta, classifier.tau
    if now != (facts.k, facts.beta, facts.tau):
        then = f"k {facts.k}, beta {facts.beta}, tau {facts.tau}"
        said.append(f"Measured with {then}, which are not those of now.")
    return said


def _overhead(row: OverheadFacts) -> list[str]:
    added = f"{100 * row.estimate:.1f} %", f"[{100 * row.low:.1f}, {100 * row.high:.1f}]"
    where = str(row.batch), row.precision, str(row.threads), _safe(row.cpu)
    return [row.verdict, *added, f"{100 * row.limit:g} %", *where]


def _limits(classifier: RetrievalAugmentedClassifier, edited: bool) -> list[str]:
    kept = ", and their texts" if classifier.texts is not None else ""
    said = [
        f"A text is cut after {classifier.max_length} tokens.",
        "Scores are of rows like those it was trained on; of other texts nothing is known.",
        f"The knowledge base holds embeddings, labels and row numbers of training rows{kept}: "
        "whoever has the files has them.",
        "Checksums tell a damaged file, not a forged one: give `revision=` to pin a commit.",
    ]
    if edited:
        said.append("The student may have learned from entries that were removed.")
    return said
