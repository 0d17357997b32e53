"""Texts as people hand them over, read by position whatever holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from reaugkd.errors import DataError

Texts = Iterable[str] | Iterable[Sequence[str]]
"""Sentences, or pairs of them."""

SIDES = ("text", "first sentence", "second sentence")


class TextsError(DataError, TypeError):
    """Texts that cannot be read as the task's; the message names the place, counted from 0."""


def read_texts(texts: Iterable[Any], *, pair: bool | None = None) -> list[tuple[str, ...]]:
    """Sentences as [(text,), ...] or pairs of them as [(first, second), ...], in their order.

    ``texts`` is any sequence of Python, numpy, pandas, polars, pyarrow or datasets, or an iterator,
    which is used up. A pair is a tuple, a list or a row of two. ``pair`` tells which of the two the
    task takes; with None the first item does, and all others must be like it.

    >>> read_texts(["good", "bad"])
    [('good',), ('bad',)]
    >>> read_texts([("one", "two")], pair=True)
    [('one', 'two')]

    Raises:
        TextsError: for something without an order, and for the first item that is not what the
            task takes or holds no text that can be written as UTF-8.
    """
    items = in_order(texts)
    if pair is None and items:
        pair = not isinstance(items[0], str | bytes) and _parts(items[0]) is not None
    return [_item(place, item, bool(pair)) for place, item in enumerate(items)]


def in_order(values: Any, what: str = "texts") -> list[Any]:
    """The items of any sequence by position; a TextsError tells of ``what`` has no order."""
    if isinstance(values, str | bytes | bytearray):
        kind = "string" if isinstance(values, str) else type(values).__name__
        raise TextsError(f"expected a sequence of {what}, not one {kind}: put it into a list")
    if isinstance(values, Mapping | Set):
        raise TextsError(f"expected a sequence of {what}, a {type(values).__name__} has no order")
    # pandas looks an item up by its label and iterates over the names of columns; values have
    # places. pyarrow's items are scalars of its own.
    for convert in ("to_pylist", "to_numpy"):
        if hasattr(values, convert):
            values = getattr(values, convert)()
            break
    try:
        return list(values)
    except TypeError as error:
        name = type(values).__name__
        raise TextsError(f"expected a sequence of {what}, not {name}") from error


def _parts(item: Any) -> list[Any] | None:
    """The texts of a pair, or None for what is no row of several."""
    if isinstance(item, str | bytes | Mapping | Set) or not hasattr(item, "__len__"):
        return None
    try:
        return list(item)
    except TypeError:
        return None


def _item(place: int, item: Any, pair: bool) -> tuple[str, ...]:
    if not pair:
        if not isinstance(item, str) and _parts(item) is not None:
            raise TextsError(
                f"text {place} is a {type(item).__name__} of {len(item)}, but the task takes one "
                "sentence"
            )
        return (_text(place, item, SIDES[0]),)
    parts = _parts(item)
    if isinstance(item, str):
        raise TextsError(f"text {place} is one sentence, but the task takes pairs (first, second)")
    if parts is None:
        raise TextsError(f"text {place} is {_shown(item)}, expected a pair (first, second)")
    if len(parts) != 2:
        raise TextsError(f"text {place} has {len(parts)} parts, expected a pair (first, second)")
    return tuple(_text(place, part, side) for part, side in zip(parts, SIDES[1:], strict=True))


def _text(place: int, text: Any, side: str) -> str:
    where = f"text {place}" if side == SIDES[0] else f"text {place}, {side},"
    if not isinstance(text, str):
        raise TextsError(f"{where} is {_shown(text)}, expected a string")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        character = text[error.start]
        raise TextsError(
            f"{where} has the lone surrogate {character!r} at character {error.start}: it was "
            "decoded in a wrong way"
        ) from error
    return str(text)  # numpy's strings become Python's


def _shown(value: Any) -> str:
    """A value that is no text: its type, and itself where it is short."""
    shown, kind = " ".join(repr(value).split()), type(value).__name__
    if value is None or len(shown) > 40:
        return shown if value is None else f"of type {kind}"
    return f"{shown} ({kind})"
