"""JUnit XML: always well formed, one case per cell, green exactly where the gate passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.measure import junit
from bench.measure.gate import HOLDS, Outcome, decide
from bench.records.store import Problem
from tests.bench.measure.judged import cell, failed, record
from tests.bench.measure.test_gate import BROKEN, CASES, records

TIME = "2025-01-02T03:04:05+00:00"


def suite(outcome: Outcome) -> ET.Element:
    root = ET.fromstring(junit.render(outcome, TIME))
    assert root.tag == "testsuites"
    (found,) = root
    return found


def marks(outcome: Outcome) -> list[tuple[str, str] | None]:
    found: list[tuple[str, str] | None] = []
    for case in suite(outcome):
        assert len(case) <= 1
        found.append((case[0].tag, case[0].attrib["type"]) if len(case) else None)
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("held", None),
        ("failing", ("failure", "fails")),
        ("undecided", ("failure", "undecided")),
        ("dead", ("error", "failed")),
        ("skipped", ("error", "skipped")),
        ("removed", ("error", "nothing measured")),
        ("missed", ("error", "off target")),
    ],
)
def test_a_cell_is_a_test_case_with_its_verdict(name: str, expected: Any) -> None:
    assert marks(decide([CASES[name]], [], 0.03)) == [expected]


def test_counts_and_seconds_are_those_of_the_cases() -> None:
    outcome = decide([*CASES.values()], [BROKEN], 0.03)
    found = suite(outcome).attrib
    assert (found["tests"], found["failures"], found["errors"], found["skipped"]) == (
        "8",
        "2",
        "5",
        "0",
    )
    assert float(found["time"]) == pytest.approx(sum(one.seconds for one in outcome.cells))
    assert found["timestamp"] == "2025-01-02T03:04:05"


@given(st.lists(records, max_size=3), st.booleans(), st.sampled_from(["fail", "pass"]))
def test_it_is_green_exactly_where_the_gate_passes(
    found: list[Any], damaged: bool, on_undecided: Any
) -> None:
    outcome = decide(found, [BROKEN] * damaged, 0.03, on_undecided)
    red = any(mark is not None and mark[0] != "skipped" for mark in marks(outcome))
    assert red == (outcome.code != HOLDS)


unicode = st.text(st.characters(exclude_categories=["Cs"]))
anything = st.text(st.characters())  # surrogates too, as in names of files that are not UTF-8


@given(anything, unicode)
def test_every_text_is_escaped(reason: str, text: str) -> None:
    base = cell(base=text, student=text)
    outcome = decide(
        [failed(text, cell=base), record(cell=base)], [Problem(Path("x/\udcff"), reason)], 0.03
    )
    first, second, third = suite(outcome)
    said = " ".join(text.split()) or "no reason given"
    assert first[0].attrib["message"] == junit._clean(said)
    assert first.attrib["name"] == second.attrib["name"]
    assert third.attrib["name"] == "x/?"


def test_different_cells_have_different_names() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"k": 1},
        {"batch": 32},
        {"precision": "bf16"},
        {"threads": 1},
        {"lengths": "fixed 32"},
        {"student": "other"},
        {"backend": "exact"},
        {"base": "rte"},
        {"tau": 1.0},
        {"beta": 0.4},
    ]
    outcome = decide([record(cell=cell(**one)) for one in changes], [], 0.03)
    assert len({case.attrib["name"] for case in suite(outcome)}) == len(changes)
