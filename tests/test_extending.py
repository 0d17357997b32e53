"""docs/adding-a-method.md is true: its files, as they stand there, extend an installed project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.records.store import Store
from tests.bench import checkpoints, runs

ROOT = Path(__file__).resolve().parents[1]
FILES = re.findall(
    r"```(?:python|toml)\n# (\S+)\n(.*?)```",
    (ROOT / "docs" / "adding-a-method.md").read_text(encoding="utf-8"),
    re.S,
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The manual's package installed into a folder of its own, found by its entry points."""
    folder = tmp_path_factory.mktemp("package")
    for name, text in FILES:
        (folder / name).write_text(text, encoding="utf-8")
    site = tmp_path_factory.mktemp("site")
    install = ["install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run(
        [sys.executable, "-m", "pip", *install, "--target", str(site), str(folder)],
        check=True,
        timeout=120,
    )
    path = os.pathsep.join([str(site), str(ROOT)])
    return {**runs.environment(), "PYTHONPATH": path}


def bench(environment: dict[str, str], *words: str) -> str:
    start = "from bench.cli.main import main; main(prog_name='bench')"
    done = subprocess.run(
        [sys.executable, "-c", start, *words],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_manual_shows_a_method_a_backend_a_task_and_a_package() -> None:
    names = ["logit_mse.py", "pyproject.toml", "half_index.py", "headlines.py"]
    assert [name for name, _ in FILES] == names


def test_both_are_listed_with_the_package_they_come_from(environment: dict[str, str]) -> None:
    assert re.search(r"logit-mse +yes +from my-distillation", bench(environment, "ls", "methods"))
    assert re.search(r"half +yes +from my-distillation", bench(environment, "ls", "ann"))
    assert re.search(r"headlines +Headlines +news, from my-dist", bench(environment, "ls", "tasks"))
    verbose = bench(environment, "ls", "methods", "--verbose")
    assert re.search(r"logit-mse.logit_weight +1.0 .*Ba and Caruana", verbose)


@pytest.mark.slow
def test_both_run_in_the_matrix(environment: dict[str, str], tmp_path: Path) -> None:
    methods = ["--methods", "logit-mse,reaugkd", "--ann", "exact,half"]
    words = runs.arguments(tmp_path, *methods, "--set", "logit_mse.hard_weight=0.5")
    bench(environment, *words)
    found = runs.records(tmp_path / "out")
    assert {record.status for record in found.values()} == {"ok"}
    own = found["logit-mse"]
    assert own.settings == {"logit_weight": 1.0, "hard_weight": 0.5}
    assert own.training is not None
    assert {"loss/logits", "loss/hard"} <= own.training.history[0].keys()
    half = found["reaugkd half projected soft"].retrieval
    exact = found["reaugkd exact projected soft"].retrieval
    assert half is not None
    assert exact is not None
    assert half.search.index_bytes * 2 == exact.search.index_bytes
    report = bench(environment, "report", str(tmp_path / "out"))
    assert "logit-mse" in report
    assert Store(tmp_path / "out").records()[1] == []


@pytest.mark.slow
def test_the_task_runs_like_one_of_ours(environment: dict[str, str], tmp_path: Path) -> None:
    model = checkpoints.write(tmp_path / "model")
    words = runs.arguments(tmp_path, "--tasks", "headlines", "--methods", "finetune")
    bench(environment, *words, "--teacher", str(model), "--student", "pretrained@0")
    record = runs.records(tmp_path / "out")["finetune"]
    assert (record.status, record.suite) == ("ok", "news")
    assert record.training is not None
    assert record.training.source == "headlines 1.0"
    assert record.training.scores["dev"].keys() == {"accuracy", "f1_macro"}
