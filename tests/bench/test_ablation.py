"""The retrieval ablation: what is planned, what is shared, and that its layers merge as others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import layers
from bench.cell import Cell
from bench.settings import SettingError
from reaugkd.errors import UserError
from tests.bench import runs

AXES = {
    "keys": ("projected", "teacher", "student"),
    "values": ("soft", "hard", "cross-fitted"),
    "share": (1.0, 0.5, 0.25, 0.1, 0.05, 0.01),
    "control": ("none", "shuffled-labels", "random-keys"),
    "backend": ("exact", "hnswlib"),
}
STUDENTS = ("finetune", "kd", "reaugkd", "reaugkd-no-self", "reaugkd-tau-1")
Point = tuple[Any, ...]


def point(cell: Cell) -> Point:
    return tuple(getattr(cell, name) for name in AXES)


def points(planned: list[Cell], method: str = "reaugkd") -> list[Point]:
    cells = [p for p in planned if p.kind == "retrieval"]
    return [point(cell) for cell in cells if cell.method == method]


@pytest.fixture(scope="module")
def ablation(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    return runs.plan(tmp_path_factory.mktemp("plan"), ablation="retrieval")


def test_one_axis_at_a_time_around_the_first_of_each(ablation: list[Cell]) -> None:
    first = tuple(values[0] for values in AXES.values())
    expected = {first} | {
        (*first[:at], value, *first[at + 1 :])
        for at, values in enumerate(AXES.values())
        for value in values[1:]
    }
    assert len(expected) == 1 + 2 + 2 + 5 + 2 + 1
    for method in STUDENTS:
        found = points(ablation, method)
        assert len(found) == len(set(found))
        assert set(found) == expected
        assert found[0] == first  # a reference that cannot be shows before anything else


def test_a_product_has_every_combination(tmp_path: Path) -> None:
    planned = runs.plan(
        tmp_path,
        retrieval__keys=["projected", "student"],
        retrieval__values=["soft", "hard"],
        retrieval__share=[1.0, 0.5],
        retrieval__control=["none", "random-keys"],
    )
    assert len(set(points(planned))) == len(points(planned)) == 2**5


@pytest.mark.parametrize(
    ("flags", "methods"),
    [
        ({}, {"reaugkd"}),
        ({"retrieval__methods": "all"}, {"finetune", "kd", "reaugkd"}),
    ],
)
def test_who_queries(flags: dict[str, Any], methods: set[str], tmp_path: Path) -> None:
    planned = runs.plan(tmp_path, **flags)
    assert {p.method for p in planned if p.kind == "retrieval"} == methods


def test_what_cannot_be_is_skipped_with_the_reason(tmp_path: Path) -> None:
    planned = runs.plan(
        tmp_path, ablation="retrieval", retrieval__k=[1, 8], student__model__config__hidden_size=16
    )
    skipped = {point(p)[:3]: p.skip for p in planned if p.skip and p.method == "kd"}
    assert set(skipped) == {("teacher", "soft", 1.0), ("projected", "soft", 0.01)}
    assert "32 dimensions, the student's 16" in str(skipped["teacher", "soft", 1.0])
    assert "k = 8 is larger than the 6 entries there are at share 1 %" in skipped.values()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"retrieval__share": [0.01]}, "k = 8 is larger than the 6 entries"),
        (
            {"retrieval__keys": ["teacher"], "student__model__config__hidden_size": 16},
            "keys 'teacher'.*32 dimensions",
        ),
        ({"retrieval__values": ["soft", "cross-fitted"], "retrieval__folds": 601}, "601.*600 rows"),
    ],
)
def test_an_impossible_reference_is_an_error(
    flags: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        runs.plan(tmp_path, **flags)


def test_a_plain_run_is_what_it_was(tmp_path: Path) -> None:
    """Naming the defaults of the new axes changes no key."""
    defaults = {"share": [1.0], "control": ["none"], "design": "one-at-a-time", "folds": 7}
    plain = runs.plan(tmp_path)
    named = runs.plan(tmp_path, **{f"retrieval__{name}": value for name, value in defaults.items()})
    assert [p.key for p in named] == [p.key for p in plain]


def test_alignment_is_the_only_difference_or_it_is_refused() -> None:
    with pytest.raises(SettingError, match=r"reaugkd.temperature.*2\.0.*kd.temperature is 4"):
        runs.resolved(ablation="retrieval", settings={"kd": {"temperature": 4.0}})
    both = {"kd": {"temperature": 4.0}, "reaugkd": {"temperature": 4.0}}
    assert runs.resolved(ablation="retrieval", settings=both)
    assert runs.resolved(settings={"kd": {"temperature": 4.0}})  # elsewhere they may differ


@pytest.mark.parametrize("preset", layers.names("preset"))
@pytest.mark.parametrize("name", layers.names("ablation"))
def test_every_ablation_fits_every_preset(preset: str, name: str) -> None:
    from bench.settings import resolve

    trees = [layers.read("preset", preset), layers.read("ablation", name)]
    if preset == "own":  # for rows that a user brings
        trees.append({"tasks": ["rte"]})
    found = resolve(trees)
    assert found.whole.ablation == name
    assert set(found.tasks) == set(found.whole.tasks)


def test_condensing_varies_one_thing_at_a_time_and_draws_at_random_thrice(tmp_path: Path) -> None:
    planned = runs.plan(tmp_path, ablation="condense", retrieval__ann=["exact", "faiss:SQ8"])
    cells = [cell for cell in planned if cell.kind == "retrieval"]
    usual = ("exact", "full", "none", 32, "never")
    axes = ("backend", "condense", "pca", "value_bits", "skip_rule")
    found = [tuple(getattr(cell, axis) for axis in axes) for cell in cells]
    assert found[0] == usual
    for other in found[1:]:
        assert sum(a != b for a, b in zip(usual, other, strict=True)) == 1
    specs = {spec for _, spec, *_ in found}
    for name in ("random", "kmeans", "medoid", "merge", "learned"):
        assert {f"{name}:6", f"{name}:30"} <= specs  # of 600 rows
    assert {f"random:{size}@{draw}" for size in (6, 30) for draw in (1, 2)} <= specs
    assert {cell.skip for cell in cells if cell.pca == "none"} == {None}


def test_the_dry_run_shows_axes_teachers_and_what_is_skipped(tmp_path: Path) -> None:
    flags = ("--ablation", "retrieval", "--methods", "kd", "--dry-run", "--limit", 700)
    done = runs.run(tmp_path, *flags, "--set", "student.model.config.hidden_size=16")
    assert done.exit_code == 0, done.output
    for words in (
        "share: 100 %, 50 %, 25 %, 10 %, 5 %, 1 %",
        "cross-fitted values train 5 more teachers per task",
        "1 cells will be skipped: keys 'teacher'",
    ):
        assert words in done.output
    assert not (tmp_path / "cache").exists()
