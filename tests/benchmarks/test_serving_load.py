"""A service under load: what a client waits, how much is answered, and that nothing fails.

    REAUGKD_SERVING_OUT=results/serving pytest -s -m "" tests/benchmarks/test_serving_load.py

Eight clients in a process of their own ask for one text each, again and again, for 120 seconds
(``REAUGKD_SERVING_SECONDS``): the student alone, a whole knowledge base behind two backends, and a
condensed one. Before and after, the library answers the same texts in batches of as many, with as
many threads. With ``REAUGKD_SERVING_OUT`` the rows are written into that folder, as JSON and
Markdown.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tabulate import tabulate

from tests.benchmarks import minilm, serving_load

SECONDS = float(os.environ.get("REAUGKD_SERVING_SECONDS", "120"))
OUT = os.environ.get("REAUGKD_SERVING_OUT")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800 + 6 * SECONDS)]


def test_no_client_meets_an_error(tmp_path: Path) -> None:
    pytest.importorskip(minilm.PACKAGE, reason="the development extra brings the teacher")
    rows, load = [], os.getloadavg()
    for number, case in enumerate(serving_load.CASES):
        row, events = serving_load.measure(case, tmp_path / str(number), SECONDS)
        print(f"\n{tabulate([row.shown], headers='keys', floatfmt='.4g')}")
        assert row.errors == {}, events
        assert [json.loads(line)["event"] for line in events] == ["stopped"]
        rows.append(row)
    if OUT:
        serving_load.write(Path(OUT), rows, load)
