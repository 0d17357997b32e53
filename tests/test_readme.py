"""The figures of the README's first screen are those of the committed results."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


def report(name: str) -> Any:
    return json.loads((ROOT / "results" / name / "results.json").read_bytes())


def points(difference: dict[str, float], sign: int = 1) -> list[float]:
    """Estimate, lower and upper end, in points; ``sign`` -1 makes a gain of a loss."""
    estimate, *ends = (sign * 100 * difference[name] for name in ("estimate", "low", "high"))
    return [estimate, *sorted(ends)]


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        ("banking77-condense", "by {:+.2f} points on Banking77 (95 % interval {:+.2f} to {:+.2f})"),
        ("glue-minilm-seeds", "by {:+.2f} on MRPC ({:+.2f} to {:+.2f})"),
    ],
)
def test_what_retrieval_brings(run: str, sentence: str) -> None:
    (found,) = (
        row["difference"]
        for row in report(run)["comparisons"]
        if (row["kind"], row["method"], row["retrieval"]) == ("retrieval", "reaugkd", "exact")
    )
    assert sentence.format(*points(found)) in README
    assert found["seeds"] == 3


def test_what_it_costs() -> None:
    cells = csv.DictReader((ROOT / "results/latency/latency.csv").read_text("utf-8").splitlines())
    holds = Counter(
        (cell["batch"], cell["precision"])
        for cell in cells
        if (cell["backend"], cell["index_target"]) == ("hnswlib", "recall 0.99")
        and cell["verdict"] == "holds"
    )
    one, batch, one_bf16, batch_bf16 = (
        holds[kind] for kind in (("1", "fp32"), ("32", "fp32"), ("1", "bf16"), ("32", "bf16"))
    )
    assert (
        f"for {one} (one sentence, fp32), {batch} (batches of 32), "
        f"{one_bf16} (one sentence, bf16), {batch_bf16} (batches, bf16)" in README
    )


def test_what_one_per_cent_loses() -> None:
    bases = {row["base"]: row for row in report("banking77-condense-alone")["condensing"]}
    whole, means, random = (bases[f"exact{name}"] for name in ("", ", kmeans:90", ", random:90"))
    assert (means["beta"], whole["entries"]) == ([1.0] * 3, 9_003)
    lost = points(means["difference"], -1), points(random["difference"], -1)
    assert (
        "90 entries by k-means instead of 9,003 lose {:.2f} points on Banking77 "
        "({:+.2f} to {:+.2f}), and 90 drawn at random {:.2f} ({:.2f} to {:.2f})".format(
            *lost[0], *lost[1]
        )
        in README
    )
