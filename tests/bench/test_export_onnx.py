"""``bench export --onnx``: what it writes loads, and what it says of it is what is seen."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from reaugkd import RetrievalAugmentedClassifier
from reaugkd.models import runtime
from tests.bench import runs


def test_int8_alone_and_no_library_are_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = runs.bench("export", tmp_path, "--to", tmp_path / "c", "--int8")
    assert alone.exit_code == 2
    assert "--int8 goes with --onnx" in alone.output
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    bare = runs.bench("export", tmp_path, "--to", tmp_path / "c", "--onnx")
    assert bare.exit_code == 2
    assert "error: onnx is not installed: pip install 'reaugkd[onnx]' brings it" in bare.output
    assert bare.output.count("\n") == 1


def test_both_files_are_written_and_compared_with_torch(finished: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is optional")
    words = (
        "--cache",
        finished / "cache",
        "--method",
        "reaugkd",
        "--ann",
        "exact",
        "--onnx",
        "--int8",
    )
    done = runs.bench("export", finished / "out", "--to", tmp_path, *words)
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("onnx")]
    assert [line.split(":")[0] for line in lines] == ["onnx", "onnx-int8"]
    assert re.search(r"on [\d,]+ rows of dev the same answer for 100\.0%, off by at most", lines[0])
    ours, torchs = re.findall(r"accuracy ([\d.]+) \(torch ([\d.]+)\)", lines[0])[0]
    assert ours == torchs
    pairs = [("the cat runs", "the cat is fast"), ("the dog sleeps", "the dog")]
    first, second = (
        RetrievalAugmentedClassifier.from_pretrained(tmp_path, backend=name).predict(pairs)
        for name in ("torch", "onnx")
    )
    np.testing.assert_allclose(second.probabilities, first.probabilities, atol=1e-4)
