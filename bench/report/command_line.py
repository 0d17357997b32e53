"""Command lines as users typed them: their words, and other values for their flags."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

FRESH = {
    "--dry-run": False,
    **dict.fromkeys(("--out", "--overwrite", "--cells", "--history"), True),
    **dict.fromkeys(("--json", "--junit", "--summary"), True),
}
"""Flags that are left out, and whether a value follows. Into the folder of the run itself nothing
would be made again: its cells have their records. Nor are the files of a gate written again."""


def restricted(command: str, only: Mapping[str, Sequence[str]]) -> str:
    """``command`` with other values for some of its flags, and nothing of :data:`FRESH`.

    Repeated flags add up, so what the command says of a flag is replaced, never followed.

    >>> restricted("bench run --methods all --out DIR --tasks=mrpc", {"--methods": ["kd", "rkd"]})
    'bench run --tasks=mrpc --methods kd,rkd'

    Args:
        command: a command line.
        only: flag -> its values; a flag without values stays as it is.
    """
    changed = {flag: values for flag, values in only.items() if values}
    dropped = FRESH | dict.fromkeys(changed, True)
    rest = iter(words(command))
    kept: list[str] = []
    for word in rest:
        flag, equals, _ = word.partition("=")
        flag = flag.replace("_", "-")
        if flag not in dropped:
            kept.append(word)
        elif dropped[flag] and not equals:
            next(rest, None)  # its value
    for flag, values in changed.items():
        kept += [flag, ",".join(values)]
    return shlex.join(kept)


def words(command: str) -> list[str]:
    """The words of a command line; one with an odd number of quotes is taken apart at blanks."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def has(command: str, flag: str) -> bool:
    """Whether a command line gives a flag."""
    return any(word.partition("=")[0] == flag for word in words(command))


def bases(name: str, command: str) -> list[str]:
    """The base for ``--bases``; none where the command takes it from a run or a classifier."""
    return [] if has(command, "--run") or has(command, "--classifier") else [name]


def reductions(cell: Any, command: str) -> dict[str, list[str]]:
    """Values for the flags that make a base smaller, as far as the command gives them."""
    done = getattr(cell, "reduction", None)
    values = {
        "--condense": "full" if done is None else done.condense,
        "--pca": "none" if done is None or done.pca is None else str(done.pca),
        "--value-bits": "32" if done is None else str(done.value_bits),
    }
    return {flag: [value] for flag, value in values.items() if has(command, flag)}
