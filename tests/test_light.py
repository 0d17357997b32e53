"""A mistake in a flag or setting is answered before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reaugkd.retrieval.condense import CONDENSERS

LIBRARIES = {"torch", "transformers", "datasets", "accelerate", "pandas", "sklearn", "scipy"}
HEAVY = LIBRARIES | {"pyarrow", "faiss", "hnswlib", "annoy", "usearch", "svs", "voyager"}

IMPORTS = f"""
import importlib, sys
import baselines
methods = [baselines.METHODS[name].Settings for name in baselines.METHODS]
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*(name for name in {HEAVY} if name in sys.modules))
"""

MISTAKE = """
import sys, time
from bench.cli.main import main
try:
    main(["run", *sys.argv[1:]], prog_name="bench")
except SystemExit as stop:
    print(stop.code, "torch" in sys.modules, time.process_time())
"""


def python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *words]
    root = Path(__file__).resolve().parents[1]
    return subprocess.run(command, capture_output=True, text=True, cwd=root, check=True, timeout=60)


def test_what_holds_settings_imports_nothing_heavy() -> None:
    shown = python(
        IMPORTS,
        "reaugkd.distiller",
        "reaugkd.method",
        "reaugkd.context",
        "reaugkd.models.spec",
        "reaugkd.models.recipe",
        "reaugkd.tasks",
        "reaugkd.retrieval.ann",
        *(f"reaugkd.retrieval.condense.{name}" for name in CONDENSERS),
        "bench.config",
        "bench.settings",
    )
    assert shown.stdout.split() == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "kd.temperature=-1"], "'kd.temperature' = -1"),
        (["--set", "kd.temprature=4"], "did you mean 'temperature'"),
        (["--set", "student.recipe.epochs=0"], "'student.recipe.epochs' = 0"),
        (["--set", "takd.chain=[0]"], "at least 1"),
        (["--methods", "reaugkb"], "did you mean 'reaugkd'"),
        (["--tasks", "mrpcc"], "did you mean 'mrpc'"),
        (["--preset", "minni"], "did you mean 'mini'"),
        (["--ann", "hnswlb"], "did you mean 'hnswlib'"),
        (["--limitt", "3"], "Did you mean '--limit'"),
    ],
)
def test_a_mistake_is_answered_at_once(words: list[str], message: str) -> None:
    shown = python(MISTAKE, *words)
    code, torch, seconds = shown.stdout.split()
    assert message in shown.stderr
    assert (code, torch) == ("2", "False")
    assert float(seconds) < 1


MEASURING = """
import sys
from bench.cli.main import main
try:
    main([sys.argv[1], "--ann", "hnswlb"], prog_name="bench")
except SystemExit as stop:
    print(stop.code, "torch" in sys.modules)
"""


@pytest.mark.parametrize("command", ["latency", "memory", "gate"])
def test_a_mistake_in_a_measurement_is_told_before_torch_is_imported(command: str) -> None:
    assert python(MEASURING, command).stdout.split() == ["2", "False"]
