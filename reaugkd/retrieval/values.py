"""Values of entries as people hand them over: names or ids of classes, scores, soft labels."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reaugkd.errors import DataError


def read_values(values: Any, outputs: int, names: Sequence[str] = ()) -> NDArray[np.float32]:
    """Values [n, C] of class names [n], class ids [n], scores [n] or soft labels [n, C].

    ``values`` is any sequence of Python, numpy, pandas or pyarrow. A label becomes the
    distribution that is sure of it. With ``outputs`` = 1 they are scores.

    >>> read_values(["b", "a"], 2, ["a", "b"])
    array([[0., 1.],
           [1., 0.]], dtype=float32)

    Raises:
        DataError: names the place, counted from 0, of the first that is none, or tells of another
            shape. What is a distribution the knowledge base tells.
    """
    given = values.to_pylist() if hasattr(values, "to_pylist") else values
    try:
        array = np.asarray(given if hasattr(given, "__array__") else list(given))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"expected a label, score or row of soft labels per text: {error}"
        ) from error
    if array.ndim == 2 and array.dtype.kind in "fiu" and array.shape[1] == outputs:
        return array.astype(np.float32)
    if array.ndim != 1:
        raise DataError(
            f"expected labels [n] or soft labels [n, {outputs}], got {array.dtype} of shape "
            f"{array.shape}"
        )
    if outputs == 1:
        if array.dtype.kind not in "fiu":
            raise DataError(f"expected scores, got {array.dtype}")
        return array.astype(np.float32)[:, None]
    classes = [_class(place, label, outputs, names) for place, label in enumerate(array.tolist())]
    return np.eye(outputs, dtype=np.float32)[np.array(classes, np.int64)]


def _class(place: int, label: Any, outputs: int, names: Sequence[str]) -> int:
    """The id of a class by its name or id."""
    if isinstance(label, str):
        if label in names:
            return list(names).index(label)
        if not names:
            raise DataError(f"label {place} is '{label}', but no class has a name: give class ids")
        near = get_close_matches(label, names, n=1, cutoff=0.5)
        hint = f": did you mean '{near[0]}'?" if near else ""
        raise DataError(f"label {place}, '{label}', is none of the {len(names)} classes{hint}")
    if isinstance(label, bool) or not isinstance(label, int):
        raise DataError(
            f"label {place} is {label!r}, expected the name or id of a class, or soft labels "
            f"[n, {outputs}]"
        )
    if not 0 <= label < outputs:
        raise DataError(f"label {place} is {label}, class ids are 0 to {outputs - 1}")
    return label
