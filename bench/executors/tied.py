"""The first step of a process of the pool: it ends with the run from here on.

A module of its own, which imports nothing heavy: a run may be killed while its workers still import
torch.
"""

from __future__ import annotations

from typing import Any

from reaugkd.lifeline import end_with_parent


def start(*arguments: Any) -> None:
    """Tie this process to its parent, then make it a worker of :mod:`bench.executors.pool`."""
    end_with_parent()
    from bench.executors import pool

    pool.begin(*arguments)
