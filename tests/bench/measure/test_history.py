"""The history survives kills, neighbours and other versions; what it holds is never lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.measure import history
from bench.measure.gate import decide
from bench.measure.history import HistoryError
from tests.bench.measure.judged import failed, index, record
from tests.bench.report.factory import provenance

ROOT = Path(__file__).resolve().parents[3]
TIMES = ("2025-01-02T03:04:05+00:00", "2025-01-03T03:04:05+00:00")


def call(time: str = TIMES[0], *records: Any) -> tuple[history.Entry, ...]:
    found = records or (record(key="a", index=index(spec="hnswlib:M=8")), failed("died", key="b"))
    return history.entries(decide(found, [], 0.03), time)


def test_what_is_appended_is_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    assert history.read(path) == history.History((), ())
    history.append(path, call(TIMES[0]))
    first = path.read_bytes()
    history.append(path, call(TIMES[1]))
    assert path.read_bytes().startswith(first)
    assert history.read(path) == history.History((*call(TIMES[0]), *call(TIMES[1])), ())
    assert len(path.read_text().splitlines()) == 4


@pytest.mark.parametrize("kept", [1, 20, 45, 200, -1])
def test_a_torn_last_line_is_named_passed_over_and_left_alone(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "history.jsonl"
    history.append(path, call(TIMES[0]))
    whole = path.read_bytes()
    torn = call(TIMES[1])[0].line.encode()[:kept]
    path.write_bytes(whole + torn)

    found = history.read(path)
    assert found.entries == call(TIMES[0])
    assert [str(problem.path) for problem in found.problems] == [f"{path} line 3"]

    history.append(path, call(TIMES[1]))
    after = history.read(path)
    assert after.entries == (*call(TIMES[0]), *call(TIMES[1]))
    assert [str(problem.path) for problem in after.problems] == [f"{path} line 3"]
    assert path.read_bytes().startswith(whole + torn)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"schema_version":2,"kind":"gate","cells":[]}\n', "line 1: schema version 2, this is 1"),
        ('{"schema_version":2,"kind":"ga', "line 1: not a line of a gate's history"),
        ('{"schema_version":1,"kind":"latency"}\n', "line 1: not a line"),
        ("# A readme\n", "line 1: not a line"),
        ("[1, 2]\n", "line 1: not a line"),
        ("\x00\xff", "line 1: not a line"),
    ],
)
def test_another_file_is_one_clear_error(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(HistoryError) as caught:
        history.read(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_line_with_a_wrong_field_is_named_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    good = call()[0]
    wrong = json.loads(good.line) | {"limit": "much"}
    path.write_text(json.dumps(wrong) + "\n" + good.line + "\n")
    found = history.read(path)
    assert found.entries == (good,)
    assert "limit" in found.problems[0].reason


WRITER = """
import sys
from pathlib import Path
from bench.measure import history
from tests.bench.measure.test_history import call
from tests.bench.measure.judged import record
path, name = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    history.append(path, call(f"{name}{number:03d}", record(key="a" * 3000), record(key="b")))
"""


def test_two_processes_append_at_once_and_no_line_is_lost_or_mixed(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "xy"
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    found = history.read(path)
    assert found.problems == ()
    times = [entry.time for entry in found.entries]
    assert times[::2] == times[1::2]  # the two lines of a call stay together
    for name in "xy":
        own = [time for time in times[::2] if time.startswith(name)]
        assert own == [f"{name}{number:03d}" for number in range(40)]


def test_a_failed_write_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.jsonl"
    history.append(path, call(TIMES[0]))
    before = path.read_bytes()
    write = os.write
    monkeypatch.setattr("os.write", lambda file, data: write(file, data[:30]))  # a full disk
    with pytest.raises(HistoryError, match="No space left"):
        history.append(path, call(TIMES[1]))
    assert path.read_bytes() == before


def test_series_are_by_cell_and_machine_and_by_time() -> None:
    other = record(key="a", provenance=provenance(cpu="Other CPU"))
    found = [*call(TIMES[1], record(key="a")), *call(TIMES[0], record(key="b"), other)]
    groups = list(history.series(found))
    assert [[one.time for one in group] for group in groups] == [list(TIMES), [TIMES[0]]]
    assert {one.cpu for one in groups[1]} == {"Other CPU"}
