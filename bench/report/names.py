"""Names for files and anchors, and names that are short beside each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any


class Names:
    """Gives names in lower case and ``-``, none of them twice.

    Args:
        nameless: stands for a text without a letter or digit.
        taken: names that are not given.

    >>> names = Names()
    >>> names.of("curves-SST_2"), names.of("curves-sst-2"), names.of("<>")
    ('curves-sst-2', 'curves-sst-2-2', 'figure')
    """

    def __init__(self, nameless: str = "figure", taken: Iterable[str] = ()) -> None:
        self._nameless = nameless
        self._taken = set(taken)

    def of(self, text: str) -> str:
        """A name like ``text`` that was not given before."""
        plain = name = "-".join(re.findall("[a-z0-9]+", text.lower())) or self._nameless
        number = 1
        while name in self._taken:
            number += 1
            name = f"{plain}-{number}"
        self._taken.add(name)
        return name


def shorter(names: Iterable[str]) -> dict[str, str]:
    """Each name without the parts behind a comma that all of them share.

    >>> shorter(["exact, soft values, share 10 %", "exact, soft values"])
    {'exact, soft values, share 10 %': 'exact, share 10 %', 'exact, soft values': 'exact'}
    """
    parts = {name: name.split(", ") for name in names}
    shared = set.intersection(*(set(rest) for _, *rest in parts.values())) if parts else set()
    return {
        name: ", ".join([first, *(part for part in rest if part not in shared)])
        for name, (first, *rest) in parts.items()
    }


def backend(measured: Any) -> str:
    """The backend of a measured cell, and for ``auto`` what it stood for.

    Args:
        measured: with its ``cell``, and its ``index`` if that was built.
    """
    asked: str = measured.cell.backend
    index = measured.index
    return asked if index is None or index.spec == asked else f"{asked} -> {index.spec}"


def arithmetic(measured: Any) -> str:
    """What the forward of a measured cell was computed in: a precision of torch, or a runtime.

    Rows of a frame have no ``runtime`` where no record of it has one.
    """
    return getattr(measured.cell, "runtime", None) or str(measured.cell.precision)
