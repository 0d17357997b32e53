"""Settings that are shipped: presets, and ablations that go on top of a preset."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from reaugkd.errors import UnknownNameError
from reaugkd.registry import normal

Tree = dict[str, Any]
KINDS = {"preset": "presets", "ablation": "ablations"}
"""What a layer is called, and the folder it lies in."""


def shipped(kind: str) -> Iterator[tuple[str, str]]:
    """Name and text of every layer of a kind, in the order of their names."""
    folder = files("bench") / KINDS[kind]
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            yield file.name.removesuffix(".toml"), file.read_text(encoding="utf-8")


def names(kind: str) -> list[str]:
    """Names of the layers of a kind."""
    return [name for name, _ in shipped(kind)]


def summary(text: str) -> str | None:
    """A layer's first comment, which says what it is."""
    lines = (line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#"))
    return next(lines, None)


def read(kind: str, name: str) -> Tree:
    """The settings of a shipped layer.

    Raises:
        UnknownNameError: with the nearest valid name.
    """
    texts = {normal(layer): text for layer, text in shipped(kind)}
    if normal(name) not in texts:
        raise UnknownNameError(kind, name, names(kind))
    return tomllib.loads(texts[normal(name)])
