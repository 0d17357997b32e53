"""Two seconds of the benchmark of the service: what measures is sound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks import minilm, serving_load


@pytest.mark.slow
def test_every_client_is_answered_and_rows_are_kept_as_they_were_seen(tmp_path: Path) -> None:
    pytest.importorskip(minilm.PACKAGE, reason="the development extra brings the teacher")
    case = "condensed, exact"
    row, events = serving_load.measure(case, tmp_path / "c", seconds=2.0)
    assert row.errors == {}
    assert [json.loads(line)["event"] for line in events] == ["stopped"]
    assert row.p50 <= row.p99
    # Little's law: clients that never pause are in the service all the time.
    assert 0.5 < row.per_second * row.p50 / 1000 / row.clients < 1.5
    serving_load.write(tmp_path / "out", [row], (0.0, 0.0, 0.0))
    (kept,) = json.loads((tmp_path / "out" / "serving.json").read_bytes())["rows"]
    assert serving_load.Row(**kept) == row
    assert case in (tmp_path / "out" / "serving.md").read_text(encoding="utf-8")
