"""Bad input to ``bench run``: one clear line, exit code 2, and nothing finished is lost."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from shutil import copytree
from tempfile import gettempdir
from typing import Any, NoReturn

import pytest
from click.testing import Result
from safetensors import SafetensorError
from safetensors.torch import save_file

from reaugkd.tasks import get_task
from tests.bench import checkpoints, runs
from tests.reaugkd.tasks import glue_files


def told(done: Result, *words: object) -> None:
    """It ended with one line on stderr that holds every word, and without a traceback."""
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.output
    assert [str(word) for word in words if str(word) not in done.stderr] == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--methods reaugk", ("unknown method 'reaugk'", "'reaugkd'")),
        ("--ann hnswlb", ("unknown ANN backend 'hnswlb'", "'hnswlib'")),
        ("--ann exact:Flat", ("exact", "Flat")),
        ("--preset glue-minlm", ("unknown preset 'glue-minlm'", "'glue-minilm'")),
        ("--k 1,two", ("'two'", "1,2,4")),
        ("--k 5000", ("5000", "600")),
        ("--limit many", ("--limit", "many")),
        ("--threads 0", ("--threads", "0")),
        ("--device tpu", ("--device", "tpu", "auto")),
        ("--overwrite sometimes", ("sometimes", "missing")),
        ("--methods ,", ("--methods", "empty")),
        ("--tau inf", ("tau", "finite")),
        ("--ann faiss:HNWS32", ("HNWS32",)),
        ("--ann faiss:PCA8,Flat", ("PCA8,Flat", "OPQ")),
        ("--set data.max_length=65", ("max_length is 65", "student reads 64")),
        ("--set kd.soft_weight=0 --set kd.hard_weight=0", ("kd", "nothing would be learned")),
        ("--data-dir GLUE", ("GLUE", "--preset glue-minilm")),
        ("--student pretrained@0,0", ("pretrained@0,0", "layer")),
        ("--metods kd", ("--metods", "--methods")),
        ("--teacher x@y", ("x@y", "0,2,4")),
        ("--student teacher@9", ("9", "0 to 1")),
        ("--student /no/such/student", ("/no/such/student",)),
        ("--teacher /no/such/teacher", ("/no/such/teacher",)),
        ("--teacher package:no_such_package/model", ("pip install no-such-package",)),
        ("--config /no/such/file.toml", ("no settings file at /no/such/file.toml",)),
        ("--tasks mrpc --data-dir /no/such/glue", ("/no/such/glue", "MRPC/train.tsv")),
    ],
)
def test_a_wrong_name_or_value_is_told_with_what_is_right(
    flags: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    told(runs.run(tmp_path, *flags.split()), *words)
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "out").exists()


MRPC = get_task("mrpc")


@pytest.fixture
def glue(tmp_path: Path) -> Path:
    glue_files.write_folder(tmp_path / "glue", MRPC, 450)
    return tmp_path / "glue"


def append(path: Path, line: str) -> Path:
    path.write_text(path.read_text(encoding="utf-8") + line, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1\t2\t3\n", ("expected 5", "found 3")),
        ("7\t1\t2\ta\tb\n", ("'7'", "0", "1")),
        ("\t1\t2\ta\tb\n", ("label",)),
    ],
)
def test_a_malformed_row_is_told_with_file_and_line(
    line: str, words: tuple[str, ...], glue: Path, tmp_path: Path
) -> None:
    path = append(glue / "MRPC" / "train.tsv", line)
    told(runs.run(tmp_path, "--tasks", "mrpc", "--data-dir", glue), f"{path}:452", *words)


@pytest.mark.parametrize("split", ["train", "dev"])
def test_an_empty_split_or_a_missing_file_is_named(split: str, glue: Path, tmp_path: Path) -> None:
    path = glue / "MRPC" / f"{split}.tsv"
    path.write_text(path.read_text(encoding="utf-8").splitlines(keepends=True)[0])
    told(runs.run(tmp_path, "--tasks", "mrpc", "--data-dir", glue), "MRPC", "empty")
    path.unlink()
    told(runs.run(tmp_path, "--tasks", "mrpc", "--data-dir", glue), path)


def test_a_class_never_seen_is_named(glue: Path, tmp_path: Path) -> None:
    path = glue / "MRPC" / "train.tsv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([lines[0], *(row for row in lines[1:] if row.startswith("1"))]))
    told(
        runs.run(tmp_path, "--tasks", "mrpc", "--data-dir", glue),
        "MRPC: train has 0 rows of class",
        MRPC.labels[0],
    )


def test_models_that_do_not_fit_are_told_before_anything_trains(tmp_path: Path) -> None:
    five = checkpoints.write_classifier(tmp_path / "five", 5)
    whole = checkpoints.write(tmp_path / "whole")
    small = checkpoints.write(tmp_path / "small", vocabulary=9)
    bare = checkpoints.write(tmp_path / "bare")
    for file in bare.glob("tokenizer*"):
        file.unlink()
    for flags, words in (
        (("--teacher", five), ("5 labels", "needs 3")),
        (("--teacher", whole, "--student", small), (small, "knows 9 tokens")),
        (("--teacher", small, "--student", "pretrained@0"), (small, "knows 9 tokens")),
        (("--teacher", bare), ("tokenizer", bare)),
        (("--student", bare), ("tokenizer", bare)),
        (("--student", whole, "--set", "student.tokenizer=nosuch"), ("tokenizer", "'nosuch'")),
        (("--teacher", whole, "--student", "pretrained@5"), ("5", "0 to 1")),
    ):
        told(runs.run(tmp_path, *flags), *words)
    assert not (tmp_path / "cache").exists()


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reaugkd.registry.find_spec", lambda _: None)
    told(runs.run(tmp_path, "--ann", "annoy"), "annoy is not installed", "'reaugkd[annoy]'")


def test_broken_settings_files_are_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("k = [1,")
    told(runs.run(tmp_path, "--config", file), file, "TOML")
    file.write_text("[student]\nrecipes = 3\n")
    told(runs.run(tmp_path, "--config", file), "student.recipes", "'recipe'")
    file.write_text("[task.tone.student.recipe]\nepoch = 3\n")
    told(runs.run(tmp_path, "--config", file), "[tone]", "epoch", "'epochs'")


@pytest.mark.parametrize("below", ["", "run"])
def test_an_output_that_is_a_file_is_named_before_anything_trains(
    below: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    told(runs.run(tmp_path, "--out", tmp_path / "file" / below), tmp_path / "file", "cannot write")
    assert (tmp_path / "file").read_text() == "mine"
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    told(runs.run(tmp_path, "--cache", tmp_path / "file"), "cache", tmp_path / "file")
    assert not (tmp_path / "out").exists()


def full(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("place", ["numpy.savez_compressed", "bench.records.store.write_json"])
def test_a_full_disk_stops_the_run_and_loses_nothing(
    place: str, finished: Path, tmp_path: Path
) -> None:
    first = runs.run(finished, "--out", tmp_path, "--methods", "finetune")
    assert first.exit_code == 0
    kept = {path.name: path.read_bytes() for path in (tmp_path / "cells").iterdir()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, full)
        told(runs.run(finished, "--out", tmp_path), "disk is full", tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "cells").iterdir()} == kept
    assert runs.run(finished, "--out", tmp_path).exit_code == 0
    assert runs.results(tmp_path) == runs.results(finished / "out")


def test_a_full_cache_stops_the_run_and_fails_no_cell(finished: Path, tmp_path: Path) -> None:
    """safetensors has an error of its own; the next cell would only train in vain."""

    def no_room(tensors: Any, path: Path) -> None:
        if tmp_path not in path.parents:  # where the plan tries whether models can be saved
            save_file(tensors, path)
            return
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    copytree(finished / "cache", tmp_path / "cache")
    fresh = ("--set", "student.recipe.batch_size=16", "--methods", "finetune,kd")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reaugkd.models.encoder.save_file", no_room)
        done = runs.run(tmp_path, *fresh)
    assert done.exit_code == 2
    assert done.stderr == f"error: disk full: {tmp_path / 'cache'}\n"
    assert list((tmp_path / "out" / "cells").iterdir()) == []
    assert runs.run(tmp_path, *fresh).exit_code == 0


def test_a_full_temporary_folder_is_no_fault_of_a_model(tmp_path: Path) -> None:
    def no_room(*_: Any, **__: Any) -> NoReturn:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reaugkd.models.encoder.save_file", no_room)
        told(runs.run(tmp_path), f"disk full: {gettempdir()}")


def test_a_damaged_store_is_named_mended_and_the_rest_left_alone(
    finished: Path, tmp_path: Path
) -> None:
    assert runs.run(finished, "--out", tmp_path).exit_code == 0
    half, old, *others = sorted((tmp_path / "cells").glob("*.json"))
    half.write_text(half.read_text()[:100])
    old.write_text('{"schema_version": 0}')
    foreign = tmp_path / "cells" / "notes.json"
    foreign.write_text("[]")
    before = {path: path.read_bytes() for path in others}
    done = runs.run(finished, "--out", tmp_path)
    assert done.exit_code == 0
    assert f"{len(others)} there already, 2 left" in done.output
    for path, reason in ((half, "JSON"), (old, "version 0"), (foreign, "not a record")):
        line = next(line for line in done.output.splitlines() if line.startswith(str(path)))
        assert reason in line
    assert {path: path.read_bytes() for path in others} == before
    assert foreign.read_text() == "[]"
    foreign.unlink()
    assert runs.results(tmp_path) == runs.results(finished / "out")


def damage(folder: Path) -> None:
    """Cut the end off the largest file of every artefact below ``folder``."""
    for manifest in folder.glob("*/manifest.json"):
        files = [path for path in manifest.parent.rglob("*") if path.is_file()]
        victim = max(files, key=lambda path: path.stat().st_size)
        victim.write_bytes(victim.read_bytes()[:-7])


def test_damaged_signals_teach_nobody(finished: Path, tmp_path: Path) -> None:
    other = ("--set", "kd.temperature=3", "--methods", "kd")
    copytree(finished / "cache", tmp_path / "cache")
    damage(tmp_path / "cache" / "signals")
    done = runs.run(tmp_path, *other)
    assert done.exit_code == 0
    assert "is damaged" in done.output
    assert runs.run(finished, "--out", tmp_path / "whole", *other).exit_code == 0
    assert runs.results(tmp_path / "out") == runs.results(tmp_path / "whole")


@pytest.mark.parametrize("kind", ["teacher", "student", "knowledge-base", "index"])
def test_a_damaged_artefact_is_named_and_built_again(
    kind: str, finished: Path, tmp_path: Path
) -> None:
    copytree(finished / "cache", tmp_path / "cache")
    damage(tmp_path / "cache" / kind)
    done = runs.run(tmp_path)
    assert done.exit_code == 0, done.output
    assert f"{tmp_path / 'cache' / kind}" in done.output
    assert "is damaged" in done.output
    assert runs.results(tmp_path / "out") == runs.results(finished / "out")
