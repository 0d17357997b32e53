"""Progress in words."""

from __future__ import annotations

from collections.abc import Mapping

from bench.records.run import Record, RetrievalResult


def figures(values: Mapping[str, float]) -> str:
    """Figures on one line.

    >>> figures({"soft": 0.25, "hard": 1.5})
    'soft 0.2500 hard 1.5000'
    """
    return " ".join(f"{name} {value:.4f}" for name, value in values.items())


def duration(seconds: float) -> str:
    """A duration as a clock shows it.

    >>> duration(9.6), duration(75), duration(3700)
    ('0:10', '1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def outcome(record: Record) -> str:
    """What a cell scored on the test split, or why it did not."""
    split, metric = record.tests[0], record.select_on
    if record.training:
        return f"{split} {metric} {record.training.scores[split][metric]:.4f}"
    if result := record.retrieval:
        off, on, setting = result.off, result.chosen.scores, result.chosen
        more = f"(k {setting.k}, beta {setting.beta}, tau {setting.tau}{_skipped(result, split)})"
    elif controls := record.controls:
        off, on = controls.off.scores, controls.second_head.mixed.scores
        scaled = controls.temperature
        more = f"(beta {controls.second_head.beta})"
        more += f", temperature {scaled.temperature:.2f}" if scaled else ""
    else:
        return record.reason or ""
    head = "second head " if record.controls else ""
    return f"{head}{split} {metric} {off[split][metric]:.4f} -> {on[split][metric]:.4f} {more}"


def _skipped(result: RetrievalResult, split: str) -> str:
    """How many queries of ``split`` a rule of skipping leaves to the student, if there is one."""
    if result.skip is None:
        return ""
    if result.skip.threshold is None:
        return ", asks always"
    return f", skips {100 * result.skip.skipped[split]:.1f} %"
