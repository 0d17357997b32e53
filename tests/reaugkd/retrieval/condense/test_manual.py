"""docs/condensing.md is true: its examples run as they stand, and every condenser has its row."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from reaugkd.retrieval import condense
from reaugkd.retrieval.knowledge_base import KnowledgeBase

PAGE = Path(__file__).resolve().parents[4] / "docs" / "condensing.md"
TEXT = PAGE.read_text(encoding="utf-8").partition("## Compression")[0]


def test_the_example_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    exec(compile(code, "docs/condensing.md", "exec"), {})
    assert capsys.readouterr().out.startswith("12 600 ")
    assert len(KnowledgeBase.load(tmp_path / "small-base")) == 12


def test_the_sessions_give_what_stands_there() -> None:
    outcome = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_every_condenser_has_its_row() -> None:
    assert set(re.findall(r"^\| `(\w+)", TEXT, re.M)) == set(condense.CONDENSERS)
