"""``bench gate``: exit codes, one line per cell, files, and one clear line for every mistake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from bench.cli.gate import _call
from bench.cli.main import main
from bench.measure import environment, history, watched
from bench.measure.gate import Ruling, decide
from bench.measure.latency import LatencyMeter
from bench.measure.meter import Done
from bench.records import provenance
from bench.records.measurements import Measurements, PlanFile
from tests.bench.measure.judged import cell, failed, record
from tests.bench.report import factory

ROOT = Path(__file__).resolve().parents[3]
Folder = Callable[..., Path]


def gate(*arguments: object) -> Result:
    done = CliRunner().invoke(main, ["gate", *map(str, arguments)], prog_name="bench")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def here() -> dict[str, Any]:
    """Provenance of this tree, so that nothing has to be noted."""
    return {"provenance": factory.provenance(commit=provenance.source_state()[0])}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder as ``bench latency`` leaves it."""

    def make(*records: Any, plan: dict[str, str] | None = None) -> Path:
        store = Measurements(tmp_path / "run")
        store.create()
        for one in records:
            store.write(one)
        cells = {one.key: one.cell.label for one in records} if plan is None else plan
        store.write_plan(PlanFile(kind="latency", command="bench latency", cells=cells))
        return store.folder

    return make


@pytest.mark.parametrize(
    ("records", "flags", "code"),
    [
        ([record(0.01, 0.02)], [], 0),
        ([record(0.01, 0.02)], ["--max-overhead", "0.5%"], 1),
        ([record(0.01, 0.02), record(0.04, 0.05, key="c2")], [], 1),
        ([record(0.01, 0.02), failed("killed")], [], 2),
        ([record(0.01, 0.02), failed("no bf16", status="skipped")], [], 2),
        ([record(cell=cell(beta=0.0))], [], 2),
        ([], [], 2),
        ([record(0.02, 0.04)], [], 3),
        ([record(0.02, 0.04)], ["--on-undecided", "pass"], 0),
        ([failed("killed")], ["--on-undecided", "pass"], 2),
    ],
)
def test_the_exit_code_and_one_line_per_cell(
    folder: Folder, records: list[Any], flags: list[str], code: int
) -> None:
    done = gate(folder(*records), *flags)
    assert done.exit_code == code
    lines = done.stdout.splitlines()
    assert len(lines) == len(records) + 1
    assert f"(exit {code})" in lines[-1]
    assert all("limit " in line for line in lines)


def test_a_planned_cell_without_a_record_never_passes(folder: Folder) -> None:
    plan = {"c1": "mrpc", "c9": "sst2 (67,349) exact"}
    done = gate(folder(record(0.01, 0.02), plan=plan), "--on-undecided", "pass")
    assert done.exit_code == 2
    assert "planned, never measured: sst2 (67,349) exact" in done.stderr
    assert "1 missing or unusable" in done.stdout


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 99}', '{"key": "c1"}', None])
@pytest.mark.parametrize("name", ["measurements/c2.json", "latency.json"])
def test_a_damaged_or_misnamed_file_is_named_and_never_passes(
    folder: Folder, text: str | None, name: str
) -> None:
    path = folder(record(0.01, 0.02), record(0.01, 0.02, key="c2"))
    if text is None:  # the record of another cell, which no plan is
        (path / "measurements/c1.json").rename(path / name)
    else:
        (path / name).write_text(text)
    done = gate(path)
    assert done.exit_code == 2
    assert Path(name).name in done.stderr


def test_a_damaged_memory_record_is_not_the_gates_business(folder: Folder) -> None:
    path = folder(record(0.01, 0.02, **here()))
    (path / "measurements/m1.json").write_text("{")
    store = Measurements(path)
    store.write_plan(PlanFile(kind="memory", command="bench memory", cells={"m1": "mrpc"}))
    assert gate(path).exit_code == 0


def test_cells_of_earlier_plans_are_judged_as_well(folder: Folder) -> None:
    done = gate(folder(record(0.01, 0.02), record(0.04, 0.05, key="c0"), plan={"c1": "mrpc"}))
    assert done.exit_code == 1
    assert "1 of the cells are not of the folder's last plan" in done.stdout.splitlines()[-1]


def test_the_files_say_what_the_exit_code_says(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bench", "gate", "RUN"])
    run = folder(record(0.01, 0.02), record(0.04, 0.05, key="c2", cell=cell(batch=32)))
    out = tmp_path / "made" / "for it"
    names = {flag: out / f"gate.{flag}" for flag in ("json", "junit", "summary", "history")}
    flags = [part for flag, path in names.items() for part in (f"--{flag}", path)]
    for _ in range(2):
        assert gate(run, *flags).exit_code == 1

    written = json.loads(names["json"].read_text())
    assert (written["schema_version"], written["kind"]) == (1, "gate")
    assert written["outcome"]["code"] == 1
    assert [one["verdict"] for one in written["outcome"]["cells"]] == ["holds", "fails"]
    assert written["call"]["command"] == "bench gate RUN"
    suite = ET.parse(names["junit"]).getroot()[0]
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("2", "1")
    assert names["summary"].read_text().count("## ") == 2  # appended
    assert [one.verdict for one in history.read(names["history"]).entries] == ["holds", "fails"] * 2
    assert sorted(path.name for path in out.iterdir()) == sorted(p.name for p in names.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], ("no measurements at nowhere", "bench latency")),
        (["RUN", "--bases", "mrpc"], ("--bases", "FOLDER")),
        (["RUN", "--time-budget", "5"], ("--time-budget", "FOLDER")),
        (["RUN", "--max-overhead", "3"], ("--max-overhead", "3%")),
        (["RUN", "--on-undecided", "pas"], ("--on-undecided", "pas")),
        (["RUN", "--json", "RUN"], ("--json", "is a folder")),
        (["RUN", "--json", "/proc/no/gate.json"], ("--json", "/proc/no")),
        (["RUN", "--json", "x", "--junit", "x"], ("--json", "--junit", "same file")),
        (["RUN", "--history", "OTHER"], ("line 1: schema version 2, this is 1", "--history")),
        (["RUN", "--history", "TEXT"], ("line 1: not a line of a gate's history",)),
        (["--bases", "mrpc", "--ann", "hnswlb"], ("hnswlb", "hnswlib")),
        (["--bases", "mrpc", "--time-budget", "0"], ("--time-budget", "0")),
    ],
)
def test_every_mistake_is_one_line_and_exit_code_2(
    folder: Folder, tmp_path: Path, arguments: list[str], words: tuple[str, ...]
) -> None:
    (tmp_path / "other.jsonl").write_text('{"schema_version":2,"kind":"gate"}\n')
    (tmp_path / "text.jsonl").write_text("a readme\n")
    places = {
        "RUN": folder(record(0.01, 0.02)),
        "OTHER": tmp_path / "other.jsonl",
        "TEXT": tmp_path / "text.jsonl",
        "x": tmp_path / "x",
    }
    done = gate(*(places.get(argument, argument) for argument in arguments))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words), done.stderr
    assert (tmp_path / "other.jsonl").read_text() == '{"schema_version":2,"kind":"gate"}\n'


class Bench:
    """Stands in for the measuring: hands out records and remembers what it was asked."""

    def __init__(self, records: list[Any]) -> None:
        self.records, self.asked, self.calls = records, {}, 0

    def run(self, meter: LatencyMeter, done: Callable[[Done[Any]], None]) -> list[Any]:
        self.calls += 1
        self.asked = dict(vars(meter))
        plans = meter.plan()
        made = [
            record.model_copy(update={"key": plan.key})
            for plan, record in zip(plans, self.records, strict=False)
        ]
        meter.measurements.create()
        for number, one in enumerate(made, start=1):
            meter.measurements.write(one)
            done(Done(one, False, number, len(plans), 0.0))
        return made


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Bench]:
    def install(*records: Any) -> Bench:
        made = Bench([*records])
        monkeypatch.setattr(LatencyMeter, "run", lambda meter, done: made.run(meter, done))
        monkeypatch.setenv("REAUGKD_CACHE", str(tmp_path / "cache"))
        monkeypatch.chdir(tmp_path)
        return made

    return install


def test_measured_here_every_cell_is_measured_anew_and_shares_the_budget(
    bench: Callable[..., Bench],
) -> None:
    made = bench(*(record(0.01, 0.02, key=f"c{number}") for number in range(4)))
    axes = ("--bases", "20,30", "--ann", "exact", "--batch", "1,32")
    done = gate(*axes, "--time-budget", "200", "--max-overhead", "2.5%")
    assert (done.exit_code, made.calls) == (0, 1)
    assert made.asked["options"].limit == 0.025
    assert len(done.stdout.splitlines()) == 5
    assert made.asked["options"].budget == pytest.approx(50)
    assert made.asked["overwrite"] == "always"
    assert not made.asked["measurements"].folder.exists()


@pytest.mark.parametrize("bf16", [True, False])
def test_without_axes_a_few_whole_bases_and_a_condensed_one_are_watched(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bf16: bool
) -> None:
    flags = environment.NATIVE_BF16 if bf16 else frozenset[str]()
    monkeypatch.setattr(environment, "cpu_flags", lambda: flags)
    made = bench(*(record(0.001, 0.002, key=f"c{number}", **here()) for number in range(6)))
    done = gate("--threads", 1, "--time-budget", 90, "--out", tmp_path / "out")
    parts = 3 if bf16 else 2
    assert (done.exit_code, made.calls) == (0, parts), done.output
    lines = done.stdout.splitlines()
    assert len(lines) == (10 if bf16 else 9)
    assert ("Left out: precision bf16: this CPU has no bf16" in lines[-1]) is not bf16
    assert made.asked["options"].budget == pytest.approx(90 / (len(lines) - 1))
    plan = Measurements(tmp_path / "out").read_plan("latency")
    assert isinstance(plan, PlanFile)
    labels = list(plan.cells.values())
    assert labels[0] == "wnli (635) hnswlib k 10 batch 1 fp32"
    assert labels[6] == f"cola (256 of 8,551) {watched.CONDENSER} exact k 10 batch 1 fp32"
    assert gate(tmp_path / "out").exit_code == 0  # all of it is of the plan


def test_a_planned_cell_that_the_measuring_never_returned_is_an_error(
    bench: Callable[..., Bench],
) -> None:
    bench(record(0.01, 0.02))
    done = gate("--bases", "20", "--ann", "exact", "--batch", "1,32")
    assert done.exit_code == 2
    assert "planned, never measured: 20 (20) exact" in done.stderr
    assert "1 missing or unusable" in done.stdout.splitlines()[-1]


def test_a_history_of_another_schema_ends_it_before_anything_is_measured_or_removed(
    bench: Callable[..., Bench], tmp_path: Path
) -> None:
    made = bench(record(0.01, 0.02))
    path, kept = tmp_path / "history.jsonl", tmp_path / "g.json"
    path.write_text('{"schema_version":2,"kind":"gate"}\n')
    kept.write_text("kept")
    done = gate("--bases", "20", "--history", path, "--json", kept)
    assert (done.exit_code, made.calls) == (2, 0)
    assert (path.read_text().count("\n"), kept.read_text()) == (1, "kept")


def test_a_crash_is_not_taken_for_a_failure(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("ours")

    bench()
    monkeypatch.setattr(LatencyMeter, "run", crash)
    done = gate("--bases", "20", "--ann", "exact")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "ZeroDivisionError: ours" in done.stderr


KILLED = """
import os, signal, sys
from pathlib import Path
from bench.cli import gate_files
from bench.cli.gate import _call
from bench.cli.main import main

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

os.fsync = die
main(["gate", *sys.argv[1:]], prog_name="bench")
"""


@pytest.mark.parametrize("flag", ["--json", "--junit"])
def test_killed_while_writing_it_leaves_neither_half_a_file_nor_an_earlier_one(
    folder: Folder, tmp_path: Path, flag: str
) -> None:
    path = tmp_path / "gate"
    path.write_text("of an earlier call that passed\n")
    command = [sys.executable, "-c", KILLED, str(folder(record(0.01, 0.02))), flag, str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_gate_decides_nothing_and_leaves_nothing(
    bench: Callable[..., Bench],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    folders: list[Path] = []

    def interrupted(meter: LatencyMeter, _: Any) -> None:
        folders.append(meter.measurements.folder)
        meter.measurements.create()
        os.kill(os.getpid(), number)

    bench()
    monkeypatch.setattr(LatencyMeter, "run", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    names = [tmp_path / name for name in ("g.json", "h.jsonl")]
    done = gate("--bases", "20", "--ann", "exact", "--json", names[0], "--history", names[1])
    assert (done.exit_code, done.stdout) == (130, "")
    assert "interrupted" in done.stderr
    assert not any(path.exists() for path in (*names, *folders))
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_page_names_every_verdict_every_flag_of_the_gate_and_every_key_of_its_json() -> None:
    page = (ROOT / "docs/gate.md").read_text(encoding="utf-8")
    outcome = decide([record(0.01, 0.02)], [], 0.03)
    (entry,) = history.entries(outcome, "2025-01-02")
    (cell,) = outcome.content()["cells"]
    parts = (outcome.content(), cell, cell["measured"], _call(), entry.model_dump())
    for name in {*(key for part in parts for key in part), *get_args(Ruling)}:
        assert f"`{name}" in page or f"{name}," in page or f"{name})" in page, name
    for flag in ("json", "junit", "summary", "history", "on-undecided", "max-overhead"):
        assert f"--{flag}" in page
