"""Records: plain JSON both ways, strict, and comparable without what time and place decide."""

from __future__ import annotations

from typing import Any

import pytest

from bench.records.run import (
    VOLATILE,
    Record,
    RetrievalResult,
    SearchFacts,
    SkipFacts,
    comparable,
)
from tests.bench.report import factory

RECORDS = [
    factory.training(),
    factory.retrieval(),
    factory.failed(factory.training(), "no"),
    factory.failed(factory.training(), "no", "skipped"),
]


def names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for item in value.values() for name in names(item)}
    if isinstance(value, list):
        return {name for item in value for name in names(item)}
    return set()


@pytest.mark.parametrize("made", RECORDS)
def test_plain_json_both_ways(made: Record) -> None:
    assert Record.model_validate(made.model_dump(mode="json")) == made
    assert Record.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize("made", RECORDS)
def test_comparable_drops_the_volatile_and_nothing_else(made: Record) -> None:
    whole, kept = names(made.model_dump(mode="json")), names(comparable(made))
    provenance = names(made.model_dump(mode="json")["provenance"])
    assert whole - kept <= VOLATILE | provenance
    assert not kept & VOLATILE


def test_volatile_names_exist() -> None:
    fields = {
        name for kind in (RetrievalResult, SearchFacts, SkipFacts) for name in kind.model_fields
    }
    assert fields | names([made.model_dump(mode="json") for made in RECORDS]) >= VOLATILE


def test_time_and_place_make_no_difference_a_score_does() -> None:
    made = factory.training()
    moved = made.model_copy(
        update={"seconds": 99.0, "provenance": factory.provenance(cpu="Another", threads=64)}
    )
    assert comparable(moved) == comparable(made)
    assert comparable(factory.training(value=0.81)) != comparable(made)
    assert comparable(factory.failed(made, "no")) != comparable(made)


def test_a_heading_names_the_split_only_where_a_task_has_several_tests() -> None:
    one, two = factory.training("mrpc"), factory.training("mnli")
    assert (one.heading("dev"), one.heading("dev", "f1")) == ("MRPC", "MRPC f1")
    assert two.heading("dev_matched", "accuracy") == "MNLI accuracy matched"
    assert two.heading("dev_mismatched") == "MNLI mismatched"
    assert two.heading("held_out") == "MNLI"
