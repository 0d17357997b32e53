"""What is sent back, as JSON and in the OpenAPI description."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from reaugkd.retrieval.explanation import AnswerExplanation
from reaugkd.retrieval.explanation import Neighbour as Entry
from reaugkd.retrieval.saved import Text

Label = str | int | float
"""The name of a class, its number where it has none, or the score of a regression."""

Shares = dict[str, float]
"""Probabilities by label."""


def _with_example(**example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class OwnWord(BaseModel):
    """What the student says without its neighbours."""

    label: Label
    probabilities: Shares | None = Field(description="By label; null for a score.")
    share: float = Field(description="The student's weight in the answer, in [0, 1].")


class ServedNeighbour(BaseModel):
    """An entry of the knowledge base that was asked."""

    id: int
    similarity: float = Field(description="Cosine, in [-1, 1].")
    share: float = Field(description="Its weight in the answer, in [0, 1].")


class ExplainedNeighbour(ServedNeighbour):
    """An entry with what it says, and its text where the classifier keeps texts."""

    label: Label
    probabilities: Shares | None = Field(description="By label; null for a score.")
    text: str | list[str] | None = Field(description="Of a pair both; null where none is kept.")


class ServedAnswer(BaseModel):
    """The answer to one text, nearest neighbours first."""

    label: Label
    probabilities: Shares | None = Field(description="By label; null for a score.")
    student: OwnWord
    neighbours: list[ServedNeighbour]


class ExplainedAnswer(BaseModel):
    """The answer to one text, and whom it comes from."""

    label: Label
    probabilities: Shares | None = Field(description="By label; null for a score.")
    student: OwnWord
    neighbours: list[ExplainedNeighbour]


_EXAMPLE: dict[str, Any] = {
    "label": "good",
    "probabilities": {"bad": 0.25, "good": 0.75},
    "student": {"label": "good", "probabilities": {"bad": 0.4, "good": 0.6}, "share": 0.5},
}


class Predictions(BaseModel):
    """Answers in the order of the texts."""

    model_config = _with_example(
        answers=[{**_EXAMPLE, "neighbours": [{"id": 17, "similarity": 0.91, "share": 0.5}]}]
    )
    answers: list[ServedAnswer]


class Explanations(BaseModel):
    """Explained answers in the order of the texts."""

    model_config = _with_example(
        answers=[
            {
                **_EXAMPLE,
                "neighbours": [
                    {
                        "id": 17,
                        "similarity": 0.91,
                        "share": 0.5,
                        "label": "good",
                        "probabilities": {"bad": 0.1, "good": 0.9},
                        "text": "the soup was tasty",
                    }
                ],
            }
        ]
    )
    answers: list[ExplainedAnswer]


class Health(BaseModel):
    """Whether texts are taken, and who answers them."""

    ready: bool
    model: str = Field(description="Name of the classifier's folder.")
    entries: int = Field(description="Entries of its knowledge base.")
    takes: str = Field(description="sentences, pairs, or either where that is not known.")
    version: str = Field(description="Of reaugkd.")


class Refused(BaseModel):
    """Why there is no answer."""

    model_config = _with_example(error="text 0 is 5 (int), expected a string")
    error: str = Field(description="One line that says what to mend.")


def predictions(told: Sequence[AnswerExplanation], names: Sequence[str]) -> Predictions:
    """Answers with the ids of the neighbours; ``names`` are those of the classes, if any."""
    return Predictions(
        answers=[
            ServedAnswer(
                label=answer.label,
                probabilities=by_label(answer.probabilities, names),
                student=_own(answer, names),
                neighbours=[
                    ServedNeighbour(id=entry.id, similarity=entry.similarity, share=entry.share)
                    for entry in answer.neighbours
                ],
            )
            for answer in told
        ]
    )


def explanations(told: Sequence[AnswerExplanation], names: Sequence[str]) -> Explanations:
    """Answers with labels, probabilities and texts of the neighbours."""
    return Explanations(
        answers=[
            ExplainedAnswer(
                label=answer.label,
                probabilities=by_label(answer.probabilities, names),
                student=_own(answer, names),
                neighbours=[_explained(entry, names) for entry in answer.neighbours],
            )
            for answer in told
        ]
    )


def by_label(values: Sequence[float], names: Sequence[str]) -> Shares | None:
    """Probabilities by the name or number of their class; None for the one score of a regression.

    >>> by_label([0.25, 0.75], ["bad", "good"])
    {'bad': 0.25, 'good': 0.75}
    >>> by_label([0.25, 0.75], [])
    {'0': 0.25, '1': 0.75}
    """
    if len(values) == 1:
        return None
    return dict(zip(names or map(str, range(len(values))), values, strict=True))


def _own(answer: AnswerExplanation, names: Sequence[str]) -> OwnWord:
    return OwnWord(
        label=answer.student_label,
        probabilities=by_label(answer.student, names),
        share=answer.student_share,
    )


def _explained(entry: Entry, names: Sequence[str]) -> ExplainedNeighbour:
    return ExplainedNeighbour(
        id=entry.id,
        similarity=entry.similarity,
        share=entry.share,
        label=entry.label,
        probabilities=by_label(entry.values, names),
        text=None if entry.text is None else _as_sent(entry.text),
    )


def _as_sent(text: Text) -> str | list[str]:
    return text[0] if len(text) == 1 else list(text)
