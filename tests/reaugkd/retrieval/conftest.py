"""``auto`` knows its times here: nothing is measured and nothing goes to the user's cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import calibrations


@pytest.fixture(autouse=True)
def calibrated(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of the test; ``calibrate.measure`` answers with times made by hand."""
    folder = tmp_path_factory.getbasetemp() / "reaugkd-cache"
    monkeypatch.setenv("REAUGKD_CACHE", str(folder))
    monkeypatch.setattr("reaugkd.retrieval.ann.auto.calibrate.measure", calibrations.measure)
    return folder
