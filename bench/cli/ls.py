"""``bench ls``: what there is to choose from and what is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, get_args, get_origin

import click

from baselines import METHODS
from bench import layers
from bench.cli.console import show
from bench.report.table import EMPTY, Table
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.registry import Registry
from reaugkd.retrieval.ann import BACKENDS
from reaugkd.retrieval.condense import CONDENSERS
from reaugkd.tasks import TASKS

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo


@click.command()
@click.argument("what", required=False, metavar="[methods|tasks|ann|condensers|presets|ablations]")
@click.option("-v", "--verbose", is_flag=True, help="Every setting of every method.")
def ls(what: str | None, verbose: bool) -> None:
    """List methods, tasks, backends, condensers, presets, ablations; without an argument all.

    \b
    Examples:
      bench ls
      bench ls ann                  what is installed, and how to get the rest
      bench ls methods --verbose    settings with default, range and source
    """  # noqa: D301  (click's paragraph mark)
    if what is not None and what.lower() not in LISTS:
        raise UnknownNameError("list", what, LISTS)
    for name in [what.lower()] if what else LISTS:
        show(LISTS[name]())
        if verbose and name == "methods":
            show(*map(_of_method, METHODS))


def _tasks() -> Table:
    columns = ("name", "title", "suite", "input", "classes", "metrics", "selects on")
    return Table("Tasks", columns, tuple(map(_task, TASKS)), labels=len(columns))


def _task(name: str) -> tuple[str, ...]:
    try:
        task = TASKS[name]
    except UserError as error:  # of another package; the others are listed all the same
        return (name, str(error), *[EMPTY] * 5)
    scores = "score {:g} to {:g}".format(*task.value_range) if task.value_range else "score"
    package = TASKS.package(name)
    return (
        task.name,
        task.title,
        f"{task.suite}, {package}" if package else task.suite,
        "pair" if task.pair else "single",
        ", ".join(task.labels) or scores,
        ", ".join(task.metrics),
        task.select_on,
    )


def _shipped(title: str, kind: str) -> Table:
    rows = tuple((name, layers.summary(text) or EMPTY) for name, text in layers.shipped(kind))
    return Table(title, ("name", "summary"), rows, labels=2)


def _registry(title: str, registry: Registry[Any]) -> Table:
    rows = []
    for name in registry:
        entry = registry.entry(name)
        installed = "yes" if entry.installed else f"pip install 'reaugkd[{entry.extra or name}]'"
        rows.append((name, installed, entry.summary))
    return Table(title, ("name", "installed", "summary"), tuple(rows), labels=3)


LISTS: dict[str, Callable[[], Table]] = {
    "methods": lambda: _registry("Methods", METHODS),
    "tasks": _tasks,
    "ann": lambda: _registry("ANN backends", BACKENDS),
    "condensers": lambda: _registry("Condensers", CONDENSERS),
    "presets": lambda: _shipped("Presets", "preset"),
    "ablations": lambda: _shipped("Ablations", "ablation"),
}


def _of_method(method: str) -> Table:
    rows = tuple(_settings(METHODS[method].Settings, f"{method}."))
    columns = ("setting", "default", "allowed", "meaning", "source")
    notes = () if rows else ("nothing to set",)
    return Table(f"Settings of {method} (--set NAME=VALUE)", columns, rows, len(columns), notes)


def _settings(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, ...]]:
    for name, info in model.model_fields.items():
        if hasattr(info.annotation, "model_fields"):
            yield from _settings(info.annotation, f"{prefix}{name}.")  # type: ignore[arg-type]
            continue
        meaning, _, source = (info.description or "").partition("Source:")
        default = str(info.get_default(call_default_factory=True))
        cells = (default, _allowed(info), meaning.strip().rstrip(".;"), source.strip())
        yield (prefix + name, *(cell or EMPTY for cell in cells))


def _allowed(info: FieldInfo) -> str:
    """Its type or choices, with the bounds of a number."""
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    rules = [(rule, name) for rule in info.metadata for name in signs if hasattr(rule, name)]
    bounds = ", ".join(f"{signs[name]} {getattr(rule, name):g}" for rule, name in rules)
    return f"{_kind(info.annotation)} {bounds}".strip()


def _kind(annotation: Any) -> str:
    """A type as a reader of TOML thinks of it: its name, its choices, or a list of another.

    >>> from typing import Literal
    >>> _kind(Literal["skip", "last"] | tuple[int, ...])
    'skip | last | list of int'
    """
    inner = get_args(annotation)
    if get_origin(annotation) is tuple:
        return f"list of {_kind(inner[0])}"
    if inner:
        return " | ".join(map(_kind, inner))
    return getattr(annotation, "__name__", None) or str(annotation)
