"""No method is registered without its test case, its documentation, its sources and its price."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from baselines import METHODS
from tests.baselines.cases import DistillerCase
from tests.benchmarks.test_method_cost import MOST

ROOT = Path(__file__).resolve().parents[2]
OWN = [name for name in METHODS if not METHODS.entry(name).summary.startswith("from ")]
MANUAL = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
PAPER = {"kd", "pkd", "rkd", "takd", "rco", "dml", "prokt", "sftn", "metadistil", "reaugkd"}


def covered() -> set[str]:
    """Names of the methods that have a test case of their own."""
    for path in Path(__file__).parent.glob("test_*.py"):
        import_module(f"tests.baselines.{path.stem}")
    found, waiting = set(), list(DistillerCase.__subclasses__())
    while waiting:
        case = waiting.pop()
        waiting += case.__subclasses__()
        found.add(case.name)
    return found


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, info


def bounded(info: FieldInfo) -> bool:
    return any(hasattr(rule, side) for rule in info.metadata for side in ("gt", "ge", "lt", "le"))


def section(name: str) -> str:
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", MANUAL, re.S | re.M)
    return found.group(1) if found else ""


def test_every_method_of_the_papers_table_is_there() -> None:
    assert PAPER | {"finetune"} <= set(OWN)


def test_each_has_a_test_case() -> None:
    assert covered() == set(OWN)


@pytest.mark.parametrize("name", OWN)
def test_each_is_documented_with_its_settings(name: str) -> None:
    text = section(name)
    assert len(text) > 60, f"docs/methods.md has no section '## {name}'"
    settings = [field for field, _ in fields(METHODS[name].Settings)]
    missing = [f for f in settings if f.split(".")[-1] not in text and f"{name}.{f}" not in MANUAL]
    assert not missing, f"docs/methods.md, '## {name}' says nothing of {missing}"


@pytest.mark.parametrize("name", OWN)
def test_each_setting_has_a_meaning_a_source_and_a_range(name: str) -> None:
    for setting, info in fields(METHODS[name].Settings):
        meaning, _, source = (info.description or "").partition("Source:")
        assert meaning.strip(), f"{name}.{setting} has no description"
        assert source.strip(), f"{name}.{setting} has no source"
        if info.annotation in (int, float):
            assert bounded(info), f"{name}.{setting} has no range"


def test_each_has_a_benchmark_row() -> None:
    assert set(MOST) == set(OWN)
