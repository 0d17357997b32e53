"""Values of flags: paths, lists of names, of backends and of numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from reaugkd.paths import expanded


class UserPath(click.Path):
    """A path whose ``~`` is expanded: bash leaves it in ``--out=~/run`` and in quotes."""

    def __init__(self, **wanted: Any) -> None:
        super().__init__(path_type=Path, **wanted)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path; a UserError names one below the home of nobody."""
        return Path(str(super().convert(expanded(value), param, ctx)))


def names(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[str]:
    """Names between commas, of a flag that may be given several times."""
    parts = [part.strip() for value in values for part in value.split(",") if part.strip()]
    if values and not parts:
        raise click.BadParameter("is empty", context, parameter)
    return parts


def specs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[str]:
    """Specs of backends between commas, which may hold commas of their own."""
    from reaugkd.retrieval.ann import split_specs

    names(context, parameter, values)
    return [spec for value in values for spec in split_specs(value)]


def numbers(kind: type[int] | type[float]) -> Callable[..., list[Any]]:
    """The reader of numbers of a ``kind`` between commas."""

    def read(
        context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
    ) -> list[Any]:
        parts = names(context, parameter, values)
        try:
            return [kind(part) for part in parts]
        except ValueError as error:
            raise click.BadParameter(f"{error}; expected e.g. 1,2,4") from error

    return read


def dims(context: click.Context, parameter: click.Parameter, value: str | None) -> int | str | None:
    """A number of dimensions, or ``none``."""
    if value is None or value == "none":
        return value
    if not value.isdigit():
        raise click.BadParameter(f"'{value}': expected none or a whole number", context, parameter)
    return int(value)
