"""A cell that has ended, in a few words."""

from __future__ import annotations

from bench.records.run import Record


def outcome(record: Record) -> str:
    """What it scored on the test split, or why it did not."""
    split, metric = record.tests[0], record.select_on
    if record.training is not None:
        return f"{split} {metric} {record.training.scores[split][metric]:.4f}"
    if record.retrieval is not None:
        off, on = record.retrieval.off, record.retrieval.chosen
        return (
            f"{split} {metric} {off[split][metric]:.4f} -> {on.scores[split][metric]:.4f} "
            f"(k {on.k}, beta {on.beta}, tau {on.tau})"
        )
    if record.controls is not None:
        mixed, scaled = record.controls.second_head, record.controls.temperature
        what = (
            f"second head {split} {metric} {record.controls.off.scores[split][metric]:.4f} -> "
            f"{mixed.mixed.scores[split][metric]:.4f} (beta {mixed.beta})"
        )
        return what + (f", temperature {scaled.temperature:.2f}" if scaled else "")
    return record.reason or ""
