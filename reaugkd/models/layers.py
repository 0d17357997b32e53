"""Which layers of a checkpoint a model keeps: numbers, or a rule that a depth turns into them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from reaugkd.errors import ModelError

Layers = tuple[int, ...] | str
"""0-based numbers in the order in which they are kept, or a rule such as ``bottom:3``."""

WANTED = "layer numbers like 0,2,4, each once, or bottom:3, spread:3 or top:3"


def bottom(count: int, depth: int) -> tuple[int, ...]:
    """The first ``count`` of ``depth`` layers.

    >>> bottom(3, 6)
    (0, 1, 2)
    """
    return tuple(range(count))


def spread(count: int, depth: int) -> tuple[int, ...]:
    """``count`` of ``depth`` layers, evenly spread from the first one on: floor(i depth / count).

    Half of them is every second one, as DistilBERT starts; the last layer is kept where all are.

    >>> spread(3, 6), spread(9, 12)
    ((0, 2, 4), (0, 1, 2, 4, 5, 6, 8, 9, 10))
    """
    return tuple(index * depth // count for index in range(count))


def top(count: int, depth: int) -> tuple[int, ...]:
    """The last ``count`` of ``depth`` layers.

    >>> top(3, 6)
    (3, 4, 5)
    """
    return tuple(range(depth - count, depth))


RULES: dict[str, Callable[[int, int], tuple[int, ...]]] = {
    rule.__name__: rule for rule in (bottom, spread, top)
}
_RULE = re.compile(rf"({'|'.join(RULES)})(:[1-9][0-9]*)?")


def parse(text: str) -> Layers:
    """What stands after ``@`` in a model.

    >>> parse("0,2,4"), parse("spread:3")
    ((0, 2, 4), 'spread:3')

    Raises:
        ValueError: if it is neither numbers nor a rule.
    """
    if ":" in text:
        return checked(text.strip())
    return checked(tuple(int(part) for part in text.split(",")))


def checked(layers: Any) -> Layers:
    """Numbers or a rule, as a setting may give them; a rule may leave the number out.

    Where it does, :func:`counted` must put it in.

    Raises:
        ValueError: telling what is allowed.
    """
    if isinstance(layers, str):
        if not _RULE.fullmatch(layers):
            raise ValueError(f"expected {WANTED}")
        return layers
    numbers = tuple(layers) if isinstance(layers, list | tuple) else ()
    if not numbers or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError(f"layers are 0-based and at least one: {WANTED}")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"layers {list(numbers)}: each layer can be taken once")
    return numbers


def counted(layers: Layers | None, count: int) -> Layers | None:
    """The same, a rule without a number for ``count`` layers.

    >>> counted("top", 3), counted("top:2", 3)
    ('top:3', 'top:2')
    """
    bare = isinstance(layers, str) and ":" not in layers
    return f"{layers}:{count}" if bare else layers


def numbers_of(layers: Layers, depth: int) -> tuple[int, ...]:
    """The layers as numbers, for a model of ``depth`` layers.

    >>> numbers_of("top:2", 6)
    (4, 5)

    Raises:
        ModelError: naming the depth, if there are fewer layers than are asked for.
    """
    if not isinstance(layers, str):
        if max(layers) >= depth:
            raise ModelError(f"layers {list(layers)}: the checkpoint has layers 0 to {depth - 1}")
        return layers
    name, _, count = layers.partition(":")
    if not count:
        raise ModelError(f"layers '{name}': how many? e.g. {name}:3")
    if int(count) > depth:
        raise ModelError(f"layers {layers}: the checkpoint has only {depth} layers")
    return RULES[name](int(count), depth)


def shown(layers: Layers) -> str:
    """The form of the command line.

    >>> shown((0, 2)), shown("top:2")
    ('0,2', 'top:2')
    """
    return layers if isinstance(layers, str) else ",".join(map(str, layers))
