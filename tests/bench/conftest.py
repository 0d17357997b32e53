"""What the tests of ``bench run`` share: one finished run, and the number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from tests.bench import runs


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """``--threads`` in one test does not reach the next: sums depend on their number."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def nothing_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("it must not train")

    monkeypatch.setattr("reaugkd.training.loop.train", refuse)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run: ``out``, only to be read, and ``cache``, which runs may share."""
    folder = tmp_path_factory.mktemp("finished")
    done = runs.run(folder)
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="session")
def carved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two seeds, with a test split of 600 rows carved out of train."""
    folder = tmp_path_factory.mktemp("carved")
    flags = ["--test", "train:600", "--seeds", "0,1", "--methods", "kd,reaugkd", "--ann", "exact"]
    done = runs.run(folder, *flags, "--set", "student.recipe.epochs=3")
    assert done.exit_code == 0, done.output
    return folder
