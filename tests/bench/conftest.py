"""One finished run of the small matrix, shared by all tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import runs


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run: ``out`` and ``cache``. Write neither; copy, or give another out."""
    folder = tmp_path_factory.mktemp("finished")
    done = runs.run(folder)
    assert done.exit_code == 0, done.output
    return folder
