"""``bench latency`` as it is called: mistakes in one line, dry runs, a real cell, its report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.cli import measuring
from bench.cli.main import COMMANDS, main
from bench.measure.options import BETA, TAU, K, Options, share
from bench.records.measurement import LatencyRecord
from bench.records.measurements import Measurements
from reaugkd.errors import UserError


def bench(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], prog_name="bench")


def tiny(folder: Path, *more: object) -> tuple[object, ...]:
    start = ("latency", "--out", folder / "out", "--cache", folder / "cache")
    axes = ("--bases", "150", "--ann", "exact", "--k", 3, "--student", "bert-1l-16")
    return (*start, *axes, "--lengths", 8, "--threads", 1, "--build-threads", 1, *more)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3%", 0.03), ("3 %", 0.03), ("0.03", 0.03), ("2.5%", 0.025), ("150%", 1.5), ("0", 0.0)],
)
def test_a_share_is_percent_or_below_1(text: str, value: float) -> None:
    assert share(text) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3", "write 3% or 0.03"),
        ("1", "write 1% or 0.01"),
        ("-1%", "below 0"),
        ("-0.01", "below 0"),
        ("nan", "expected a share"),
        ("inf%", "expected a share"),
        ("three", "expected a share"),
        ("3%%", "expected a share"),
        ("", "expected a share"),
    ],
)
def test_what_could_be_either_or_is_neither_is_refused(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        share(text)


def test_names_are_normal_and_each_once() -> None:
    asked = Options.of(
        bases=("WNLI", "SST-2", "wnli", "100"), precision=("bf16", "fp32", "bf16"),
        threads=(1,), build_threads=1,
    )  # fmt: skip
    assert asked.bases == ("wnli", "sst2", "100")
    assert asked.precision == ("bf16", "fp32")
    assert len(Options.of(bases=("glue", "mrpc"), threads=(1,), build_threads=1).bases) == 9


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--max-overhead", "3"), "write 3% or 0.03"),
        (("--max-overhead=-3%",), "below 0"),
        (("--precision", "bf61"), "'fp32', 'bf16' or 'int8'"),
        (("--batch", "0"), "--batch 0"),
        (("--batch", "x"), "batch"),
        (("--threads", "1000"), "--threads 1000"),
        (("--k", "151"), "larger than the knowledge base 150"),
        (("--ann", "hnswlb"), "did you mean 'hnswlib'"),
        (("--ann", "faiss:Nonsense77"), "Nonsense77"),
        (("--bases", "mrcp"), "did you mean 'mrpc'"),
        (("--bases", "0"), "at least 1 entry"),
        (("--beta", "0"), "--beta 0"),
        (("--target", "speed:1"), "recall:0.99"),
        (("--run", "nowhere"), "--bases and --run"),
        (("--time-budget", "-1"), "--time-budget"),
        (("--overwrite", "sometimes"), "overwrite"),
        (("--lengths", "real"), "--data-dir"),
        (("--condense", "randm:5"), "did you mean 'random'"),
        (("--condense", "random:151"), "base 150 has 150 entries"),
        (("--pca", "17"), "keys of base 150 are 16 wide"),
        (("--value-bits", "7"), "--value-bits 7"),
        (("--skip", "lossless"), "up to the student"),
    ],
)
def test_a_mistake_is_one_line_before_any_work(
    flags: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    done = bench(*tiny(tmp_path, *flags))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_library_that_is_missing_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reaugkd.registry import Entry

    monkeypatch.setattr(Entry, "installed", property(lambda self: self.library != "annoy"))
    done = bench(*tiny(tmp_path, "--ann", "annoy"))
    assert done.exit_code == 2
    assert "pip install 'reaugkd[annoy]'" in done.stderr


def test_a_dry_run_says_what_is_left_and_writes_nothing(tmp_path: Path) -> None:
    done = bench(*tiny(tmp_path, "--ann", "hnswlib", "--batch", "1,2", "--dry-run"))
    assert done.exit_code == 0, done.output
    assert "4 cells, 0 there already, 4 left" in done.stdout
    assert not (tmp_path / "out").exists()


def test_every_reduction_is_planned(tmp_path: Path) -> None:
    axes = ("--condense", "full,random:40", "--pca", "none,8", "--value-bits", "32,8")
    done = bench(*tiny(tmp_path, *axes, "--dry-run"))
    assert done.exit_code == 0, done.output
    assert "8 cells, 0 there already, 8 left" in done.stdout
    assert "150 (40 of 150) random:40, pca 8, 8-bit values exact k 3 batch 1 fp32" in done.stdout
    assert not (tmp_path / "cache" / "generated-base").exists()


@pytest.mark.slow
def test_a_cell_is_measured_shown_and_reported(tmp_path: Path) -> None:
    command = tiny(tmp_path, "--batch", "16", "--max-overhead", "150%")
    done = bench(*command)
    assert done.exit_code == 0, done.output
    assert "[1/1] 150 (150) exact k 3 batch 16 fp32" in done.stderr
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "measurements",
        "latency.json",
        "latency.md",
        "latency.csv",
    }
    assert done.stdout == (out / "latency.md").read_text()
    (record,) = Measurements(out).latency()
    assert isinstance(record, LatencyRecord)
    again = bench(*command)
    assert "there already" in again.stderr
    assert Measurements(out).latency() == [record]
    planned = bench(*command, "--dry-run")
    assert "1 there already, 0 left" in planned.stdout
    shown = bench("report", out)
    assert shown.exit_code == 0, shown.output
    assert "## Latency of retrieval" in shown.stdout
    assert (out / "report.md").is_file()


@pytest.mark.parametrize("name", ["latency", "memory", "gate"])
def test_the_defaults_that_help_shows_are_used(name: str) -> None:
    command = COMMANDS[name]
    shown = {
        param.name: match[1].split(",")
        for param in command.params
        if (match := re.search(r"\[default: ([^\]]*)\]", getattr(param, "help", None) or ""))
    }
    context = command.make_context(name, [])
    asked = measuring.options(context.params)
    for field in {"bases", "ann", "batch", "precision"} & shown.keys():
        assert [str(value) for value in getattr(asked, field)] == shown[field], field
    assert [asked.student] == shown["student"]
    for field, default in {"k": K, "tau": TAU, "beta": BETA}.items():
        assert shown[field][0] == str(default)
    values = context.params
    assert asked.target == values["target"] == "recall:0.99"
